"""Who is alive, and who works which batch: the table `replica`, its leases, and taking over from the dead.

Every life of a process has a number, given by the database and never used again: it is owner and epoch in one. A
replica counts as dead when its lease has run out by the database's clock (it is frozen, or cut off), or sooner when the
advisory lock its lifeline held is free (it was killed).
"""

from __future__ import annotations

from collections.abc import Collection

from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session

LEASE_SECONDS = 4.0
"""How long nobody may take our batches after we were last seen."""
SILENCE_SECONDS = 1.0
"""How long a replica that holds its lock no more may be silent: time to come back after a broken connection."""
CLAIMS_AT_ONCE = 500
"""How many batches one replica takes at a time, so that several share a dead one's work."""
LIFE_CLASS = 0x4143424C
"""The class of the advisory locks that say a replica lives; the key is its number."""

_STALE = """
SELECT number FROM replica WHERE buried_at IS NULL AND number <> $1
    AND seen_at < clock_timestamp() - make_interval(secs => $2)
"""

_ANYTHING = f"""
SELECT EXISTS ({_STALE}) OR EXISTS (
    SELECT 1 FROM batch WHERE owner IS NULL AND finished_at IS NULL AND id <> ALL($3::text[]))
"""  # noqa: S608 - constants

_BURY = """
UPDATE replica SET buried_at = clock_timestamp() WHERE number IN (
    SELECT number FROM replica WHERE number = ANY($1::bigint[]) AND buried_at IS NULL
        AND seen_at < clock_timestamp() - make_interval(secs => $2) FOR UPDATE SKIP LOCKED)
RETURNING number
"""

_FREE = "UPDATE batch SET owner = NULL WHERE owner = ANY($1::bigint[]) AND finished_at IS NULL"

_CLAIM = """
UPDATE batch SET owner = $1 WHERE number IN (
    SELECT number FROM batch WHERE owner IS NULL AND finished_at IS NULL AND id <> ALL($2::text[])
    ORDER BY received_at, number LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING received_at, number, id
"""


async def register(connection: Connection) -> int:
    """Begin a life; return its number."""
    number: int = await connection.fetchval("INSERT INTO replica DEFAULT VALUES RETURNING number")
    return number


async def hold_life(connection: Connection, number: int) -> None:
    """Hold the lock that says this replica lives for as long as the connection does."""
    await connection.execute("SELECT pg_advisory_lock($1, $2)", LIFE_CLASS, number % (1 << 31))


async def release_life(connection: Connection, number: int) -> None:
    """Let go of the lock of a life that is over."""
    await connection.execute("SELECT pg_advisory_unlock($1, $2)", LIFE_CLASS, number % (1 << 31))


async def renew(connection: Connection, number: int) -> bool:
    """Say that we are alive; return False when we were buried in the meantime."""
    status: str = await connection.execute(
        "UPDATE replica SET seen_at = clock_timestamp() WHERE number = $1 AND buried_at IS NULL", number
    )
    return status == "UPDATE 1"


async def anything_to_take(connection: Connection, number: int, but: Collection[str]) -> bool:
    """Tell, without locking anything, whether `take_over` might find something."""
    found: bool = await connection.fetchval(_ANYTHING, number, SILENCE_SECONDS, list(but))
    return found


async def take_over(session: Session, *, but: Collection[str], trust_locks: bool) -> list[str]:
    """Bury the dead, and claim open batches nobody works on; return their ids, oldest first.

    `but` are batches to leave alone. `trust_locks` is False while others may not have had the time to hold theirs.
    """
    await _bury_dead(session, LEASE_SECONDS, None)
    if trust_locks:
        stale = await session.fetch(_STALE, session.replica, SILENCE_SECONDS)
        for (number,) in stale:
            if await _is_unlocked(session, number):
                await _bury_dead(session, SILENCE_SECONDS, number)
    claimed = await session.fetch(_CLAIM, session.replica, list(but), CLAIMS_AT_ONCE)
    session.opened |= {batch_id: number for _, number, batch_id in claimed}
    return [batch_id for *_, batch_id in sorted(claimed)]


async def _bury_dead(session: Session, silence_seconds: float, only: int | None) -> None:
    stale = [number for (number,) in await session.fetch(_STALE, session.replica, silence_seconds)]
    suspects = [number for number in stale if only in {None, number}]
    if not suspects:
        return
    buried = [number for (number,) in await session.fetch(_BURY, suspects, silence_seconds)]
    await session.fetch(_FREE, buried)


async def _is_unlocked(session: Session, number: int) -> bool:
    found = await session.fetch("SELECT pg_try_advisory_xact_lock($1, $2)", LIFE_CLASS, number % (1 << 31))
    return bool(found[0][0])


async def give_up(session: Session, batch_id: str) -> None:
    """Let an open batch of ours go."""
    await session.fetch(
        "UPDATE batch SET owner = NULL WHERE id = $1 AND owner = $2 AND finished_at IS NULL", batch_id, session.replica
    )


async def retire(session: Session) -> None:
    """End this life in order: what is open is free for others at once."""
    await session.fetch(_FREE, [session.replica])
    await session.fetch("UPDATE replica SET buried_at = clock_timestamp() WHERE number = $1", session.replica)


async def forget_buried(session: Session) -> None:
    """Delete the lines of replicas buried long ago; until then a lost answer can still be asked about."""
    await session.fetch("DELETE FROM replica WHERE buried_at < clock_timestamp() - interval '1 day'")
