"""Wait for modern batches to finish: whichever comes first, a webhook's hint or a poll on the schedule."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from cachetools import TTLCache

from bridge.errors import VendorError
from bridge.modern.failures import ModernBusy
from bridge.modern.results import ModernBatch
from bridge.modern.schedule import CEILING_SECONDS, FLOOR_SECONDS, next_delay
from bridge.modern.tokens import Access

FIRST_BACKOFF_SECONDS = 0.1
EARLY_HINTS = 10_000
EARLY_HINT_SECONDS = 600.0
"""How long a hint for a batch that nobody waits for yet is remembered."""


class Timer(Protocol):
    """What can be called off again."""

    def cancel(self) -> None:
        """Do not call back any more."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]
"""Call a function in so many seconds, as `loop.call_later` does."""


class _Ear:
    """What one waiting listens to: the next hint or the end of its pause."""

    def __init__(self, *, hinted: bool) -> None:
        self.hinted = hinted
        self._pause: asyncio.Future[None] | None = None

    def hint(self) -> None:
        self.hinted = True
        self._end_pause()

    async def pause(self, seconds: float, call_later: CallLater) -> bool:
        """Wait for a hint, this long at most; tell whether one came, also since the last pause."""
        if not self.hinted:
            self._pause = asyncio.get_running_loop().create_future()
            timer = call_later(seconds, self._end_pause)
            try:
                await self._pause
            finally:
                timer.cancel()
        hinted, self.hinted = self.hinted, False
        return hinted

    def _end_pause(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)


class Waiter:
    """Wait for any number of batches at once. `read` makes one attempt (`ModernClient.glance`)."""

    def __init__(
        self,
        read: Callable[[Access, str], Awaitable[ModernBatch]],
        *,
        clock: Callable[[], float],
        call_later: CallLater | None = None,
        jitter: Callable[[], float] = random.random,
        ceiling_seconds: float = CEILING_SECONDS,
    ) -> None:
        self._read = read
        self._clock = clock
        self._call_later = call_later
        self._jitter = jitter
        self._ceiling_seconds = ceiling_seconds
        self._ears: dict[str, list[_Ear]] = {}
        self._early: TTLCache[str, bool] = TTLCache(EARLY_HINTS, EARLY_HINT_SECONDS, clock)

    def hint(self, modern_batch_id: str) -> None:
        """Poll this batch at once: a webhook says that it is finished. Remembered when nobody waits for it yet."""
        ears = self._ears.get(modern_batch_id)
        if ears is None:
            self._early[modern_batch_id] = True
        else:
            for ear in ears:
                ear.hint()

    async def wait(self, access: Access, modern_batch_id: str, *, age_seconds: float = 0.0) -> ModernBatch:
        """Return the batch once it is finished, however long that takes; cancel to stop waiting.

        `age_seconds` is how long it has been waited for before (resumed after a restart): polls start as sparse as
        they would be by now. A read that fails, for whatever reason, is made again with growing pauses.
        """
        call_later = self._call_later or asyncio.get_running_loop().call_later
        began = self._clock() - age_seconds
        failures = 0
        pause = FLOOR_SECONDS
        with self._listen(modern_batch_id) as ear:
            while True:
                if await ear.pause(pause, call_later):
                    began, failures = self._clock(), 0  # as dense as in the beginning: the end is near
                try:
                    batch = await self._read(access, modern_batch_id)
                except VendorError as failure:
                    failures += 1
                    pause = self._back_off(failure, failures)
                    continue
                if batch.finished:
                    return batch
                failures = 0
                began = min(began, self._clock())  # a clock set back must not mean polling without a pause
                pause = next_delay(self._clock() - began, ceiling_seconds=self._ceiling_seconds)

    @contextmanager
    def _listen(self, modern_batch_id: str) -> Iterator[_Ear]:
        early = self._early.pop(modern_batch_id, False)
        ear = _Ear(hinted=early)
        ears = self._ears.setdefault(modern_batch_id, [])
        ears.append(ear)
        try:
            yield ear
        finally:
            ears.remove(ear)
            if not ears:
                del self._ears[modern_batch_id]

    def _back_off(self, failure: VendorError, failures: int) -> float:
        if isinstance(failure, ModernBusy):
            return failure.retry_after_seconds + FIRST_BACKOFF_SECONDS * self._jitter()
        grown = FIRST_BACKOFF_SECONDS * 2.0 ** min(failures, 20)
        return min(self._ceiling_seconds, grown) * (1 + self._jitter()) / 2
