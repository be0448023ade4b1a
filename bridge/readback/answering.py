"""The answer to `GET /webapi/api/Batch`: creditors, claims and settlements of every organization a sender may read."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bridge.errors import (
    CannotTakeNow,
    ModernRefused,
    ModernUnreachable,
    NoAnswer,
    NotSetUp,
    TooMuchToRead,
    UnreadableQuestion,
)
from bridge.journal import Journal
from bridge.mapping.reading import ReadProfile
from bridge.modern.tokens import Access
from bridge.organizations import Directory, Organization
from bridge.readback.composing import Account, Draft, add_counterpart, compose, list_creditors
from bridge.readback.counterpart import Counterpart, Half
from bridge.readback.gathering import Gatherer, Lists, Selection
from bridge.readback.marks import SHIFT, Mark, read_number
from bridge.readback.owning import Owners
from bridge.readback.question import Question
from bridge.readback.settling import SettlementDesk
from bridge.readback.shaping import Shaper, Sheet, View
from bridge.readback.shelf import FULL, NEVER, Shelf
from bridge.readback.telling import Wanted, names_of_claims, render_settlements
from bridge.senders import Sender
from bridge.settings import Settings

KIND = "cases"
NO_MARK = (
    "lastsettlementid: neither a settlement id of this bridge nor one it knows of the modern system; send the highest "
    "settlementid received so far, or leave it out to get all settlements"
)
RETRY_SECONDS = 10
MOST_CALLERS = 1000
"""Callers who may wait for answers at a time."""
NOT_READ_NOW = "the modern system could not be read to the end, and half an answer is none: send the same call again"
NOT_READ_YET = (
    "reading the modern system takes longer than a caller can be kept waiting, and half an answer is none: the reading "
    "goes on, send the same call again"
)
NOT_ALLOWED = (
    "the modern system refused to be read (HTTP {status}): have the operator of the bridge check the credentials and "
    "rights of the organization there"
)
NOT_READ = (
    "the profile of this sender describes no reading: have the operator of the bridge add read/ to its mapping files"
)


class Observer(Protocol):
    """Whom the readback tells what it did."""

    def reading_looked_up(self, kind: str, result: str) -> None:
        """Hear of a look for what was read lately: `hit`, `joined` or `miss`."""
        ...


@dataclass(frozen=True, slots=True)
class ReadingTerms:
    """How much is read at once, and how long it is kept."""

    cache_seconds: float
    cache_bytes: int
    organizations_at_once: int
    max_cases: int
    page_size: int
    settle_seconds: float
    """How late the lists of the modern system may show something."""
    answer_seconds: float
    """How long a caller is kept waiting for an answer."""


def read_terms(settings: Settings) -> ReadingTerms:
    """Return the operator's terms."""
    return ReadingTerms(
        cache_seconds=settings.reading.cache_seconds,
        cache_bytes=settings.reading.cache_bytes,
        organizations_at_once=settings.reading.organizations_at_once,
        max_cases=settings.reading.max_cases,
        page_size=settings.reading.page_size,
        settle_seconds=settings.modern.settle_seconds,
        answer_seconds=settings.reading.answer_seconds,
    )


