"""Filling the cross-reference from the modern system's lists."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.claims.rebuilding import Rebuilder, Step
from bridge.errors import ModernRefused, ModernUnreachable
from bridge.journal import Claim, Office, Rebuild
from bridge.journal.claims import CLAIMS_AT_ONCE
from bridge.journal.opening import open_journal, open_office
from bridge.modern.catalogue import Catalogue
from bridge.modern.lists import Page
from bridge.modern.tokens import Access

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ACCESS = Access(ORG, "client", "secret")


def case(number: int, *invoices: dict[str, Any]) -> dict[str, Any]:
    return {"caseId": f"case-{number}", "caseNumber": number, "invoices": list(invoices)}


def invoice(number: int, **more: Any) -> dict[str, Any]:
    return {"invoiceId": f"i-{number}", "invoiceNumber": str(number), "uniqueSourceInvoiceId": f"u-{number}", **more}


@dataclass
class Lists:
    """The lists of an organization in pages; the token of a page is `list/number`."""

    cases: list[list[dict[str, Any]]] = field(default_factory=lambda: [[]])
    invoices: list[list[dict[str, Any]]] = field(default_factory=lambda: [[]])
    failures: dict[str, Exception] = field(default_factory=dict)
    """By the token of the page."""
    read: list[str] = field(default_factory=list)

    async def pages(self, access: Access, collection: str, *, start: str = "") -> AsyncGenerator[Page[Any], None]:
        assert access == ACCESS
        lists = {"cases": self.cases, "invoices": self.invoices}[collection]
        for number in range(int(start.partition("/")[2] or 0), len(lists)):
            token = f"{collection}/{number}"
            if token in self.failures:
                raise self.failures.pop(token)
            self.read.append(token)
            yield Page(tuple(lists[number]), f"{collection}/{number + 1}" if number + 1 < len(lists) else "")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    journal = await open_journal("sqlite:///journal.db", base=tmp_path)
    await journal.close()
    opened = open_office("sqlite:///journal.db", base=tmp_path)
    yield opened
    await opened.close()


def rebuilder(lists: Lists, office: Office) -> Rebuilder:
    return Rebuilder(cast("Catalogue", lists), office, ACCESS, clock=lambda: 1_700_000_000.0)


async def run(lists: Lists, office: Office, *, pages: int = 1000, from_start: bool = False) -> list[Step]:
    """Run as the command does, and be cut off after so many pages."""
    steps: list[Step] = []
    work = rebuilder(lists, office)
    async with contextlib.aclosing(work.run(None if from_start else await work.unfinished())) as running:
        async for step in running:
            steps.append(step)
            if len(steps) == pages:
                break
    return steps


async def test_cases_and_invoices_become_claims(office: Office) -> None:
    """Every invoice of every case, and the invoices that have none, with all ids that are told."""
    lists = Lists([[case(1, invoice(1, batchId="m-1"), invoice(2))], [case(2, invoice(3))]], [[{"id": "i-4"}]])
    steps = await run(lists, office)
    assert [(step.read, step.new) for step in steps] == [(2, 2), (1, 1), (1, 1)]
    assert steps[-1].progress == Rebuild(ORG, 1_700_000_000.0, "", 4, finished_at=1_700_000_000.0)
    assert await office.rebuilds() == [steps[-1].progress]
    assert await office.find_claims("u-1") == [Claim(ORG, "i-1", "1", "u-1", "", "1", "case-1", modern_batch="m-1")]
    assert set(await office.claims_of(ORG, ["i-1", "i-2", "i-3", "i-4"])) == {"i-1", "i-2", "i-3", "i-4"}


async def test_an_invoice_is_counted_once(office: Office) -> None:
    """One that the list of invoices shows with its case was counted with the case."""
    lists = Lists([[case(1, invoice(1))]], [[{"id": "i-1", "collectionCaseNumber": "1"}]])
    assert (await run(lists, office))[-1].progress.claims == 1


@pytest.mark.parametrize("pages", [1, 2, 3])
async def test_a_reading_that_was_cut_off_goes_on(office: Office, pages: int) -> None:
    """No page is read twice, and the count goes on."""
    lists = Lists([[case(1, invoice(1))], [case(2, invoice(2))]], [[{"id": "i-3"}], [{"id": "i-4"}]])
    await run(lists, office, pages=pages)
    steps = await run(lists, office)
    assert lists.read == ["cases/0", "cases/1", "invoices/0", "invoices/1"]
    assert steps[-1].progress.claims == 4


@pytest.mark.parametrize("failure", [ModernUnreachable(), ModernRefused(status=403)])
async def test_a_page_that_fails_leaves_the_place(office: Office, failure: Exception) -> None:
    """The next run begins with that page."""
    lists = Lists([[case(1, invoice(1))], [case(2, invoice(2))]], failures={"cases/1": failure})
    with pytest.raises(type(failure)):
        await run(lists, office)
    await run(lists, office)
    assert lists.read == ["cases/0", "cases/1", "invoices/0"]


async def test_what_is_finished_begins_anew(office: Office) -> None:
    """A second rebuild reads everything again, teaches nothing new, and forgets nothing."""
    lists = Lists([[case(1, invoice(1))]])
    await run(lists, office)
    steps = await run(lists, office)
    assert [step.new for step in steps] == [0, 0]
    assert lists.read == ["cases/0", "invoices/0"] * 2


async def test_the_place_may_be_left(office: Office) -> None:
    """--from-start reads everything, whatever was read before."""
    lists = Lists([[case(1, invoice(1))], [case(2, invoice(2))]])
    await run(lists, office, pages=1)
    assert (await run(lists, office, from_start=True))[-1].progress.claims == 2
    assert lists.read == ["cases/0", "cases/0", "cases/1", "invoices/0"]


@pytest.mark.parametrize("status", [400, 404])
async def test_a_place_nobody_knows_any_more_leads_to_the_start(office: Office, status: int) -> None:
    """Page tokens may grow old; the run says that it begins anew."""
    lists = Lists([[case(1, invoice(1))], [case(2, invoice(2))]])
    await run(lists, office, pages=1)
    lists.failures = {"cases/1": ModernRefused(status=status)}
    steps = await run(lists, office)
    assert [step.began_anew for step in steps] == [True, False, False, False]
    assert steps[-1].progress.claims == 2


@pytest.mark.parametrize("failing", ["cases/0", "cases/1"])
async def test_a_refusal_that_is_not_about_the_place_is_told(office: Office, failing: str) -> None:
    """A first page that is refused, or one that a token of this very run leads to, does not become better."""
    lists = Lists([[case(1, invoice(1))], []], failures={failing: ModernRefused(status=404)})
    with pytest.raises(ModernRefused):
        await run(lists, office)


async def test_entries_that_name_no_invoice_are_counted(office: Office) -> None:
    """What cannot be kept is not passed over in silence."""
    lists = Lists([[case(1), {"caseNumber": 2}, case(3, invoice(3))]], [[{"invoiceNumber": "9"}]])
    assert [step.left_out for step in await run(lists, office)] == [2, 1]


async def test_a_large_page_is_written_in_parts(office: Office) -> None:
    """A running bridge waits for each write; a vendor's page may hold any number."""
    count = CLAIMS_AT_ONCE + 1
    steps = await run(Lists([[case(1, *map(invoice, range(count)))]]), office)
    assert steps[0].new == len(await office.claims_of(ORG, [f"i-{number}" for number in range(count)])) == count
