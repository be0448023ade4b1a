"""The conservation proof, asked of SQLite; the questions are in `bridge.journal.proof`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bridge.batch import Address
from bridge.journal import proof
from bridge.journal.records import BooksFault, Ledger


def prove(connection: sqlite3.Connection) -> Ledger:
    """Count every row, and name the ones that break the books; expects to run inside one read transaction."""
    return proof.close_ledger(
        connection.execute(proof.TAKEN).fetchone()[0],
        connection.execute(proof.TAKEN_BY_ORGANIZATION),
        connection.execute(proof.COUNTS),
        connection.execute(proof.IN_DOUBT),
        _find_faults(connection),
    )


def count_doubts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows are in doubt, by organization."""
    # the words of the index on open batches
    return dict(connection.execute(proof.DOUBTS.format(open="batch.kept = 1 AND batch.finished_at IS NULL")))


def _find_faults(connection: sqlite3.Connection) -> Iterator[BooksFault]:
    for batch, number, row_count, addresses in connection.execute(proof.MISCOUNTED):
        yield from proof.compare_rows(batch, row_count, addresses, _addresses(connection, number))
    for batch, number in connection.execute(proof.MISROUTED):
        shares = connection.execute(proof.SHARES.format(batch=number))
        yield from proof.compare_routes(batch, shares, connection.execute(proof.ROUTES.format(batch=number)))
    for broken in connection.execute(proof.BROKEN_ROWS):
        yield BooksFault(*broken)
    for call in connection.execute(proof.BROKEN_CALLS):
        yield from proof.blame_call(*call)
    for batch, why in connection.execute(proof.BROKEN_BATCHES):
        yield BooksFault(batch, "batch", 0, why)


def _addresses(connection: sqlite3.Connection, number: int) -> list[Address]:
    rows = connection.execute("SELECT objectname, objectindex FROM row WHERE batch = ? ORDER BY position", (number,))
    return [Address(*address) for address in rows]
