"""How fast one organization is written to, so that its trouble stays its own.

Each organization has a gate: so many writes side by side, so many a second, and a circuit breaker: after several writes
in a row that were not taken or got no answer, nobody passes for a while, then again for longer. What waits at a gate is
PLANNED in the journal: nothing of it has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from bridge.logs import Event, get_log

log = get_log()

BREAK_CEILING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GateTerms:
    """The limits of every gate."""

    concurrency: int
    writes_per_second: float = 0.0
    """0: as fast as it goes."""
    failures_to_break: int = 5
    break_seconds: float = 1.0
    """How long the first break lasts; each following one twice as long, up to a minute."""


class Passage:
    """One slot of an organization, held until it is left; leaving it twice is leaving it once."""

    __slots__ = ("_slots",)

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots: asyncio.Semaphore | None = slots

    def leave(self) -> None:
        """Give the slot to whoever waits."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.release()

    def __enter__(self) -> None:
        """Hold the slot inside."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        self.leave()


class Gate:
    """The gate of one organization."""

    def __init__(
        self,
        organization: str,
        terms: GateTerms,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._organization = organization
        self._terms = terms
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(terms.concurrency)
        self._next_write_at = 0.0
        self._closed_until = 0.0
        self._failures = 0

    @property
    def closed(self) -> bool:
        """Tell whether nobody may pass now."""
        return self._clock() < self._closed_until

    async def enter(self) -> Passage:
        """Wait for a turn, and take one of the organization's slots."""
        await self._slots.acquire()
        passage = Passage(self._slots)
        try:
            while (pause := self._pause()) > 0:
                await self._sleep(pause)
        except BaseException:
            passage.leave()
            raise
        self._space_writes()
        return passage

    async def enter_at_once(self) -> Passage | None:
        """Take a slot if it is anybody's turn now: one is free, nobody waits for it, and there is no pause."""
        if self._slots.locked() or self._pause() > 0:
            return None
        await self._slots.acquire()  # without waiting, as it was not locked
        self._space_writes()
        return Passage(self._slots)

    def succeeded(self) -> None:
        """Note an answer that shows the organization can be written to, whatever it says of the rows."""
        self._failures = 0

    def failed(self) -> None:
        """Note a write that was not taken or got no answer; enough of them in a row close the gate.

        Writes that were under way when it closed belong to the same trouble and count no more.
        """
        if self.closed:
            return
        self._failures += 1
        beyond = self._failures - self._terms.failures_to_break
        if beyond >= 0:
            self.hold(min(self._terms.break_seconds * 2.0 ** min(beyond, 20), BREAK_CEILING_SECONDS))

    def hold(self, seconds: float) -> None:
        """Let nobody pass for so long (a Retry-After, or a break)."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)
        log.warning(Event.ORGANIZATION_HELD, organization=self._organization, retry_seconds=round(seconds, 1))

    def _space_writes(self) -> None:
        if self._terms.writes_per_second:
            self._next_write_at = max(self._next_write_at, self._clock()) + 1 / self._terms.writes_per_second

    def _pause(self) -> float:
        return max(self._closed_until, self._next_write_at) - self._clock()


class Gates:
    """The gates of all organizations, each made when it is first needed."""

    def __init__(
        self,
        terms: GateTerms,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._terms = terms
        self._clock = clock
        self._sleep = sleep
        self._gates: dict[str, Gate] = {}

    def of(self, organization: str) -> Gate:
        """Return the gate of an organization."""
        gate = self._gates.get(organization)
        if gate is None:
            gate = self._gates[organization] = Gate(organization, self._terms, clock=self._clock, sleep=self._sleep)
        return gate

    @property
    def closed(self) -> int:
        """Return how many organizations nobody is sent to at the moment."""
        return sum(gate.closed for gate in self._gates.values())
