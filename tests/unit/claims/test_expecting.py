"""Rows that wait for invoices of other batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast

import pytest

from bridge.batch import Address, Operation, Reference, Verdict
from bridge.claims.expecting import Expecting, Waiting
from bridge.errors import CannotTakeNow
from bridge.journal import Books, PendingInvoice
from bridge.plan import PlannedRow

FIRST, SECOND = Address("invoice", 0), Address("invoice", 1)
BY_NUMBER, BY_ID = ("invoiceNumber", "1"), ("uniqueSourceInvoiceId", "u")
PAYMENTS = Operation("create_payments", "/payments", "payments")


@dataclass
class Shelf:
    """A journal in memory."""

    pending: list[PendingInvoice] = field(default_factory=list)
    verdicts: dict[str, dict[Address, Verdict]] = field(default_factory=dict)
    asked: list[set[tuple[str, str]]] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)
    failures: list[Exception] = field(default_factory=list)

    async def pending_invoices(self, organization: str, names: Collection[tuple[str, str]]) -> list[PendingInvoice]:
        assert organization == "org"
        self.asked.append(set(names))
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop()
        return [one for one in self.pending if one.name in names]

    async def invoice_verdicts(self, batch_id: str) -> dict[Address, Verdict]:
        self.looks[batch_id] += 1
        return dict(self.verdicts.get(batch_id, {}))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


async def at_once(_: float) -> None:
    """Wait for nothing."""


def expecting(shelf: Shelf, pause_seconds: float = 3600.0) -> Expecting:
    return Expecting(cast("Books", shelf), pause_seconds=pause_seconds, sleep=at_once)


def payment(index: int = 0) -> PlannedRow:
    return PlannedRow(Address("payment", index), "org", PAYMENTS, b"{}")


def named(*keys: tuple[str, str]) -> Reference:
    return Reference("invoice", into="invoiceId", keys=keys)


async def test_a_row_is_told_which_invoices_it_waits_for(shelf: Shelf) -> None:
    """By the ERP's batchid, else the bridge's id; a row that names no pending invoice is left out."""
    shelf.pending = [PendingInvoice("b1", "A", FIRST, BY_NUMBER), PendingInvoice("b2", "", SECOND, BY_ID)]
    rows = [(payment(0), named(BY_ID, BY_NUMBER)), (payment(1), named(("invoiceNumber", "2")))]
    (found,) = await expecting(shelf).find("org", rows)
    assert found.row == payment(0)
    assert found.invoices == {("b2", SECOND): "invoice 1 of batch b2", ("b1", FIRST): "invoice 0 of batch A"}


async def test_a_ledgerref_may_be_any_name_of_the_invoice(shelf: Shelf) -> None:
    """It is looked for as in the batch itself: as ledgerref, unique id and number."""
    for kind in ("ledgerref", "uniqueSourceInvoiceId", "invoiceNumber"):
        shelf.pending = [PendingInvoice("b1", "A", FIRST, (kind, "x"))]
        assert await expecting(shelf).find("org", [(payment(), named(("ledgerref", "x")))])
        assert bool(await expecting(shelf).find("org", [(payment(), named(BY_NUMBER))])) is False


async def test_questions_that_come_meanwhile_are_asked_together(shelf: Shelf) -> None:
    """One is under way and all others make the next: a crowd of wrong references reads the open batches twice."""
    office = expecting(shelf)
    rows = [(payment(index), named(("invoiceNumber", str(index)))) for index in range(50)]
    shelf.pending = [PendingInvoice("b1", "A", FIRST, ("invoiceNumber", str(index))) for index in range(0, 50, 2)]
    found = await asyncio.gather(*(office.find("org", [row]) for row in rows))
    assert [bool(one) for one in found] == [True, False] * 25
    assert len(shelf.asked) <= 2
    assert await office.find("org", rows[1:2]) == []
    assert shelf.asked[-1] == {("invoiceNumber", "1")}, "an old answer is not used again"


async def test_a_store_that_is_away_is_waited_for(shelf: Shelf) -> None:
    """The row is pending meanwhile."""
    shelf.pending = [PendingInvoice("b1", "A", FIRST, BY_NUMBER)]
    shelf.failures = [CannotTakeNow("away"), CannotTakeNow("away")]
    assert await expecting(shelf).find("org", [(payment(), named(BY_NUMBER))])


async def test_the_end_of_the_batch_is_heard_of_at_once(shelf: Shelf) -> None:
    """Nobody polls for it; another batch's end wakes nobody."""
    office, waiting = expecting(shelf), [Waiting(payment(), {("b1", FIRST): "invoice 0 of batch A"})]
    waiter = asyncio.create_task(office.wait(waiting))
    for _ in range(10):
        await asyncio.sleep(0)
    office.stir("b2")
    await asyncio.sleep(0)
    assert (waiter.done(), shelf.looks) == (False, {"b1": 1})
    shelf.verdicts["b1"] = {FIRST: Verdict.ACCEPTED}
    office.stir("b1")
    arrivals = await asyncio.wait_for(waiter, 5)
    assert (arrivals.rows, arrivals.waiting, arrivals.refusals) == ([payment()], [], {})
    assert office._ears == {}


async def test_a_single_verdict_is_found_by_looking(shelf: Shelf) -> None:
    """News may get lost, and a row may be decided long before its batch has ended."""
    office, waiting = expecting(shelf, 0.001), [Waiting(payment(), {("b1", FIRST): "it"})]
    waiter = asyncio.create_task(office.wait(waiting))
    async with asyncio.timeout(5):
        while shelf.looks["b1"] < 3:  # noqa: ASYNC110 - the fake has no event
            await asyncio.sleep(0.001)
        shelf.verdicts["b1"] = {SECOND: Verdict.ACCEPTED, FIRST: Verdict.ACCEPTED}
        assert (await waiter).rows == [payment()]


async def test_a_row_waits_until_all_its_invoices_are_decided(shelf: Shelf) -> None:
    """Which of two invoices a name means shows only then; rows whose own are decided do not wait for it."""
    shelf.verdicts = {"b1": {FIRST: Verdict.REFUSED}}
    both = Waiting(payment(0), {("b1", FIRST): "invoice 0 of batch A", ("b2", FIRST): "invoice 0 of batch B"})
    one = Waiting(payment(1), {("b1", FIRST): "invoice 0 of batch A"})
    arrivals = await expecting(shelf).wait([both, one])
    assert (arrivals.rows, arrivals.waiting) == ([payment(1)], [both])
    assert arrivals.refusals == {
        Address("payment", 1): "not submitted: it belongs to invoice 0 of batch A, which was refused"
    }


@pytest.mark.parametrize(("second", "told"), [(Verdict.ACCEPTED, False), (Verdict.REFUSED, True)])
async def test_a_refusal_is_told_only_where_none_was_accepted(shelf: Shelf, second: Verdict, told: bool) -> None:
    """An accepted invoice of that name is looked up instead."""
    shelf.verdicts = {"b1": {FIRST: Verdict.REFUSED, SECOND: second}}
    arrivals = await expecting(shelf).wait([Waiting(payment(), {("b1", FIRST): "x", ("b1", SECOND): "y"})])
    assert bool(arrivals.refusals) is told
