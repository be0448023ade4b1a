"""Work beside callers, on the same core: in slices, and after each a rest in proportion to what it took."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

SHARE = 0.25
"""Which part of the time may be spent on looking: callers wait on the same core."""
LEAST_SECONDS = 0.0005
"""Work that is worth a rest: timers are no finer than a millisecond."""
LONGEST_REST_SECONDS = 0.25

Sleep = Callable[[float], Awaitable[None]]


class Pace:
    """Keeps work to its share of the time.

    Wherever work lets others have a turn (`asyncio.sleep(0)`), they get a rest as well; what it waits for is no work,
    and needs none.
    """

    def __init__(self, timer: Callable[[], float], sleep: Sleep, share: float = SHARE) -> None:
        self._timer = timer
        self._sleep = sleep
        self._rest_by_work = 1 / share - 1
        self._spent = 0.0

    async def keep(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work in slices, and rest after each; cancelling ends the work as well."""
        return await self._walk(work)

    async def rest(self) -> None:
        """Make up for what was not rested for yet."""
        seconds, self._spent = self._spent * self._rest_by_work, 0.0
        await self._sleep(min(seconds, LONGEST_REST_SECONDS))

    def hurry(self) -> None:
        """Rest no more: nobody waits for the core any longer."""
        self._rest_by_work = 0.0

    @types.coroutine
    def _walk(self, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Walk through a coroutine step by step, as the event loop would, and take the time of each step."""
        step: Callable[[], Any] = partial(work.send, None)
        while True:
            began = self._timer()
            try:
                waits_for = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # a coroutine's own result
            finally:
                self._spent += self._timer() - began
            try:
                if waits_for is None and self._spent >= LEAST_SECONDS:
                    yield from self.rest().__await__()
                else:
                    yield waits_for
            except BaseException as fault:  # noqa: BLE001 - whatever it is, it is for the work to hear
                step = partial(work.throw, fault)
            else:
                step = partial(work.send, None)


async def in_slices(steps: Generator[None, None, T]) -> T:
    """Work a generator step by step, and let others have a turn after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns
        await asyncio.sleep(0)
