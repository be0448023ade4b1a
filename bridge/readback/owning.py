"""Whose settlements are, where an organization has several creditors: settlements do not say so, their cases do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from cachetools import LRUCache

from bridge.journal import Books
from bridge.organizations import Organization
from bridge.readback.settling import Numbered
from bridge.readback.shaping import Sheet
from bridge.readback.shelf import NEVER
from bridge.readback.telling import find_creditors

MOST_UNEXPLAINED = 100_000
"""Settlements that are remembered to have no case; one that is forgotten has the cases read once more."""


class Look(Protocol):
    """A look at the claims of an organization, for one question."""

    async def __call__(self, organization: Organization, *, since: float = ...) -> Sheet:
        """Return them as read lately; with `since`, as read after that moment."""
        ...


class Owners:
    """Find the creditors of settlements, and read cases anew when a settlement may be newer than they are."""

    def __init__(self, books: Books, clock: Callable[[], float]) -> None:
        """`clock` is the monotonic one that reads are timed by."""
        self._books = books
        self._clock = clock
        self._unexplained: LRUCache[int, float] = LRUCache(MOST_UNEXPLAINED)
        """Since when no case explains a settlement, by its number; NEVER: cases were read in vain."""

    async def find(
        self,
        settled: Sequence[Numbered],
        organizations: Sequence[Organization],
        sheets: Sequence[Sheet],
        look: Look | None,
    ) -> tuple[Sequence[Sheet], Mapping[int, str]]:
        """Return the sheets, some read anew by `look`, and the creditors that are known, by settlement number.

        Anew once for each settlement: one that no list of cases explains must not have them read with every call.
        """
        by_id = {one.id: one for one in organizations}
        owners = {one.id: sheet.owners for one, sheet in zip(organizations, sheets, strict=True)}
        creditors = await find_creditors(settled, by_id, owners, self._books)
        stale = {} if look is None else self._find_stale(settled, creditors)
        if look is None or not stale:
            return sheets, creditors
        read = await asyncio.gather(*(look(by_id[one], since=moment) for one, moment in stale.items()))
        fresh = dict(zip(stale, read, strict=True))
        owners |= {one: sheet.owners for one, sheet in fresh.items()}
        creditors = await find_creditors(settled, by_id, owners, self._books)
        for one in _unexplained(settled, creditors):
            if one.organization in stale:
                self._unexplained[one.number] = NEVER
        return [fresh.get(one.id, sheet) for one, sheet in zip(organizations, sheets, strict=True)], creditors

    def _find_stale(self, settled: Sequence[Numbered], creditors: Mapping[int, str]) -> dict[str, float]:
        """Return the organizations whose cases may be older than a settlement, and since when they are too old.

        That moment stays the same until they were read: who is told to ask again must not wait for yet another read.
        """
        stale: dict[str, float] = {}
        for one in _unexplained(settled, creditors):
            since = self._unexplained.setdefault(one.number, self._clock())
            stale[one.organization] = max(since, stale.get(one.organization, NEVER))
        return {organization: moment for organization, moment in stale.items() if moment > NEVER}


def _unexplained(settled: Sequence[Numbered], creditors: Mapping[int, str]) -> list[Numbered]:
    """Return the settlements that name a claim, but none whose creditor is known."""
    return [one for one in settled if creditors.get(one.number) == ""]
