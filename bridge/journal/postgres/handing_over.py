"""Rows that a catch-up batch carries to the legacy system, each once, and the batches they may come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bridge.journal import law, restoring
from bridge.journal.changes import HandedOverBefore, HandOver
from bridge.journal.cutover import HandedOver
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session, apply_singly, clean, columns, slices
from bridge.journal.postgres.waves import Placed

HANDING_LOCK = 0x41434248
"""The advisory lock of whoever hands over: two catch-up batches must not both find the same rows free."""

# OFFSET 0 has each row looked up by its whole key, whatever the planner believes about tables it has no figures of
_FOUND = """
SELECT asked.batch_id, asked.objectname, asked.objectindex, word.export, word.actor, word.at
FROM unnest($1::text[], $2::text[], $3::int[]) AS asked(batch_id, objectname, objectindex)
CROSS JOIN LATERAL (SELECT number FROM batch WHERE batch.id = asked.batch_id OFFSET 0) AS home
CROSS JOIN LATERAL (SELECT FROM row WHERE row.batch = home.number AND row.objectname = asked.objectname
    AND row.objectindex = asked.objectindex OFFSET 0) AS there
LEFT JOIN LATERAL (SELECT export, actor, at FROM handed_over WHERE handed_over.batch = home.number
    AND handed_over.objectname = asked.objectname AND handed_over.objectindex = asked.objectindex OFFSET 0) AS word
    ON true
"""

_CARRY = """
INSERT INTO handed_over (batch, objectname, objectindex, export, organization, actor, at)
SELECT batch.number, new.objectname, new.objectindex, $4, $5, $6, $7
FROM unnest($1::text[], $2::text[], $3::int[]) AS new(batch_id, objectname, objectindex)
JOIN batch ON batch.id = new.batch_id
"""

_CARRIED = f"""
SELECT {restoring.HANDED_OVER_COLUMNS} FROM handed_over AS word
CROSS JOIN LATERAL (SELECT id FROM batch WHERE batch.number = word.batch OFFSET 0) AS batch
CROSS JOIN LATERAL (SELECT position FROM row WHERE row.batch = word.batch AND row.objectname = word.objectname
    AND row.objectindex = word.objectindex OFFSET 0) AS row
WHERE word.organization = $1 ORDER BY word.batch, row.position
"""  # noqa: S608 - constants

# batches that an older version took have no record of whose their rows were: there the rows themselves must tell
_BATCHES = """
SELECT id FROM batch WHERE received_at >= $2 AND (
    EXISTS (SELECT 1 FROM taken WHERE taken.batch = batch.number AND taken.organization = $1)
    OR NOT EXISTS (SELECT 1 FROM taken WHERE taken.batch = batch.number)
        AND EXISTS (SELECT 1 FROM row WHERE row.batch = batch.number AND row.organization = $1))
ORDER BY received_at, number
"""


async def hand_over(session: Session, wave: Sequence[Placed]) -> None:
    """Note which rows catch-up batches carry, each all or none, one by one; they come from people."""
    await session.take_turn(HANDING_LOCK)
    await apply_singly(wave, partial(_hand_over, session), HandedOverBefore, ValueError)


async def _hand_over(session: Session, change: HandOver) -> None:
    change = replace(change, export=clean(change.export), actor=clean(change.actor))
    rows = [(batch_id, *address) for batch_id, address in change.rows]
    found = [carrier for part in slices(rows) for carrier in await session.fetch(_FOUND, *columns(part))]
    if law.is_free(change, restoring.to_carriers(found)):
        for part in slices(rows):
            facts = change.export, change.organization, change.actor, change.at
            await session.fetch(_CARRY, *columns(part), *facts)


async def list_handed_over(connection: Connection, organization: str) -> list[HandedOver]:
    """Return the rows that catch-up batches have carried to the legacy system, in the order of their batches."""
    return [restoring.to_handed_over(found) for found in await connection.fetch(_CARRIED, organization)]


async def batches_of(connection: Connection, organization: str, since: float) -> list[str]:
    """Return the ids of batches received at `since` or later with rows of this organization, oldest first."""
    return [batch_id for (batch_id,) in await connection.fetch(_BATCHES, organization, since)]
