"""Batches that the legacy host shares: one call with rows of several organizations, in books that balance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest

from bridge.batch import LEGACY, Address, CallState, Outcome, Verdict
from bridge.journal import DecideRows, FinishBatch, MoveCall, OpenBatch, OrganizationBooks

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
FIRST, SECOND = Address("invoice", 1), Address("invoice", 2)


@pytest.fixture
async def shared(journal: Store, make: Make) -> Store:
    """Row 0 is for the modern system; 1 (of another organization) and 2 (of nobody) are with the legacy host."""
    raw: dict[str, Any] = {
        "operation": LEGACY.name,
        "unique_id": "",
        "reference": None,
        "item": b'{"invoiceNumber": "7"}',
    }
    rows = [make.row(0), make.row(1, organization=OTHER, **raw), make.row(2, organization="", **raw)]
    await journal.write(
        OpenBatch(make.batch(rows=3), rows),
        make.planning("modern", rows=(0,)),
        make.planning(
            "legacy", rows=(1, 2), organization="", operation=LEGACY.name, path="/webapi/api/Batch?senderid=ERP-1"
        ),
    )
    return journal


async def test_the_books_balance_for_each_organization(shared: Store, make: Make) -> None:
    """Planned, in doubt and final: each row counts for its own organization, whatever its call."""
    assert (await shared.ledger()).unaccounted == ()
    await shared.write(MoveCall("legacy", CallState.PLANNED, CallState.SUBMITTING, 1.0))
    await shared.write(MoveCall("legacy", CallState.SUBMITTING, CallState.IN_DOUBT, 2.0))
    ledger = await shared.ledger()
    assert ledger.unaccounted == ()
    assert ledger.in_doubt_rows == (("b1", FIRST), ("b1", SECOND))
    assert await shared.doubts() == {OTHER: 1, "": 1}
    assert ledger.organizations == (
        OrganizationBooks("", 1, 0, 0, 1),
        OrganizationBooks(make.organization, 1, 0, 1, 0),
        OrganizationBooks(OTHER, 1, 0, 0, 1),
    )


@pytest.mark.parametrize(
    ("statement", "row"),
    [
        ("UPDATE row SET operation = 'invoices' WHERE objectindex = 1", FIRST),
        ("UPDATE row SET call = 0 WHERE objectindex = 2", SECOND),
        ("UPDATE call SET operation = 'invoices' WHERE id = 'legacy'", FIRST),
    ],
)
async def test_a_row_that_went_to_the_other_system_is_named(
    shared: Store, tamper: Callable[[str], Awaitable[None]], statement: str, row: Address
) -> None:
    """What is the legacy host's travels in its calls, and nothing else does."""
    await tamper(statement)
    faults = {(one.objectname, one.objectindex): one.why for one in (await shared.ledger()).unaccounted}
    assert "goes to the other system" in faults[row]


async def test_the_hosts_reference_is_kept_with_its_verdict(shared: Store) -> None:
    """It stands in the place of the row's own, unless the row was decided before; others keep theirs."""
    await shared.write(
        MoveCall("legacy", CallState.PLANNED, CallState.SUBMITTING, 1.0),
        DecideRows("b1", [Outcome(FIRST, Verdict.ACCEPTED, ledgerref="L-1"), Outcome(SECOND, Verdict.REFUSED, "no")]),
        MoveCall("legacy", CallState.SUBMITTING, CallState.DONE, 2.0),
    )
    await shared.write(DecideRows("b1", [Outcome(FIRST, Verdict.ACCEPTED, ledgerref="later")]))
    stored = await shared.load("b1")
    assert stored is not None
    assert [row.ledgerref for row in stored.rows] == ["ref-0", "L-1", "ref-2"]
    standing = await shared.standing("b1")
    assert standing is not None
    assert dict(standing.rows)[FIRST] == "L-1"
    assert (await shared.ledger()).unaccounted == ()


async def test_nobody_waits_for_an_invoice_of_the_legacy_host(shared: Store) -> None:
    """Rows of other batches wait for invoices of the modern system only."""
    names = [("invoiceNumber", "7"), ("ledgerref", "7"), ("ledgerref", "ref-1")]
    assert await shared.pending_invoices(OTHER, names) == []


async def test_retention_erases_its_rows_as_well(shared: Store) -> None:
    """Neither the raw rows nor the host's words stay longer than others."""
    done = [Outcome(Address("invoice", 0), Verdict.ACCEPTED), Outcome(FIRST, Verdict.REFUSED, "Kari skylder")]
    await shared.write(
        MoveCall("modern", CallState.PLANNED, CallState.SUBMITTING, 1.0),
        MoveCall("modern", CallState.SUBMITTING, CallState.DONE, 1.0),
        MoveCall("legacy", CallState.PLANNED, CallState.SUBMITTING, 1.0),
        MoveCall("legacy", CallState.SUBMITTING, CallState.DONE, 1.0),
        DecideRows("b1", [*done, Outcome(SECOND, Verdict.ACCEPTED)]),
        FinishBatch("b1", b'{"statuscode":1,"errors":[],"responses":[]}', 2.0),
    )
    assert await shared.erase(3.0, lambda reply, rows, text: reply) == 1
    stored = await shared.load("b1")
    assert stored is not None
    assert [row.item for row in stored.rows] == [None, None, None]
    assert "Kari" not in repr(stored)
