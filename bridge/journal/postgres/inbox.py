"""The inbox of webhooks: each is kept once, by its key, with what it taught about claims and cases."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.journal import restoring
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.crossreference import learn_claims
from bridge.journal.postgres.session import Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed
from bridge.journal.records import CaseEvent

_KEEP = """
INSERT INTO hook (key, modern_batch, at) SELECT * FROM unnest($1::text[], $2::text[], $3::float8[])
ON CONFLICT (key) DO NOTHING RETURNING key
"""

_EVENTS = """
INSERT INTO case_event (organization, case_id, case_number, at, kind, status, fields)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::text[])
"""

_HISTORY = f"""
SELECT {restoring.EVENT_COLUMNS} FROM case_event WHERE case_id = ANY($2::text[]) AND organization = $1
"""  # noqa: S608 - constants


async def keep_hooks(session: Session, wave: Sequence[Placed]) -> None:
    """Keep webhooks, each key once, with everything the new ones taught; tell by write which were new."""
    rows = sorted((clean(hook.key), clean(hook.modern_batch), hook.at) for _, hook in wave)
    kept = {key for (key,) in await session.fetch(_KEEP, *columns(rows))}
    new = [placed for placed in wave if clean(placed.change.key) in kept]
    session.hooks |= {write: clean(hook.key) in kept for write, hook in wave}
    await learn_claims(session, new)
    events = [_bind_event(event) for _, hook in new for event in hook.events]
    for part in slices(events):
        await session.fetch(_EVENTS, *columns(part))


def _bind_event(event: CaseEvent) -> tuple[str | float, ...]:
    return (
        *(clean(event.organization), clean(event.case_id), clean(event.case_number), event.at),
        *(clean(event.kind), clean(event.status), json.dumps([clean(name) for name in event.fields])),
    )


async def case_history(
    connection: Connection, organization: str, case_ids: Sequence[str]
) -> dict[str, list[CaseEvent]]:
    """Return what webhooks told about cases, by case id, oldest first."""
    histories: dict[str, list[CaseEvent]] = {}
    for part in slices(list({clean(case_id) for case_id in case_ids})):
        histories |= restoring.to_histories(await connection.fetch(_HISTORY, organization, part))
    return histories
