"""The conservation proof, asked of SQLite; the questions are in `bridge.journal.proof`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bridge.batch import Address
from bridge.journal import proof
from bridge.journal.records import BooksFault, Ledger


def prove(connection: sqlite3.Connection) -> Ledger:
    """Count every row, and name the ones that break the books; expects to run inside one read transaction."""
    counts = connection.execute(proof.COUNTS).fetchone()
    return proof.close_ledger(counts, connection.execute(proof.IN_DOUBT), _find_faults(connection))


def _find_faults(connection: sqlite3.Connection) -> Iterator[BooksFault]:
    for batch, number, row_count, addresses in connection.execute(proof.MISCOUNTED):
        yield from proof.compare_rows(batch, row_count, addresses, _addresses(connection, number))
    for broken in connection.execute(proof.BROKEN_ROWS):
        yield BooksFault(*broken)
    for call in connection.execute(proof.BROKEN_CALLS):
        yield from proof.blame_call(*call)
    for batch, why in connection.execute(proof.BROKEN_BATCHES):
        yield BooksFault(batch, "batch", 0, why)


def _addresses(connection: sqlite3.Connection, number: int) -> list[Address]:
    rows = connection.execute("SELECT objectname, objectindex FROM row WHERE batch = ? ORDER BY position", (number,))
    return [Address(*address) for address in rows]
