"""Whole lists of an organization in the vendor's own words: what reading back and rebuilding are made of.

Nothing is interpreted here: names are spelt as the vendor spells them, whole numbers are `int`, all others `Decimal`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

from msgspec import Raw

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern import lists, reading
from bridge.modern.lists import Page
from bridge.modern.reader import API, Reader
from bridge.modern.requests import fill_path
from bridge.modern.tokens import Access

Entries = AsyncGenerator[Sequence[dict[str, Any]], None]
"""The entries of a list, page by page."""

NO_FILTERS: Mapping[str, str] = MappingProxyType({})

PAGE_SIZE = 200
"""Entries of a page, where the API lets a caller choose (no page says how many it allows)."""

SLICE_BYTES = 128 * 1024
"""How much is decoded before others get their turn: well under a millisecond's worth on any machine of today."""


class Catalogue:
    """Read cases, invoices and settlements of an organization, all of them.

    A list is whole or raises: ModernUnreachable when it broke off, runs in circles, does not end or cannot be
    read, ModernRefused when a page was answered with a 4xx. A page that fails for now is asked for again, as ever.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def cases(self, access: Access, filters: Mapping[str, str] = NO_FILTERS, *, page_size: int = PAGE_SIZE) -> Entries:
        """Yield the cases (GetCasesByOrganization), a page at a time."""
        return self._list(access, "cases", {**filters, "PageSize": str(page_size)})

    def invoices(self, access: Access, filters: Mapping[str, str] = NO_FILTERS) -> Entries:
        """Yield the invoices (GetInvoicesByOrganization, which documents no page size), a page at a time."""
        return self._list(access, "invoices", filters)

    def settlements(
        self, access: Access, filters: Mapping[str, str] = NO_FILTERS, *, page_size: int = PAGE_SIZE
    ) -> Entries:
        """Yield the settlements (GetSettlements, whose parameters are spelt in camel case), a page at a time."""
        return self._list(access, "settlements", {**filters, "pageSize": str(page_size)}, page_parameter="pageToken")

    async def settlement(self, access: Access, settlement_id: str) -> dict[str, Any] | None:
        """Return one settlement; None when the modern system does not know it."""
        path = "/orgs/{org}/settlements/{settlement}"
        url = self._reader.url(fill_path(path, org=access.organization, settlement=settlement_id))
        try:
            return await self._reader.read(access, url, _read_object)
        except ModernRefused as refusal:
            if refusal.status == 404:
                return None
            raise

    async def pages(
        self, access: Access, collection: str, *, start: str = "", page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[Page[dict[str, Any]], None]:
        """Yield the pages of `cases` or `invoices`, each with the token of the next one.

        `start` is such a token, of an earlier reading; ModernRefused is raised at once when it is not known any more.
        """
        query = {"PageSize": str(page_size)} if collection == "cases" else {}
        if start:
            query["PageToken"] = start
        listed = self._reader.pages(access, collection, query, lists.split_page)
        async with aclosing(listed) as pages:
            async for page in pages:
                yield Page(tuple(await _decode(page.entries, collection)), page.next_token)

    async def _list(
        self, access: Access, collection: str, query: Mapping[str, str], *, page_parameter: str = "PageToken"
    ) -> Entries:
        listed = self._reader.pages(access, collection, query, lists.split_page, page_parameter=page_parameter)
        async with aclosing(listed) as pages:
            async for page in pages:
                yield await _decode(page.entries, collection)


async def _decode(entries: Sequence[Raw], collection: str) -> list[dict[str, Any]]:
    """Decode the entries of a page, and let others have their turn in between."""
    decoded = []
    in_slice = 0
    for entry in entries:
        in_slice += len(memoryview(entry))
        if in_slice > SLICE_BYTES:
            in_slice = 0
            await asyncio.sleep(0)
        value = reading.decode_exactly(entry)
        if not isinstance(value, dict):
            raise ModernUnreachable(f"{API} listed an entry of {collection} that cannot be read")
        decoded.append(value)
    return decoded


def _read_object(body: bytes) -> dict[str, Any] | None:
    """Return the object in the envelope of a read by id, or the bare one; None when there is none."""
    parts = reading.split_object(body)
    value = reading.decode_exactly(parts.get("data", body))
    return value if isinstance(value, dict) and value else None
