"""What is read back: SQL in, records out. Each function expects to run inside one read transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from bridge.batch import Address, Verdict
from bridge.journal import restoring
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    CallRecord,
    Order,
    PendingInvoice,
    RowRecord,
    SeenCreditor,
    Standing,
    StoredBatch,
    UnknownField,
)
from bridge.journal.sqlite.schema import ENTRIES_PER_BATCH

_BATCH = f"SELECT {restoring.BATCH_COLUMNS} FROM batch LEFT JOIN payload ON payload.batch = batch.number"  # noqa: S608 - constants

_ORDER = f"SELECT {restoring.ORDER_COLUMNS} FROM operator_order AS word JOIN batch ON batch.number = word.batch"  # noqa: S608 - constants

# CROSS JOIN keeps the order, so that nothing but open batches is read; the first words are those of their index
_PENDING_INVOICES = """
SELECT batch.id, batch.batchid, row.objectname, row.objectindex,
    json_extract(name.value, '$[0]'), json_extract(name.value, '$[1]')
FROM batch
CROSS JOIN row ON row.batch = batch.number AND row.objectname = 'invoice'
CROSS JOIN item ON item.entry = row.batch * ?1 + row.position
CROSS JOIN json_each(CAST(item.reference AS TEXT), '$.keys') AS name
WHERE batch.kept = 1 AND batch.finished_at IS NULL AND row.verdict = 'pending' AND row.organization = ?2
    AND (json_extract(name.value, '$[0]'), json_extract(name.value, '$[1]'))
    IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?3))
ORDER BY batch.number, row.position
"""


def holds_identity(connection: sqlite3.Connection, sender: str, identity: str) -> bool:
    """Tell whether a batch holds this identity."""
    held = connection.execute("SELECT 1 FROM batch WHERE sender = ? AND identity = ?", (sender, identity))
    return held.fetchone() is not None


def find_batch(connection: sqlite3.Connection, sender: str, identity: str) -> BatchRecord | None:
    """Return the batch that holds this identity."""
    found = connection.execute(f"{_BATCH} WHERE sender = ? AND identity = ?", (sender, identity)).fetchone()
    return None if found is None else restoring.to_batch(found)


def find_newest(connection: sqlite3.Connection, sender: str, batchid: str) -> BatchRecord | None:
    """Return the newest batch that the sender called by this batchid."""
    found = connection.execute(
        f"{_BATCH} WHERE batchid = ? AND batchid <> '' AND sender = ? ORDER BY number DESC LIMIT 1", (batchid, sender)
    ).fetchone()
    return None if found is None else restoring.to_batch(found)


def load_batch(connection: sqlite3.Connection, batch_id: str) -> StoredBatch | None:
    """Return a batch with rows in reply order and calls in the order they were planned."""
    found = connection.execute(f"{_BATCH} WHERE batch.id = ?", (batch_id,)).fetchone()
    if found is None:
        return None
    calls = _load_calls(connection, found[0], batch_id)
    rows = _load_rows(connection, found[0], {position: call.id for position, call in enumerate(calls)})
    return StoredBatch(restoring.to_batch(found), rows, calls)


def _load_calls(connection: sqlite3.Connection, number: int, batch_id: str) -> tuple[CallRecord, ...]:
    found = connection.execute(
        f"SELECT {restoring.CALL_COLUMNS} FROM call WHERE batch = ? ORDER BY position",  # noqa: S608 - constants
        (number,),
    )
    return tuple(restoring.to_call(call, batch_id) for call in found)


def _load_rows(connection: sqlite3.Connection, number: int, call_ids: dict[int, str]) -> tuple[RowRecord, ...]:
    found = connection.execute(
        f"SELECT {restoring.ROW_COLUMNS} FROM row LEFT JOIN item ON item.entry = batch * ? + position"  # noqa: S608 - constants
        " WHERE batch = ? ORDER BY position",
        (ENTRIES_PER_BATCH, number),
    )
    return tuple(restoring.to_row(row, call_ids) for row in found)


def load_standing(connection: sqlite3.Connection, batch_id: str) -> Standing | None:
    """Return what may be said of a batch now."""
    return restoring.to_standing(connection.execute(restoring.STANDING.format(batch_id="?"), (batch_id,)).fetchall())


def list_open(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of batches without a final answer, oldest first."""
    found = connection.execute(
        "SELECT id FROM batch WHERE kept = 1 AND finished_at IS NULL ORDER BY received_at, number"
    )
    return [batch_id for (batch_id,) in found]


