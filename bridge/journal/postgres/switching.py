"""Which way an organization's rows go, and which batches went to the legacy host as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bridge.journal import law, restoring
from bridge.journal.changes import SetSwitch, StaleSwitch
from bridge.journal.cutover import PassedBatch
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session, apply_singly, clean, columns, slices
from bridge.journal.postgres.waves import Placed
from bridge.modes import Switch

SWITCHING_LOCK = 0x41434253
"""The advisory lock of whoever switches: numbers become visible in their order, and the newest one is the newest."""

_SWITCH = f"SELECT {restoring.SWITCH_COLUMNS} FROM switch"  # noqa: S608 - constants

_NEWEST = f"{_SWITCH} WHERE number IN (SELECT MAX(number) FROM switch GROUP BY organization)"  # noqa: S608 - constants

_SET = """
INSERT INTO switch (number, organization, mode, other, percent, recording, at, actor, reason)
VALUES ((SELECT COALESCE(MAX(number), 0) + 1 FROM switch), $1, $2, $3, $4, $5, $6, $7, $8)
"""

_NOTE = """
INSERT INTO passed (sender, identity, passed_at) SELECT * FROM unnest($1::text[], $2::text[], $3::float8[])
ON CONFLICT (sender, identity) DO UPDATE SET passed_at = GREATEST(passed.passed_at, excluded.passed_at)
"""

_PASSED = """
SELECT passed.sender, passed.identity, passed_at FROM unnest($1::text[], $2::text[]) AS asked(by, name)
JOIN passed ON passed.sender = asked.by AND passed.identity = asked.name
"""


async def set_switches(session: Session, wave: Sequence[Placed]) -> None:
    """Add switches to the history one by one; they come from people, and from guardrails."""
    await session.take_turn(SWITCHING_LOCK)
    await apply_singly(wave, partial(_set_switch, session), StaleSwitch)


async def _set_switch(session: Session, change: SetSwitch) -> None:
    switch = change.switch
    switch = replace(
        switch, organization=clean(switch.organization), actor=clean(switch.actor), reason=clean(switch.reason)
    )
    found = await session.fetch(f"{_SWITCH} WHERE organization = $1 ORDER BY number DESC LIMIT 1", switch.organization)
    if law.is_next(replace(change, switch=switch), restoring.to_switch(found[0]) if found else None):
        await session.fetch(
            _SET,
            *(switch.organization, switch.mode.value, switch.other and switch.other.value, switch.percent),
            *(switch.recording, switch.at, switch.actor, switch.reason),
        )


async def list_switches(connection: Connection) -> list[Switch]:
    """Return the newest switch of every organization that has one."""
    found = await connection.fetch(f'{_NEWEST} ORDER BY organization COLLATE "C"')
    return [restoring.to_switch(switch) for switch in found]


async def switch_history(connection: Connection, organization: str) -> list[Switch]:
    """Return every switch, oldest first; with an organization only its own."""
    found = await connection.fetch(f"{_SWITCH} WHERE $1 IN ('', organization) ORDER BY number", clean(organization))
    return [restoring.to_switch(switch) for switch in found]


async def note_passed(session: Session, wave: Sequence[Placed]) -> None:
    """Remember batches that went to the legacy host; of several notes on one the newest is taken first."""
    notes: dict[tuple[str, str], float] = {}
    for _, change in wave:
        for batch in change.batches:
            key = (batch.sender, clean(batch.identity))
            notes[key] = max(batch.passed_at, notes.get(key, batch.passed_at))
    # sorted, so that replicas that note the same wait for each other and never in a circle
    for part in slices([(*key, passed_at) for key, passed_at in sorted(notes.items())]):
        await session.fetch(_NOTE, *columns(part))


async def find_passed(connection: Connection, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], PassedBatch]:
    """Return what is known of batches (sender, identity) that went to the legacy host, as far as there are any."""
    found = await connection.fetch(_PASSED, *columns([(sender, clean(identity)) for sender, identity in asked]))
    return {(batch.sender, batch.identity): batch for batch in (PassedBatch(*columns) for columns in found)}
