"""Who hears what happens: this process at once, and what the command line writes beside it a moment later."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable

from bridge.journal.interface import News
from bridge.journal.sqlite import reading, switching

LOOK_SECONDS = 0.2
"""How often to look whether another process has written; a look takes 5 µs."""
FOUND = frozenset({News.ORDERED, News.SWITCHED})
"""What is found by looking into the file, whoever wrote it; everything else is told by whoever does it."""

Hear = Callable[[News, str], None]


class Newsroom:
    """Tells listeners on the event loop, and watches for orders and switches, which another process may write."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Watch through `connection`, which must be used by the event loop's thread only."""
        self._connection = connection
        self._listeners: list[Hear] = []
        self._watching: asyncio.Task[None] | None = None
        self._newest_order = 0
        self._newest_switch = 0

    def listen(self, hear: Hear) -> None:
        """Have `hear` told from now on."""
        self._listeners.append(hear)
        if self._watching is None:
            self._newest_order = reading.newest_order(self._connection)
            self._newest_switch = switching.newest_switch(self._connection)
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def tell(self, news: News, name: str) -> None:
        """Tell every listener, after whoever tells has gone on."""
        for hear in self._listeners:
            asyncio.get_running_loop().call_soon(hear, news, name)

    def look(self) -> None:
        """Tell of the orders and switches that nobody was told of yet."""
        if self._listeners:
            with contextlib.suppress(sqlite3.Error):  # the file is busy, or its disk in trouble: the watch looks again
                self._tell_new()

    async def close(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def _watch(self) -> None:
        version = 0
        while True:
            with contextlib.suppress(sqlite3.Error):  # as above
                # one page of shared memory says whether anybody has written since
                seen: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
                if seen != version:
                    self._tell_new()
                    version = seen
            await asyncio.sleep(LOOK_SECONDS)

    def _tell_new(self) -> None:
        if (order := reading.newest_order(self._connection)) > self._newest_order:
            ordered = reading.batches_ordered_after(self._connection, self._newest_order)
            self._newest_order = order
            for batch_id in ordered:
                self.tell(News.ORDERED, batch_id)
        if (switch := switching.newest_switch(self._connection)) > self._newest_switch:
            switched = switching.organizations_switched_after(self._connection, self._newest_switch)
            self._newest_switch = switch
            for organization in switched:
                self.tell(News.SWITCHED, organization)
