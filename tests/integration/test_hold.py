"""How long a caller is held, and what wakes it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.errors import CannotTakeNow

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}


async def hook(world: Any, modern_batch: str, *, key: str = "k1", secret: str = "hook-secret", prefix: str = "") -> int:
    """Send BATCH_COMPLETED as the vendor does; return the receiver's status."""
    data = {"batchId": modern_batch, "organizationId": ORG_A, "status": "SUCCESS"}
    body = json.dumps({"id": key, "type": "BATCH_COMPLETED", "data": data}).encode()
    headers = {
        "X-Amili-Event": "BATCH_COMPLETED",
        "IdempotencyKey": key,
        "X-Webhook-Signature": prefix + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    async with world.session.post(world.url + "/hooks/amili", data=body, headers=headers) as response:
        return int(response.status)


def finish(world: Any) -> str:
    """Finish the newest modern batch, telling nobody; return its id."""
    batch = world.sandbox.state.account(ORG_A).batches[-1]
    world.sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)
    return str(batch.id)


def is_taken(world: Any) -> bool:
    """Tell whether the newest modern batch has been looked at."""
    batches = world.sandbox.state.account(ORG_A).batches
    return bool(batches) and batches[-1].polls > 0


async def test_the_deadline_answers_pending_and_a_resend_gets_the_final_reply(
    open_world: Any, invoice: Invoice
) -> None:
    """Refused rows are final at once, the others pending; the bridge carries on in the background."""
    async with open_world(hold_seconds=0.15) as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 0.4}})
        batch = {"batchid": "b", "invoice": [invoice("1"), invoice("2", dueDate="x")]}
        began = time.monotonic()
        reply = await world.post(batch)
        assert 0.15 <= time.monotonic() - began < 0.4
        assert reply.code == 1
        assert reply.states == {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}
        replies = [await world.post(batch) for _ in range(4)]
        assert replies[-1].states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED"}
        assert replies[-1].headers["x-bridge-replay"] == "true"


async def test_only_pending_rows_make_statuscode_three(open_world: Any, invoice: Invoice) -> None:
    """Nothing refused, something pending."""
    async with open_world(hold_seconds=0.05) as world:
        world.sandbox.play(NEVER)
        reply = await world.post({"creditor": [{"idnumber": "984842252"}], "invoice": [invoice("1")]})
        assert reply.code == 3
        assert reply.states == {("creditor", 0): "OK", ("invoice", 0): "PENDING"}


