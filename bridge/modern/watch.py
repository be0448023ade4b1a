"""Decide who polls next in one organization: a few batches each by itself, many by one look at the list.

One timer serves all waits. When it goes off, and at least CROWD waits have half of their pause behind them, the
organization's list is read, newest first, as far as is needed to see them. What it shows as finished is cued to read
its result. What it does not show is not concluded from: such a batch goes on by polls of its own, and is not looked for
in the list for one ceiling. For every page read, one batch that the list calls unfinished is polled all the same, so
that a list that lies is found out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest, nsmallest

from bridge.errors import ModernRefused, VendorError
from bridge.modern.ears import Cue, Ear, Timer
from bridge.modern.failures import ModernBusy
from bridge.modern.listing import Listing
from bridge.modern.lists import Sighting
from bridge.modern.schedule import FLOOR_SECONDS, Allowance
from bridge.modern.tokens import Access

CROWD = 8
"""From how many waits on it pays to ask for the list."""
RIPE = 0.5
"""The part of its pause after which a batch takes part in a look at the list: together is cheaper than in time."""
MOST_PAGES = 20
SMALLEST_PAGE, LARGEST_PAGE = 20, 100
POLLS_PER_SECOND = 10.0
POLLS_AFTER_A_LULL = 100.0
FEWEST_TURNS = 2
"""How many polls to save up for when the allowance is used up: one for the young, one for the old."""
SLACK_SECONDS = 0.001
"""How early a timer may go off (event loops count in milliseconds)."""
SIGHTED_AT_A_TIME = 32
"""How many results are read side by side when the list shows many batches as finished."""
FRESH_SECONDS = 60.0
"""Up to which age a wait begins with a poll of its own; older ones come in crowds, after a restart."""

CallLater = Callable[[float, Callable[[], None]], Timer]
"""Call a function in so many seconds, as `loop.call_later` does."""

ReadList = Callable[[Access, int], AsyncGenerator[Sequence[Sighting], None]]
"""Yield the pages of an organization's batches, newest first, each of about so many (`ModernClient.recent_batches`)."""


@dataclass(slots=True)
class _Round:
    """One look at the list: what it was for, what it showed."""

    members: list[Ear]
    began: float
    sought: set[str]
    """Batches of members that no page has shown yet."""
    pages: int = 0
    unfinished: list[Ear] = field(default_factory=list)
    served: bool = False
    contradicted: bool = False


