"""Rows that a catch-up batch carries to the legacy system, each once, and the batches they may come from."""

from __future__ import annotations

import sqlite3

from bridge.journal import law, restoring
from bridge.journal.changes import HandOver
from bridge.journal.cutover import HandedOver
from bridge.journal.sqlite.bulk import execute_many, query_many

# CROSS JOIN keeps the order: from what is asked to the keys of the tables
_FOUND = """
SELECT batch.id, row.objectname, row.objectindex, word.export, word.actor, word.at FROM ({values}) AS asked
CROSS JOIN batch ON batch.id = asked.column1
CROSS JOIN row ON row.batch = batch.number AND row.objectname = asked.column2 AND row.objectindex = asked.column3
LEFT JOIN handed_over AS word
    ON word.batch = row.batch AND word.objectname = row.objectname AND word.objectindex = row.objectindex
"""

_CARRY = """
INSERT INTO handed_over (batch, objectname, objectindex, export, organization, actor, at)
SELECT number, column2, column3, column4, column5, column6, column7
FROM ({values}) AS new CROSS JOIN batch ON batch.id = new.column1
"""

_CARRIED = f"""
SELECT {restoring.HANDED_OVER_COLUMNS} FROM handed_over AS word JOIN batch ON batch.number = word.batch
JOIN row ON row.batch = word.batch AND row.objectname = word.objectname AND row.objectindex = word.objectindex
WHERE word.organization = ? ORDER BY word.batch, row.position
"""  # noqa: S608 - constants

# batches that an older version took have no record of whose their rows were: there the rows themselves must tell
_BATCHES = """
SELECT id FROM batch WHERE received_at >= ?2 AND (
    EXISTS (SELECT 1 FROM taken WHERE taken.batch = batch.number AND taken.organization = ?1)
    OR NOT EXISTS (SELECT 1 FROM taken WHERE taken.batch = batch.number)
        AND EXISTS (SELECT 1 FROM row WHERE row.batch = batch.number AND row.organization = ?1))
ORDER BY received_at, number
"""


def hand_over(connection: sqlite3.Connection, change: HandOver) -> None:
    """Note which rows a catch-up batch carries, all or none."""
    found = query_many(connection, _FOUND, change.rows, lambda row: (row[0], *row[1]))
    if law.is_free(change, restoring.to_carriers(found)):
        facts = change.export, change.organization, change.actor, change.at
        execute_many(connection, _CARRY, change.rows, lambda row: (row[0], *row[1], *facts))


def list_handed_over(connection: sqlite3.Connection, organization: str) -> list[HandedOver]:
    """Return the rows that catch-up batches have carried to the legacy system, in the order of their batches."""
    return [restoring.to_handed_over(found) for found in connection.execute(_CARRIED, (organization,))]


def batches_of(connection: sqlite3.Connection, organization: str, since: float) -> list[str]:
    """Return the ids of batches received at `since` or later with rows of this organization, oldest first."""
    return [batch_id for (batch_id,) in connection.execute(_BATCHES, (organization, since))]
