"""What is done with every exchange with the legacy host: recorded, and held against what the bridge would answer.

Nothing here can write to the modern system: the bridge's answer is predicted, or comes from a shadow target, which is
another bridge with an address, organizations and credentials of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from bridge.batch import Address, Verdict
from bridge.comparing import Answer, Judge, compare_by_steps, learn_by_steps
from bridge.errors import BridgeError
from bridge.exchanges import Exchange
from bridge.intake.desk import Intake, fingerprint
from bridge.journal import Change
from bridge.modes import Mode, Switch
from bridge.notes import Notes
from bridge.placing import Placer
from bridge.plan import Names
from bridge.predicting import Prediction, predict, read_in
from bridge.steering.observing import Observatory, Topic
from bridge.watching.asking import Questions, Target
from bridge.watching.exercise import Part
from bridge.watching.memory import Answers, ShadowClaims
from bridge.watching.noise import Books, Noise
from bridge.watching.pace import in_slices
from bridge.watching.paths import Paths
from bridge.watching.reporting import Reporter, Seen
from bridge.watching.sight import Desks, Sight, make_readable

SLICE_ROWS = 200
"""Rows whose claims are remembered before the event loop gets a turn."""


class Switches(Protocol):
    """How an organization's rows go."""

    def current(self, organization: str) -> Switch:
        """Return the switch in force."""
        ...


