"""The connection that says we live: it holds our lock, renews our lease, and brings news from the other replicas."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from bridge.journal.interface import News
from bridge.journal.postgres import replicas
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.failures import FOREIGN
from bridge.journal.postgres.life import Life

CHANNEL = "bridge_news"
MESSAGE_BYTES = 7900
"""How much news one message holds: PostgreSQL takes less than 8000 bytes."""
RENEW_SECONDS = 0.5
RECONNECT_SECONDS = 0.1
MATURE_SECONDS = 2.0
"""How long after a broken connection we do not trust the absence of others' locks: they may be coming back like us."""

Hear = Callable[[News, str], None]


def pack_news(sender: int, news: Iterable[tuple[News, str]]) -> Iterator[str]:
    """Write news for the channel, each once, in as few messages as hold them; news too long for any are left out."""
    parts: list[str] = []
    size = 0
    for each in dict.fromkeys(news):
        part = json.dumps(each, separators=(",", ":"))
        if len(part) > MESSAGE_BYTES:
            continue
        if size + len(part) > MESSAGE_BYTES:
            yield _address(sender, parts)
            parts, size = [], 0
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield _address(sender, parts)


def _address(sender: int, parts: list[str]) -> str:
    return f"[{sender},[{','.join(parts)}]]"


class Lifeline:
    """Keeps one connection up, whatever happens to the server."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        life: Life,
        hear: Hear,
        begin_again: Callable[[], Awaitable[None]],
        *,
        clock: Callable[[], float],
    ) -> None:
        """`begin_again` is called when we find ourselves buried; afterwards the life has another number."""
        self._connect = connect
        self._life = life
        self._hear = hear
        self._begin_again = begin_again
        self._clock = clock
        self._broken_at: float | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def is_mature(self) -> bool:
        """Tell whether other replicas have had the time to take their locks again after a common misfortune."""
        return self._broken_at is None or self._clock() - self._broken_at > MATURE_SECONDS

    async def close(self) -> None:
        """Let go."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(*FOREIGN):
                await self._live()
            self._life.doubt()
            self._broken_at = self._clock()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _live(self) -> None:
        """Hold the lock, renew the lease and listen, until the connection breaks."""
        connection = await self._connect()
        try:
            connection.add_termination_listener(lambda _: self._life.stirred.set())
            await connection.add_listener(CHANNEL, self._receive)
            while not connection.is_closed():
                await self._live_as(connection, self._life.number)
        finally:
            connection.terminate()

    async def _live_as(self, connection: Connection, number: int) -> None:
        self._life.stirred.clear()
        await replicas.hold_life(connection, number)
        while number == self._life.number and not connection.is_closed():
            asked_at = self._clock()
            if await replicas.renew(connection, number):
                was_away = not self._life.lasts(0.0)
                self._life.renewed(asked_at)
                if was_away:
                    self._hear(News.BACK, "")
            else:
                self._life.doubt()
                await self._begin_again()  # whoever holds our batches now must not wait for our next write
            await self._pause()
        await replicas.release_life(connection, number)

    async def _pause(self) -> None:
        """Wait until the lease is to be renewed, our number has changed, or the server has hung up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RENEW_SECONDS):
                await self._life.stirred.wait()

    def _receive(self, _connection: Any, _process: int, _channel: str, payload: object) -> None:
        sender, news = json.loads(str(payload))
        if sender == self._life.number:
            return  # we told ourselves at once
        for kind, name in news:
            self._hear(News(kind), name)
