"""A journal whose writes wait out a store that cannot be written for a while.

New batches are refused while the store is in trouble (never accept what could be lost); a batch that is already ours
must not be dropped for it, so the work on it waits and goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bridge.errors import CannotTakeNow
from bridge.journal import Change, Journal
from bridge.logs import Event, get_log

log = get_log()

RETRY_FIRST_SECONDS = 0.2
RETRY_CEILING_SECONDS = 10.0
DISTRUST_SECONDS = 5.0
"""How long after a failed write the store is not trusted with new batches, unless a write succeeds before."""


class PatientJournal:
    """Write through to the store; see `write` and `write_now` for who waits and who does not."""

    def __init__(
        self, store: Journal, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._sleep = sleep
        self._failed_at: float | None = None
        self._back = asyncio.Event()

    @property
    def trusted(self) -> bool:
        """Tell whether what is written would be ours, and the last write succeeded or failed long enough ago."""
        if not self._store.may_send(0.0):
            return False  # the store is away, as it may be for long without a write that would fail
        return self._failed_at is None or self._clock() - self._failed_at > DISTRUST_SECONDS

    def may_send(self, seconds: float) -> bool:
        """Tell whether our batches are sure to stay ours for so long."""
        return self._store.may_send(seconds)

    async def write_now(self, *changes: Change) -> None:
        """Write once; raises CannotTakeNow when the store cannot be written."""
        try:
            await self._store.write(*changes)
        except CannotTakeNow as reason:
            log.error(Event.JOURNAL_UNAVAILABLE, why=str(reason))  # noqa: TRY400 - the way there tells an operator nothing
            self._failed_at = self._clock()
            raise
        self._failed_at = None

    async def write(self, *changes: Change) -> None:
        """Write, however long it takes."""
        pause = RETRY_FIRST_SECONDS
        while True:
            try:
                return await self.write_now(*changes)
            except CannotTakeNow:
                pause = RETRY_FIRST_SECONDS if await self._is_back(pause) else min(pause * 2, RETRY_CEILING_SECONDS)

    def try_again(self) -> None:
        """Have every write that waits try again now: the store says that it is back."""
        self._back.set()
        self._back = asyncio.Event()

    async def _is_back(self, seconds: float) -> bool:
        """Wait until the store is back, so long at most; a store that cannot tell is waited for to the end."""
        waiting = [asyncio.ensure_future(self._back.wait()), asyncio.ensure_future(self._sleep(seconds))]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[0].done()
        finally:
            for one in waiting:
                one.cancel()
