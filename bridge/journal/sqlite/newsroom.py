"""Who hears what happens: this process at once, and what the command line writes beside it within half a second."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable

from bridge.journal.interface import News
from bridge.journal.sqlite import reading

LOOK_SECONDS = 0.5

Hear = Callable[[News, str], None]


class Newsroom:
    """Tells listeners on the event loop, and watches for orders that another process places."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Watch through `connection`, which must be used by the event loop's thread only."""
        self._connection = connection
        self._listeners: list[Hear] = []
        self._watching: asyncio.Task[None] | None = None

    def listen(self, hear: Hear) -> None:
        """Have `hear` told from now on."""
        self._listeners.append(hear)
        if self._watching is None:
            newest = reading.newest_order(self._connection)
            self._watching = asyncio.get_running_loop().create_task(self._watch(newest))

    def tell(self, news: News, name: str) -> None:
        """Tell every listener, after whoever tells has gone on."""
        for hear in self._listeners:
            asyncio.get_running_loop().call_soon(hear, news, name)

    async def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self, newest: int) -> None:
        version = 0
        while True:
            with contextlib.suppress(sqlite3.Error):  # the file is busy, or its disk in trouble: look again
                # one page of shared memory says whether anybody has written since
                seen: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
                if seen != version:
                    newest = self._tell_orders(newest)
                    version = seen
            await asyncio.sleep(LOOK_SECONDS)

    def _tell_orders(self, newest: int) -> int:
        following = reading.newest_order(self._connection)
        if following > newest:
            for batch_id in reading.batches_ordered_after(self._connection, newest):
                self.tell(News.ORDERED, batch_id)
        return following
