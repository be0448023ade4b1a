"""The modern API as the pipeline uses it: one attempt of a write, and reads by what rows know of a claim.

What answers mean is decided in `answers`, `results`, `lists` and `failures`, how reads are made in `reader`. A write is
never repeated here, with one exception: an answer of 401, which says that nothing was taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from bridge.errors import VendorError
from bridge.modern import lists
from bridge.modern.answers import Answer, NotTaken, Unauthorized, Unknown, read_write_answer
from bridge.modern.exchange import Exchange
from bridge.modern.failures import ExchangeBroken, Fate
from bridge.modern.lists import ModernCase, ModernInvoice, Page, Sighting
from bridge.modern.reader import API, CREDENTIALS_REFUSED, Reader, asked_pause
from bridge.modern.requests import fill_path
from bridge.modern.results import ModernBatch, batch_from, read_batch
from bridge.modern.tokens import Access, Token

T = TypeVar("T")

NEWEST_FIRST = "Desc"
"""Value of SortDirection (assumed: GetBatchesByOrganization names the parameter only)."""


class ModernClient:
    """Speak to the modern API on behalf of organizations.

    Reads raise ModernUnreachable when they failed for now (ModernBusy when told when to come back), and ModernRefused
    when they were answered with a 3xx or 4xx, a 404 included.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        token_url: str,
        *,
        clock: Callable[[], float],
        idempotency_header: str = "Idempotency-Key",
        request_timeout_seconds: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._exchange = Exchange(session, request_timeout_seconds)
        self._idempotency_header = idempotency_header
        self._clock = clock
        self.reader = Reader(self._exchange, base_url, token_url, clock=clock, sleep=sleep, jitter=jitter)
        """For whoever reads more than this client does (`catalogue`): the same tokens, the same patience."""

    async def submit(
        self,
        access: Access,
        path: str,
        body: bytes,
        idempotency_key: str,
        *,
        expects_batch: bool = True,
        hindrance: Callable[[], str] = lambda: "",
    ) -> Answer:
        """Make one attempt of a write. Never raises for what vendor or network do, never returns Unauthorized.

        `path` is below the base URL, every id in it percent-encoded (`requests.fill_path`). `expects_batch` is False
        for case actions, whose answer may be empty. `hindrance` is asked right before the write leaves, since getting a
        token may take long: it returns why the write must stay, or nothing.
        """
        url = self.reader.url(path)
        for _ in range(2):
            try:
                token = await self.reader.tokens.get(access)
            except VendorError as failure:
                return NotTaken(str(failure), asked_pause(failure))
            if why := hindrance():
                return NotTaken(why)
            answer = await self._attempt(url, token, body, idempotency_key, expects_batch)
            if not isinstance(answer, Unauthorized):
                return answer
            self.reader.tokens.drop(access, token)
        return NotTaken(CREDENTIALS_REFUSED)

    async def batch(self, access: Access, modern_batch_id: str) -> ModernBatch:
        """Read one batch, patiently."""
        return await self.reader.read(access, self._batch_url(access, modern_batch_id), read_batch)

    async def glance(self, access: Access, modern_batch_id: str) -> ModernBatch:
        """Read one batch in a single attempt, for a caller who asks again anyway (`waiting.Waiter`)."""
        return await self.reader.ask(access, self._batch_url(access, modern_batch_id), read_batch)

    async def batches(
        self, access: Access, *, idempotency_key: str | None = None, created_since: float | None = None
    ) -> list[ModernBatch]:
        """List batches in the vendor's order: those under a key, those created since a moment (Unix seconds).

        The API cannot filter by time: pages are read until they get older; batches without a date are kept. A batch
        that names another key is left out, one that names none is kept: compare its rows before adopting it.
        """
        found: list[ModernBatch] = []
        async with aclosing(self._pages(access, "batches", {"IdempotencyKey": idempotency_key}, batch_from)) as pages:
            async for page in pages:
                moments = [lists.read_moment(batch.created_at) for batch in page.entries]
                found += [
                    batch
                    for batch, moment in zip(page.entries, moments, strict=True)
                    if _may_be(batch.idempotency_key, idempotency_key) and _is_since(moment, created_since)
                ]
                if _gets_older(moments, created_since):
                    break
        return found

    async def recent_batches(self, access: Access, page_size: int) -> AsyncGenerator[Sequence[Sighting], None]:
        """Yield what the pages of the list of batches show, newest first; each page is a single attempt.

        No filter by state: whether it can be trusted is not known, and what it leaves out would look unfinished.
        """
        query = {"SortDirection": NEWEST_FIRST, "PageSize": str(page_size)}
        listed = self.reader.pages(access, "batches", query, _read_sightings, patient=False)
        async with aclosing(listed) as pages:
            async for page in pages:
                yield page.entries

    async def invoices(
        self, access: Access, *, unique_source_invoice_id: str | None = None, invoice_number: str | None = None
    ) -> list[ModernInvoice]:
        """List invoices by what the ERP calls them; those that name something else are left out."""
        filters = {"UniqueSourceInvoiceId": unique_source_invoice_id, "InvoiceNumber": invoice_number}
        return [
            invoice
            async for page in self._pages(access, "invoices", filters, lists.invoice_from)
            for invoice in page.entries
            if _may_be(invoice.unique_source_invoice_id, unique_source_invoice_id)
            and _may_be(invoice.invoice_number, invoice_number)
        ]

    async def invoice(self, access: Access, invoice_id: str) -> ModernInvoice:
        """Read one invoice by its modern id."""
        path = fill_path("/orgs/{org}/invoices/{invoice}", org=access.organization, invoice=invoice_id)
        return await self.reader.read(access, self.reader.url(path), lists.read_invoice)

    async def cases(
        self, access: Access, *, unique_source_invoice_id: str | None = None, case_number: str | None = None
    ) -> list[ModernCase]:
        """List cases by number, or by what the ERP calls one of their invoices; others are left out."""
        filters = {"UniqueSourceInvoiceId": unique_source_invoice_id, "CaseNumber": case_number}
        return [
            case
            async for page in self._pages(access, "cases", filters, lists.case_from)
            for case in page.entries
            if _may_be(case.number, case_number) and _may_hold(case, unique_source_invoice_id)
        ]

    def _pages(
        self,
        access: Access,
        collection: str,
        filters: Mapping[str, str | None],
        read_entry: Callable[[dict[str, Any]], T | None],
    ) -> AsyncGenerator[Page[T], None]:
        query = {name: value for name, value in filters.items() if value is not None}
        return self.reader.pages(access, collection, query, lambda body: lists.read_page(body, read_entry))

    async def _attempt(self, url: URL, token: Token, body: bytes, idempotency_key: str, expects_batch: bool) -> Answer:
        headers = {
            "Authorization": token.authorization,
            "Content-Type": "application/json",
            "Accept": "application/json",
            self._idempotency_header: idempotency_key,
        }
        try:
            reply = await self._exchange.send("POST", url, headers, body)
        except ExchangeBroken as failure:
            if failure.fate is Fate.NOT_SENT:
                return NotTaken(f"{API} could not be reached ({failure.why})")
            return Unknown(f"the exchange with {API} broke ({failure.why})")
        return read_write_answer(
            reply.status, reply.headers, reply.body, now=self._clock(), expects_batch=expects_batch
        )

    def _batch_url(self, access: Access, modern_batch_id: str) -> URL:
        # Built from the id: the batchUrl in the write's answer points to a path that is being removed.
        return self.reader.url(fill_path("/orgs/{org}/batches/{batch}", org=access.organization, batch=modern_batch_id))


def _read_sightings(body: bytes) -> Page[Sighting] | None:
    return lists.read_page(body, lists.sighting_from)


def _may_be(told: str, wanted: str | None) -> bool:
    """Tell whether an entry is what was asked for, or does not say (a filter the vendor ignored is caught here)."""
    return not told or wanted is None or told == wanted.strip()


def _may_hold(case: ModernCase, unique_source_invoice_id: str | None) -> bool:
    held = [invoice.unique_source_invoice_id for invoice in case.invoices]
    return not held or any(_may_be(told, unique_source_invoice_id) for told in held)


def _is_since(moment: float | None, created_since: float | None) -> bool:
    return moment is None or created_since is None or moment >= created_since


def _gets_older(moments: Sequence[float | None], created_since: float | None) -> bool:
    """Tell whether a page runs from new to old, and past the moment: the following pages are older still."""
    known = [moment for moment in moments if moment is not None]
    if created_since is None or len(known) < 2 or known != sorted(known, reverse=True):
        return False
    return known[0] > known[-1] and known[-1] < created_since
