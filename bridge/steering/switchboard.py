"""Which way rows go now: the newest switch of every organization in memory, and what its past makes possible."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.errors import BridgeError
from bridge.journal import Books
from bridge.logs import Event, get_log
from bridge.modes import Mode, Switch

log = get_log()

STALE_SECONDS = 1.5
"""From which age on the switches are read again before they are obeyed: the process was frozen, or starved."""
WAKE_SECONDS = 1.0
"""How long that may take; while the journal cannot be read, what is known holds."""
POLL_SECONDS = 0.4
"""How often to look for switches; news of them usually come first."""
SETTLE_SECONDS = 0.7
"""How long after a switch every replica obeys it, and has written down which batches it sent the old way."""
SEARCH_SECONDS = 0.2
"""How long to search the journal for the past of organizations before others who read it have a turn."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a batch for some organizations may meet: ways it may go, and ways an earlier one may have gone."""

    modes: frozenset[Mode]
    was_modern: bool
    """Whether the bridge may have taken rows of one of them, ever; True while that is not known yet."""
    was_legacy: bool
    """Whether the legacy host may have got rows of one of them, ever."""
    recording: bool


@dataclass(frozen=True, slots=True)
class _Line:
    """One organization: how its rows went and go, and every mode they ever went by."""

    history: tuple[Switch, ...]
    """Oldest first; it begins with the mode they had before anybody switched, number 0."""
    ever: frozenset[Mode]
    turn: Switch

    @property
    def switch(self) -> Switch:
        return self.history[-1]


def _show_nothing(_: Switch) -> None:
    pass


