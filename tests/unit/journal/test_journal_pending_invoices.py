"""Which invoice rows are still on their way, by the names other rows may know them by."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address, Outcome, Verdict
from bridge.journal import DecideRows, FinishBatch, OpenBatch, PendingInvoice, RowRecord

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

NUMBER, UNIQUE = ("invoiceNumber", "17"), ("uniqueSourceInvoiceId", "u-17")
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def known_as(row: RowRecord, *names: tuple[str, str]) -> RowRecord:
    return replace(row, reference=json.dumps({"keys": names}, ensure_ascii=False).encode())


def opening(make: Make, name: str, *rows: RowRecord) -> OpenBatch:
    return OpenBatch(make.batch(name, len(rows)), list(rows))


async def test_a_pending_invoice_is_found_by_each_of_its_names(journal: Store, make: Make) -> None:
    """Batch, address and name are told, once for each name that was asked for; the kind of a name counts."""
    await journal.write(opening(make, "b1", make.row(0), known_as(make.row(1), NUMBER, UNIQUE)))
    by_number, by_id = (PendingInvoice("b1", "B1", Address("invoice", 1), name) for name in (NUMBER, UNIQUE))
    organization = make.organization
    assert await journal.pending_invoices(organization, {NUMBER}) == [by_number]
    assert await journal.pending_invoices(organization, {NUMBER, UNIQUE, ("ledgerref", "x")}) == [by_number, by_id]
    assert await journal.pending_invoices(organization, {("ledgerref", "17"), ("invoiceNumber", "1")}) == []
    assert await journal.pending_invoices(organization, set()) == []


async def test_an_invoice_of_another_organization_is_never_told(journal: Store, make: Make) -> None:
    """A name belongs to its organization."""
    await journal.write(opening(make, "b1", known_as(make.row(organization=OTHER), NUMBER)))
    assert await journal.pending_invoices(make.organization, {NUMBER}) == []
    assert len(await journal.pending_invoices(OTHER, {NUMBER})) == 1


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.REFUSED])
async def test_a_decided_invoice_is_not_pending(journal: Store, make: Make, verdict: Verdict) -> None:
    """Its verdict is told instead, also while its batch is open; rows of other kinds are not asked for."""
    rows = [known_as(make.row(0), NUMBER), known_as(make.row(1), UNIQUE), make.row(0, "payment")]
    await journal.write(opening(make, "b1", *rows))
    assert await journal.invoice_verdicts("b1") == {}
    decided = [Outcome(Address(name, 0), verdict) for name in ("invoice", "payment")]
    await journal.write(DecideRows("b1", decided))
    assert await journal.pending_invoices(make.organization, {NUMBER}) == []
    assert await journal.invoice_verdicts("b1") == {Address("invoice", 0): verdict}
    await journal.write(DecideRows("b1", [Outcome(Address("invoice", 1), verdict)]), FinishBatch("b1", b"{}", 2000.0))
    assert await journal.pending_invoices(make.organization, {NUMBER, UNIQUE}) == []
    assert len(await journal.invoice_verdicts("b1")) == 2
    assert await journal.invoice_verdicts("unknown") == {}


async def test_rows_that_are_no_invoices_are_not_waited_for(journal: Store, make: Make) -> None:
    """Payments that carry a name themselves, and rows without names, are left out."""
    rows = [
        make.row(0, reference=None),
        make.row(1, item=None, reference=None),
        known_as(make.row(0, "payment"), NUMBER),
    ]
    await journal.write(opening(make, "b1", *rows))
    assert await journal.pending_invoices(make.organization, {NUMBER}) == []


async def test_many_names_are_one_question(journal: Store, make: Make) -> None:
    """More names than a statement has variables."""
    await journal.write(opening(make, "b1", known_as(make.row(), NUMBER)))
    names = {("invoiceNumber", str(number)) for number in range(40_000)}
    assert [one.name for one in await journal.pending_invoices(make.organization, names)] == [NUMBER]


async def test_a_name_of_any_characters_is_found(journal: Store, make: Make) -> None:
    """Quotes, backslashes and foreign letters are nothing special; a NUL, which one store cannot hold, harms nobody."""
    values = ['"', "\\", "\\u0041", "Ærlig 汉", "'; --", "\n", "[1]", "17\\u0000"]
    rows = [known_as(make.row(index), ("ledgerref", value)) for index, value in enumerate([*values, "\0"])]
    await journal.write(opening(make, "b1", *rows))
    found = await journal.pending_invoices(make.organization, {("ledgerref", value) for value in [*values, "\0"]})
    assert {one.name[1] for one in found} >= set(values[:-1])