class Readback:
    """Answer what connectors ask."""

    def __init__(
        self,
        directory: Directory,
        readings: Mapping[str, ReadProfile | None],
        lists: Lists,
        journal: Journal,
        access: Callable[[str], Access],
        *,
        terms: ReadingTerms,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        """`readings` are by profile; `clock` is monotonic."""
        self._directory = directory
        self._readings = readings
        self._journal = journal
        self._access = access
        self._terms = terms
        self._owners = Owners(journal, clock)
        self._callers = 0
        self._turns = asyncio.Semaphore(terms.organizations_at_once)
        self._shelf = Shelf(
            max_bytes=terms.cache_bytes, seconds=terms.cache_seconds, clock=clock, notice=observer.reading_looked_up
        )
        self._gatherer = Gatherer(lists, journal, page_size=terms.page_size, max_cases=terms.max_cases)
        self._settlements = SettlementDesk(
            lists,
            journal,
            self._shelf,
            access,
            page_size=terms.page_size,
            settle_seconds=terms.settle_seconds,
            organizations_at_once=terms.organizations_at_once,
            clock=clock,
        )

    async def answer(
        self, sender: Sender, question: Question, *, with_past: bool = False, half: Half | None = None
    ) -> Account:
        """Compose the answer of one call; with `half`, together with the legacy host.

        `with_past`: the caller has, or had, organizations at the legacy host, and may bring a mark from there.

        Raises UnreadableQuestion, TooMuchToRead, NotSetUp; NoAnswer when a list could not be read to its end, or not in
        time, CannotTakeNow when the journal could not, or too many wait: never a shorter answer instead.
        """
        if self._callers >= MOST_CALLERS:
            raise CannotTakeNow(FULL, retry_after_seconds=RETRY_SECONDS)
        budget = asyncio.timeout(self._terms.answer_seconds)
        self._callers += 1
        try:
            async with budget:
                return await self._answer(sender, question, half, with_past=with_past)
        except TimeoutError as failure:
            if not budget.expired():
                raise
            raise NoAnswer(NOT_READ_YET, status=503, retry_after_seconds=RETRY_SECONDS) from failure
        except ModernUnreachable as failure:
            pause = getattr(failure, "retry_after_seconds", None) or RETRY_SECONDS
            raise NoAnswer(NOT_READ_NOW, status=503, retry_after_seconds=math.ceil(pause)) from failure
        except ModernRefused as failure:
            raise NoAnswer(NOT_ALLOWED.format(status=failure.status), status=502) from failure
        finally:
            self._callers -= 1

    async def _answer(self, sender: Sender, question: Question, half: Half | None, *, with_past: bool) -> Account:
        reading = self._readings.get(sender.profile)
        if reading is None:
            raise NotSetUp(NOT_READ)
        organizations = self._directory.readable(sender, question.creditorid)
        if half is not None:
            organizations = tuple(one for one in organizations if one.id in half.organizations)
        mark = await self._read_mark(organizations, question.lastsettlementid, with_past=with_past)
        part = None if half is None else Counterpart(self._journal, half, mark, reading)
        language = question.languagecode.casefold()
        look = partial(self._sheet, reading=reading, profile=sender.profile, language=language, question=question)
        read, told = await asyncio.gather(
            asyncio.gather(*map(look, organizations)),
            self._settlements.tell(organizations, mark.number, part.fetch() if part else None),
        )
        settled = [one for one in told.settlements if half is None or one.organization != half.name]
        sheets, owners = await self._owners.find(settled, organizations, read, None if question.narrowed else look)
        cases = sum(sheet.count for sheet in sheets)
        if cases > self._terms.max_cases:
            raise TooMuchToRead
        names = await self._names(sheets, organizations, question)
        wanted = Wanted(question, names, owners)
        settled = [one for one in settled if wanted.takes(one)]
        by_id = {one.id: one for one in organizations}
        settlements = await render_settlements(settled, by_id, owners, reading, language, self._journal, mark.write)
        is_whole = not (question.narrowed or question.remittancedate)
        reached = (mark.write(told.complete_to) if is_whole else None) or mark.stay()
        draft = Draft(
            list_creditors(organizations, reading, language, question.creditorid, reached),
            [fragment for sheet in sheets for fragment in sheet.fragments],
            settlements,
            cases,
            len(settled),
        )
        return compose(draft if part is None else add_counterpart(draft, part, told.settlements, reached))

    def forget(self, organization: str) -> None:
        """Drop what was read of an organization: it has changed."""
        self._shelf.forget(organization)

    async def close(self) -> None:
        """Stop reading."""
        await self._shelf.close()

    async def _read_mark(self, organizations: Sequence[Organization], text: str, *, with_past: bool) -> Mark:
        """Return how far a caller has got: by our number, a modern settlement's id, or the legacy host's mark."""
        mark = read_number(text, with_past=with_past)
        if mark is not None:
            return mark
        number = await self._settlements.number_of(organizations, text)
        if number is not None:
            return Mark(number, text, SHIFT if with_past else 0)
        if with_past or not organizations:
            return Mark(0, text, SHIFT, is_foreign=True)
        raise UnreadableQuestion(NO_MARK)

    async def _sheet(
        self,
        organization: Organization,
        *,
        reading: ReadProfile,
        profile: str,
        language: str,
        question: Question,
        since: float = NEVER,
    ) -> Sheet:
        """Return the entries of an organization's claims, read lately or now; by a read that began after `since`."""
        creditorid = question.creditorid if len(organization.creditors) > 1 else ""
        selection = Selection(question.customerref, question.ledgerref)
        view = View(language, question.includeclosed, creditorid, names_wanted=question.narrowed)
        load = partial(self._gather_and_shape, organization, reading, selection, view)
        kind = (profile, language, str(view.includeclosed), creditorid, selection.customerref, selection.ledgerref)
        return await self._shelf.get((organization.id, KIND, *kind), load, since=since)

    async def _gather_and_shape(
        self, organization: Organization, reading: ReadProfile, selection: Selection, view: View
    ) -> Sheet:
        async with self._turns:
            harvest = self._gatherer.gather(self._access(organization.id), selection)
            return await Shaper(reading, self._journal).shape(harvest, organization, view)

    async def _names(
        self, sheets: Sequence[Sheet], organizations: Sequence[Organization], question: Question
    ) -> Mapping[str, frozenset[str]]:
        """Return what the claims asked for go by, by organization; those that are listed no more included."""
        names = {one.id: sheet.names for one, sheet in zip(organizations, sheets, strict=True)}
        if question.ledgerref:
            for one in organizations:
                known = await self._journal.claims(one.id, "ledgerref", question.ledgerref)
                names[one.id] = names[one.id].union(names_of_claims(known))
        return names