def list_pending_invoices(
    connection: sqlite3.Connection, organization: str, names: Collection[tuple[str, str]]
) -> list[PendingInvoice]:
    """Return the undecided invoice rows of open batches that go by one of these names."""
    found = connection.execute(_PENDING_INVOICES, (ENTRIES_PER_BATCH, organization, json.dumps(list(names))))
    return [restoring.to_pending_invoice(pending) for pending in found]


def invoice_verdicts(connection: sqlite3.Connection, batch_id: str) -> dict[Address, Verdict]:
    """Return the final verdicts on the invoice rows of a batch."""
    found = connection.execute(
        "SELECT row.objectname, row.objectindex, row.verdict FROM batch CROSS JOIN row ON row.batch = batch.number"
        " AND row.objectname = 'invoice' WHERE batch.id = ? AND row.verdict <> 'pending'",
        (batch_id,),
    )
    return {Address(*address): Verdict(verdict) for *address, verdict in found}


def is_open(connection: sqlite3.Connection, batch_id: str) -> bool:
    """Tell whether a batch is there and has no final answer."""
    found = connection.execute("SELECT 1 FROM batch WHERE id = ? AND finished_at IS NULL", (batch_id,))
    return found.fetchone() is not None


def list_attempts(connection: sqlite3.Connection, batch_id: str) -> list[Attempt]:
    """Return the attempts of a batch, oldest first; a clock that was set back does not reorder those of one call."""
    found = connection.execute(
        "SELECT call.id, attempt.at, attempt.state, attempt.why FROM batch"
        " JOIN attempt ON attempt.batch = batch.number"
        " JOIN call ON call.batch = attempt.batch AND call.position = attempt.call WHERE batch.id = ?"
        " ORDER BY MAX(attempt.at) OVER (PARTITION BY attempt.call ORDER BY attempt.step), attempt.call, attempt.step",
        (batch_id,),
    )
    return [restoring.to_attempt(attempt) for attempt in found]


def summarize(connection: sqlite3.Connection, limit: int) -> list[BatchSummary]:
    """Return the newest batches, newest first, with how many of their rows stand where."""
    found = connection.execute(
        "SELECT batch.id, sender, batchid, received_at, finished_at, row_count,"
        " COUNT(*) FILTER (WHERE verdict = 'accepted'), COUNT(*) FILTER (WHERE verdict = 'refused'),"
        " COUNT(*) FILTER (WHERE verdict = 'pending' AND call.state IS NOT 'IN_DOUBT'),"
        " COUNT(*) FILTER (WHERE verdict = 'pending' AND call.state IS 'IN_DOUBT')"
        " FROM (SELECT * FROM batch ORDER BY number DESC LIMIT ?) AS batch LEFT JOIN row ON row.batch = batch.number"
        " LEFT JOIN call ON call.batch = row.batch AND call.position = row.call"
        " GROUP BY batch.number ORDER BY batch.number DESC",
        (limit,),
    )
    return [BatchSummary(*summary) for summary in found]


def list_unknown_fields(connection: sqlite3.Connection) -> list[UnknownField]:
    """Return what senders sent and nobody reads."""
    found = connection.execute(
        "SELECT sender, objectname, field, count, last_seen FROM unknown_field ORDER BY sender, objectname, field"
    )
    return [UnknownField(*counted) for counted in found]


def list_creditors(connection: sqlite3.Connection) -> list[SeenCreditor]:
    """Return the creditor register."""
    found = connection.execute(
        "SELECT sender, idnumber, known, fields, first_seen, last_seen FROM creditor ORDER BY sender, idnumber"
    )
    return [restoring.to_creditor(seen) for seen in found]


def list_orders(connection: sqlite3.Connection, batch_id: str) -> list[Order]:
    """Return what operators said about a batch, oldest first."""
    found = connection.execute(f"{_ORDER} WHERE batch.id = ? ORDER BY word.number", (batch_id,))
    return [restoring.to_order(order) for order in found]


def list_pending_orders(connection: sqlite3.Connection) -> list[Order]:
    """Return orders that are not carried out yet, oldest first."""
    found = connection.execute(f"{_ORDER} WHERE word.fulfilled_at IS NULL ORDER BY word.number")
    return [restoring.to_order(order) for order in found]


def newest_order(connection: sqlite3.Connection) -> int:
    """Return the number of the newest order, 0 when there is none."""
    number: int = connection.execute("SELECT COALESCE(MAX(number), 0) FROM operator_order").fetchone()[0]
    return number


def batches_ordered_after(connection: sqlite3.Connection, number: int) -> list[str]:
    """Return the ids of batches whose orders came after the one with this number."""
    found = connection.execute(
        "SELECT DISTINCT batch.id FROM operator_order AS word JOIN batch ON batch.number = word.batch"
        " WHERE word.number > ?",
        (number,),
    )
    return [batch_id for (batch_id,) in found]
