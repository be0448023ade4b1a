"""Fill the cross-reference from the modern system's own lists: every case with its invoices, then every invoice.

Each page is made durable together with where the next one is: a reading that was cut off, however, goes on there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from bridge.errors import ModernRefused
from bridge.journal import CLAIMS_AT_ONCE, Claim, LearnClaims, NoteRebuild, Office, Rebuild
from bridge.modern import reading
from bridge.modern.catalogue import Catalogue
from bridge.modern.lists import ModernInvoice, Page, case_from, invoice_from
from bridge.modern.tokens import Access

LISTS = ("cases", "invoices")
"""In this order: a case tells most of a claim, the list of invoices adds those that have none."""
UNKNOWN_PLACE = frozenset({400, 404, 410, 422})
"""What a page token that is not known any more may be answered with (no page says it)."""


@dataclass(frozen=True, slots=True)
class Step:
    """One page that is durable: how far it has come by it, and what the page brought."""

    progress: Rebuild
    read: int = 0
    """Claims of this page."""
    new: int = 0
    """Those the cross-reference did not know."""
    left_out: int = 0
    """Entries that name no invoice by an id."""
    began_anew: bool = False
    """Nothing was read: the stored place is not known to the modern system any more, and it begins at the start."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the lists a reading is."""

    collection: str = LISTS[0]
    token: str = ""

    def __str__(self) -> str:
        return f"{self.collection} {self.token}"


class Rebuilder:
    """Read one organization's claims into the cross-reference."""

    def __init__(self, catalogue: Catalogue, office: Office, access: Access, *, clock: Callable[[], float]) -> None:
        self._catalogue = catalogue
        self._office = office
        self._access = access
        self._clock = clock

    async def unfinished(self) -> Rebuild | None:
        """Return how far a reading has come that was cut off."""
        for progress in await self._office.rebuilds():
            if progress.organization == self._access.organization and _read_place(progress) is not None:
                return progress
        return None

    async def run(self, unfinished: Rebuild | None = None) -> AsyncGenerator[Step, None]:
        """Read from the start, or from where it was cut off; yield what is durable, page by page.

        Raises ModernUnreachable, ModernRefused or CannotTakeNow; run it again later, it goes on where it was.
        """
        progress, place = unfinished, None if unfinished is None else _read_place(unfinished)
        if progress is None or place is None:
            progress, place = self._begin(), _Place()
        while True:
            came_on = False
            try:
                async with aclosing(self._read_on(progress, place)) as steps:
                    async for step in steps:
                        came_on = True
                        yield step
            except ModernRefused as refusal:
                if came_on or not place.token or refusal.status not in UNKNOWN_PLACE:
                    raise
            else:
                return
            progress, place = self._begin(), _Place()
            yield Step(progress, began_anew=True)

    def _begin(self) -> Rebuild:
        return Rebuild(self._access.organization, self._clock(), "", 0)

    async def _read_on(self, progress: Rebuild, place: _Place) -> AsyncGenerator[Step, None]:
        for collection in LISTS[LISTS.index(place.collection) :]:
            token = place.token if collection == place.collection else ""
            async with aclosing(self._catalogue.pages(self._access, collection, start=token)) as pages:
                async for page in pages:
                    step = await self._keep(progress, collection, page)
                    progress = step.progress
                    yield step

    async def _keep(self, progress: Rebuild, collection: str, page: Page[dict[str, Any]]) -> Step:
        """Teach a page of claims, and note where the next one is."""
        organization = self._access.organization
        told = [list(_READ[collection](organization, entry)) for entry in page.entries]
        claims = [claim for some in told for claim in some]
        known = await self._office.claims_of(organization, [claim.invoice_id for claim in claims])
        # an invoice that names its case was counted with it
        counted = [claim for claim in claims if collection == "cases" or not claim.case_number]
        progress = self._move_on(progress, collection, page.next_token, len(counted))
        *whole, rest = _slice(claims)
        for some in whole:
            await self._office.write(LearnClaims(some))
        await self._office.write(LearnClaims(rest), NoteRebuild(progress))
        new = {claim.invoice_id for claim in claims} - known.keys()
        return Step(progress, len(counted), len(new), left_out=sum(not some for some in told))

    def _move_on(self, progress: Rebuild, collection: str, token: str, read: int) -> Rebuild:
        place = _Place(collection, token) if token else _follow(collection)
        return replace(
            progress,
            page_token=str(place) if place else "",
            claims=progress.claims + read,
            finished_at=None if place else self._clock(),
        )


def _read_place(progress: Rebuild) -> _Place | None:
    """Return where a reading was cut off; None when it came to its end, or not beyond its beginning."""
    collection, _, token = progress.page_token.partition(" ")
    return _Place(collection, token) if collection in LISTS and progress.finished_at is None else None


def _follow(collection: str) -> _Place | None:
    """Return where to go on after the end of a list."""
    after = LISTS[LISTS.index(collection) + 1 :]
    return _Place(after[0]) if after else None


def _slice(claims: Sequence[Claim]) -> Iterator[Sequence[Claim]]:
    """Yield at least one part, each small enough for one write beside a running bridge."""
    for start in range(0, max(1, len(claims)), CLAIMS_AT_ONCE):
        yield claims[start : start + CLAIMS_AT_ONCE]


def _read_case(organization: str, entry: dict[str, Any]) -> Iterator[Claim]:
    case = case_from(reading.lower_keys(entry))
    if case is not None:
        for invoice in case.invoices:
            yield _claim(organization, invoice, case.id, case.number)


def _read_invoice(organization: str, entry: dict[str, Any]) -> Iterator[Claim]:
    invoice = invoice_from(reading.lower_keys(entry))
    if invoice is not None:
        yield _claim(organization, invoice, invoice.case_id, invoice.case_number)


def _claim(organization: str, invoice: ModernInvoice, case_id: str, case_number: str) -> Claim:
    return Claim(
        organization,
        invoice_id=invoice.id,
        invoice_number=invoice.invoice_number,
        unique_source_invoice_id=invoice.unique_source_invoice_id,
        case_number=case_number,
        case_id=case_id,
        modern_batch=invoice.batch_id,
    )


_READ: dict[str, Callable[[str, dict[str, Any]], Iterator[Claim]]] = {"cases": _read_case, "invoices": _read_invoice}
