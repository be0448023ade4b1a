"""Exchanges with the legacy host, waiting to be looked at: bounded in number and memory, and worked with a budget."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bridge.exchanges import Exchange
from bridge.logs import Event, get_log

log = get_log()

SHARE = 0.25
"""Which part of the time may be spent on looking: callers wait on the same core."""
LONGEST_REST_SECONDS = 0.25


class WatchQueue:
    """Take what comes without ever waiting, and have it looked at one by one."""

    def __init__(
        self,
        look: Callable[[Exchange], Awaitable[None]],
        *,
        most: int,
        most_bytes: int,
        leave_out: Callable[[Exchange], None],
        timer: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`leave_out` is told of what there was no room for."""
        self._look = look
        self._most = most
        self._most_bytes = most_bytes
        self._leave_out = leave_out
        self._timer = timer
        self._sleep = sleep
        self._waiting: deque[Exchange] = deque()
        self._held_bytes = 0
        self._more = asyncio.Event()

    def offer(self, exchange: Exchange) -> None:
        """Take an exchange if there is room; never waits, never raises."""
        if len(self._waiting) >= self._most or self._held_bytes + exchange.size > self._most_bytes:
            self._leave_out(exchange)
            return
        self._waiting.append(exchange)
        self._held_bytes += exchange.size
        self._more.set()

    async def run(self) -> None:
        """Look at what comes until cancelled; what goes wrong with one exchange costs that one."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._waiting:
                began = self._timer()
                await self._take(self._waiting.popleft())
                await self._sleep(min((self._timer() - began) * (1 / SHARE - 1), LONGEST_REST_SECONDS))

    async def finish(self, seconds: float) -> None:
        """Look at what is still waiting, without rest, for so long at most; `run` must have ended."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._waiting:
                    await self._take(self._waiting.popleft())
        while self._waiting:
            self._leave_out(self._waiting.popleft())

    async def _take(self, exchange: Exchange) -> None:
        try:
            await self._look(exchange)
        except asyncio.CancelledError:
            self._leave_out(exchange)
            raise
        except Exception:
            log.exception(Event.UNEXPECTED, sender=exchange.sender)
        finally:
            self._held_bytes -= exchange.size
