"""Where callers wait for the answer to a batch, whichever replica works it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

LOOK_SECONDS = 1.0
"""How often a waiting caller looks whether another replica has the answer; news of it usually come first."""

MOST_CALLERS = 8000
"""How many callers may wait if nobody says otherwise; each takes 17 kB."""

LAST_WORD_SECONDS = 2.0
"""How long callers may take to get what is known, once they are not held any longer."""

Look = Callable[[], Awaitable[bytes | None]]
"""Asks the books for the answer of a batch."""


class _Seat:
    """The callers who wait for one batch."""

    def __init__(self) -> None:
        self.stir = asyncio.get_running_loop().create_future()
        self.taken = 0
        self.dismissed = False


class Lobby:
    """Hold callers until their batch is answered, their patience ends, or the bridge must stop."""

    def __init__(
        self, *, clock: Callable[[], float], look_seconds: float = LOOK_SECONDS, most_callers: int = MOST_CALLERS
    ) -> None:
        self._clock = clock
        self._most_callers = most_callers
        self._look_seconds = look_seconds
        self._seats: dict[str, _Seat] = {}
        self._closing = False
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def full(self) -> bool:
        """Tell whether as many callers are here as may wait."""
        return self._inside >= self._most_callers

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Count a caller from the first byte of its batch to its answer, for `clear`."""
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def wait(self, batch_id: str, until: float, look: Look) -> bytes | None:
        """Return the answer, or None when `until` (this clock) is reached, waiting is useless or the bridge stops.

        `look` is asked at first, whenever `stir` tells of the batch, and every `look_seconds`.
        """
        with self._sit(batch_id) as seat:
            while True:
                stir = seat.stir  # before the look: what is told while we look must not be missed
                if (reply := await look()) is not None:
                    return reply
                left = until - self._clock()
                if self._closing or seat.dismissed or left <= 0:
                    return None
                await asyncio.wait({stir}, timeout=min(left, self._look_seconds))

    def stir(self, batch_id: str) -> None:
        """Have those who wait for a batch look now."""
        if seat := self._seats.get(batch_id):
            seat.stir.set_result(None)
            seat.stir = asyncio.get_running_loop().create_future()

    def dismiss(self, batch_id: str) -> None:
        """Have those who wait for a batch go with what is known: nothing would change within their time."""
        if seat := self._seats.get(batch_id):
            seat.dismissed = True
            self.stir(batch_id)

    async def clear(self, seconds: float) -> None:
        """Wait until every caller has gone; after so many seconds they get what is known by then."""
        try:
            async with asyncio.timeout(seconds):
                await self._wait_until_empty()
        except TimeoutError:
            self._closing = True
            for batch_id in list(self._seats):
                self.stir(batch_id)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD_SECONDS):
                    await self._wait_until_empty()

    async def _wait_until_empty(self) -> None:
        while self._inside:  # a caller leaves for a moment between giving its batch and waiting for the answer
            await self._empty.wait()

    @contextmanager
    def _sit(self, batch_id: str) -> Iterator[_Seat]:
        seat = self._seats.setdefault(batch_id, _Seat())
        seat.taken += 1
        try:
            yield seat
        finally:
            seat.taken -= 1
            if not seat.taken:
                del self._seats[batch_id]
