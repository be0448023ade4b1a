"""Exchanges with the legacy host, waiting to be looked at: bounded in number and memory, and worked with a budget."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from bridge.exchanges import Exchange
from bridge.logs import Event, get_log
from bridge.watching.pace import Pace, Sleep

log = get_log()


class WatchQueue:
    """Take what comes without ever waiting, and have it looked at one by one."""

    def __init__(
        self,
        look: Callable[[Exchange], Coroutine[Any, Any, None]],
        *,
        most: int,
        most_bytes: int,
        leave_out: Callable[[Exchange], None],
        timer: Callable[[], float] = time.perf_counter,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`leave_out` is told of what there was no room for."""
        self._look = look
        self._most = most
        self._most_bytes = most_bytes
        self._leave_out = leave_out
        self._pace = Pace(timer, sleep)
        self._waiting: deque[Exchange] = deque()
        self._held_bytes = 0
        self._more = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    def offer(self, exchange: Exchange) -> None:
        """Take an exchange if there is room; never waits, never raises."""
        if len(self._waiting) >= self._most or self._held_bytes + exchange.size > self._most_bytes:
            self._leave_out(exchange)
            return
        self._waiting.append(exchange)
        self._held_bytes += exchange.size
        self._more.set()

    def leave_out(self, exchange: Exchange) -> None:
        """Hear of an exchange that cannot be looked at: there was no room for it before it came here."""
        self._leave_out(exchange)

    async def run(self) -> None:
        """Look at what comes until cancelled; what goes wrong with one exchange costs that one."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                await self._take(self._waiting.popleft())
                await self._pace.rest()

    async def finish(self, seconds: float) -> None:
        """Look at what is still waiting, without rest, for so long at most; `run` must have ended."""
        self._pace.hurry()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if self._looking is not None:  # begun by `run`, which did not see the end of it
                    await asyncio.shield(self._looking)
                while self._waiting:
                    await self._take(self._waiting.popleft())
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        while self._waiting:
            self._leave_out(self._waiting.popleft())

    async def _take(self, exchange: Exchange) -> None:
        """Look at one exchange; whoever is cancelled meanwhile leaves the look to `finish`."""
        self._looking = asyncio.create_task(self._look_at(exchange))
        await asyncio.shield(self._looking)
        self._looking = None

    async def _look_at(self, exchange: Exchange) -> None:
        try:
            await self._pace.keep(self._look(exchange))
        except asyncio.CancelledError:
            self._leave_out(exchange)
        except Exception:
            log.exception(Event.UNEXPECTED, sender=exchange.sender)
            self._leave_out(exchange)
        finally:
            self._held_bytes -= exchange.size
