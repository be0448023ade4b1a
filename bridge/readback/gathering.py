"""The cases of one organization with their invoices: all of them, one customer's, or those of one reference.

Cases and invoices are two lists of the modern system, read side by side. What the case says of an invoice is completed
by the invoice list; an invoice that no case mentions stands by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from bridge.errors import TooMuchToRead
from bridge.journal import Books, Claim
from bridge.modern.reading import text
from bridge.modern.tokens import Access
from bridge.readback.found import Entry, Found, case_id, case_number, complete, find, inner_invoices, invoice_id

Pages = AsyncGenerator[Sequence[Entry], None]

AHEAD_PAGES = 2
"""How many pages of cases may wait while the invoices are read, or entries are made."""
INVOICES_A_CASE = 5
"""How many invoices a case may have on average before an organization counts as too large."""
TURN_CASES = 50
"""Cases joined with their invoices before the event loop gets a turn."""
LOOSE_SLICE = 200


class Lists(Protocol):
    """The lists of the modern system (`modern.catalogue`)."""

    def cases(self, access: Access, filters: Mapping[str, str] = ..., *, page_size: int = ...) -> Pages:
        """Yield cases, a page at a time."""
        ...

    def invoices(self, access: Access, filters: Mapping[str, str] = ...) -> Pages:
        """Yield invoices, a page at a time."""
        ...

    def settlements(self, access: Access, filters: Mapping[str, str] = ..., *, page_size: int = ...) -> Pages:
        """Yield settlements, a page at a time."""
        ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which claims of an organization are asked for; all of them when nothing is said."""

    customerref: str = ""
    ledgerref: str = ""


Harvest = AsyncGenerator[Sequence[Found], None]


class Gatherer:
    """Read the cases of organizations, slice by slice; raises TooMuchToRead, ModernUnreachable or ModernRefused."""

    def __init__(self, lists: Lists, books: Books, *, page_size: int, max_cases: int) -> None:
        self._lists = lists
        self._books = books
        self._page_size = page_size
        self._max_cases = max_cases

    async def gather(self, access: Access, selection: Selection) -> Harvest:
        """Yield what is asked for; each case, and each invoice, once."""
        harvest = (
            self._by_reference(access, selection.ledgerref)
            if selection.ledgerref
            else self._by_list(access, {"CustomerNumber": selection.customerref} if selection.customerref else {})
        )
        count = 0
        async with aclosing(harvest) as slices:
            async for some in slices:
                count += len(some)
                if count > self._max_cases:
                    raise TooMuchToRead
                # a vendor that ignores a filter must not make us tell one customer's claims for another's
                yield [one for one in some if _may_be_of(one, selection.customerref)]

    async def _by_list(self, access: Access, filters: Mapping[str, str]) -> Harvest:
        listed = _Listed()
        seen: set[str] = set()
        async with _read_ahead(self._lists.cases(access, filters, page_size=self._page_size)) as pages:
            async with aclosing(self._lists.invoices(access, filters)) as invoices:
                async for page in invoices:
                    listed.add(page)
                    if len(listed) > self._max_cases * INVOICES_A_CASE:
                        raise TooMuchToRead
            async for cases in pages:
                found: list[Found] = []
                for start in range(0, len(cases), TURN_CASES):
                    some = cases[start : start + TURN_CASES]
                    found += [find(case, listed.take(case)) for case in some if _is_new(case_id(case), seen)]
                    await asyncio.sleep(0)
                yield found
        loose = listed.rest()
        if filters:  # of a case that is not the customer's: only a filter that was ignored shows it here
            loose = [invoice for invoice in loose if not text(invoice.get("collectionCaseNumber"))]
        for start in range(0, len(loose), LOOSE_SLICE):
            yield [find({}, (invoice,)) for invoice in loose[start : start + LOOSE_SLICE]]

    async def _by_reference(self, access: Access, ledgerref: str) -> Harvest:
        """Find the claim by our cross-reference, else by the two names an ERP may have given it."""
        organization = access.organization
        known = await self._books.claims(organization, "ledgerref", ledgerref)
        by_source, by_number = (
            Claim(organization, unique_source_invoice_id=ledgerref),
            Claim(organization, invoice_number=ledgerref),
        )
        guesses = [[claim] for claim in known] or [[by_source, by_number]]
        seen: set[str] = set()
        for alternatives in guesses:
            for claim in alternatives:
                if found := await self._find(access, claim):
                    yield [one for one in found if _is_new(one.name, seen)]
                    break

    async def _find(self, access: Access, claim: Claim) -> list[Found]:
        """Return the cases and invoices of one claim, by the best of the names it goes by."""
        invoices = [one for one in await self._invoices_of(access, claim) if _fits(one, claim, trusted=True)]
        cases = await self._cases_of(access, claim, invoices)
        found = [find(case, _pick(case, claim, invoices)) for case in cases]
        # a case that lists its invoices, and not this one, is not the claim's
        found = [one for one in found if one.invoices or not inner_invoices(one.case)]
        told = {key for one in found for key in one.invoice_ids}
        return found + [find({}, (one,)) for one in invoices if invoice_id(one) not in told]

    async def _invoices_of(self, access: Access, claim: Claim) -> list[Entry]:
        names = {"UniqueSourceInvoiceId": claim.unique_source_invoice_id, "InvoiceNumber": claim.invoice_number}
        for name, value in names.items():
            if value and (found := await _all(self._lists.invoices(access, {name: value}))):
                return found
        return []

    async def _cases_of(self, access: Access, claim: Claim, invoices: Sequence[Entry]) -> list[Entry]:
        told = [text(one.get("collectionCaseNumber")) for one in invoices]
        numbers = [claim.case_number] if claim.case_number else told
        filters = [{"CaseNumber": number} for number in dict.fromkeys(filter(None, numbers))]
        if not filters and claim.unique_source_invoice_id:
            filters = [{"UniqueSourceInvoiceId": claim.unique_source_invoice_id}]
        found = [await _all(self._lists.cases(access, one, page_size=self._page_size)) for one in filters]
        wanted = {one.get("CaseNumber", "") for one in filters}
        return [case for some in found for case in some if wanted == {""} or case_number(case) in {"", *wanted}]