class Switchboard:
    """The switches in force; what was read last holds while the journal cannot be read."""

    def __init__(
        self,
        books: Books,
        organizations: Iterable[str],
        first_mode: Mode,
        *,
        has_legacy_host: bool,
        clock: Callable[[], float],
        show: Callable[[Switch], None] = _show_nothing,
        settle_seconds: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`show` is told of every organization at first, and again whenever it is switched; `clock` is monotonic.

        `settle_seconds` is SETTLE_SECONDS where other replicas have to hear of a switch as well.
        """
        self._books = books
        self._organizations = tuple(organizations)
        self._has_legacy_host = has_legacy_host
        self._first_mode = first_mode if has_legacy_host else Mode.MODERN
        self._clock = clock
        self._show = show
        self._settle_seconds = settle_seconds
        self._sleep = sleep
        self._settled_at: dict[str, float] = {}
        self._lines = {one: self._draw_line(one, ()) for one in self._organizations}
        self._newest: Mapping[str, Switch] | None = None
        self._outlooks: dict[tuple[str, ...], Outlook] = {}
        self._unsearched = {one for one in self._organizations if Mode.MODERN not in self._lines[one].ever}
        """Organizations of which the journal may hold rows from before they had a mode."""
        self._read_at = clock()
        self._readable = True
        self._stir = asyncio.Event()

    # --- asking ----------------------------------------------------------------------------------------------------

    def current(self, organization: str) -> Switch:
        """Return how an organization's rows go; without a legacy host the bridge takes them, whatever was switched."""
        return self._line(organization).switch

    def turn(self, organization: str) -> Switch:
        """Return the switch since which rows go as they go now; only recording may have begun or ended since."""
        return self._line(organization).turn

    def history(self, organization: str) -> tuple[Switch, ...]:
        """Return every switch in force so far, oldest first; it begins with the first mode, under number 0."""
        return self._line(organization).history

    @property
    def organizations(self) -> tuple[str, ...]:
        """Return every organization, in the order of the configuration."""
        return self._organizations

    def outlook(self, organizations: Sequence[str]) -> Outlook:
        """Return what a batch for any of these organizations may meet."""
        key = tuple(organizations)
        found = self._outlooks.get(key)
        if found is None:
            found = self._outlooks[key] = self._look_out(key)
        return found

    async def settle(self, organizations: Iterable[str]) -> None:
        """Wait until a switch of these organizations that was heard of just now is obeyed by every replica.

        Before that two of them may disagree where a batch goes, and one that comes to both would go both ways.
        """
        left = max((self._settled_at.get(one, 0.0) for one in organizations), default=0.0) - self._clock()
        if self._settle_seconds and left > 0:
            await self._sleep(left)

    async def wake_up(self) -> None:
        """Read the switches now if that should have happened long ago; costs nothing else."""
        if self.age_seconds <= STALE_SECONDS or not self._readable:
            return
        try:
            async with asyncio.timeout(WAKE_SECONDS):
                await self._keep_up()
        except TimeoutError:
            self._miss("the journal does not answer")

    @property
    def age_seconds(self) -> float:
        """Return how long ago the journal was read; 0 where nothing is read, because nothing can be switched."""
        return self._clock() - self._read_at if self._has_legacy_host else 0.0

    # --- keeping up ------------------------------------------------------------------------------------------------

    def hear(self, _organization: str) -> None:
        """Look at once: somebody switched."""
        self._stir.set()

    async def refresh(self) -> None:
        """Read the switches; raises CannotTakeNow when the journal cannot be read, and what was known holds."""
        began = self._clock()
        newest = {one.organization: one for one in await self._books.switches()}
        if newest != self._newest:
            self._take(await self._books.switch_history())
        self._read_at = began

    async def run(self) -> None:
        """Keep up with the journal until cancelled."""
        if not self._has_legacy_host:
            return
        while True:
            self._stir.clear()  # before it is read: what is told meanwhile makes it read again
            await self._keep_up()
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._stir.wait()
            except TimeoutError:
                continue

    async def _keep_up(self) -> None:
        try:
            await self.refresh()
            await self.search()
        except BridgeError as reason:
            self._miss(str(reason))
        except Exception:
            log.exception(Event.UNEXPECTED)
        else:
            self._readable = True

    def _miss(self, why: str) -> None:
        """Tell that switches cannot be read, once for each time of trouble."""
        if self._readable:
            log.warning(Event.SWITCHES_NOT_READ, why=why)
        self._readable = False

    async def search(self) -> None:
        """Find out whether the journal holds rows of organizations that were never modern by their switches.

        They may have been: before the bridge had modes, or under another `first_mode`. In a large journal this takes a
        while, so the rest is left for the next look.
        """
        began = self._clock()
        for organization in sorted(self._unsearched):
            if self._clock() - began > SEARCH_SECONDS:
                break
            found = await self._books.batches_of(organization, 0.0)
            self._unsearched.discard(organization)
            if found:
                line = self._lines[organization]
                self._lines[organization] = replace(line, ever=line.ever | {Mode.MODERN})
            self._outlooks.clear()

    # --- the table -------------------------------------------------------------------------------------------------

    def _take(self, history: Sequence[Switch]) -> None:
        """Draw the table anew from every switch there ever was, oldest first."""
        is_first = self._newest is None
        self._newest = {one.organization: one for one in history}
        for organization in self._organizations:
            before = self._lines[organization]
            after = self._draw_line(organization, [one for one in history if one.organization == organization])
            self._lines[organization] = after = replace(after, ever=after.ever | before.ever)
            if Mode.MODERN in after.ever:
                self._unsearched.discard(organization)
            if not is_first and not goes_alike(before.switch, after.switch):
                self._settled_at[organization] = self._clock() + self._settle_seconds
            if is_first or after.switch != before.switch:
                self._tell(after.switch, is_first=is_first)
        self._outlooks.clear()

    def _line(self, organization: str) -> _Line:
        return self._lines.get(organization) or self._draw_line(organization, ())

    def _draw_line(self, organization: str, history: Sequence[Switch]) -> _Line:
        first = Switch(organization, self._first_mode)
        every = (first, *history) if self._has_legacy_host else (first,)
        return _Line(every, frozenset[Mode]().union(*(one.modes for one in every)), find_turn(every))

    def _tell(self, switch: Switch, *, is_first: bool) -> None:
        self._show(switch)
        newest = (self._newest or {}).get(switch.organization, switch)
        if newest.modes != switch.modes:  # there is no legacy host to obey it with
            log.warning(Event.SWITCH_IGNORED, organization=switch.organization, state=newest.describe())
        elif not is_first:
            log.info(Event.SWITCHED, organization=switch.organization, state=switch.describe())

    def _look_out(self, organizations: tuple[str, ...]) -> Outlook:
        lines = [self._line(one) for one in organizations]
        ever = frozenset[Mode]().union(*(line.ever for line in lines))
        return Outlook(
            modes=frozenset[Mode]().union(*(line.switch.modes for line in lines)),
            was_modern=Mode.MODERN in ever or not self._unsearched.isdisjoint(organizations),
            was_legacy=any(mode.is_legacy_side for mode in ever),
            recording=any(line.switch.recording for line in lines),
        )


def find_turn(history: Sequence[Switch]) -> Switch:
    """Return the oldest of the last switches that all send rows the same way; never of an empty history."""
    turn = history[-1]
    for earlier in reversed(history):
        if not goes_alike(earlier, turn):
            break
        turn = earlier
    return turn


def goes_alike(one: Switch, other: Switch) -> bool:
    """Tell whether two switches send rows the same way, whoever recorded them."""
    return (one.mode, one.other, one.percent) == (other.mode, other.other, other.percent)


def share_of(switch: Switch, mode: Mode) -> float:
    """Return how many of 100 creditors a switch puts into a mode."""
    elsewhere = switch.percent if switch.other is not None else 0.0
    return (100.0 - elsewhere) * (switch.mode is mode) + elsewhere * (switch.other is mode)
