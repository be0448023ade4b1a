"""Which way an organization's rows go, and which batches went to the legacy host as a whole."""

from __future__ import annotations

import sqlite3

from bridge.journal import law, restoring
from bridge.journal.changes import NotePassed, SetSwitch
from bridge.journal.cutover import PassedBatch
from bridge.journal.sqlite.bulk import execute_many
from bridge.modes import Switch

_SWITCH = f"SELECT {restoring.SWITCH_COLUMNS} FROM switch"  # noqa: S608 - constants

_NOTE = """
INSERT INTO passed (sender, identity, passed_at) SELECT column1, column2, column3 FROM ({values}) WHERE true
ON CONFLICT (sender, identity) DO UPDATE SET passed_at = MAX(passed_at, excluded.passed_at)
"""


def set_switch(connection: sqlite3.Connection, change: SetSwitch) -> None:
    """Add a switch to the history; the only writer there is gives numbers in the order of commits."""
    switch = change.switch
    found = connection.execute(
        f"{_SWITCH} WHERE organization = ? ORDER BY number DESC LIMIT 1", (switch.organization,)
    ).fetchone()
    if not law.is_next(change, None if found is None else restoring.to_switch(found)):
        return
    connection.execute(
        "INSERT INTO switch (organization, mode, other, percent, recording, at, actor, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(switch.organization, switch.mode, switch.other, switch.percent, switch.recording, switch.at),
            *(switch.actor, switch.reason),
        ),
    )


def list_switches(connection: sqlite3.Connection) -> list[Switch]:
    """Return the newest switch of every organization that has one."""
    found = connection.execute(
        f"{_SWITCH} WHERE number IN (SELECT MAX(number) FROM switch GROUP BY organization) ORDER BY organization"  # noqa: S608 - constants
    )
    return [restoring.to_switch(switch) for switch in found]


def switch_history(connection: sqlite3.Connection, organization: str) -> list[Switch]:
    """Return every switch, oldest first; with an organization only its own."""
    found = connection.execute(f"{_SWITCH} WHERE ?1 IN ('', organization) ORDER BY number", (organization,))
    return [restoring.to_switch(switch) for switch in found]


def newest_switch(connection: sqlite3.Connection) -> int:
    """Return the number of the newest switch, 0 when there is none."""
    number: int = connection.execute("SELECT COALESCE(MAX(number), 0) FROM switch").fetchone()[0]
    return number


def organizations_switched_after(connection: sqlite3.Connection, number: int) -> list[str]:
    """Return the organizations that were switched after the switch with this number."""
    found = connection.execute("SELECT DISTINCT organization FROM switch WHERE number > ?", (number,))
    return [organization for (organization,) in found]


def note_passed(connection: sqlite3.Connection, change: NotePassed) -> None:
    """Remember batches that went to the legacy host; the newest time wins."""
    execute_many(connection, _NOTE, change.batches, lambda batch: (batch.sender, batch.identity, batch.passed_at))


def find_passed(connection: sqlite3.Connection, sender: str, identity: str) -> PassedBatch | None:
    """Return what is known of a batch that went to the legacy host."""
    found = connection.execute(
        "SELECT sender, identity, passed_at FROM passed WHERE sender = ? AND identity = ?", (sender, identity)
    ).fetchone()
    return None if found is None else PassedBatch(*found)
