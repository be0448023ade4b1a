"""More than the bridge can take, or than one organization does: callers are put off, and nobody pays for others."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR = {ORG_A: "984842252", ORG_B: "971274190"}
Invoice = Callable[..., dict[str, Any]]
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}
BASIC = {"Authorization": "Basic " + base64.b64encode(b"erp2:pass2").decode()}


def is_put_off(reply: Any) -> bool:
    """Tell whether a caller was asked, in the legacy shape, to come back later."""
    return (
        reply.status == 503
        and int(reply.headers["retry-after"]) > 0
        and reply.code == 2
        and "later" in reply.errors["batch", 0]
    )


# --- how much may be open -------------------------------------------------------------------------------------------


async def test_no_more_batches_are_open_than_configured(open_world: Any, invoice: Invoice) -> None:
    """The next one is put off, Ping says so, and nothing of it was taken; an open one may still be asked for."""
    async with open_world(max_open_batches=2, hold_seconds=0.05) as world:
        world.sandbox.play(NEVER)
        batches = [{"batchid": name, "invoice": [invoice(name)]} for name in "abc"]
        first, second, third = [await world.post(batch) for batch in batches]
        assert (first.code, second.code) == (3, 3)
        assert is_put_off(third)
        async with world.session.get(world.url + "/webapi/api/Ping") as ping:
            assert ping.status == 503
        assert (await world.post(batches[0])).headers["x-bridge-batch"] == first.headers["x-bridge-batch"]
        assert (await world.ledger()).accepted == 2
        for batch in list(world.sandbox.state.account(ORG_A).batches):
            world.sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)
        world.sandbox.play({})
        async with asyncio.timeout(10):
            while (await world.post(batches[2])).code != 0:  # noqa: ASYNC110 - as an ERP would
                await asyncio.sleep(0.01)


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_batches_that_come_all_at_once_are_bounded_as_well(open_world: Any, invoice: Invoice) -> None:
    """They are read side by side; only so many are taken in the end."""
    async with open_world(max_open_batches=3, hold_seconds=0.05) as world:
        world.sandbox.play(NEVER)
        rows = [invoice(str(number)) for number in range(600)]  # read in slices, so that all of them are on the way
        batches = [{"batchid": str(number), "invoice": rows} for number in range(8)]
        replies = await asyncio.gather(*map(world.post, batches))
        assert sorted(reply.status for reply in replies) == [200] * 3 + [503] * 5
        assert all(is_put_off(reply) for reply in replies if reply.status == 503)
        assert (await world.ledger()).accepted == 3 * 600


async def test_callers_who_wait_for_the_same_batch_are_bounded(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Impatient callers open no batches, yet each of them takes memory; whoever is in waits on."""
    async with open_world(max_open_batches=2, hold_seconds=100) as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 86_000}})
        batch = {"batchid": "b", "invoice": [invoice("1")]}
        callers = [asyncio.create_task(world.post(batch)) for _ in range(10)]
        await wait_until(lambda: sum(caller.done() for caller in callers) == 2)
        assert all(is_put_off(caller.result()) for caller in callers if caller.done())
        assert world.bridge.pipeline._lobby._inside == 8
        for held in list(world.sandbox.state.account(ORG_A).batches):
            world.sandbox.stand_in.tick(held, at_least=held.created_at + 86_400)
        world.sandbox.play({})
        assert sorted([(await caller).status for caller in callers]) == [200] * 8 + [503] * 2


async def test_one_sender_cannot_take_all_the_room(open_world: Any, invoice: Invoice) -> None:
    """429 for the one with its share open; another sender is taken."""
    async with open_world(max_open_batches_per_sender=1, hold_seconds=0.05) as world:
        world.sandbox.play(NEVER)
        await world.post({"invoice": [invoice("1")]})
        refused = await world.post({"invoice": [invoice("2")]})
        assert (refused.status, refused.code) == (429, 2)
        assert "wait for answers" in refused.errors["batch", 0]
        assert (await world.post({"invoice": [invoice("3")]}, bearer="token-label")).code == 3


async def test_rows_are_bounded_too(open_world: Any, invoice: Invoice) -> None:
    """Beyond the bound a batch is put off, unless it comes alone."""
    async with open_world(max_open_rows=3, hold_seconds=0.05) as world:
        world.sandbox.play({"behaviour": {"finish_after_polls": 2}})
        assert (await world.post({"invoice": [invoice(str(number)) for number in range(5)]})).status == 200
        async with asyncio.timeout(10):
            while len(world.bridge.workshop.works):  # noqa: ASYNC110 - no bell
                await asyncio.sleep(0.005)
        world.sandbox.play(NEVER)
        assert (await world.post({"invoice": [invoice("a"), invoice("b")]})).code == 3
        assert is_put_off(await world.post({"invoice": [invoice("c"), invoice("d")]}))
        assert (await world.post({"invoice": [invoice("e")]})).code == 3


