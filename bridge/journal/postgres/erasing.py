"""Retention: payloads, items and messages of batches finished long ago are erased; the books and the ids stay."""

from __future__ import annotations

from bridge.batch import Address
from bridge.journal.interface import ERASED, Redact
from bridge.journal.postgres.session import Session

BATCHES_PER_SLICE = 50
ITEMS_PER_SLICE = 500
"""How much one slice erases before it lets other writes through; a few milliseconds."""
LINES_PER_SLICE = 1000

_DUE = """
SELECT number FROM batch WHERE kept AND finished_at IS NOT NULL AND finished_at < $1 ORDER BY finished_at LIMIT $2
FOR UPDATE SKIP LOCKED
"""  # two replicas that erase at once do not wait for each other

_ITEMS = """
DELETE FROM item WHERE (batch, position) IN (SELECT batch, position FROM item WHERE batch = $1 LIMIT $2) RETURNING 1
"""

_MESSAGES = """
UPDATE row SET message = $1 WHERE batch = $2 AND call IS NOT NULL AND message NOT IN ($1, '')
RETURNING objectname, objectindex
"""

_LINES = (
    "DELETE FROM hook WHERE key IN (SELECT key FROM hook WHERE at < $1 LIMIT $2) RETURNING 1",
    "DELETE FROM sample WHERE number IN (SELECT number FROM sample WHERE at < $1 LIMIT $2) RETURNING 1",
    """
    DELETE FROM observation WHERE (organization, since, topic, subject) IN (
        SELECT organization, since, topic, subject FROM observation WHERE since < $1 LIMIT $2) RETURNING 1
    """,
    # a batchid makes a batch the same for ever, so what became of it must be known for ever
    """
    DELETE FROM passed WHERE (sender, identity) IN (
        SELECT sender, identity FROM passed WHERE passed_at < $1 AND identity NOT LIKE 'batchid:%' LIMIT $2) RETURNING 1
    """,
)
"""What hangs under no batch."""


async def erase_slice(session: Session, finished_before: float, redact: Redact) -> tuple[int, bool]:
    """Erase some of what is due; return how many batches are now erased, and whether more may be due."""
    due = [number for (number,) in await session.fetch(_DUE, finished_before, BATCHES_PER_SLICE)]
    erased, budget = 0, ITEMS_PER_SLICE
    for number in due:
        budget -= len(await session.fetch(_ITEMS, number, budget))
        if budget <= 0:  # this batch may hold more: it is due again in the next slice
            return erased, True
        budget -= await _erase_messages(session, number, redact)
        await session.fetch("DELETE FROM payload WHERE batch = $1", number)
        await session.fetch("UPDATE batch SET kept = false WHERE number = $1", number)
        erased += 1
        if budget <= 0:
            return erased, True
    return erased, len(due) == BATCHES_PER_SLICE


async def _erase_messages(session: Session, number: int, redact: Redact) -> int:
    """Erase what may be the modern system's words, in the rows and in the stored answer; return of how many rows."""
    rows = {Address(*address) for address in await session.fetch(_MESSAGES, ERASED, number)}
    if rows:
        ((reply,),) = await session.fetch("SELECT reply FROM batch WHERE number = $1", number)
        await session.fetch("UPDATE batch SET reply = $1 WHERE number = $2", redact(reply, rows, ERASED), number)
    return len(rows)


async def erase_lines(session: Session, before: float) -> bool:
    """Erase some of the hooks, samples, observations and notes that are older; return whether more may be due."""
    for erase in _LINES:
        if len(await session.fetch(erase, before, LINES_PER_SLICE)) == LINES_PER_SLICE:
            return True
    return False
