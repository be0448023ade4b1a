"""What was read lately, kept for whoever asks the same again; and one read for many who ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from cachetools import TTLCache

from bridge.errors import CannotTakeNow

Key = tuple[str, ...]
"""Organization, kind of read, and whatever else tells two reads apart."""

NEVER = float("-inf")

GRACE_SECONDS = 60.0
"""How long a read that somebody gave up waiting for is there for who asks next: they were told to ask again."""

MOST_READS = 1000
"""Reads that may be under way or wait for their turn; a read goes on when all who asked for it have gone."""

FULL = "too many readings wait for the modern system: send the same call again later"


class Weighty(Protocol):
    """Something that knows how much memory it takes."""

    @property
    def weight_bytes(self) -> int:
        """Return about how many bytes it takes."""
        ...


T = TypeVar("T", bound=Weighty)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a read found, and when the read began: everything that happened before is in it."""

    began: float
    value: Any
    weight_bytes: int


@dataclass(slots=True)
class _Flight:
    """A read under way; or one at its end, if somebody gave up waiting for it."""

    began: float
    task: asyncio.Task[Any]
    abandoned: bool = False


class Shelf:
    """Keep what reads found, by organization: for a while, up to so many bytes, until the organization has changed."""

    def __init__(
        self,
        *,
        max_bytes: int,
        seconds: float,
        clock: Callable[[], float],
        notice: Callable[[str, str], None],
        grace_seconds: float = GRACE_SECONDS,
        max_reads: int = MOST_READS,
    ) -> None:
        """`clock` is monotonic; `notice` hears of every look: the kind of read, and `hit`, `joined` or `miss`."""
        self._kept: TTLCache[Key, _Kept] = TTLCache(
            max_bytes, seconds, timer=clock, getsizeof=lambda kept: kept.weight_bytes
        )
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._grace_seconds = grace_seconds
        self._clock = clock
        self._notice = notice
        self._flights: dict[Key, _Flight] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._max_reads = max_reads
        self._left: dict[Key, int] = {}
        """What reads found after somebody had given up: their bytes, which are bounded like those that are kept."""

    async def get(self, key: Key, load: Callable[[], Coroutine[Any, Any, T]], *, since: float = NEVER) -> T:
        """Return what is kept, or what a read under way or a new one finds; of a read that began after `since`.

        Raises CannotTakeNow when it would be one read too many.
        """
        kept = self._kept.get(key)
        if kept is not None and kept.began > since and kept.began >= self._clock() - self._seconds:
            self._notice(key[1], "hit")
            value: T = kept.value
            return value
        flight = self._flights.get(key)
        self._notice(key[1], "miss" if flight is None or flight.began <= since else "joined")
        if flight is None or flight.began <= since:
            flight = self._depart(key, load)
        try:
            # a caller that goes away takes nothing from the others who wait
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            flight.abandoned = True
            raise

    def forget(self, organization: str) -> None:
        """Drop what is kept of an organization; reads under way go on for those who wait, and are not kept."""
        for key in [key for key in self._kept if key[0] == organization]:
            self._kept.pop(key, None)
        for key in [key for key in self._flights if key[0] == organization]:
            del self._flights[key]
            self._left.pop(key, None)

    async def close(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _depart(self, key: Key, load: Callable[[], Coroutine[Any, Any, T]]) -> _Flight:
        if len(self._tasks) >= self._max_reads:
            raise CannotTakeNow(FULL, retry_after_seconds=10)
        self._kept.expire()
        self._left.pop(key, None)
        flight = _Flight(self._clock(), asyncio.get_running_loop().create_task(load()))
        self._flights[key] = flight
        self._tasks.add(flight.task)
        flight.task.add_done_callback(lambda task: self._land(key, flight, task))
        return flight

    def _land(self, key: Key, flight: _Flight, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        failed = task.cancelled() or task.exception() is not None
        if self._flights.get(key) is not flight:
            return  # the organization has changed meanwhile, or a newer read is under way
        if flight.abandoned and not failed and self._has_room(task.result().weight_bytes):
            # not too old by now to be kept for this, and one of any size: a slow list would never be read to its end
            self._left[key] = task.result().weight_bytes
            asyncio.get_running_loop().call_later(self._grace_seconds, self._drop, key, flight)
        else:
            del self._flights[key]
        if not failed and task.result().weight_bytes <= self._max_bytes:
            self._kept[key] = _Kept(flight.began, task.result(), task.result().weight_bytes)

    def _drop(self, key: Key, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
            self._left.pop(key, None)

    def _has_room(self, weight_bytes: int) -> bool:
        """Tell whether what was found may be left for who asks next; a single thing of any size may."""
        return not self._left or sum(self._left.values()) + weight_bytes <= self._max_bytes