class Scribe(Protocol):
    """Who replaces personal data, and writes recordings."""

    def scrub(self, text: str, request: bytes) -> str:
        """Return a piece of the answer to a request with pseudonyms for personal data."""
        ...

    def scrub_name(self, name: str) -> str:
        """Return the name of a member of an answer in the same way."""
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
class Terms:
    """By what differences are judged."""

    judge: Judge
    origins: Mapping[str, Callable[[str, str, str], str]]
    """By profile: what made the bridge say so."""
    today: Callable[[], date]


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
        self._paths = Paths(scribe.scrub_name, plain=_declared(terms.judge.rules.undocumented))
        self._reporter = Reporter(observatory, self._paths)
        self._claims = claims
        self._scribe = scribe
        self._keep = keep
        self._questions = Questions(target) if target is not None else None
        self._notes = Notes(clock)
        self._answers = Answers()
        self._noise = Noise(observatory, self._paths.tell)

    # --- looking ---------------------------------------------------------------------------------------------------

    def wants(self, exchange: Exchange) -> bool:
        """Tell whether an exchange may be worth a look."""
        switches = map(self._switches.current, self._organizations_of(exchange))
        return any(switch.recording or Mode.SHADOW in switch.modes for switch in switches)

    async def look(self, exchange: Exchange) -> None:
        """Record an exchange, and compare it, as the modes of its organizations want it."""
        sight = await make_readable(exchange, self._desks, self._placer)
        if sight is None:
            self.count(exchange, "unreadable")
            await self._record_unreadable(exchange)
            return
        whose = sight.organizations or self._organizations_of(exchange)
        if any(self._switches.current(one).recording for one in whose):
            await asyncio.sleep(0)
            await self._scribe.record(exchange, sight.organizations, sight.request, sight.reply)
        if sight.shadowed:
            await asyncio.sleep(0)
            await self._shadow(sight)
        elif not sight.organizations and self._is_shadowing(exchange):
            # nobody's rows are compared with nothing, but that there are such has to come up before the switch
            self.count(exchange, "unreadable")
            await asyncio.sleep(0)
            await self._keep_notes(sight, await read_in(sight.desk, sight.sender, sight.envelope))

    def _is_shadowing(self, exchange: Exchange) -> bool:
        return any(Mode.SHADOW in self._switches.current(one).modes for one in self._organizations_of(exchange))

    async def _record_unreadable(self, exchange: Exchange) -> None:
        """Have it written down that there was a request which is no batch; whose it was, only its sender tells."""
        recorded = tuple(one for one in self._organizations_of(exchange) if self._switches.current(one).recording)
        if recorded:
            await self._scribe.record(exchange, recorded, exchange.request.body, exchange.reply.body)

    def count(self, exchange: Exchange, what: str) -> None:
        """Count an exchange that is not compared, for every shadowed organization of its sender."""
        for organization in self._organizations_of(exchange):
            if Mode.SHADOW in self._switches.current(organization).modes:
                self._observatory.see(organization, Topic.PAIR, (what,))

    async def recall(self, books: Books, organizations: Iterable[str], since: float) -> bool:
        """Remember what was learnt since then, also by other replicas; tell whether it could be read."""
        return await self._noise.recall(books, organizations, since)

    async def close(self) -> None:
        """Wait for nobody any more."""
        if self._questions is not None:
            await self._questions.close()

    def _organizations_of(self, exchange: Exchange) -> Sequence[str]:
        sender = self._desks.find_sender(exchange.sender)
        return sender.organizations if sender is not None else ()

    # --- comparing -------------------------------------------------------------------------------------------------

    async def _shadow(self, sight: Sight) -> None:
        legacy = Answer(sight.exchange.status, sight.reply)
        content = await fingerprint(sight.envelope)
        await self._learn_noise(sight, legacy, content)
        await asyncio.sleep(0)
        self._desks.trail.take()
        prediction = await predict(sight.desk, sight.sender, sight.envelope, self._claims.knows, content)
        used = self._desks.trail.take()
        await asyncio.sleep(0)
        await self._keep_notes(sight, prediction.intake)
        if self._questions is not None and sight.is_all_shadowed and self._questions.serves(sight.organizations):
            self._questions.ask(
                sight,
                lambda answer: self._compare(sight, legacy, answer, prediction, used, frozenset()),
                lambda: self.count(sight.exchange, "left_out"),
            )
        else:
            await self._compare(sight, legacy, Answer(200, prediction.reply), prediction, used, prediction.unsure)
        await self._remember_claims(prediction)

    async def _learn_noise(self, sight: Sight, legacy: Answer, content: str) -> None:
        before = self._answers.exchange(sight.sender.id, content, legacy.status, legacy.body)
        if before is None:
            return
        for address, path in await in_slices(learn_by_steps(Answer(*before), legacy)):
            owners = {sight.shadowed.get(address, "")} if address else set(sight.shadowed.values())
            for organization in owners - {""}:
                self._noise.learn(organization, path)

    async def _compare(
        self,
        sight: Sight,
        legacy: Answer,
        bridge: Answer,
        prediction: Prediction,
        used: Mapping[Part, int],
        unsure: frozenset[Address],
    ) -> None:
        shadowed = sight.shadowed
        owners = set(shadowed.values())
        only = next(iter(owners)) if len(owners) == 1 else ""
        judge = replace(
            self._terms.judge,
            origin=self._terms.origins[sight.exchange.profile],
            organization_of=lambda address: shadowed.get(address, "") if address else only,
            on=self._terms.today(),
            unsure=unsure,
            noise=self._noise,
        )
        comparison = await in_slices(compare_by_steps(legacy, bridge, judge))
        seen = Seen(sight.sender.id, sight.exchange.profile, sight.exchange.at, shadowed, comparison, prediction, used)
        await self._reporter.report(seen, lambda text, address: self._scribe.scrub(text, sight.context_of(address)))

    async def _remember_claims(self, prediction: Prediction) -> None:
        for count, row in enumerate(prediction.intake.planned, 1):
            if prediction.outcomes[row.address].verdict is Verdict.ACCEPTED:
                self._claims.remember(row.organization, _names_of(row.keys, row.unique_id))
            if count % SLICE_ROWS == 0:
                await asyncio.sleep(0)

    async def _keep_notes(self, sight: Sight, intake: Intake) -> None:
        """Keep what a batch mentions, as if the bridge had taken it; what cannot be kept now is no loss."""
        notes = self._notes.take(sight.sender.id, sight.exchange.at, intake)
        if not notes:
            return
        try:
            await self._keep.write(*notes)
        except BridgeError:
            return
        self._notes.keep(notes)


def _names_of(keys: Names, unique_id: str) -> Names:
    return (*keys, ("uniqueSourceInvoiceId", unique_id)) if keys and unique_id else keys


def _declared(paths: Iterable[str]) -> set[str]:
    """Return the names in paths that the rules file declares."""
    return {name.rstrip("[]") for path in paths for name in path.split(".")}
