"""A call's steps, what it teaches, and doing several things to their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bridge.batch import Address, CallState, Operation, Outcome, Verdict
from bridge.calls.live import LiveCall, Outcomes, close_nothing, learn, together
from bridge.journal import CallRecord, Change, Claim, LostBatch, MoveCall
from bridge.plan import Draft, PlannedRow

INVOICES = Operation("create_invoices", "/invoices", "invoices", "uniqueSourceInvoiceId")
FIRST, SECOND = Address("invoice", 0), Address("invoice", 1)


def make(*rows: PlannedRow) -> LiveCall:
    draft = Draft("org", INVOICES, "/invoices", rows)
    record = CallRecord("call", "batch", "org", "create_invoices", "/invoices", (FIRST,), CallState.PLANNED)
    return LiveCall(record, draft)


def row(address: Address = FIRST, **fields: object) -> PlannedRow:
    return PlannedRow(address, "org", INVOICES, b"{}", **fields)  # type: ignore[arg-type]  # fields by name


async def test_a_step_keeps_everything_but_the_state() -> None:
    """What closes the batch, and whether it was tried, belong to the call all its life."""

    async def close(_: Outcomes) -> Sequence[Change]:
        return ()

    call = LiveCall(make(row()).record, make(row()).draft, tried=True, closing=close)
    moved, change = call.moved(CallState.SUBMITTING, 7.0)
    moved, _ = moved.moved(CallState.SUBMITTED, 8.0, why="taken", modern_batch="m")
    assert (moved.closing, moved.tried, moved.draft) == (close, True, call.draft)
    assert (moved.record.submitted_at, moved.record.modern_batch, moved.record.why) == (7.0, "m", "taken")
    assert change == MoveCall("call", CallState.PLANNED, CallState.SUBMITTING, 7.0)
    assert await close_nothing({}) == ()


def test_a_step_the_table_does_not_know_is_a_fault() -> None:
    """Nothing leads from PLANNED to DONE."""
    with pytest.raises(ValueError, match="cannot go from"):
        make(row()).moved(CallState.DONE, 1.0)


def test_claims_are_learnt_from_accepted_invoices_only() -> None:
    """A row without names or without a modern id teaches nothing; the row's own number wins over the result's."""
    call = make(row(unique_id="u", keys=(("ledgerref", "l"),)), row(SECOND, unique_id="v"))
    ids = {"invoiceId": "i", "invoiceNumber": "n", "caseNumber": "c", "caseId": "d"}
    outcomes = {address: Outcome(address, Verdict.ACCEPTED, ids=ids) for address in (FIRST, SECOND)}
    assert learn(call, outcomes) == [Claim("org", "i", "n", "u", "l", "c", "d", "batch", 0)]
    assert learn(call, {FIRST: Outcome(FIRST, Verdict.REFUSED)}) == []
    assert learn(call, {}) == []
    numbered = make(row(invoice_number="own", keys=(("invoiceNumber", "own"),)))
    assert [claim.invoice_number for claim in learn(numbered, outcomes)] == ["own"]


async def test_everything_runs_to_its_end_before_the_first_error_is_raised() -> None:
    """A write that is cut off because its neighbour failed would be in doubt."""
    ended: list[str] = []
    go_on = asyncio.Event()

    async def fail(error: Exception) -> None:
        raise error

    async def work(name: str) -> str:
        await go_on.wait()
        ended.append(name)
        return name

    doing = asyncio.create_task(together([work("a"), fail(LostBatch("b")), work("c"), fail(ValueError())]))
    await asyncio.sleep(0.01)
    assert not doing.done()
    go_on.set()
    with pytest.raises(LostBatch):
        await doing
    assert ended == ["a", "c"]
    assert await together([work("d"), work("e")]) == ["d", "e"]


async def test_cancelling_cancels_all_of_them() -> None:
    """A stop must not leave work behind that nobody waits for."""
    cancelled: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(number)

    doing = asyncio.create_task(together(work(number) for number in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert cancelled == [0, 1, 2]
