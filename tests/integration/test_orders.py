"""An operator's word on rows in doubt, from the command line to the caller's final answer."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address, CallState
from bridge.journal import PlaceOrder, Settlement
from bridge.journal.opening import open_office
from bridge.sandbox import Running, SandboxOptions, running

ROOT = Path(__file__).resolve().parents[2]
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
QUICK = {"request_timeout_seconds": 0.25, "settle_seconds": 0.15}
CREDIT, PAUSE, RESUME = Address("payment", 0), Address("action", 0), Address("action", 1)
CORRECTION = {"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}
BATCH = {
    "batchid": "b",
    "payment": [CORRECTION],
    # actions on one case travel one after the other: the second waits for the first
    "action": [{"ledgerref": "1", "actiontype": code} for code in (1, 2)],
}


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    """A modern system that outlives the bridge."""
    async with running(SandboxOptions(port=0)) as sandbox:
        yield sandbox


def lose(world: Any, when: str) -> None:
    """Break off the answers of the next correction and pause, and let nobody find out what became of them."""
    lost = [{"operation": name, "kind": "reset", "when": when, "times": 1} for name in ("corrections", "pause")]
    world.sandbox.play({"behaviour": {"idempotency": "ignore"}, "fault": lost})


async def reach_doubt(world: Any, invoice: Invoice, wait_until: Any, when: str) -> str:
    """Take a batch whose correction and first action are in doubt for good; return its id."""
    await world.post({"batchid": "a", "invoice": [invoice("1")]})
    lose(world, when)
    reply = await asyncio.wait_for(world.post(BATCH), 15)
    assert set(reply.states.values()) == {"PENDING"}
    batch_id = str(reply.headers["x-bridge-batch"])
    await wait_until(lambda: not world.bridge.workshop._tasks)
    ledger = await world.ledger()
    assert (ledger.in_doubt, ledger.pending) == (2, 1)
    assert sorted(ledger.in_doubt_rows) == [(batch_id, PAUSE), (batch_id, CREDIT)]
    return batch_id


async def place(folder: Path, batch_id: str, settlement: Settlement, *rows: Address, name: str = "o") -> None:
    """Say it as the command line does, beside a running bridge or without one."""
    office = open_office(f"sqlite:///{folder}/bridge.db", base=folder)
    try:
        await office.write(
            PlaceOrder(name, batch_id, rows or (CREDIT, PAUSE), settlement, "Kari", "seen it", time.time())
        )
    finally:
        await office.close()


async def until_final(world: Any, batch_id: str) -> None:
    """Wait until the journal has the final answer."""
    async with asyncio.timeout(5):
        while (await world.books.load(batch_id)).batch.reply is None:  # noqa: ASYNC110 - the journal rings no bell
            await asyncio.sleep(0.005)


async def whys(world: Any, batch_id: str) -> list[tuple[CallState, str]]:
    return [(attempt.state, attempt.why) for attempt in await world.books.attempts(batch_id)]


def credited(world: Any) -> list[float]:
    return [float(held.credited) for held in world.sandbox.state.account(ORG_A).invoices]


SETTLED = {
    # settlement: (when the answers were lost, final state, what was credited in all, how often each was sent)
    Settlement.ACCEPTED: ("after", "OK", [5.0], 1),
    Settlement.REFUSED: ("before", "REFUSED", [0.0], 1),
    Settlement.RESEND: ("before", "OK", [5.0], 2),
}


@pytest.mark.parametrize("settlement", SETTLED)
async def test_a_row_in_doubt_is_settled_beside_a_running_bridge(
    open_world: Any, invoice: Invoice, wait_until: Any, settlement: Settlement
) -> None:
    """Within seconds it is final, what waited for it goes on, and the books say who settled it."""
    when, final, total, times = SETTLED[settlement]
    async with open_world(**QUICK) as world:
        batch_id = await reach_doubt(world, invoice, wait_until, when)
        await place(world.folder, batch_id, settlement)
        await until_final(world, batch_id)
        reply = await world.post(BATCH)
        assert reply.headers["x-bridge-replay"] == "true"
        assert [reply.states[address] for address in (CREDIT, PAUSE)] == [final, final]
        assert reply.states[RESUME] in {"OK", "REFUSED"}, "as the modern system says"
        assert credited(world) == total
        assert [len(world.writes(name)) for name in ("corrections", "pause", "resume")] == [times, times, 1]
        (order,) = await world.books.orders(batch_id)
        assert order.fulfilled_at is not None
        assert order.result == f"{settlement.value}: payment 0, action 0"
        settled = [why for _, why in await whys(world, batch_id) if why == f"settled as {settlement.value} by Kari"]
        assert len(settled) == 2
        ledger = await world.ledger()
        assert (ledger.in_doubt, ledger.pending) == (0, 0)
        assert (await world.post(BATCH)).body == reply.body


async def test_a_resend_is_the_same_call_once_more(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Sent again with the same key and body, and only once."""
    async with open_world(**QUICK) as world:
        batch_id = await reach_doubt(world, invoice, wait_until, "before")
        await place(world.folder, batch_id, Settlement.RESEND)
        await until_final(world, batch_id)
        for operation in ("corrections", "pause"):
            lost, again = world.writes(operation)
            assert (lost.key, lost.body) == (again.key, again.body)
        assert [call.state for call in (await world.books.load(batch_id)).calls] == [CallState.DONE] * 3


