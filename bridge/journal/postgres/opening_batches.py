"""Batches and calls come into the books: one statement for all batches of a wave, whatever their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from bridge.journal import law, proof
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import IdentityTaken, OpenBatch, PlanCall
from bridge.journal.postgres.session import Refused, Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed

_SUPERSEDE = """
UPDATE batch SET identity = batch.identity || ' superseded ' || batch.id
FROM unnest($1::text[], $2::text[], $3::text[]) AS old(id, sender, identity)
WHERE batch.id = old.id AND batch.sender = old.sender AND batch.identity = old.identity
"""

_OPEN = """
INSERT INTO batch (owner, id, sender, identity, profile, batchid, content, received_at, offline, row_count, addresses,
    finished_at, reply)
SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::float8[],
    $9::bool[], $10::bigint[], $11::text[], $12::float8[], $13::bytea[])
ON CONFLICT (sender, identity) DO NOTHING RETURNING id, number
"""

_PAYLOADS = "INSERT INTO payload (batch, body) SELECT * FROM unnest($1::bigint[], $2::bytea[])"

_TAKEN = """
INSERT INTO taken (batch, organization, row_count, addresses)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[])
"""

_ROWS = """
WITH items AS (
    INSERT INTO item (batch, position, body, reference)
    SELECT * FROM unnest($11::bigint[], $12::int[], $13::bytea[], $14::bytea[])
)
INSERT INTO row (batch, objectname, objectindex, position, verdict, message, ledgerref, organization, operation,
    unique_id)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[])
"""

_PLAN = """
WITH new AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::float8[], $11::float8[], $12::text[]) AS new(batch, place, id, organization,
        operation, path, addresses, state, modern_batch, planned_at, submitted_at, why)
), planned AS (
    INSERT INTO call (batch, position, id, organization, operation, path, addresses, state, modern_batch, planned_at,
        submitted_at, why)
    SELECT batch, COALESCE((SELECT MAX(position) + 1 FROM call WHERE call.batch = new.batch), 0) + place, id,
        organization, operation, path, addresses, state, modern_batch, planned_at, submitted_at, why FROM new
    RETURNING batch, position, id, planned_at, state, why
), noted AS (
    INSERT INTO attempt (batch, call, step, at, state, why)
    SELECT batch, position, 0, planned_at, state, why FROM planned
)
SELECT id, position FROM planned
"""

_TIE = """
WITH tied AS (
    UPDATE row SET call = new.call FROM unnest($1::bigint[], $2::text[], $3::int[], $4::int[])
        AS new(batch, objectname, objectindex, call)
    WHERE row.batch = new.batch AND row.objectname = new.objectname AND row.objectindex = new.objectindex
        AND row.verdict = 'pending' AND NOT EXISTS (SELECT 1 FROM call WHERE call.batch = row.batch
            AND call.position = row.call AND call.state NOT IN ('DONE', 'REFUSED'))
    RETURNING row.batch, row.call
)
SELECT batch, call, COUNT(*) FROM tied GROUP BY batch, call
"""

_REPLACE = """
INSERT INTO item (batch, position, body)
SELECT row.batch, row.position, new.body FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bytea[])
    AS new(batch, objectname, objectindex, body)
