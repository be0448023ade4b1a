"""Calls move, rows are decided, batches are finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import law
from bridge.journal.changes import LostBatch, MoveCall, StaleCall
from bridge.journal.postgres.session import Refused, Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed

_MOVE = """
WITH moved AS (
    UPDATE call SET state = new.after, why = new.why, submitted_at = COALESCE(new.begins, call.submitted_at),
        modern_batch = COALESCE(NULLIF(new.modern_batch, ''), call.modern_batch)
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::text[], $8::float8[])
        AS new(id, before, after, why, begins, modern_batch, at), batch
    WHERE call.id = new.id AND call.state = new.before AND batch.number = call.batch AND batch.owner = $1
    RETURNING call.batch, call.position, call.id, call.state, call.why, new.at
), noted AS (
    INSERT INTO attempt (batch, call, step, at, state, why)
    SELECT batch, position, COALESCE((SELECT MAX(step) + 1 FROM attempt WHERE attempt.batch = moved.batch
        AND attempt.call = moved.position), 0), at, state, why FROM moved
)
SELECT id FROM moved
"""

_OWNERS = """
SELECT call.id, batch.id, batch.owner FROM call JOIN batch ON batch.number = call.batch WHERE call.id = ANY($1::text[])
"""

_DECIDE = """
WITH decided AS (
    UPDATE row SET verdict = new.verdict, message = new.message
    FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[], $5::text[])
        AS new(batch, objectname, objectindex, verdict, message)
    WHERE row.batch = new.batch AND row.objectname = new.objectname AND row.objectindex = new.objectindex
        AND row.verdict = 'pending'
    RETURNING 1
)
SELECT COUNT(*) FROM decided
"""

_NAME = """
UPDATE row SET ledgerref = new.ledgerref
FROM unnest($1::bigint[], $2::text[], $3::int[], $4::text[]) AS new(batch, objectname, objectindex, ledgerref)
WHERE row.batch = new.batch AND row.objectname = new.objectname AND row.objectindex = new.objectindex
    AND row.verdict = 'pending'
"""

_MISSING = """
SELECT new.batch, new.objectname, new.objectindex
FROM unnest($1::bigint[], $2::text[], $3::int[]) AS new(batch, objectname, objectindex)
LEFT JOIN row ON row.batch = new.batch AND row.objectname = new.objectname AND row.objectindex = new.objectindex
WHERE row.batch IS NULL
"""

_FINISH = """
UPDATE batch SET reply = new.reply, finished_at = new.at
FROM unnest($1::bigint[], $2::bytea[], $3::float8[]) AS new(number, reply, at)
WHERE batch.number = new.number AND batch.finished_at IS NULL
    AND NOT EXISTS (SELECT 1 FROM row WHERE row.batch = batch.number AND row.verdict = 'pending')
RETURNING batch.number
"""

_PENDING = """
SELECT DISTINCT ON (batch) batch, objectname, objectindex FROM row
WHERE batch = ANY($1::bigint[]) AND verdict = 'pending' ORDER BY batch, position
"""


async def move_calls(session: Session, wave: Sequence[Placed]) -> None:
    """Move calls that are ours and where they are believed to be."""
    for _, change in wave:
        law.require_lawful(change)
    moved = await session.fetch(_MOVE, session.replica, *columns([_bind_move(change) for _, change in wave]))
    if len(moved) != len(wave):
        done = {call_id for (call_id,) in moved}
        await _refuse_moves(session, [placed for placed in wave if placed.change.call_id not in done])


def _bind_move(change: MoveCall) -> tuple[Any, ...]:
    begins = change.at if change.after is CallState.SUBMITTING else None
    return (
        *(change.call_id, change.before.value, change.after.value, clean(change.why), begins),
        *(clean(change.modern_batch), change.at),
    )


async def _refuse_moves(session: Session, unmoved: Sequence[Placed]) -> None:
    found = await session.fetch(_OWNERS, [change.call_id for _, change in unmoved])
    lost = {call_id: batch_id for call_id, batch_id, owner in found if owner != session.replica}
    raise Refused(
        {
            write: LostBatch(lost[change.call_id])
            if change.call_id in lost
            else StaleCall(f"call {change.call_id} is not {change.before} any more")
            for write, change in unmoved
        }
    )


async def decide_rows(session: Session, wave: Sequence[Placed]) -> None:
    """Give rows their final verdicts; the first stands."""
    numbers = await session.number_batches((write, change.batch_id) for write, change in wave)
    finals: dict[tuple[int, Address], Outcome] = {}
    for _, change in wave:
        for outcome in change.outcomes:
            if outcome.verdict is not Verdict.PENDING:
                finals.setdefault((numbers[change.batch_id], outcome.address), outcome)
    await _name_rows(session, finals)
    decided = 0
    rows = [(batch, *address, one.verdict.value, clean(one.message)) for (batch, address), one in finals.items()]
    for part in slices(rows):
        decided += (await session.fetch(_DECIDE, *columns(part)))[0][0]
    if decided != len(rows):
        await _require_rows(session, wave, numbers, rows)


async def _name_rows(session: Session, finals: Mapping[tuple[int, Address], Outcome]) -> None:
    """Keep what the legacy host calls rows that it decides; a row that is decided keeps its reference, too."""
    named = [(batch, *address, clean(one.ledgerref)) for (batch, address), one in finals.items() if one.ledgerref]
    for part in slices(named):
        await session.fetch(_NAME, *columns(part))


async def _require_rows(
    session: Session, wave: Sequence[Placed], numbers: Mapping[str, int], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Refuse the writes that decide rows which do not exist; rows that are decided already are none of these."""
    missing = {
        batch: Address(*address)
        for part in slices(rows)
        for batch, *address in await session.fetch(_MISSING, *columns([row[:3] for row in part]))
    }
    errors = {
        write: ValueError(f"{missing[number]} is not a row of this batch")
        for write, change in wave
        if (number := numbers[change.batch_id]) in missing
    }
    if errors:
        raise Refused(errors)


async def finish_batches(session: Session, wave: Sequence[Placed]) -> None:
    """Store final answers; the first one of a batch stands."""
    numbers = await session.number_batches((write, change.batch_id) for write, change in wave)
    finals = [(numbers[change.batch_id], change.reply, change.at) for _, change in wave]
    finished = {number for (number,) in await session.fetch(_FINISH, *columns(finals))}
    unfinished = [number for number, *_ in finals if number not in finished]
    if unfinished:
        pending = {batch: Address(*address) for batch, *address in await session.fetch(_PENDING, unfinished)}
        errors = {
            write: ValueError(f"batch {change.batch_id} cannot be finished: {pending[number]} is still pending")
            for write, change in wave
            if (number := numbers[change.batch_id]) in pending
        }
        if errors:
            raise Refused(errors)
    session.finished += [change.batch_id for _, change in wave]
