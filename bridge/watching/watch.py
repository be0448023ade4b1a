"""What is done with every exchange with the legacy host: recorded, and held against what the bridge would answer.

Nothing here can write to the modern system: the bridge's answer is predicted, or comes from a shadow target, which is
another bridge with an address, organizations and credentials of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from bridge.batch import Address, Verdict
from bridge.comparing import Answer, Judge, compare, learn_noise
from bridge.errors import BridgeError, CallerError
from bridge.exchanges import Exchange
from bridge.intake import Desk, fingerprint
from bridge.journal import Change
from bridge.legacy.body import Envelope, split
from bridge.logs import Event, get_log
from bridge.modes import Mode, Switch
from bridge.notes import Notes
from bridge.observing import Observatory, Topic
from bridge.placing import NOBODY, Placer, Spot
from bridge.plan import Names
from bridge.predicting import Prediction, predict
from bridge.senders import Sender
from bridge.watching.decoding import decode
from bridge.watching.exercise import Part, Trail
from bridge.watching.memory import Answers, ShadowClaims
from bridge.watching.reporting import Reporter, Seen

log = get_log()

MOST_PENDING = 8
"""How many batches may wait for the shadow target at a time; while it hangs, what comes is left out."""


class Switches(Protocol):
    """How an organization's rows go."""

    def current(self, organization: str) -> Switch:
        """Return the switch in force."""
        ...


class Target(Protocol):
    """A modern system that is not the production one, and a bridge to it."""

    async def answer(self, sender: str, body: bytes) -> Answer | None:
        """Have a batch worked for real there; None when there is no answer in time."""
        ...

    def serves(self, organization: str) -> bool:
        """Tell whether an organization has a stand-in there."""
        ...


class Scribe(Protocol):
    """Who replaces personal data, and writes recordings."""

    def scrub(self, text: str, request: bytes) -> str:
        """Return a piece of the answer to a request with pseudonyms for personal data."""
        ...

    async def record(self, exchange: Exchange, organizations: tuple[str, ...], request: bytes, reply: bytes) -> None:
        """Have a decoded exchange written down."""
        ...


class Keep(Protocol):
    """Where notes go."""

    async def write(self, *changes: Change) -> None:
        """Make changes durable."""
        ...


@dataclass(frozen=True, slots=True)
class Desks:
    """Where batches are read while they are watched."""

    by_profile: Mapping[str, Desk]
    trail: Trail
    """What these desks leave."""
    find_sender: Callable[[str], Sender | None]
    most_bytes: int
    """How large a body may be."""


@dataclass(frozen=True, slots=True)
class Terms:
    """By what differences are judged."""

    judge: Judge
    origins: Mapping[str, Callable[[str, str, str], str]]
    """By profile: what made the bridge say so."""
    today: Callable[[], date]


@dataclass(frozen=True, slots=True)
class _Sight:
    """One exchange, readable."""

    exchange: Exchange
    sender: Sender
    desk: Desk
    request: bytes
    reply: bytes
    envelope: Envelope
    spots: Mapping[Address, Spot]

    @property
    def shadowed(self) -> dict[Address, str]:
        """Return the rows to be compared, with their organizations.

        A row that nobody can place belongs to the sender's organization where it has just one: its creditor is not
        onboarded yet, and the bridge would refuse what the legacy host may take.
        """
        only = self.sender.organizations[0] if len(self.sender.organizations) == 1 else NOBODY
        rows = {address: spot.organization or only for address, spot in self.spots.items() if spot.mode is Mode.SHADOW}
        return {address: organization for address, organization in rows.items() if organization}


