"""The modern API as the bridge uses it: one attempt of a write, patient reads, lists read to their end.

What answers mean is decided in `answers`, `results`, `lists` and `failures`. A write is never repeated here, with one
exception: an answer of 401, which says that nothing was taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeVar

import aiohttp
from yarl import URL

from bridge.errors import ModernRefused, ModernUnreachable, VendorError
from bridge.modern import lists
from bridge.modern.answers import (
    NOT_TAKEN,
    Answer,
    NotTaken,
    Unauthorized,
    Unknown,
    read_retry_after,
    read_write_answer,
)
from bridge.modern.exchange import Exchange, Reply
from bridge.modern.failures import ExchangeBroken, Fate, ModernBusy
from bridge.modern.lists import ModernCase, ModernInvoice, Page, Sighting
from bridge.modern.requests import fill_path
from bridge.modern.results import ModernBatch, batch_from, read_batch
from bridge.modern.tokens import Access, Token, TokenCache, read_token

T = TypeVar("T")

MOST_PAGES = 500
READ_ATTEMPTS = 5
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_PATIENCE_SECONDS = 30.0
"""How long after its beginning a read may start another attempt."""

NEWEST_FIRST = "Desc"
"""Value of SortDirection (assumed: GetBatchesByOrganization names the parameter only)."""

_API = "the modern system"
_TOKEN_SERVICE = "the token service"  # noqa: S105 - a name for messages, not a secret
_CREDENTIALS_REFUSED = "credentials refused: check client_id and client_secret of the organization"


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
        self._base_url = base_url.rstrip("/")
        self._token_url = URL(token_url)
        self._idempotency_header = idempotency_header
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self._tokens = TokenCache(self._fetch_token, clock)

    async def submit(
        self, access: Access, path: str, body: bytes, idempotency_key: str, *, expects_batch: bool = True
    ) -> Answer:
        """Make one attempt of a write. Never raises for what vendor or network do, never returns Unauthorized.

        `path` is below the base URL, every id in it percent-encoded (`requests.fill_path`). `expects_batch` is False
        for case actions, whose answer may be empty.
        """
        url = self._url(path)
        for _ in range(2):
            try:
                token = await self._tokens.get(access)
            except VendorError as failure:
                return NotTaken(str(failure), _asked_pause(failure))
            answer = await self._attempt(url, token, body, idempotency_key, expects_batch)
            if not isinstance(answer, Unauthorized):
                return answer
            self._tokens.drop(access, token)
        return NotTaken(_CREDENTIALS_REFUSED)

    async def batch(self, access: Access, modern_batch_id: str) -> ModernBatch:
        """Read one batch, patiently."""
        return await self._read(access, self._batch_url(access, modern_batch_id), read_batch)

    async def glance(self, access: Access, modern_batch_id: str) -> ModernBatch:
        """Read one batch in a single attempt, for a caller who asks again anyway (`waiting.Waiter`)."""
        return await self._ask(access, self._batch_url(access, modern_batch_id), read_batch)

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
        url = self._url(fill_path("/orgs/{org}/batches", org=access.organization))
        query = {"SortDirection": NEWEST_FIRST, "PageSize": str(page_size)}
        while True:
            page = await self._ask(access, url.with_query(query), _read_sightings)
            yield page.entries
            if not page.next_token:
                return
            query["PageToken"] = page.next_token

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
        return await self._read(access, self._url(path), lists.read_invoice)

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
                return NotTaken(f"{_API} could not be reached ({failure.why})")
            return Unknown(f"the exchange with {_API} broke ({failure.why})")
        return read_write_answer(
            reply.status, reply.headers, reply.body, now=self._clock(), expects_batch=expects_batch
        )

    async def _fetch_token(self, access: Access) -> Token:
        form = {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
        }
        asked_at = self._clock()
        try:
            reply = await self._exchange.send("POST", self._token_url, {"Accept": "application/json"}, form)
        except ExchangeBroken as failure:
            raise ModernUnreachable(f"{_TOKEN_SERVICE} did not answer ({failure.why})") from failure
        token = read_token(reply.body, asked_at) if reply.status == 200 else None
        return token or self._give_up(_TOKEN_SERVICE, reply, _CREDENTIALS_REFUSED)

    async def _pages(
        self,
        access: Access,
        collection: str,
        filters: Mapping[str, str | None],
        read_entry: Callable[[dict[str, Any]], T | None],
    ) -> AsyncGenerator[Page[T], None]:
        """Yield the pages of a list to its end; half a list must not pass for "not there", so that one raises."""
        if "" in filters.values():
            raise ValueError(f"an empty filter would list all {collection}")
        url = self._url(fill_path("/orgs/{org}/" + collection, org=access.organization))
        query = {name: value for name, value in filters.items() if value is not None}
        for _ in range(MOST_PAGES):
            page = await self._read(access, url.with_query(query), lambda body: lists.read_page(body, read_entry))
            yield page
            if not page.next_token:
                return
            query["PageToken"] = page.next_token
        raise ModernUnreachable(f"the list of {collection} did not end within {MOST_PAGES} pages")

    async def _read(self, access: Access, url: URL, parse: Callable[[bytes], T | None]) -> T:
        began = self._clock()
        for attempt in range(1, READ_ATTEMPTS):
            try:
                return await self._ask(access, url, parse)
            except ModernUnreachable as failure:
                pause = _asked_pause(failure)
                if pause is None:
                    pause = FIRST_BACKOFF_SECONDS * 2**attempt * self._jitter()
                if self._clock() + pause > began + LONGEST_PATIENCE_SECONDS:
                    raise
            await self._sleep(pause)
        return await self._ask(access, url, parse)

    async def _ask(self, access: Access, url: URL, parse: Callable[[bytes], T | None]) -> T:
        reply = await self._get(access, url)
        answer = parse(reply.body) if 200 <= reply.status < 300 else None
        return self._give_up(_API, reply, url.path) if answer is None else answer

    async def _get(self, access: Access, url: URL, *, again: bool = True) -> Reply:
        token = await self._tokens.get(access)
        headers = {"Authorization": token.authorization, "Accept": "application/json"}
        try:
            reply = await self._exchange.send("GET", url, headers)
        except ExchangeBroken as failure:
            raise ModernUnreachable(f"{_API} did not answer ({failure.why})") from failure
        if reply.status != 401:
            return reply
        self._tokens.drop(access, token)
        return await self._get(access, url, again=False) if again else reply

    def _give_up(self, who: str, reply: Reply, about: str) -> NoReturn:
        """Raise what an answer without use means: ask again later, or something must be put right first."""
        if 200 <= reply.status < 300:
            raise ModernUnreachable(f"{who} answered HTTP {reply.status}, but not what was asked ({about})")
        retry_after = read_retry_after(reply.headers, self._clock())
        if retry_after is not None and (reply.status in NOT_TAKEN or reply.status >= 500):
            raise ModernBusy(f"{who} answered HTTP {reply.status}", retry_after_seconds=retry_after)
        if reply.status in {408, *NOT_TAKEN} or reply.status >= 500:
            raise ModernUnreachable(f"{who} answered HTTP {reply.status}")
        raise ModernRefused(f"{who} answered HTTP {reply.status} ({about})", status=reply.status)

    def _url(self, path: str) -> URL:
        return URL(self._base_url + path, encoded=True)

    def _batch_url(self, access: Access, modern_batch_id: str) -> URL:
        # Built from the id: the batchUrl in the write's answer points to a path that is being removed.
        return self._url(fill_path("/orgs/{org}/batches/{batch}", org=access.organization, batch=modern_batch_id))


def _read_sightings(body: bytes) -> Page[Sighting] | None:
    return lists.read_page(body, lists.sighting_from)


def _asked_pause(failure: VendorError) -> float | None:
    return failure.retry_after_seconds if isinstance(failure, ModernBusy) else None


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
