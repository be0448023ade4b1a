"""What is read back: SQL in, records out. Each function expects to run inside one read transaction."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from bridge.batch import Address, CallState, Verdict
from bridge.journal import (
    Attempt,
    BatchRecord,
    BatchSummary,
    CallRecord,
    RowRecord,
    SeenCreditor,
    StoredBatch,
    UnknownField,
)
from bridge.journal.addresses import read_addresses
from bridge.journal.schema import ENTRIES_PER_BATCH

_BATCH = (
    "SELECT number, id, sender, profile, batchid, identity, content, received_at, offline, row_count, payload.body,"
    " reply, finished_at FROM batch LEFT JOIN payload ON payload.batch = batch.number"
)


def holds_identity(connection: sqlite3.Connection, sender: str, identity: str) -> bool:
    """Tell whether a batch holds this identity."""
    held = connection.execute("SELECT 1 FROM batch WHERE sender = ? AND identity = ?", (sender, identity))
    return held.fetchone() is not None


def find_batch(connection: sqlite3.Connection, sender: str, identity: str) -> BatchRecord | None:
    """Return the batch that holds this identity."""
    found = connection.execute(f"{_BATCH} WHERE sender = ? AND identity = ?", (sender, identity)).fetchone()
    return None if found is None else _to_batch(found)


def load_batch(connection: sqlite3.Connection, batch_id: str) -> StoredBatch | None:
    """Return a batch with rows in reply order and calls in the order they were planned."""
    found = connection.execute(f"{_BATCH} WHERE id = ?", (batch_id,)).fetchone()
    if found is None:
        return None
    calls = _load_calls(connection, found[0], batch_id)
    rows = _load_rows(connection, found[0], {position: call.id for position, call in enumerate(calls)})
    return StoredBatch(_to_batch(found), rows, calls)


def _to_batch(found: tuple[Any, ...]) -> BatchRecord:
    _, batch_id, sender, profile, batchid, identity, content, received_at, offline, *rest = found
    return BatchRecord(batch_id, sender, profile, batchid, identity, content, received_at, bool(offline), *rest)


def _load_calls(connection: sqlite3.Connection, number: int, batch_id: str) -> tuple[CallRecord, ...]:
    found = connection.execute(
        "SELECT id, organization, operation, path, addresses, state, modern_batch, planned_at, submitted_at, why"
        " FROM call WHERE batch = ? ORDER BY position",
        (number,),
    )
    return tuple(
        CallRecord(call_id, batch_id, organization, operation, path, read_addresses(rows), CallState(state), *rest)
        for call_id, organization, operation, path, rows, state, *rest in found
    )


def _load_rows(connection: sqlite3.Connection, number: int, call_ids: dict[int, str]) -> tuple[RowRecord, ...]:
    found = connection.execute(
        "SELECT objectname, objectindex, verdict, message, ledgerref, organization, operation, unique_id, item.body,"
        " item.reference, call FROM row LEFT JOIN item ON item.entry = batch * ? + position"
        " WHERE batch = ? ORDER BY position",
        (ENTRIES_PER_BATCH, number),
    )
    return tuple(_to_row(row, call_ids) for row in found)


def _to_row(found: tuple[Any, ...], call_ids: dict[int, str]) -> RowRecord:
    objectname, objectindex, verdict, message, ledgerref, organization, operation, unique_id, *content, call = found
    item, reference = content
    return RowRecord(
        Address(objectname, objectindex),
        Verdict(verdict),
        *(message, ledgerref, organization, operation, unique_id, item, reference),
        call_id=call_ids.get(call),
    )


def list_open(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of batches without a final answer, oldest first."""
    found = connection.execute(
        "SELECT id FROM batch WHERE kept = 1 AND finished_at IS NULL ORDER BY received_at, number"
    )
    return [batch_id for (batch_id,) in found]


def list_attempts(connection: sqlite3.Connection, batch_id: str) -> list[Attempt]:
    """Return the attempts of a batch, oldest first; a clock that was set back does not reorder those of one call."""
    found = connection.execute(
        "SELECT call.id, attempt.at, attempt.state, attempt.why FROM batch"
        " JOIN attempt ON attempt.batch = batch.number"
        " JOIN call ON call.batch = attempt.batch AND call.position = attempt.call WHERE batch.id = ?"
        " ORDER BY MAX(attempt.at) OVER (PARTITION BY attempt.call ORDER BY attempt.step), attempt.call, attempt.step",
        (batch_id,),
    )
    return [Attempt(call_id, at, CallState(state), why) for call_id, at, state, why in found]


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
    return [
        SeenCreditor(sender, idnumber, bool(known), tuple(json.loads(fields)), first, last)
        for sender, idnumber, known, fields, first, last in found
    ]