JOIN row ON row.batch = new.batch AND row.objectname = new.objectname AND row.objectindex = new.objectindex
ON CONFLICT (batch, position) DO UPDATE SET body = excluded.body RETURNING 1
"""


async def open_batches(session: Session, wave: Sequence[Placed]) -> None:
    """Take batches with all their rows; they are ours from here on."""
    for _, change in wave:
        law.require_whole(change)
    # in one order everywhere, so that replicas that meet at an identity wait for each other and never in a circle
    wave = sorted(wave, key=lambda placed: (placed.change.batch.sender, placed.change.batch.identity))
    await _supersede(session, [placed.change for placed in wave if placed.change.supersedes])
    batches = columns([_bind_batch(change) for _, change in wave])
    opened = dict(await session.fetch(_OPEN, session.replica, *batches))
    taken = {placed.write: _identity_taken(placed.change) for placed in wave if placed.change.batch.id not in opened}
    if taken:
        raise Refused(taken)
    session.opened |= opened
    await _insert_rows(session, [(opened[change.batch.id], change) for _, change in wave])


def _bind_batch(change: OpenBatch) -> tuple[Any, ...]:
    batch = change.batch
    return (
        *(batch.id, batch.sender, clean(batch.identity), batch.profile, clean(batch.batchid), batch.content),
        *(batch.received_at, batch.offline, batch.row_count, render_addresses(row.address for row in change.rows)),
        *(batch.finished_at, batch.reply),
    )


def _identity_taken(change: OpenBatch) -> IdentityTaken:
    batch = change.batch
    return IdentityTaken(f"another batch of sender {batch.sender} holds the identity of batch {batch.id}")


async def _supersede(session: Session, changes: Sequence[OpenBatch]) -> None:
    if changes:
        older = [(change.supersedes, change.batch.sender, clean(change.batch.identity)) for change in changes]
        await session.fetch(_SUPERSEDE, *columns(older))


async def _insert_rows(session: Session, opened: Sequence[tuple[int, OpenBatch]]) -> None:
    payloads = [(number, change.batch.payload) for number, change in opened if change.batch.payload is not None]
    if payloads:
        await session.fetch(_PAYLOADS, *columns(payloads))
    shares = [(number, *share) for number, change in opened for share in proof.divide_rows(change.rows)]
    if shares:
        await session.fetch(_TAKEN, *columns(shares))
    placed = [(number, position, row) for number, change in opened for position, row in enumerate(change.rows)]
    for part in slices(placed):
        rows = [
            (
                *(number, *row.address, position, row.verdict.value, clean(row.message), clean(row.ledgerref)),
                *(row.organization, row.operation, clean(row.unique_id)),
            )
            for number, position, row in part
        ]
        items = [
            (number, position, row.item, row.reference)
            for number, position, row in part
            if row.item is not None or row.reference is not None
        ]
        await session.fetch(_ROWS, *columns(rows), *(columns(items) or [[], [], [], []]))


async def plan_calls(session: Session, wave: Sequence[Placed]) -> None:
    """Write calls down, tie their rows to them, and replace the items of rows that were completed since."""
    for _, change in wave:
        law.require_beginning(change)
    numbers = await session.number_batches((write, change.call.batch_id) for write, change in wave)
    places: Counter[int] = Counter()
    calls: list[tuple[Any, ...]] = []
    for _, change in wave:
        batch = numbers[change.call.batch_id]
        calls.append(_bind_call(batch, places[batch], change))
        places[batch] += 1
    positions = dict(await session.fetch(_PLAN, *columns(calls)))
    placed = [(numbers[change.call.batch_id], positions[change.call.id], write, change) for write, change in wave]
    await _tie_rows(session, placed)
    for batch, _, write, change in placed:
        await _replace_items(session, batch, write, change)


def _bind_call(batch: int, place: int, change: PlanCall) -> tuple[Any, ...]:
    call = change.call
    return (
        *(batch, place, call.id, call.organization, call.operation, call.path, render_addresses(call.rows)),
        *(call.state.value, call.modern_batch, call.planned_at, call.submitted_at, clean(call.why)),
    )


async def _tie_rows(session: Session, placed: Sequence[tuple[int, int, int, PlanCall]]) -> None:
    rows = [(batch, *address, position) for batch, position, _, change in placed for address in change.call.rows]
    tied: Counter[tuple[int, int]] = Counter()
    for part in slices(rows):
        for batch, position, count in await session.fetch(_TIE, *columns(part)):
            tied[batch, position] += count
    errors: dict[int, Exception] = {}
    for batch, position, write, change in placed:
        try:
            law.require_tied(change, tied[batch, position])
        except ValueError as error:
            errors[write] = error
    if errors:
        raise Refused(errors)


async def _replace_items(session: Session, batch: int, write: int, change: PlanCall) -> None:
    items = [(batch, *address, body) for address, body in change.items.items()]
    replaced = 0
    for part in slices(items):
        replaced += len(await session.fetch(_REPLACE, *columns(part)))
    try:
        law.require_replaced(change, replaced)
    except ValueError as error:
        raise Refused({write: error}) from error