async def test_an_offline_caller_is_answered_as_soon_as_the_batch_is_journalled(
    world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Refused rows stand in errors, all others are pending; the same batch sent again gets the final answer."""
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "slow", "seconds": 0.3}]})
    batch = {"batchid": "b", "offline": True, "invoice": [invoice("1"), invoice("2", creditorid="0")]}
    reply = await world.post(batch)
    assert reply.states == {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}
    assert (await world.ledger()).pending == 1
    await wait_until(lambda: len(world.bridge.workshop.works) == 0)
    assert (await world.post(batch)).states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED"}


async def test_an_offline_batch_of_refused_rows_is_final_at_once(world: Any, invoice: Invoice) -> None:
    """There is nothing left to be pending."""
    reply = await world.post({"offline": True, "invoice": [invoice("1", dueDate="x")]})
    assert reply.code == 2


@pytest.mark.parametrize("prefix", ["", "sha256="])
async def test_a_webhook_wakes_the_waiter(open_world: Any, invoice: Invoice, wait_until: Any, prefix: str) -> None:
    """The reply follows within 100 ms of the webhook, although the next poll is far away."""
    ahead = 0.0
    async with open_world() as world:
        waiter = world.bridge.workshop._worker._submitter._waiter
        waiter._clock = lambda: time.monotonic() + ahead
        world.sandbox.play(NEVER)
        lags = []
        for index in range(3):
            caller = asyncio.create_task(world.post({"invoice": [invoice(f"{index}")]}))
            await wait_until(lambda index=index: len(world.sandbox.state.account(ORG_A).batches) > index)
            await wait_until(lambda: is_taken(world))
            ahead += 2000  # the next poll but one is nine seconds away
            polls = world.sandbox.state.account(ORG_A).batches[-1].polls
            await wait_until(lambda polls=polls: world.sandbox.state.account(ORG_A).batches[-1].polls > polls)
            modern_batch = finish(world)
            began = time.monotonic()
            assert await hook(world, modern_batch, key=f"k{index}", prefix=prefix) == 200
            assert (await caller).code == 0
            lags.append(time.monotonic() - began)
        assert min(lags) < 0.1


async def test_the_sandboxs_own_webhooks_are_understood(world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Signed and sent by the stand-in, in several copies, they end the wait."""
    stand_in = world.sandbox.stand_in
    options = replace(stand_in.options, webhook_url=world.url + "/hooks/amili", webhook_secret="hook-secret")
    stand_in.options = stand_in.webhooks.options = options
    copies = {"operation": "writes", "kind": "webhook", "copies": 3}
    world.sandbox.play({"behaviour": {"finish_after_seconds": 0.2}, "fault": [copies]})
    assert (await world.post({"invoice": [invoice("1")]})).code == 0
    await wait_until(lambda: len(stand_in.webhooks.deliveries) == 3)
    assert {delivery.status for delivery in stand_in.webhooks.deliveries} == {200}


async def test_a_webhook_is_only_a_hint(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """One that lies about a running batch makes the bridge look, and believe what it sees."""
    async with open_world(hold_seconds=0.3) as world:
        world.sandbox.play(NEVER)
        caller = asyncio.create_task(world.post({"invoice": [invoice("1")]}))
        await wait_until(lambda: is_taken(world))
        assert await hook(world, world.sandbox.state.account(ORG_A).batches[-1].id) == 200
        assert (await caller).code == 3


async def test_a_webhook_with_a_wrong_signature_is_refused(world: Any) -> None:
    """401, whatever is wrong with it."""
    assert await hook(world, "x", secret="other") == 401
    async with world.session.post(world.url + "/hooks/amili", data=b"{}") as response:
        assert response.status == 401


async def test_a_repeated_webhook_is_taken_without_effect(world: Any) -> None:
    """200 both times; the second one wakes nobody."""
    hinted: list[str] = []
    world.bridge.workshop._store.listen(lambda _, subject: hinted.append(subject))
    assert [await hook(world, "m1", key="same"), await hook(world, "m1", key="same")] == [200, 200]
    assert await hook(world, "m1", key="other") == 200
    assert hinted == ["m1", "m1"]


async def test_a_webhook_about_an_unknown_batch_is_taken(world: Any) -> None:
    """Other systems write to the same organization."""
    assert await hook(world, "00000000-0000-4000-8000-000000000000") == 200


async def test_a_webhook_may_come_before_the_answer_of_the_write(world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Nobody waits for that batch yet; the answer comes all the same."""
    slow = {"operation": "invoices", "kind": "slow", "seconds": 0.2, "when": "after"}
    world.sandbox.play({"fault": [slow]})
    caller = asyncio.create_task(world.post({"invoice": [invoice("1")]}))
    await wait_until(lambda: world.sandbox.state.account(ORG_A).batches)
    assert await hook(world, finish(world)) == 200
    assert (await caller).code == 0


async def test_a_caller_that_hangs_up_changes_nothing(world: Any, invoice: Invoice, wait_until: Any) -> None:
    """The batch goes on to its end, and the next caller gets its answer."""
    world.sandbox.play({"behaviour": {"finish_after_seconds": 0.3}})
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    caller = asyncio.create_task(world.post(batch))
    await wait_until(lambda: is_taken(world))
    caller.cancel()
    await wait_until(lambda: len(world.bridge.workshop.works) == 0)
    reply = await world.post(batch)
    assert (reply.code, reply.headers["x-bridge-replay"]) == (0, "true")
    assert len(world.writes()) == 1


@pytest.mark.parametrize("how", ["away", "silent"])
async def test_a_journal_that_cannot_be_read_keeps_nobody_from_learning_that_the_batch_was_taken(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Who brought it is told what is remembered; who comes again may have been told more, and gets a 503."""

    async def fail(_: str) -> None:
        raise CannotTakeNow("the journal is away")

    async def be_silent(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("bridge.pipeline.READ_STANDING_SECONDS", 0.1)
    async with open_world(hold_seconds=0.1) as world:
        world.sandbox.play(NEVER)
        batch = {"batchid": "b", "invoice": [invoice("1"), invoice("2", dueDate="x")]}
        known = {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}
        with monkeypatch.context() as away:
            away.setattr(world.books, "standing", fail if how == "away" else be_silent)
            first = await world.post(batch)
            away.setattr(world.books, "standing", fail)
            again = await world.post(batch)
        assert (first.status, first.states) == (200, known)
        assert (again.status, int(again.headers["retry-after"]) > 0) == (503, True)
        assert (await world.post(batch)).states == known


async def test_draining_lets_held_callers_go_with_what_is_known(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Held callers get PENDING when the time is up, new ones 503, and Ping says that nothing is taken any more."""
    async with open_world() as world:
        world.sandbox.play(NEVER)
        caller = asyncio.create_task(world.post({"invoice": [invoice("1")]}))
        await wait_until(lambda: is_taken(world))
        draining = asyncio.create_task(world.bridge.pipeline.drain(0.2))
        await asyncio.sleep(0)
        late = await world.post({"invoice": [invoice("2")]})
        assert (late.status, int(late.headers["retry-after"]) > 0) == (503, True)
        async with world.session.get(world.url + "/webapi/api/Ping") as ping:
            assert ping.status == 503
        await asyncio.wait_for(draining, 5)
        assert (await caller).code == 3
        assert world.accepted("invoices") == {"erp-1": 1}