# --- bodies ---------------------------------------------------------------------------------------------------------


def room_in_use(world: Any) -> int:
    """Return how much room bodies take at the moment."""
    return int(world.bridge.crossing.batches._bodies.in_use)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
async def test_large_bodies_that_come_at_once_are_put_off(open_world: Any, wait_until: Any, packed: bool) -> None:
    """What is in memory stays bounded; those within the bound are taken, and small ones all the time."""
    async with open_world(max_reading_mb=2) as world:
        go_on = asyncio.Event()
        size = 1_900 * 1024  # thrice that counts: two fit into what one of 4 MB may take

        async def slowly() -> AsyncIterator[bytes]:
            body = json.dumps({"padding": "x" * size, "invoice": []}).encode()
            body = gzip.compress(body) if packed else body
            yield body[:-10]
            await go_on.wait()
            yield body[-10:]

        async def post() -> tuple[int, str]:
            headers = {"Authorization": "Bearer token1", "Content-Type": "application/json"}
            headers |= {"Content-Encoding": "gzip"} if packed else {}
            address = world.url + "/webapi/api/Batch"
            async with world.session.post(address, data=slowly(), headers=headers) as response:
                return response.status, response.headers.get("Retry-After", "")

        callers = [asyncio.create_task(post()) for _ in range(5)]
        await wait_until(lambda: sum(caller.done() for caller in callers) == 3)
        assert 0 < room_in_use(world) <= 12 * 1024 * 1024
        assert {caller.result() for caller in callers if caller.done()} == {(503, "5")}
        assert (await world.post({"padding": "x" * 100_000})).status == 200
        go_on.set()
        assert sorted([(await caller)[0] for caller in callers]) == [200, 200, 503, 503, 503]
        assert room_in_use(world) == 0


async def test_a_huge_body_that_comes_alone_is_taken(open_world: Any, invoice: Invoice) -> None:
    """However small the room for all bodies together: it could never be sent otherwise."""
    async with open_world(max_reading_mb=0.1) as world:
        reply = await world.post({"invoice": [invoice("1", description="x" * 1_000_000)]})
        assert reply.status == 200
        assert room_in_use(world) == 0
        assert (await world.post({"invoice": [invoice("2")]})).code == 0