class _Listed:
    """The invoice list, from which cases take what is theirs."""

    def __init__(self) -> None:
        self._by_id: dict[str, Entry] = {}
        self._of_case: dict[str, list[str]] | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, page: Sequence[Entry]) -> None:
        """Keep a page; the organization is the same for all of them, and takes the most room."""
        for invoice in page:
            invoice.pop("organization", None)
            self._by_id[invoice_id(invoice) or f"unnamed {len(self._by_id)}"] = invoice

    def take(self, case: Entry) -> tuple[Entry, ...]:
        """Return a case's invoices, whole, and strike them off the list."""
        if inner := inner_invoices(case):
            return tuple(complete(one, self._by_id.pop(invoice_id(one), None)) for one in inner)
        ids = self._ids_of(case_number(case))
        return tuple(self._by_id.pop(one) for one in ids if one in self._by_id)

    def rest(self) -> list[Entry]:
        """Return the invoices that no case took."""
        return list(self._by_id.values())

    def _ids_of(self, number: str) -> Sequence[str]:
        """Return the invoices that name a case by its number, for cases that name no invoices."""
        if self._of_case is None:
            self._of_case = {}
            for key, invoice in self._by_id.items():
                self._of_case.setdefault(text(invoice.get("collectionCaseNumber")), []).append(key)
        return self._of_case.get(number, ()) if number else ()


def _is_new(key: str, seen: set[str]) -> bool:
    """Tell whether an entry was not seen before: a list that grows while it is read may show one twice."""
    known = bool(key) and key in seen
    seen.add(key)
    return not known


def _may_be_of(found: Found, customerref: str) -> bool:
    """Tell whether a claim is this customer's, or does not say whose it is."""
    if not customerref:
        return True
    debtors = found.case.get("debtors")
    told = {text(one.get("customerNumber")) for one in debtors or () if isinstance(one, dict)}
    told |= {text(invoice.get("customerNumber")) for invoice in found.invoices}
    return not told - {""} or customerref in told


def _fits(invoice: Entry, claim: Claim, *, trusted: bool) -> bool:
    """Tell whether an invoice is the claim's; `trusted` what the invoice does not say counts as said."""
    names = (
        (claim.invoice_id, invoice_id(invoice)),
        (claim.unique_source_invoice_id, text(invoice.get("uniqueSourceInvoiceId"))),
        (claim.invoice_number, text(invoice.get("invoiceNumber"))),
    )
    asked = [(wanted, told) for wanted, told in names if wanted]
    for wanted, told in asked:
        if told:
            return wanted == told  # the best name that both know decides
    return trusted or not asked


def _pick(case: Entry, claim: Claim, invoices: Sequence[Entry]) -> tuple[Entry, ...]:
    """Return the claim's invoices of a case, whole."""
    by_id = {invoice_id(one): one for one in invoices}
    inner = inner_invoices(case)
    if not inner:
        return tuple(invoices)
    return tuple(
        complete(one, by_id.get(invoice_id(one)))
        for one in inner
        if invoice_id(one) in by_id or _fits(one, claim, trusted=False)
    )


async def _all(pages: Pages) -> list[Entry]:
    async with aclosing(pages):
        return [entry async for page in pages for entry in page]


@asynccontextmanager
async def _read_ahead(pages: Pages) -> AsyncIterator[AsyncIterator[Sequence[Entry]]]:
    """Read on while the pages before are worked with, a few pages at most."""
    waiting: asyncio.Queue[Sequence[Entry] | Exception | None] = asyncio.Queue(AHEAD_PAGES)

    async def fetch() -> None:
        try:
            async with aclosing(pages):
                async for page in pages:
                    await waiting.put(page)
        except Exception as failure:  # noqa: BLE001 - raised again by the one who works with the pages
            await waiting.put(failure)
        else:
            await waiting.put(None)

    async def arrive() -> AsyncIterator[Sequence[Entry]]:
        while (page := await waiting.get()) is not None:
            if isinstance(page, Exception):
                raise page
            yield page

    task = asyncio.create_task(fetch())
    try:
        yield arrive()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
