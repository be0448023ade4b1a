"""The operator's way in beside a running bridge: one short transaction, without the lock that the bridge holds."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from bridge.errors import OperatorError
from bridge.journal.changes import PlaceOrder
from bridge.journal.sqlite.applying import apply_changes
from bridge.journal.sqlite.books import SqliteBooks
from bridge.journal.sqlite.connections import connect_visitor
from bridge.journal.sqlite.failures import translate


def open_sqlite_office(path: Path) -> SqliteOffice:
    """Open the office of a journal, beside a running bridge or without one; it takes no lock."""
    if not path.exists():
        raise OperatorError(f"there is no journal at {path}: check storage.url, or start the bridge once")
    return SqliteOffice(path)


class SqliteOffice(SqliteBooks):
    """The books, and a pen for orders."""

    async def write(self, *changes: PlaceOrder) -> None:
        """Record orders durably, all or none; waits a few seconds for its turn beside the bridge's own writes."""
        await asyncio.to_thread(self._place, changes)

    def _place(self, changes: Sequence[PlaceOrder]) -> None:
        try:
            with contextlib.closing(connect_visitor(self._path)) as connection:
                connection.execute("BEGIN IMMEDIATE")
                apply_changes(connection, changes)  # closing without COMMIT undoes it
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error) from error