async def test_a_body_is_not_kept_while_its_caller_is_held(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Its room is free as soon as the journal has it."""
    async with open_world(max_reading_mb=0.1) as world:
        world.sandbox.play(NEVER)
        caller = asyncio.create_task(world.post({"invoice": [invoice("1", description="x" * 1_000_000)]}))
        await wait_until(lambda: len(world.bridge.workshop.works) == 1)
        await wait_until(lambda: room_in_use(world) == 0, 5)
        assert not caller.done()
        await wait_until(lambda: world.sandbox.state.account(ORG_A).batches)
        (batch,) = world.sandbox.state.account(ORG_A).batches
        world.sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)
        assert (await caller).code == 0


# --- gates ----------------------------------------------------------------------------------------------------------


def batch_for(organization: str, name: str, invoice: Invoice) -> dict[str, Any]:
    return {"batchid": name, "invoice": [invoice(name, creditorid=CREDITOR[organization])]}


async def post(world: Any, batch: dict[str, Any]) -> Any:
    """Send a batch as the sender that writes to both organizations."""
    return await world.post(batch, **BASIC)


def writes_to(world: Any, organization: str) -> list[Any]:
    return [entry for entry in world.writes("invoices") if entry.organization == organization]


def refuse_b(**more: object) -> dict[str, Any]:
    """Answer 503 to every write of organization B."""
    return {"operation": "invoices", "kind": "fail", "status": 503, "where": {"invoiceNumber": "b*"}, **more}


async def test_one_organizations_trouble_leaves_anothers_batches_alone(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """While one answers 503 for ever, the other one's batches come to their end as ever; later so do the first's."""
    async with open_world(concurrency_per_organization=1, failures_to_break=2, break_seconds=3) as world:
        world.sandbox.play({"fault": [refuse_b()]})
        stuck = [asyncio.create_task(post(world, batch_for(ORG_B, f"b{number}", invoice))) for number in range(3)]
        await wait_until(lambda: world.bridge.dispatch._gates.closed == 1)
        for number in range(5):
            reply = await asyncio.wait_for(post(world, batch_for(ORG_A, f"a{number}", invoice)), 10)
            assert reply.code == 0
        assert world.bridge.dispatch._gates.closed == 1, "nobody waited for the end of the other one's break"
        assert not any(caller.done() for caller in stuck)
        assert world.accepted("invoices", ORG_B) == {}
        world.sandbox.play({})
        replies = await asyncio.wait_for(asyncio.gather(*stuck), 30)
        assert [reply.code for reply in replies] == [0, 0, 0]


async def test_a_retry_after_holds_all_calls_of_its_organization(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Nothing is sent to it before its time; the other organization does not wait."""
    async with open_world() as world:
        world.sandbox.play({"fault": [refuse_b(retry_after_seconds=2, times=1)]})
        first = asyncio.create_task(post(world, batch_for(ORG_B, "b1", invoice)))
        await wait_until(lambda: [entry.status for entry in writes_to(world, ORG_B)] == [503])
        await wait_until(lambda: world.bridge.dispatch._gates.closed == 1)
        second = asyncio.create_task(post(world, batch_for(ORG_B, "b2", invoice)))
        assert (await post(world, batch_for(ORG_A, "a", invoice))).code == 0
        assert len(writes_to(world, ORG_B)) == 1, "the other one was answered before anything was sent again"
        replies = await asyncio.wait_for(asyncio.gather(first, second), 20)
        assert [reply.code for reply in replies] == [0, 0]
        refused, *sent = writes_to(world, ORG_B)
        assert min(entry.at for entry in sent) >= refused.at + 1.9
        assert world.bridge.dispatch._gates.closed == 0


async def test_a_retry_after_of_no_time_is_not_taken_as_an_invitation(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """An organization that says "again, at once" for ever is asked ever less often, and left alone in the end."""
    async with open_world(failures_to_break=3, break_seconds=30, hold_seconds=0.05) as world:
        world.sandbox.play({"fault": [refuse_b(retry_after_seconds=0)]})
        await post(world, batch_for(ORG_B, "b", invoice))
        await wait_until(lambda: world.bridge.dispatch._gates.closed == 1)
        first, *others = [entry.at for entry in writes_to(world, ORG_B)]
        assert len(others) == 2
        assert others[0] - first > 0.2, "a pause, although none was asked for"


@pytest.mark.parametrize("kind", [{"kind": "fail", "status": 503}, {"kind": "reset"}])
async def test_the_breaker_closes_and_opens_again(
    open_world: Any, invoice: Invoice, wait_until: Any, kind: dict[str, object]
) -> None:
    """After writes in a row that were not taken or got no answer; the first success ends the trouble."""
    quick = {"request_timeout_seconds": 0.2, "settle_seconds": 0.1}
    async with open_world(failures_to_break=2, break_seconds=0.5, **quick) as world:
        fault = {"operation": "invoices", "where": {"invoiceNumber": "b*"}, "times": 2, **kind}
        world.sandbox.play({"fault": [fault]})
        callers = [asyncio.create_task(post(world, batch_for(ORG_B, f"b{number}", invoice))) for number in range(2)]
        await wait_until(lambda: world.bridge.dispatch._gates.closed == 1)
        async with world.session.get(world.url + "/metrics") as response:
            assert "bridge_held_organizations 1.0" in await response.text()
        assert (await post(world, batch_for(ORG_A, "a", invoice))).code == 0
        replies = await asyncio.wait_for(asyncio.gather(*callers), 20)
        assert [reply.code for reply in replies] == [0, 0]
        assert world.bridge.dispatch._gates.closed == 0
        assert world.accepted("invoices", ORG_B) == {"erp-b0": 1, "erp-b1": 1}


# --- parked ---------------------------------------------------------------------------------------------------------


async def test_nobody_is_held_for_a_batch_that_waits_for_an_operator(open_world: Any, invoice: Invoice) -> None:
    """Neither who waited when it came to that, nor who asks afterwards: nothing would change within their time."""
    async with open_world(request_timeout_seconds=0.25, settle_seconds=0.15, hold_seconds=100) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        lost = {"operation": "corrections", "kind": "reset", "times": 1}
        world.sandbox.play({"behaviour": {"idempotency": "ignore"}, "fault": [lost]})
        batch = {"batchid": "b", "payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]}
        for _ in range(3):
            assert (await asyncio.wait_for(world.post(batch), 20)).code == 3
        assert len(world.bridge.workshop.works) == 1


async def test_an_offline_batch_sent_again_is_answered_with_the_stored_bytes(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Not with what would be folded from its rows today, after its profile has changed."""
    async with open_world() as world:
        batch = {"batchid": "b", "offline": True, "invoice": [invoice("1")]}
        await world.post(batch)
        await wait_until(lambda: len(world.bridge.workshop.works) == 0)
        for desk in world.bridge.pipeline._desks.values():
            desk.profile = replace(desk.profile, reply=replace(desk.profile.reply, accepted="CHANGED"))
        reply = await world.post(batch)
        assert reply.states == {("invoice", 0): "OK"}
