"""What is read back: SQL in, records out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bridge.batch import Address, Verdict
from bridge.journal import proof, restoring
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import clean, columns
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    BooksFault,
    Ledger,
    Order,
    PendingInvoice,
    SeenCreditor,
    Standing,
    StoredBatch,
    UnknownField,
)

_BATCH = f"SELECT {restoring.BATCH_COLUMNS} FROM batch LEFT JOIN payload ON payload.batch = batch.number"  # noqa: S608 - constants

_FIND = f"""
SELECT {restoring.BATCH_COLUMNS} FROM unnest($1::text[], $2::text[]) AS asked(by, name)
JOIN batch ON batch.sender = asked.by AND batch.identity = asked.name
LEFT JOIN payload ON payload.batch = batch.number
"""  # noqa: S608 - constants

_CALLS = f"SELECT {restoring.CALL_COLUMNS} FROM call WHERE batch = $1 ORDER BY position"  # noqa: S608 - constants

_ROWS = (
    f"SELECT {restoring.ROW_COLUMNS} FROM row LEFT JOIN item ON item.batch = row.batch AND item.position = row.position"  # noqa: S608 - constants
    " WHERE row.batch = $1 ORDER BY row.position"
)

_ATTEMPTS = """
SELECT call.id, attempt.at, attempt.state, attempt.why FROM batch
JOIN attempt ON attempt.batch = batch.number
JOIN call ON call.batch = attempt.batch AND call.position = attempt.call WHERE batch.id = $1
ORDER BY MAX(attempt.at) OVER (PARTITION BY attempt.call ORDER BY attempt.step), attempt.call, attempt.step
"""

_SUMMARIES = """
SELECT batch.id, sender, batchid, received_at, finished_at, row_count,
    COUNT(*) FILTER (WHERE verdict = 'accepted'), COUNT(*) FILTER (WHERE verdict = 'refused'),
    COUNT(*) FILTER (WHERE verdict = 'pending' AND COALESCE(call.state, '') <> 'IN_DOUBT'),
    COUNT(*) FILTER (WHERE verdict = 'pending' AND call.state = 'IN_DOUBT')
FROM (SELECT number, id, sender, batchid, received_at, finished_at, row_count FROM batch ORDER BY number DESC LIMIT $1)
    AS batch LEFT JOIN row ON row.batch = batch.number
LEFT JOIN call ON call.batch = row.batch AND call.position = row.call
GROUP BY batch.number, batch.id, sender, batchid, received_at, finished_at, row_count ORDER BY batch.number DESC
"""

_ORDER = f"SELECT {restoring.ORDER_COLUMNS} FROM operator_order AS word JOIN batch ON batch.number = word.batch"  # noqa: S608 - constants

# OFFSET 0 keeps the order, so that nothing but open batches is read. A jsonb cannot hold the character NUL, and one
# name with it must not spoil the question for all.
_PENDING_INVOICES = r"""
SELECT batch.id, batch.batchid, pending.objectname, pending.objectindex, name ->> 0, name ->> 1
FROM batch
CROSS JOIN LATERAL (SELECT objectname, objectindex, position FROM row WHERE row.batch = batch.number
    AND objectname = 'invoice' AND verdict = 'pending' AND organization = $1 OFFSET 0) AS pending
JOIN item ON item.batch = batch.number AND item.position = pending.position
CROSS JOIN LATERAL jsonb_array_elements(CASE WHEN position('\\u0000'::bytea IN item.reference) = 0
    THEN convert_from(item.reference, 'UTF8')::jsonb -> 'keys' END) AS name
WHERE batch.finished_at IS NULL AND (name ->> 0, name ->> 1) IN (SELECT * FROM unnest($2::text[], $3::text[]))
ORDER BY batch.number, pending.position
"""


async def find_batches(connection: Connection, asked: Sequence[tuple[str, str]]) -> dict[tuple[str, str], BatchRecord]:
    """Return the batches that hold these identities (sender, identity), as far as there are any."""
    found = await connection.fetch(_FIND, *columns([(sender, clean(identity)) for sender, identity in asked]))
    batches = map(restoring.to_batch, found)
    return {(batch.sender, batch.identity): batch for batch in batches}


async def find_newest(connection: Connection, sender: str, batchid: str) -> BatchRecord | None:
    """Return the newest batch that the sender called by this batchid."""
    found = await connection.fetchrow(
        f"{_BATCH} WHERE batchid = $1 AND batchid <> '' AND sender = $2 ORDER BY number DESC LIMIT 1",
        *(clean(batchid), sender),
    )
    return None if found is None else restoring.to_batch(found)


async def load_batch(connection: Connection, batch_id: str) -> StoredBatch | None:
    """Return a batch with rows in reply order and calls in the order they were planned, all of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        found = await connection.fetchrow(f"{_BATCH} WHERE batch.id = $1", batch_id)
        if found is None:
            return None
        calls = await connection.fetch(_CALLS, found[0])
        rows = await connection.fetch(_ROWS, found[0])
    call_ids = {position: call[0] for position, call in enumerate(calls)}
    return StoredBatch(
        restoring.to_batch(found),
        tuple(restoring.to_row(row, call_ids) for row in rows),
        tuple(restoring.to_call(call, batch_id) for call in calls),
    )