async def test_a_caller_that_is_held_gets_the_answer_when_the_operator_has_spoken(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """It waits for a call that is not settled yet, and goes on waiting while the batch changes hands."""
    async with open_world(request_timeout_seconds=30, settle_seconds=0.1) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        lose(world, "after")
        batch = {"batchid": "b", "payment": [CORRECTION]}
        caller = asyncio.create_task(world.post(batch))
        batch_id = await until_in_doubt(world)
        await place(world.folder, batch_id, Settlement.ACCEPTED, CREDIT)
        reply = await asyncio.wait_for(caller, 10)
        assert reply.code == 0
        assert credited(world) == [5.0]


async def until_in_doubt(world: Any) -> str:
    """Return the id of the newest batch as soon as one of its rows is in doubt."""
    async with asyncio.timeout(10):
        while True:
            ledger = await world.ledger()
            if ledger.in_doubt_rows:
                return str(ledger.in_doubt_rows[0][0])
            await asyncio.sleep(0.005)


async def test_an_order_cuts_no_write_off(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Another write of the same batch is on its way: its answer is waited for, and it never is in doubt."""
    async with open_world(request_timeout_seconds=5, settle_seconds=0.1) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        lost = {"operation": "corrections", "kind": "reset", "when": "after", "times": 1}
        slow = {"operation": "payments", "kind": "slow", "seconds": 1.5, "times": 1}
        world.sandbox.play({"behaviour": {"idempotency": "ignore"}, "fault": [lost, slow]})
        paid = {"invoiceNumber": "1", "amount": 3, "uniqueSourcePaymentId": "p"}
        batch = {"batchid": "b", "payment": [CORRECTION, paid]}
        caller = asyncio.create_task(world.post(batch))
        batch_id = await until_in_doubt(world)
        await wait_until(lambda: world.writes("payments"))
        assert world.writes("payments")[0].status is None, "still on its way"
        await place(world.folder, batch_id, Settlement.ACCEPTED, CREDIT)
        reply = await asyncio.wait_for(caller, 15)
        assert reply.code == 0
        doubts = [why for state, why in await whys(world, batch_id) if state is CallState.IN_DOUBT]
        assert len(doubts) == 1
        assert len(world.writes("payments")) == 1


async def test_the_command_line_settles_beside_a_running_bridge(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """`bridge batches settle … --yes`, as another process."""
    async with open_world(**QUICK) as world:
        batch_id = await reach_doubt(world, invoice, wait_until, "after")
        command = ("batches", "settle", batch_id, "--accepted", "--by", "Kari", "--because", "seen it", "--yes")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge", *command, "-c", str(world.folder / "bridge.toml")),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said
        await until_final(world, batch_id)
        assert (await world.post(BATCH)).code == 0
        (order,) = await world.books.orders(batch_id)
        assert (order.actor, order.reason, sorted(order.rows)) == ("Kari", "seen it", [PAUSE, CREDIT])


async def test_orders_placed_while_no_bridge_runs_wait_for_the_next_start(
    open_world: Any, sandbox: Running, invoice: Invoice, wait_until: Any
) -> None:
    """The first one is carried out; the second one is about the same row, comes too late, does nothing and says so."""
    async with open_world(sandbox=sandbox, **QUICK) as world:
        batch_id = await reach_doubt(world, invoice, wait_until, "after")
    await place(world.folder, batch_id, Settlement.ACCEPTED, name="first")
    await place(world.folder, batch_id, Settlement.RESEND, name="late")
    async with open_world(sandbox=sandbox, **QUICK) as world:
        await wait_until(lambda: world.writes("resume"))
        reply = await world.post(BATCH)
        assert reply.code == 0
        first, late = await world.books.orders(batch_id)
        assert first.result == "accepted: payment 0, action 0"
        assert late.result == "nothing done: not in doubt any more: payment 0, action 0"
        assert late.fulfilled_at is not None
        assert credited(world) == [5.0]
        assert [len(world.writes(name)) for name in ("corrections", "pause", "resume")] == [1, 1, 1]


async def test_an_order_about_a_row_that_is_not_in_doubt_is_not_recorded(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """The operator is told at once."""
    async with open_world(**QUICK) as world:
        batch_id = await reach_doubt(world, invoice, wait_until, "after")
        with pytest.raises(ValueError, match="not in doubt"):
            await place(world.folder, batch_id, Settlement.ACCEPTED, RESUME)
        assert await world.books.orders(batch_id) == []
