"""Webhooks and the journal's inbox: each counts once, also across a restart; none is lost unheard."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.endpoints import HOOKS_LIMIT_BYTES
from bridge.errors import CannotTakeNow
from bridge.journal import News
from bridge.sandbox import Running, SandboxOptions, running

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    """A modern system that outlives the bridge."""
    async with running(SandboxOptions(port=0)) as sandbox:
        yield sandbox


async def hook(world: Any, modern_batch: str, key: str | None) -> Any:
    """Send BATCH_COMPLETED as the vendor does; return status and headers of the answer."""
    data = {"batchId": modern_batch, "organizationId": ORG_A, "status": "SUCCESS"}
    body = json.dumps({"type": "BATCH_COMPLETED", "data": data}).encode()
    signature = hmac.new(b"hook-secret", body, hashlib.sha256).hexdigest()
    headers = {"X-Amili-Event": "BATCH_COMPLETED", "X-Webhook-Signature": signature}
    if key is not None:
        headers["IdempotencyKey"] = key
    async with world.session.post(world.url + "/hooks/amili", data=body, headers=headers) as response:
        return response.status, response.headers


def listen(world: Any) -> list[str]:
    """Hear which modern batches the waiters are told of."""
    heard: list[str] = []
    world.bridge.workshop._store.listen(lambda news, subject: heard.append(subject) if news is News.HINT else None)
    return heard


async def count(world: Any, result: str) -> float:
    """Return how many webhooks were taken, or were duplicates, as the metrics tell it."""
    async with world.session.get(world.url + "/metrics") as response:
        lines = (await response.text()).splitlines()
    found = [line for line in lines if line.startswith("bridge_webhooks_total{") and result in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


async def test_a_webhook_that_was_taken_before_a_restart_has_no_effect_after_it(
    open_world: Any, sandbox: Running
) -> None:
    """200 both times; its key is in the journal, not in memory."""
    async with open_world(sandbox=sandbox) as world:
        heard = listen(world)
        assert (await hook(world, "m1", "same"))[0] == 200
        await asyncio.sleep(0)
        assert heard == ["m1"]
    async with open_world(sandbox=sandbox) as world:
        heard = listen(world)
        assert (await hook(world, "m1", "same"))[0] == 200
        assert (await hook(world, "m2", "other"))[0] == 200
        await asyncio.sleep(0)
        assert heard == ["m2"]
        assert (await count(world, "duplicate"), await count(world, "taken")) == (1, 1)


async def test_a_webhook_without_a_key_is_known_by_its_content(world: Any) -> None:
    """The same bytes twice are one webhook."""
    heard = listen(world)
    statuses = [(await hook(world, name, None))[0] for name in ("m1", "m1", "m2")]
    await asyncio.sleep(0)
    assert (statuses, heard) == ([200, 200, 200], ["m1", "m2"])


async def test_one_of_many_copies_at_once_counts(world: Any) -> None:
    """However they overtake each other."""
    heard = listen(world)
    answers = await asyncio.gather(*(hook(world, "m1", "same") for _ in range(10)))
    await asyncio.sleep(0)
    assert ({status for status, _ in answers}, heard) == ({200}, ["m1"])


async def test_a_webhook_the_journal_cannot_keep_is_to_be_sent_again(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, so that the vendor retries; the retry counts as the first one."""
    heard = listen(world)
    writer = world.bridge.workshop._store._writer

    async def fail(_: object) -> None:
        raise CannotTakeNow("the disk is full")

    with monkeypatch.context() as trouble:
        trouble.setattr(writer, "run", fail)
        status, headers = await hook(world, "m1", "k")
        assert (status, int(headers["Retry-After"]) > 0) == (503, True)
    await asyncio.sleep(0)
    assert heard == []
    assert (await hook(world, "m1", "k"))[0] == 200
    await asyncio.sleep(0)
    assert heard == ["m1"]


async def test_a_flood_of_webhooks_is_put_off_before_it_fills_the_memory(world: Any, wait_until: Any) -> None:
    """Anybody may send some, since the signature comes last: beyond the bound 503, and batches are taken as before."""
    (route,) = world.bridge.app.router["hooks.amili"]
    bodies = route.handler.__self__._hook_bodies
    go_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"x" * 900_000
        await go_on.wait()
        yield b"x"

    async def send() -> int:
        async with world.session.post(world.url + "/hooks/amili", data=slowly()) as response:
            return int(response.status)

    flood = [asyncio.create_task(send()) for _ in range(20)]
    await wait_until(lambda: any(one.done() for one in flood))
    assert bodies.in_use <= HOOKS_LIMIT_BYTES
    assert (await world.post({"batchid": "b", "invoice": []})).status == 200
    go_on.set()
    assert set(await asyncio.gather(*flood)) == {401, 503}
    assert bodies.in_use == 0


async def test_a_hint_that_comes_before_anybody_waits_is_kept(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """The webhook overtakes the answer of its write; whoever waits later has heard it already."""
    async with open_world(request_timeout_seconds=10) as world:
        slow = {"operation": "invoices", "kind": "slow", "seconds": 0.4, "when": "after"}
        world.sandbox.play({**NEVER, "fault": [slow]})
        caller = asyncio.create_task(world.post({"invoice": [invoice("1")]}))
        await wait_until(lambda: world.sandbox.state.account(ORG_A).batches)
        batch = world.sandbox.state.account(ORG_A).batches[-1]
        assert (await hook(world, batch.id, "k"))[0] == 200
        waiter = world.bridge.workshop._worker._submitter._waiter
        await wait_until(lambda: batch.id in waiter._early)
        world.sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)
        assert (await asyncio.wait_for(caller, 10)).code == 0
        assert batch.id not in waiter._early


async def test_polling_goes_on_without_any_webhook(world: Any, invoice: Invoice) -> None:
    """All of them are lost: the answer comes all the same."""
    lost = {"operation": "writes", "kind": "webhook", "lost": True}
    world.sandbox.play({"behaviour": {"finish_after_seconds": 0.2}, "fault": [lost]})
    assert (await world.post({"invoice": [invoice("1")]})).code == 0
