"""The inbox of webhooks: each is kept once, by its key, with what it taught about claims and cases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from bridge.journal import restoring
from bridge.journal.changes import Hook
from bridge.journal.records import CaseEvent
from bridge.journal.sqlite.bulk import execute_many, query_many
from bridge.journal.sqlite.crossreference import learn_claims

_HISTORY = f"""
SELECT {restoring.EVENT_COLUMNS} FROM ({{values}}) AS asked JOIN case_event
ON case_event.case_id = asked.column2 AND case_event.organization = asked.column1
"""  # noqa: S608 - constants


def keep_hook(connection: sqlite3.Connection, hook: Hook) -> bool:
    """Keep a webhook with everything it taught; return False, and change nothing, when its key was kept before."""
    kept = connection.execute(
        "INSERT INTO hook (key, modern_batch, at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (hook.key, hook.modern_batch, hook.at),
    )
    if kept.rowcount != 1:
        return False
    learn_claims(connection, hook.claims)
    execute_many(
        connection,
        "INSERT INTO case_event (organization, case_id, case_number, at, kind, status, fields) {values}",
        hook.events,
        lambda event: (
            *(event.organization, event.case_id, event.case_number, event.at, event.kind, event.status),
            json.dumps(event.fields),
        ),
    )
    return True


def case_history(
    connection: sqlite3.Connection, organization: str, case_ids: Sequence[str]
) -> dict[str, list[CaseEvent]]:
    """Return what webhooks told about cases, by case id, oldest first."""
    found = query_many(connection, _HISTORY, list(set(case_ids)), lambda case_id: (organization, case_id))
    return restoring.to_histories(found)