async def load_standing(connection: Connection, batch_id: str) -> Standing | None:
    """Return what may be said of a batch now."""
    return restoring.to_standing(await connection.fetch(restoring.STANDING.format(batch_id="$1"), batch_id))


async def list_open(connection: Connection) -> list[str]:
    """Return the ids of batches without a final answer, oldest first."""
    found = await connection.fetch("SELECT id FROM batch WHERE finished_at IS NULL ORDER BY received_at, number")
    return [batch_id for (batch_id,) in found]


async def list_pending_invoices(
    connection: Connection, organization: str, names: Collection[tuple[str, str]]
) -> list[PendingInvoice]:
    """Return the undecided invoice rows of open batches that go by one of these names."""
    asked = [kind for kind, _ in names], [clean(value) for _, value in names]
    return [
        restoring.to_pending_invoice(row) for row in await connection.fetch(_PENDING_INVOICES, organization, *asked)
    ]


async def invoice_verdicts(connection: Connection, batch_id: str) -> dict[Address, Verdict]:
    """Return the final verdicts on the invoice rows of a batch."""
    found = await connection.fetch(
        "SELECT row.objectname, row.objectindex, row.verdict FROM batch JOIN row ON row.batch = batch.number"
        " AND row.objectname = 'invoice' WHERE batch.id = $1 AND row.verdict <> 'pending'",
        batch_id,
    )
    return {Address(*address): Verdict(verdict) for *address, verdict in found}


async def list_attempts(connection: Connection, batch_id: str) -> list[Attempt]:
    """Return the attempts of a batch, oldest first; a clock that was set back does not reorder those of one call."""
    return [restoring.to_attempt(attempt) for attempt in await connection.fetch(_ATTEMPTS, batch_id)]


async def summarize(connection: Connection, limit: int) -> list[BatchSummary]:
    """Return the newest batches, newest first, with how many of their rows stand where."""
    return [BatchSummary(*summary) for summary in await connection.fetch(_SUMMARIES, limit)]


async def list_unknown_fields(connection: Connection) -> list[UnknownField]:
    """Return what senders sent and nobody reads."""
    found = await connection.fetch(
        'SELECT sender, objectname, field, count, last_seen FROM unknown_field ORDER BY sender COLLATE "C", objectname,'
        ' field COLLATE "C"'
    )
    return [UnknownField(*counted) for counted in found]


async def list_creditors(connection: Connection) -> list[SeenCreditor]:
    """Return the creditor register."""
    found = await connection.fetch(
        "SELECT sender, idnumber, known, fields, first_seen, last_seen FROM creditor"
        ' ORDER BY sender COLLATE "C", idnumber'
    )
    return [restoring.to_creditor(seen) for seen in found]


async def list_orders(connection: Connection, batch_id: str) -> list[Order]:
    """Return what operators said about a batch, oldest first."""
    found = await connection.fetch(f"{_ORDER} WHERE batch.id = $1 ORDER BY word.number", batch_id)
    return [restoring.to_order(order) for order in found]


async def list_pending_orders(connection: Connection, replica: int) -> list[Order]:
    """Return orders for batches of a replica that are not carried out yet, oldest first."""
    found = await connection.fetch(
        f"{_ORDER} WHERE word.fulfilled_at IS NULL AND batch.owner = $1 ORDER BY word.number", replica
    )
    return [restoring.to_order(order) for order in found]


async def prove(connection: Connection) -> Ledger:
    """Count every row, and name the ones that break the books, all of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        taken = await connection.fetchval(proof.TAKEN)
        shares = await connection.fetch(proof.TAKEN_BY_ORGANIZATION)
        counts = await connection.fetch(proof.COUNTS)
        doubtful = await connection.fetch(proof.IN_DOUBT)
        faults = [
            fault
            for batch, number, row_count, addresses in await connection.fetch(proof.MISCOUNTED)
            for fault in proof.compare_rows(batch, row_count, addresses, await _addresses(connection, number))
        ]
        for batch, number in await connection.fetch(proof.MISROUTED):
            shares_of_batch = await connection.fetch(proof.SHARES.format(batch=number))
            routes = await connection.fetch(proof.ROUTES.format(batch=number))
            faults += proof.compare_routes(batch, map(tuple, shares_of_batch), map(tuple, routes))
        faults += [BooksFault(*broken) for broken in await connection.fetch(proof.BROKEN_ROWS)]
        for call in await connection.fetch(proof.BROKEN_CALLS):
            faults += proof.blame_call(*call)
        faults += [BooksFault(batch, "batch", 0, why) for batch, why in await connection.fetch(proof.BROKEN_BATCHES)]
    # sums come as Decimals
    by_organization = [(organization, int(count)) for organization, count in shares]
    return proof.close_ledger(int(taken), by_organization, map(tuple, counts), map(tuple, doubtful), faults)


async def count_doubts(connection: Connection) -> dict[str, int]:
    """Return how many rows are in doubt, by organization."""
    found = await connection.fetch(proof.DOUBTS.format(open="batch.finished_at IS NULL"))
    return {organization: count for organization, count in found}  # noqa: C416 - records are no tuples to the types


async def _addresses(connection: Connection, number: int) -> list[Address]:
    rows = await connection.fetch("SELECT objectname, objectindex FROM row WHERE batch = $1 ORDER BY position", number)
    return [Address(*address) for address in rows]
