"""Retention: payloads, items and messages of batches finished long ago are erased; the books and the ids stay."""

from __future__ import annotations

import sqlite3

from bridge.batch import Address
from bridge.journal.interface import ERASED, Redact
from bridge.journal.sqlite.schema import ENTRIES_PER_BATCH

BATCHES_PER_SLICE = 50
ITEMS_PER_SLICE = 500
"""How much one slice erases before it lets other writes through; a few milliseconds."""
LINES_PER_SLICE = 1000

_LINES = (
    "DELETE FROM hook WHERE key IN (SELECT key FROM hook WHERE at < ?1 LIMIT ?2)",
    "DELETE FROM sample WHERE number IN (SELECT number FROM sample WHERE at < ?1 LIMIT ?2)",
    """
    DELETE FROM observation WHERE (organization, since, topic, subject) IN (
        SELECT organization, since, topic, subject FROM observation WHERE since < ?1 LIMIT ?2)
    """,
    # a batchid makes a batch the same for ever, so what became of it must be known for ever
    """
    DELETE FROM passed WHERE (sender, identity) IN (
        SELECT sender, identity FROM passed WHERE passed_at < ?1 AND identity NOT GLOB 'batchid:*' LIMIT ?2)
    """,
)
"""What hangs under no batch."""


def erase_slice(connection: sqlite3.Connection, finished_before: float, redact: Redact) -> tuple[int, bool]:
    """Erase some of what is due; return how many batches are now erased, and whether more may be due."""
    due = connection.execute(
        "SELECT number FROM batch WHERE kept = 1 AND finished_at < ? ORDER BY finished_at LIMIT ?",
        (finished_before, BATCHES_PER_SLICE),
    ).fetchall()
    erased, budget = 0, ITEMS_PER_SLICE
    for (number,) in due:
        budget -= _delete_items(connection, number, budget)
        if budget <= 0:  # this batch may hold more: it is due again in the next slice
            return erased, True
        budget -= _erase_messages(connection, number, redact)
        connection.execute("DELETE FROM payload WHERE batch = ?", (number,))
        connection.execute("UPDATE batch SET kept = 0 WHERE number = ?", (number,))
        erased += 1
        if budget <= 0:
            return erased, True
    return erased, len(due) == BATCHES_PER_SLICE


def erase_lines(connection: sqlite3.Connection, before: float) -> int:
    """Erase some of the hooks, samples, observations and notes that are older; return how many, 0 once none is left."""
    for erase in _LINES:
        if count := connection.execute(erase, (before, LINES_PER_SLICE)).rowcount:
            return count
    return 0


def _delete_items(connection: sqlite3.Connection, number: int, limit: int) -> int:
    first = number * ENTRIES_PER_BATCH
    deleted = connection.execute(
        "DELETE FROM item WHERE entry IN (SELECT entry FROM item WHERE entry >= ? AND entry < ? LIMIT ?)",
        (first, first + ENTRIES_PER_BATCH, limit),
    )
    return deleted.rowcount


def _erase_messages(connection: sqlite3.Connection, number: int, redact: Redact) -> int:
    """Erase what may be the modern system's words, in the rows and in the stored answer; return of how many rows."""
    found = connection.execute(
        "UPDATE row SET message = ?1 WHERE batch = ?2 AND call IS NOT NULL AND message NOT IN (?1, '')"
        " RETURNING objectname, objectindex",
        (ERASED, number),
    )
    rows = {Address(*address) for address in found}
    if rows:
        (reply,) = connection.execute("SELECT reply FROM batch WHERE number = ?", (number,)).fetchone()
        redacted = redact(reply, rows, ERASED)
        connection.execute("UPDATE batch SET reply = ? WHERE number = ?", (redacted, number))
    return len(rows)
