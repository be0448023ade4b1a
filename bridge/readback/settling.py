"""Settlements, each told under a number of ours, so that a caller who keeps the highest one gets each exactly once.

The modern system's own ids have no order, its dates repeat, and late settlements turn up between old ones. So every
settlement gets a number when it is first seen, before anybody is told of it; numbers only grow, over all organizations
and replicas (`journal.NumberedSettlement`). What is left to do here is to leave no hole below a number that is told:
one that another replica has given, or that a list does not show at the moment, holds all higher ones up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from cachetools import LRUCache

from bridge.errors import NoAnswer
from bridge.journal import Journal, NumberedSettlement, RegisterSettlements
from bridge.logs import Event, get_log
from bridge.modern.reading import text
from bridge.modern.tokens import Access
from bridge.organizations import Organization
from bridge.readback.found import Entry
from bridge.readback.gathering import Lists
from bridge.readback.shaping import encode
from bridge.readback.shelf import Shelf

log = get_log()

KIND = "settlements"
MOST_MISSED = 100_000
LONG_AGO = float("-inf")


@dataclass(frozen=True, slots=True)
class Bodies:
    """The settlements of one organization as one scan saw them, by their modern id: JSON."""

    by_id: dict[str, bytes]

    @property
    def weight_bytes(self) -> int:
        """Return about how much memory it takes."""
        return 200 + sum(200 + len(body) for body in self.by_id.values())


@dataclass(frozen=True, slots=True)
class Numbered:
    """A settlement that may be told."""

    number: int
    organization: str
    settlement_id: str
    settled_on: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """Settlements in the order of their numbers, and the number up to which nothing is left out."""

    settlements: list[Numbered]
    complete_to: int


@dataclass(frozen=True, slots=True)
class Foreign:
    """The settlements in an answer of the legacy host: numbered before anybody hears of them, like all others."""

    name: str
    """What stands in place of an organization."""
    bodies: Bodies
    had: frozenset[str] = frozenset()
    """Ids the caller has had, by the mark it has brought: they are not waited for."""


class SettlementDesk:
    """Scan the settlements of organizations, number them, tell those a caller has not had."""

    def __init__(
        self,
        lists: Lists,
        journal: Journal,
        shelf: Shelf,
        access: Callable[[str], Access],
        *,
        page_size: int,
        settle_seconds: float,
        organizations_at_once: int,
        clock: Callable[[], float],
    ) -> None:
        """`settle_seconds`: how long a list may leave out what it had shown before; `clock` is monotonic."""
        self._lists = lists
        self._journal = journal
        self._shelf = shelf
        self._access = access
        self._page_size = page_size
        self._settle_seconds = settle_seconds
        self._turns = asyncio.Semaphore(organizations_at_once)
        self._clock = clock
        self._registered: dict[str, frozenset[str]] = {}
        """What is sure to have a number, by organization: ids of its last scan."""
        self._missed: LRUCache[tuple[str, str], float] = LRUCache(MOST_MISSED)
        """Since when a numbered settlement is not listed any more."""

    async def tell(
        self, organizations: Sequence[Organization], after: int, foreign: Awaitable[Foreign] | None = None
    ) -> Told:
        """Return the settlements with higher numbers, without a hole; with `foreign`, those of the legacy host too."""
        ids = [one.id for one in organizations]
        scans = [self._scan(one) for one in ids]
        others = [] if foreign is None else [asyncio.ensure_future(foreign)]
        await asyncio.gather(*scans, *others)
        bodies = {one: scan.result() for one, scan in zip(ids, scans, strict=True)}
        also = others[0].result() if others else None
        if also is not None:
            bodies[also.name] = also.bodies
        if not bodies:
            return Told([], after)
        # what is not in this snapshot has a higher number than anything in it
        numbered = await self._journal.settlements_after(list(bodies), after)
        if also is not None:
            numbered = [one for one in numbered if one.organization != also.name or one.settlement_id not in also.had]
        asked = self._clock()
        if stale := {one.organization for one in numbered if one.settlement_id not in bodies[one.organization].by_id}:
            # numbered by another replica, or since our scan: look again, at what was there when the snapshot was made
            again = sorted(one for one in stale & set(ids) if self._is_worth_a_look(one, numbered, bodies[one]))
            fresh = await asyncio.gather(*(self._scan(one, since=asked) for one in again))
            bodies |= dict(zip(again, fresh, strict=True))
        return self._lay_out(numbered, bodies, after)

    async def number_of(self, organizations: Sequence[Organization], settlement_id: str) -> int | None:
        """Return the number of a settlement by its modern id."""
        known = await self._journal.settlements_after([one.id for one in organizations], 0)
        return next((one.number for one in known if one.settlement_id == settlement_id), None)

    def _is_worth_a_look(self, organization: str, numbered: Sequence[NumberedSettlement], bodies: Bodies) -> bool:
        """Tell whether something is missing that is not known to have vanished."""
        return any(
            one.organization == organization and one.settlement_id not in bodies.by_id and not self._has_vanished(one)
            for one in numbered
        )

    def _has_vanished(self, one: NumberedSettlement) -> bool:
        missed_since = self._missed.get((one.organization, one.settlement_id))
        return missed_since is not None and self._clock() - missed_since >= self._settle_seconds

    def _lay_out(self, numbered: Sequence[NumberedSettlement], bodies: dict[str, Bodies], after: int) -> Told:
        """Put bodies to numbers, up to the first that may still come."""
        told: list[Numbered] = []
        complete_to = after
        for one in numbered:
            body = bodies[one.organization].by_id.get(one.settlement_id)
            if body is not None:
                self._missed.pop((one.organization, one.settlement_id), None)
                told.append(Numbered(one.number, one.organization, one.settlement_id, one.settled_on, body))
            elif not self._skip(one):
                break
            complete_to = one.number
        return Told(told, complete_to)

    def _skip(self, one: NumberedSettlement) -> bool:
        """Tell whether a settlement that is not listed any more is to be given up."""
        key = (one.organization, one.settlement_id)
        known = self._missed.get(key)
        self._missed.setdefault(key, self._clock())
        given_up = self._has_vanished(one)
        if known is None or (given_up and known != LONG_AGO):
            log.warning(
                Event.SETTLEMENT_MISSING,
                organization=one.organization,
                settlement=one.settlement_id,
                state="skipped" if given_up else "awaited",
            )
        if given_up:
            self._missed[key] = LONG_AGO  # and said so
        return given_up

    # --- scanning --------------------------------------------------------------------------------------------------

    def _scan(self, organization: str, *, since: float | None = None) -> asyncio.Future[Bodies]:
        async def load() -> Bodies:
            async with self._turns:
                return await self._read(self._access(organization))

        key = (organization, KIND)
        looking = self._shelf.get(key, load) if since is None else self._shelf.get(key, load, since=since)
        return asyncio.ensure_future(looking)

    async def _read(self, access: Access) -> Bodies:
        """Read the whole list, and have every settlement in it numbered before anybody hears of it."""
        by_id: dict[str, bytes] = {}
        dates: dict[str, str] = {}
        count = 0
        async with aclosing(self._lists.settlements(access, page_size=self._page_size)) as pages:
            async for page in pages:
                for entry in page:
                    count += 1
                    if not (key := settlement_id(entry)):
                        raise NoAnswer(_no_id(access.organization, count, entry), status=503, retry_after_seconds=60)
                    by_id[key] = encode(entry)
                    dates[key] = settled_on(entry)
                await asyncio.sleep(0)
        await self._register(access.organization, dates)
        return Bodies(by_id)

    async def _register(self, organization: str, dates: dict[str, str]) -> None:
        known = self._registered.get(organization, frozenset())
        new = sorted((date, key) for key, date in dates.items() if key not in known)
        if new:
            await self._journal.write(RegisterSettlements(organization, [(key, date) for date, key in new]))
        self._registered[organization] = frozenset(dates)


def _no_id(organization: str, place: int, entry: Entry) -> str:
    """Say which settlement has no id; the number of its case only where it looks like one."""
    case = text(entry.get("caseNumber"))
    known = f", of case {case}," if case.isascii() and case.isdigit() else ""
    return (
        f"settlement {place} in the modern system's list for organization {organization}{known} has neither "
        "settlementId nor id, so it cannot be told exactly once: have the operator of the bridge report it to the "
        "vendor; until it has one, no call about this organization can be answered"
    )


def settlement_id(entry: Entry) -> str:
    """Return a settlement's modern id."""
    return text(entry.get("settlementId")) or text(entry.get("id"))


def settled_on(entry: Entry) -> str:
    """Return the day a settlement was made; empty where that is not said."""
    for name in ("settlementDate", "date", "createdAt"):
        if day := text(entry.get(name))[:10]:
            return day
    return ""