class Watch:
    """Keep the waits of one organization."""

    def __init__(
        self,
        access: Access,
        read_list: ReadList | None,
        *,
        clock: Callable[[], float],
        call_later: CallLater,
        ceiling_seconds: float,
    ) -> None:
        self.turnstile = asyncio.Semaphore(SIGHTED_AT_A_TIME)
        """To be passed for reading a result on a sighting."""
        self._access = access
        self._read_list = read_list
        self._clock = clock
        self._call_later = call_later
        self._ceiling_seconds = ceiling_seconds
        self._ears: dict[str, list[Ear]] = {}
        self._allowance = Allowance(clock, per_second=POLLS_PER_SECOND, most=POLLS_AFTER_A_LULL)
        self._listing = Listing()
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._look: asyncio.Task[None] | None = None

    def join(self, batch_id: str, age_seconds: float) -> Ear:
        """Begin a wait; a fresh one polls first after the floor, whatever the others do."""
        ear = Ear(batch_id, now=self._clock(), age_seconds=age_seconds)
        if age_seconds < FRESH_SECONDS:
            ear.timer = self._call_later(FLOOR_SECONDS, partial(ear.tell, Cue.TURN))
        self._ears.setdefault(batch_id, []).append(ear)
        return ear

    def leave(self, ear: Ear) -> None:
        """End a wait."""
        ear.stop_timer()
        ears = self._ears[ear.batch_id]
        ears.remove(ear)
        if not ears:
            del self._ears[ear.batch_id]
        if not self._ears:
            self._stop()

    def hint(self, batch_id: str) -> bool:
        """Cue all who wait for this batch; tell whether anybody does."""
        ears = self._ears.get(batch_id, ())
        for ear in ears:
            ear.tell(Cue.HINT)
        return bool(ears)

    def next_cue(self, ear: Ear) -> asyncio.Future[None]:
        """Return what ends when this wait is to poll."""
        heard = ear.next_cue()
        if ear.scheduled and (self._timer is None or ear.due_at < self._timer_at):
            self._set_timer(ear.due_at)
        return heard

    def note_unfinished(self, ear: Ear, cue: Cue) -> None:
        """Note that a poll of its own, made on this cue, found the batch unfinished."""
        if cue is Cue.SIGHTING:
            ear.misled, ear.depth = True, 1
        ear.asked_at = self._clock()
        ear.pause_from(ear.asked_at, self._ceiling_seconds, ear.depth if self._is_crowded else 1)

    def note_failed(self, ear: Ear, pause_seconds: float) -> None:
        """Note that a poll of its own failed, and when to make the next one."""
        ear.asked_at = ear.looked_at = self._clock()
        ear.pause_seconds = max(pause_seconds, FLOOR_SECONDS)

    def note_finished(self, ear: Ear) -> None:
        """Note that a poll of its own found this batch finished."""
        if self._is_crowded:
            self._listing.testify(ear.batch_id, self._clock())

    @property
    def _is_crowded(self) -> bool:
        return len(self._ears) >= CROWD

    def _scheduled(self) -> Iterator[Ear]:
        return (ear for ears in self._ears.values() for ear in ears if ear.scheduled)

    # --- turns -----------------------------------------------------------------------------------------------------

    def _take_turns(self) -> None:
        self._timer = None
        now = self._clock()
        scheduled = list(self._scheduled())
        for ear in scheduled:
            ear.looked_at = min(ear.looked_at, now)  # the clock may have been set back
        self._maybe_look(scheduled, now)
        due = [ear for ear in scheduled if ear.due_at <= now + SLACK_SECONDS]
        if self._is_crowded:
            due = _choose(due, max(int(self._allowance.left()), 0))
            self._allowance.spend(len(due))
        for ear in due:
            ear.tell(Cue.TURN)
        self._set_timer()

    def _set_timer(self, due_at: float | None = None) -> None:
        """Set the timer for this moment, or for the first that is due, but not before a poll is allowed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due_at is None:
            due_at = min((ear.due_at for ear in self._scheduled()), default=None)
        if due_at is None:
            return
        now = self._clock()
        pause = max(due_at - now, self._allowance.seconds_until(FEWEST_TURNS) if self._is_crowded else 0.0)
        self._timer_at = now + pause
        self._timer = self._call_later(pause, self._take_turns)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._look is not None:
            self._look.cancel()

    # --- looks at the list -----------------------------------------------------------------------------------------

    def _maybe_look(self, scheduled: Sequence[Ear], now: float) -> None:
        if self._read_list is None or self._look is not None or not self._listing.usable(now):
            return
        ripe = [ear for ear in scheduled if ear.ripeness(now) >= RIPE and ear.list_again_at <= now and not ear.misled]
        if len(ripe) < CROWD:
            return
        for ear in ripe:
            ear.looked_at = now  # the look is their poll; whoever it does not serve in time polls by itself
        self._look = asyncio.create_task(
            self._look_at_list(self._read_list, _Round(ripe, now, {ear.batch_id for ear in ripe}))
        )

    async def _look_at_list(self, read_list: ReadList, this: _Round) -> None:
        try:
            await self._read_pages(read_list, this)
            self._conclude(this)
        except ModernBusy as failure:
            self._listing.rest(self._clock(), failure.retry_after_seconds)
        except ModernRefused:
            self._listing.rest(self._clock())
        except VendorError:
            self._listing.failed(self._clock())
        except Exception:
            self._listing.rest(self._clock())  # a fault of the program: told by the event loop, and nobody waits for it
            raise
        finally:
            self._look = None
            self._set_timer()

    async def _read_pages(self, read_list: ReadList, this: _Round) -> None:
        size = min(max(len(this.sought), SMALLEST_PAGE), LARGEST_PAGE)
        self._allowance.spend(1)
        async with aclosing(read_list(self._access, size)) as pages:
            async for page in pages:
                this.pages += 1
                this.contradicted |= self._listing.contradicts(page, this.began)
                for sighting in page:
                    self._note_sighting(sighting, this)
                this.sought.difference_update(sighting.batch_id for sighting in page)
                this.sought &= self._ears.keys()
                if not this.sought or this.pages >= MOST_PAGES:
                    break
                self._allowance.spend(1)

    def _note_sighting(self, sighting: Sighting, this: _Round) -> None:
        for ear in self._ears.get(sighting.batch_id, ()):
            this.served = True
            ear.list_again_at, ear.depth = 0.0, this.pages
            if ear.misled:
                continue
            if sighting.finished:
                ear.tell(Cue.SIGHTING)
            elif ear.scheduled:
                backed_off = ear.pause_seconds
                ear.pause_from(self._clock(), self._ceiling_seconds, ear.depth)
                ear.pause_seconds = max(ear.pause_seconds, backed_off)
                this.unfinished.append(ear)

    def _conclude(self, this: _Round) -> None:
        """Judge the list by what it showed; of a batch that it did not show, conclude nothing."""
        now = self._clock()
        missing = [ear for ear in this.members if ear.batch_id in this.sought and ear.scheduled]
        if this.contradicted or (missing and not this.served):
            self._listing.failed(now)
            return
        self._listing.served()
        for ear in missing:
            ear.list_again_at, ear.depth = now + self._ceiling_seconds, 1
        checked = [ear for ear in this.unfinished if ear.scheduled]
        checked = nlargest(this.pages, checked, key=lambda ear: (now - ear.asked_at) / ear.pause_seconds)
        self._allowance.spend(len(checked))
        for ear in checked:
            ear.tell(Cue.TURN)


def _choose(due: list[Ear], allowed: int) -> list[Ear]:
    """Return who polls where not all may: one half the youngest, so that they are quick, the other the longest due."""
    if len(due) <= allowed:
        return due
    young = set(nsmallest((allowed + 1) // 2, due, key=lambda ear: (-ear.began, ear.due_at)))
    others = [ear for ear in due if ear not in young]
    return [*young, *nsmallest(allowed - len(young), others, key=lambda ear: ear.due_at)]
