"""What is kept beside the batches: unknown fields, the creditor register, operators' orders."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridge.batch import Address
from bridge.journal import law
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import LostBatch, PlaceOrder
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Refused, Session, clean, columns
from bridge.journal.postgres.waves import Placed

_COUNT = """
INSERT INTO unknown_field (sender, objectname, field, count, last_seen)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::float8[])
ON CONFLICT (sender, objectname, field) DO UPDATE SET count = unknown_field.count + excluded.count,
    last_seen = GREATEST(unknown_field.last_seen, excluded.last_seen)
"""

_SEE = """
INSERT INTO creditor (sender, idnumber, known, fields, first_seen, last_seen)
SELECT * FROM unnest($1::text[], $2::text[], $3::bool[], $4::text[], $5::float8[], $6::float8[])
ON CONFLICT (sender, idnumber) DO UPDATE SET known = excluded.known,
    fields = (SELECT json_agg(name ORDER BY name COLLATE "C")::text FROM (
        SELECT json_array_elements_text(creditor.fields::json) AS name
        UNION SELECT json_array_elements_text(excluded.fields::json)) AS names),
    first_seen = LEAST(creditor.first_seen, excluded.first_seen),
    last_seen = GREATEST(creditor.last_seen, excluded.last_seen)
"""

_FULFIL = """
UPDATE operator_order SET result = CASE WHEN fulfilled_at IS NULL THEN new.result ELSE operator_order.result END,
    fulfilled_at = COALESCE(fulfilled_at, new.at)
FROM unnest($2::text[], $3::text[], $4::float8[]) AS new(id, result, at), batch
WHERE operator_order.id = new.id AND batch.number = operator_order.batch AND batch.owner = $1
RETURNING operator_order.id
"""

_ORDERED = """
SELECT operator_order.id, batch.id FROM operator_order JOIN batch ON batch.number = operator_order.batch
WHERE operator_order.id = ANY($1::text[])
"""

_IN_DOUBT = """
SELECT row.objectname, row.objectindex FROM unnest($2::text[], $3::int[]) AS named(objectname, objectindex)
JOIN row ON row.batch = $1 AND row.objectname = named.objectname AND row.objectindex = named.objectindex
JOIN call ON call.batch = row.batch AND call.position = row.call
WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT'
"""

_PLACE = """
INSERT INTO operator_order (id, batch, addresses, settlement, actor, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def count_unknown(session: Session, wave: Sequence[Placed]) -> None:
    """Count fields that nobody reads; what several writes counted is added up first."""
    counts: dict[tuple[str, str, str], tuple[int, float]] = {}
    for _, change in wave:
        for field, count in change.counts.items():
            key = (change.sender, change.objectname, clean(field))
            before, seen = counts.get(key, (0, change.at))
            counts[key] = (before + count, max(seen, change.at))
    if counts:
        # sorted, so that replicas that count the same wait for each other and never in a circle
        await session.fetch(_COUNT, *columns([(*key, *value) for key, value in sorted(counts.items())]))


async def see_creditors(session: Session, wave: Sequence[Placed]) -> None:
    """Register creditors; what several writes saw of one is put together first."""
    seen: dict[tuple[str, str], tuple[bool, set[str], float, float]] = {}
    for _, change in wave:
        key = (change.sender, clean(change.idnumber))
        fields = {clean(name) for name in change.fields}
        _, before, first, last = seen.get(key, (False, set(), change.at, change.at))
        seen[key] = (change.known, before | fields, min(first, change.at), max(last, change.at))
    rows = [
        (*key, known, json.dumps(sorted(fields)), first, last)
        for key, (known, fields, first, last) in sorted(seen.items())
    ]
    await session.fetch(_SEE, *columns(rows))


async def fulfil_orders(session: Session, wave: Sequence[Placed]) -> None:
    """Note what became of orders on batches of ours; the first note stands."""
    rows = [(change.order_id, clean(change.result), change.at) for _, change in wave]
    fulfilled = {order_id for (order_id,) in await session.fetch(_FULFIL, session.replica, *columns(rows))}
    rest = [placed for placed in wave if placed.change.order_id not in fulfilled]
    if rest:
        known = dict(await session.fetch(_ORDERED, [change.order_id for _, change in rest]))
        raise Refused({write: _no_order(change.order_id, known) for write, change in rest})


def _no_order(order_id: str, known: dict[str, str]) -> Exception:
    if order_id in known:
        return LostBatch(known[order_id])
    return ValueError(f"order {order_id} is not in the journal")


async def place_orders(session: Session, wave: Sequence[Placed]) -> None:
    """Record orders one by one; they come from people."""
    errors: dict[int, Exception] = {}
    for write, change in wave:
        try:
            await place_order(session.connection, change)
        except ValueError as error:
            errors[write] = error
    if errors:
        raise Refused(errors)


async def place_order(connection: Connection, change: PlaceOrder) -> None:
    """Record an order; one that is recorded already stays as it is, so that an unsure writer may repeat it."""
    if await connection.fetchval("SELECT 1 FROM operator_order WHERE id = $1", change.id):
        return
    batch = await connection.fetchval("SELECT number FROM batch WHERE id = $1", change.batch_id)
    if batch is None:
        raise ValueError(f"batch {change.batch_id} is not in the journal")
    addresses = columns(change.rows) if change.rows else [[], []]
    found = await connection.fetch(_IN_DOUBT, batch, *addresses)
    law.require_doubt(change, {Address(*address) for address in found})
    await connection.execute(
        _PLACE,
        *(change.id, batch, render_addresses(change.rows), change.settlement.value),
        *(clean(change.actor), clean(change.reason), change.at),
    )