class Watcher:
    """Look at exchanges one by one."""

    def __init__(
        self,
        desks: Desks,
        placer: Placer,
        switches: Switches,
        terms: Terms,
        observatory: Observatory,
        claims: ShadowClaims,
        scribe: Scribe,
        keep: Keep,
        *,
        target: Target | None = None,
        clock: Callable[[], float],
    ) -> None:
        self._desks = desks
        self._placer = placer
        self._switches = switches
        self._terms = terms
        self._observatory = observatory
        self._reporter = Reporter(observatory)
        self._claims = claims
        self._scribe = scribe
        self._keep = keep
        self._target = target
        self._notes = Notes(clock)
        self._answers = Answers()
        self._noise: set[tuple[str, str]] = set()
        self._pending: set[asyncio.Task[None]] = set()

    # --- looking ---------------------------------------------------------------------------------------------------

    async def look(self, exchange: Exchange) -> None:
        """Record an exchange, and compare it, as the modes of its organizations want it."""
        sight = await self._read(exchange)
        if sight is None:
            self.count(exchange, "unreadable")
            return
        organizations = {spot.organization for spot in sight.spots.values()} - {NOBODY}
        if any(self._switches.current(one).recording for one in organizations):
            await self._scribe.record(exchange, tuple(sorted(organizations)), sight.request, sight.reply)
        if sight.shadowed:
            await self._shadow(sight)

    def count(self, exchange: Exchange, what: str) -> None:
        """Count an exchange that is not compared, for every shadowed organization of its sender."""
        sender = self._desks.find_sender(exchange.sender)
        for organization in sender.organizations if sender is not None else ():
            if Mode.SHADOW in self._switches.current(organization).modes:
                self._observatory.see(organization, Topic.PAIR, (what,))

    async def close(self) -> None:
        """Wait for nobody any more."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _read(self, exchange: Exchange) -> _Sight | None:
        sender = self._desks.find_sender(exchange.sender)
        desk = self._desks.by_profile.get(exchange.profile)
        if sender is None or desk is None:
            return None
        try:
            request = await decode(exchange.request, self._desks.most_bytes)
            envelope = split(request)
        except CallerError:
            return None
        try:
            reply = await decode(exchange.reply, self._desks.most_bytes)
        except CallerError:  # an error page, as a proxy on the way may answer: compared as what it is
            reply = exchange.reply.body
        spots = await self._placer.survey(envelope, sender, desk)
        return _Sight(exchange, sender, desk, request, reply, envelope, spots)

    # --- comparing -------------------------------------------------------------------------------------------------

    async def _shadow(self, sight: _Sight) -> None:
        legacy = Answer(sight.exchange.status, sight.reply)
        self._learn_noise(sight, legacy, await fingerprint(sight.envelope))
        self._desks.trail.take()
        prediction = await predict(sight.desk, sight.sender, sight.envelope, self._claims.knows)
        used = self._desks.trail.take()
        await self._keep_notes(sight, prediction)
        if self._target is not None and all(map(self._target.serves, sight.shadowed.values())):
            self._ask_target(self._target, sight, legacy, prediction, used)
        else:
            self._compare(sight, legacy, Answer(200, prediction.reply), prediction, used, prediction.unsure)
        for row in prediction.intake.planned:
            if prediction.outcomes[row.address].verdict is Verdict.ACCEPTED:
                self._claims.remember(row.organization, _names_of(row.keys, row.unique_id))

    def _learn_noise(self, sight: _Sight, legacy: Answer, content: str) -> None:
        before = self._answers.exchange(sight.sender.id, content, legacy.status, legacy.body)
        if before is None:
            return
        for address, path in learn_noise(Answer(*before), legacy):
            owners = {sight.shadowed.get(address, "")} if address else set(sight.shadowed.values())
            for organization in owners - {""}:
                self._noise.add((organization, path))
                self._observatory.see(organization, Topic.NOISE, (path,))

    def _ask_target(
        self,
        target: Target,
        sight: _Sight,
        legacy: Answer,
        prediction: Prediction,
        used: Mapping[Part, int],
    ) -> None:
        if len(self._pending) >= MOST_PENDING:
            self.count(sight.exchange, "left_out")
            return

        async def ask() -> None:
            try:
                answer = await target.answer(sight.sender.id, sight.request)
            except BridgeError as reason:
                log.warning(Event.SHADOW_FAILED, sender=sight.sender.id, why=type(reason).__name__)
                answer = None
            if answer is None:
                self.count(sight.exchange, "left_out")
            else:
                self._compare(sight, legacy, answer, prediction, used, frozenset())

        task = asyncio.create_task(ask())
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    def _compare(
        self,
        sight: _Sight,
        legacy: Answer,
        bridge: Answer,
        prediction: Prediction,
        used: Mapping[Part, int],
        unsure: frozenset[Address],
    ) -> None:
        shadowed = sight.shadowed
        only = next(iter(shadowed.values())) if len(set(shadowed.values())) == 1 else ""
        judge = replace(
            self._terms.judge,
            origin=self._terms.origins[sight.exchange.profile],
            organization_of=lambda address: shadowed.get(address, "") if address else only,
            on=self._terms.today(),
            unsure=unsure,
            noise=self._noise,
        )
        comparison = compare(legacy, bridge, judge)
        seen = Seen(sight.sender.id, sight.exchange.profile, sight.exchange.at, shadowed, comparison, prediction, used)
        self._reporter.report(seen, lambda text: self._scribe.scrub(text, sight.request))

    async def _keep_notes(self, sight: _Sight, prediction: Prediction) -> None:
        """Keep what a batch mentions, as if the bridge had taken it; what cannot be kept now is no loss."""
        notes = self._notes.take(sight.sender.id, sight.exchange.at, prediction.intake)
        if not notes:
            return
        try:
            await self._keep.write(*notes)
        except BridgeError:
            return
        self._notes.keep(notes)


def _names_of(keys: Names, unique_id: str) -> Names:
    return (*keys, ("uniqueSourceInvoiceId", unique_id)) if keys and unique_id else keys
