"""Wait for modern batches to finish: whichever comes first, a webhook's hint or a poll on the schedule.

How many requests that takes, for each organization:

- fewer than 8 batches (`watch.CROWD`): each is polled by itself, about sqrt(2·t / 20 ms) times in its first t seconds
  (50 in 25 seconds, 600 in an hour), and once per ceiling later;
- from 8 on, one look at the list serves all whose polls fall together, and all polls share an allowance: at most 100
  at once and 10 a second in the long run, so about 36,000 in an hour **however many batches are pending**. While the
  list serves, the schedule stays far below that: 20 batches pending for an hour take 1,200 requests, 2,000 of them
  (20 pages of the list) 13,500, where single polls would take 1.2 million;
- on top of that, a batch costs its first poll and the one that reads its result, and one for every webhook.

Who polls when is decided in `watch`; here polls are made, and what comes of them is noted.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext

from cachetools import TTLCache

from bridge.errors import VendorError
from bridge.modern.ears import Cue
from bridge.modern.failures import ModernBusy
from bridge.modern.results import ModernBatch
from bridge.modern.schedule import CEILING_SECONDS
from bridge.modern.tokens import Access
from bridge.modern.watch import CallLater, ReadList, Watch

FIRST_BACKOFF_SECONDS = 0.1
EARLY_HINTS = 10_000
EARLY_HINT_SECONDS = 600.0
"""How long a hint for a batch that nobody waits for yet is remembered."""


class Waiter:
    """Wait for any number of batches at once.

    `read` makes one attempt to read a batch (`ModernClient.glance`), `read_list` one for each page of an organization's
    list (`ModernClient.recent_batches`); without it every batch is polled by itself.
    """

    def __init__(
        self,
        read: Callable[[Access, str], Awaitable[ModernBatch]],
        read_list: ReadList | None = None,
        *,
        clock: Callable[[], float],
        call_later: CallLater | None = None,
        jitter: Callable[[], float] = random.random,
        ceiling_seconds: float = CEILING_SECONDS,
    ) -> None:
        self._read = read
        self._read_list = read_list
        self._clock = clock
        self._call_later = call_later
        self._jitter = jitter
        self._ceiling_seconds = ceiling_seconds
        self._watches: dict[Access, Watch] = {}
        self._early: TTLCache[str, bool] = TTLCache(EARLY_HINTS, EARLY_HINT_SECONDS, clock)

    def hint(self, modern_batch_id: str) -> None:
        """Poll this batch at once: a webhook says that it is finished. Remembered when nobody waits for it yet."""
        if not sum(watch.hint(modern_batch_id) for watch in self._watches.values()):
            self._early[modern_batch_id] = True

    async def wait(self, access: Access, modern_batch_id: str, *, age_seconds: float = 0.0) -> ModernBatch:
        """Return the batch once it is finished, however long that takes; cancel to stop waiting.

        `age_seconds` is how long it has been waited for before (resumed after a restart): polls start as sparse as
        they would be by now. A read that fails, for whatever reason, is made again with growing pauses.
        """
        watch = self._watch_over(access)
        ear = watch.join(modern_batch_id, age_seconds)
        if self._early.pop(modern_batch_id, False):
            ear.tell(Cue.HINT)
        failures = 0
        try:
            while True:
                await watch.next_cue(ear)
                cue = ear.take_cue()
                if cue is not Cue.TURN:
                    ear.began, failures = self._clock(), 0  # as dense as in the beginning: the end is near
                try:
                    async with watch.turnstile if cue is Cue.SIGHTING else nullcontext():
                        batch = await self._read(access, modern_batch_id)
                except VendorError as failure:
                    failures += 1
                    watch.note_failed(ear, self._back_off(failure, failures))
                    continue
                if batch.finished:
                    watch.note_finished(ear)
                    return batch
                failures = 0
                watch.note_unfinished(ear, cue)
        finally:
            watch.leave(ear)

    def _watch_over(self, access: Access) -> Watch:
        watch = self._watches.get(access)
        if watch is None:
            watch = self._watches[access] = Watch(
                access,
                self._read_list,
                clock=self._clock,
                call_later=self._call_later or asyncio.get_running_loop().call_later,
                ceiling_seconds=self._ceiling_seconds,
            )
        return watch

    def _back_off(self, failure: VendorError, failures: int) -> float:
        if isinstance(failure, ModernBusy):
            return failure.retry_after_seconds + FIRST_BACKOFF_SECONDS * self._jitter()
        grown = FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 20)
        return min(self._ceiling_seconds, grown) * (1 + self._jitter()) / 2
