"""Settlements and their numbers, and how far the cross-reference was rebuilt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from bridge.journal import law
from bridge.journal.changes import NoteRebuild, RegisterSettlements
from bridge.journal.records import NumberedSettlement, Rebuild
from bridge.journal.sqlite.bulk import execute_many, query_many

_KNOWN = """
SELECT settlement_id, settled_on FROM ({values}) AS asked JOIN settlement
ON settlement.organization = asked.column1 AND settlement.settlement_id = asked.column2
"""

_DATE = """
UPDATE settlement SET settled_on = new.column3 FROM ({values}) AS new
WHERE organization = new.column1 AND settlement_id = new.column2
"""

_AFTER = """
SELECT number, organization, settlement_id, settled_on FROM settlement
WHERE organization IN (SELECT value FROM json_each(?1)) AND number > ?2 ORDER BY number
"""

_NOTE = """
INSERT INTO rebuild (organization, started_at, page_token, claims, finished_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (organization) DO UPDATE SET started_at = excluded.started_at, page_token = excluded.page_token,
    claims = excluded.claims, finished_at = excluded.finished_at
"""


def register_settlements(connection: sqlite3.Connection, change: RegisterSettlements) -> None:
    """Number settlements that have no number yet; the only writer there is gives numbers in the order of commits."""
    organization, dates = change.organization, law.date_settlements(change)
    known = dict(query_many(connection, _KNOWN, list(dates), lambda settlement_id: (organization, settlement_id)))
    new, redated = law.sort_settlements(dates, known)
    execute_many(connection, _DATE, redated, lambda dated: (organization, *dated))
    highest = connection.execute("SELECT COALESCE(MAX(number), 0) FROM settlement").fetchone()[0]
    execute_many(
        connection,
        "INSERT INTO settlement (number, organization, settlement_id, settled_on) {values}",
        list(enumerate(new, start=highest + 1)),
        lambda placed: (placed[0], organization, *placed[1]),
    )


def settlements_after(
    connection: sqlite3.Connection, organizations: Sequence[str], number: int
) -> list[NumberedSettlement]:
    """Return the settlements of these organizations with a higher number, in the order of their numbers."""
    found = connection.execute(_AFTER, (json.dumps(list(organizations)), number))
    return [NumberedSettlement(*settlement) for settlement in found]


def note_rebuild(connection: sqlite3.Connection, change: NoteRebuild) -> None:
    """Remember how far a rebuild has come."""
    at = change.progress
    connection.execute(_NOTE, (at.organization, at.started_at, at.page_token, at.claims, at.finished_at))


def list_rebuilds(connection: sqlite3.Connection) -> list[Rebuild]:
    """Return how far each organization's rebuild has come."""
    found = connection.execute(
        "SELECT organization, started_at, page_token, claims, finished_at FROM rebuild ORDER BY organization"
    )
    return [Rebuild(*progress) for progress in found]
