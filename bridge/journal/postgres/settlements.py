"""Settlements and their numbers, and how far the cross-reference was rebuilt.

A reader keeps the highest number it has seen, so none may become visible after a higher one. Whoever gives numbers
therefore holds one lock from before they are drawn until they are committed, whichever replica it is: the next one
draws from what it then sees, which is everything. A sequence would not do: its numbers are drawn in one order and
committed in another.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.journal import law
from bridge.journal.changes import RegisterSettlements
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed
from bridge.journal.records import NumberedSettlement, Rebuild

NUMBERING_LOCK = 0x4143424E
"""The advisory lock of whoever gives numbers; PostgreSQL frees it after the commit is visible."""

_KNOWN = """
SELECT settlement_id, settled_on FROM settlement WHERE settlement_id = ANY($2::text[]) AND organization = $1
"""

_DATE = """
UPDATE settlement SET settled_on = new.settled_on FROM unnest($2::text[], $3::text[]) AS new(id, settled_on)
WHERE settlement.organization = $1 AND settlement.settlement_id = new.id
"""

_HIGHEST = "SELECT number FROM settlement ORDER BY number DESC LIMIT 1"

_NUMBER = """
INSERT INTO settlement (organization, number, settlement_id, settled_on)
SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[])
"""

_AFTER = """
SELECT number, organization, settlement_id, settled_on FROM settlement
WHERE organization = ANY($1::text[]) AND number > $2 ORDER BY number
"""

_NOTE = """
INSERT INTO rebuild (organization, started_at, page_token, claims, finished_at)
SELECT * FROM unnest($1::text[], $2::float8[], $3::text[], $4::bigint[], $5::float8[])
ON CONFLICT (organization) DO UPDATE SET started_at = excluded.started_at, page_token = excluded.page_token,
    claims = excluded.claims, finished_at = excluded.finished_at
"""


async def register_settlements(session: Session, wave: Sequence[Placed]) -> None:
    """Number settlements that have no number yet; the last thing a transaction does, because it holds up all others."""
    pending = [change for _, change in wave if await _teaches(session, change)]
    if not pending:
        return  # most looks find nothing new: they need no lock
    await session.take_turn(NUMBERING_LOCK)
    for change in pending:
        await _register(session, change)


async def _teaches(session: Session, change: RegisterSettlements) -> bool:
    dates = law.date_settlements(change)
    return any(law.sort_settlements(dates, await _known(session, change.organization, list(dates))))


async def _register(session: Session, change: RegisterSettlements) -> None:
    organization, dates = change.organization, law.date_settlements(change)
    new, redated = law.sort_settlements(dates, await _known(session, organization, list(dates)))
    for part in slices(redated):
        await session.fetch(_DATE, organization, *columns([(clean(name), clean(day)) for name, day in part]))
    highest = await session.fetch(_HIGHEST)
    numbers = enumerate(new, start=highest[0][0] + 1 if highest else 1)
    for numbered in slices([(number, clean(name), clean(day)) for number, (name, day) in numbers]):
        await session.fetch(_NUMBER, organization, *columns(numbered))


async def _known(session: Session, organization: str, settlement_ids: Sequence[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for part in slices(settlement_ids):
        asked = {clean(settlement_id): settlement_id for settlement_id in part}
        found = await session.fetch(_KNOWN, organization, list(asked))
        known |= {asked[settlement_id]: settled_on for settlement_id, settled_on in found}
    return known


async def settlements_after(
    connection: Connection, organizations: Sequence[str], number: int
) -> list[NumberedSettlement]:
    """Return the settlements of these organizations with a higher number, in the order of their numbers."""
    return [NumberedSettlement(*found) for found in await connection.fetch(_AFTER, list(organizations), number)]


async def note_rebuilds(session: Session, wave: Sequence[Placed]) -> None:
    """Remember how far rebuilds have come."""
    progress = [change.progress for _, change in wave]
    rows = [(at.organization, at.started_at, clean(at.page_token), at.claims, at.finished_at) for at in progress]
    await session.fetch(_NOTE, *columns(rows))


async def list_rebuilds(connection: Connection) -> list[Rebuild]:
    """Return how far each organization's rebuild has come."""
    found = await connection.fetch(
        "SELECT organization, started_at, page_token, claims, finished_at FROM rebuild"
        ' ORDER BY organization COLLATE "C"'
    )
    return [Rebuild(*progress) for progress in found]
