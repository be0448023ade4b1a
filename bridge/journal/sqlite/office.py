"""The operator's way in beside a running bridge: short transactions, without the lock that the bridge holds."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import OperatorError
from bridge.journal.changes import ClerkChange
from bridge.journal.sqlite.applying import apply_changes
from bridge.journal.sqlite.books import SqliteBooks
from bridge.journal.sqlite.connections import connect_visitor
from bridge.journal.sqlite.failures import translate

GAP_SECONDS = 0.005
"""How long the file is left alone between two writes: SQLite knows no queue, and the bridge looks every millisecond."""


def open_sqlite_office(path: Path) -> SqliteOffice:
    """Open the office of a journal, beside a running bridge or without one; it takes no lock."""
    if not path.exists():
        raise OperatorError(f"there is no journal at {path}: check storage.url, or start the bridge once")
    return SqliteOffice(path)


class SqliteOffice(SqliteBooks):
    """The books, and a pen for what the command line may write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._pen: sqlite3.Connection | None = None
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    async def write(self, *changes: ClerkChange) -> None:
        """Make changes durable, all or none; waits a few seconds for its turn beside the bridge's own writes.

        The bridge waits meanwhile: claims should come some `CLAIMS_AT_ONCE` at a time.
        """
        async with self._turn:
            await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))
            try:
                await asyncio.to_thread(self._write, changes)
            finally:
                self._free_at = time.monotonic() + GAP_SECONDS

    def _write(self, changes: Sequence[ClerkChange]) -> None:
        try:
            if self._pen is None:
                self._pen = connect_visitor(self._path)
            self._pen.execute("BEGIN IMMEDIATE")
            apply_changes(self._pen, changes)
            self._pen.execute("COMMIT")
        except BaseException as error:
            self._drop_pen()
            if isinstance(error, sqlite3.Error):
                raise translate(error) from error
            raise

    def _drop_pen(self) -> None:
        """Undo what was not committed."""
        pen, self._pen = self._pen, None
        if pen is not None:
            with contextlib.suppress(sqlite3.Error):
                pen.close()

    async def close(self) -> None:
        """Let go of the store."""
        async with self._turn:
            await asyncio.to_thread(self._drop_pen)
        await super().close()
