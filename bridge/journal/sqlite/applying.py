"""One function per kind of change: the change in, SQL out. All of it runs on the writer's thread, inside a transaction.

What the law forbids is refused here with ValueError, whatever the caller believes: a call moves only as `TRANSITIONS`
say, a decided row stays decided and is never planned again, a row has one open call at most, a batch with pending rows
is not finished.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import law, proof
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import (
    Change,
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    HandOver,
    IdentityTaken,
    KeepSamples,
    LearnClaims,
    MoveCall,
    NotePassed,
    NoteRebuild,
    Observe,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    RegisterSettlements,
    SeeCreditor,
    SetSwitch,
    StaleCall,
)
from bridge.journal.records import CallRecord, RowRecord
from bridge.journal.sqlite.bulk import execute_many
from bridge.journal.sqlite.crossreference import learn_claims
from bridge.journal.sqlite.handing_over import hand_over
from bridge.journal.sqlite.observing import keep_samples, observe
from bridge.journal.sqlite.orders import fulfil_order, place_order
from bridge.journal.sqlite.schema import ENTRIES_PER_BATCH
from bridge.journal.sqlite.settlements import note_rebuild, register_settlements
from bridge.journal.sqlite.switching import note_passed, set_switch


def apply_changes(connection: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Carry out changes in the order given."""
    for change in changes:
        _APPLY[type(change)](connection, change)


def _open_batch(connection: sqlite3.Connection, change: OpenBatch) -> None:
    law.require_whole(change)
    batch, rows = change.batch, change.rows
    if change.supersedes:
        connection.execute(
            "UPDATE batch SET identity = identity || ' superseded ' || id WHERE id = ? AND sender = ? AND identity = ?",
            (change.supersedes, batch.sender, batch.identity),
        )
    cursor = connection.execute(
        "INSERT INTO batch (id, sender, identity, profile, batchid, content, received_at, offline, row_count,"
        " addresses, finished_at, reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sender, identity) DO NOTHING",
        (
            *(batch.id, batch.sender, batch.identity, batch.profile, batch.batchid, batch.content, batch.received_at),
            *(batch.offline, batch.row_count, render_addresses(row.address for row in rows)),
            *(batch.finished_at, batch.reply),
        ),
    )
    if cursor.rowcount == 0:
        raise IdentityTaken(f"another batch of sender {batch.sender} holds the identity of batch {batch.id}")
    number = cursor.lastrowid or 0
    if batch.payload is not None:
        connection.execute("INSERT INTO payload (batch, body) VALUES (?, ?)", (number, batch.payload))
    _insert_rows(connection, number, rows)


def _insert_rows(connection: sqlite3.Connection, number: int, rows: Sequence[RowRecord]) -> None:
    def bind_row(placed: tuple[int, RowRecord]) -> tuple[Any, ...]:
        position, row = placed
        return (
            *(number, *row.address, position, row.verdict, row.message, row.ledgerref, row.organization),
            *(row.operation, row.unique_id),
        )

    def bind_item(placed: tuple[int, RowRecord]) -> tuple[Any, ...]:
        position, row = placed
        return number * ENTRIES_PER_BATCH + position, row.item, row.reference

    placed = list(enumerate(rows))
    columns = (
        "batch, objectname, objectindex, position, verdict, message, ledgerref, organization, operation, unique_id"
    )
    execute_many(connection, f"INSERT INTO row ({columns}) {{values}}", placed, bind_row)
    shares = proof.divide_rows(rows)
    execute_many(
        connection,
        "INSERT INTO taken (batch, organization, row_count, addresses) {values}",
        shares,
        lambda share: (number, *share),
    )
    with_items = [(position, row) for position, row in placed if row.item is not None or row.reference is not None]
    execute_many(connection, "INSERT INTO item (entry, body, reference) {values}", with_items, bind_item)


def _plan_call(connection: sqlite3.Connection, change: PlanCall) -> None:
    call = change.call
    law.require_beginning(change)
    placed = connection.execute(
        "INSERT INTO call (batch, position, id, organization, operation, path, addresses, state, modern_batch,"
        " planned_at, submitted_at, why) SELECT number, (SELECT COALESCE(MAX(position) + 1, 0) FROM call"
        " WHERE batch = number), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM batch WHERE batch.id = ?1"
        " RETURNING batch, position",
        (
            *(call.batch_id, call.id, call.organization, call.operation, call.path, render_addresses(call.rows)),
            *(call.state, call.modern_batch, call.planned_at, call.submitted_at, call.why),
        ),
    ).fetchone()
    if placed is None:
        raise _unknown(call.batch_id)
    batch, position = placed
    law.require_tied(change, _tie_rows(connection, batch, position, call))
    _record_attempt(connection, (batch, position), call.planned_at, call.state, call.why)
    _replace_items(connection, batch, change)


def _tie_rows(connection: sqlite3.Connection, batch: int, position: int, call: CallRecord) -> int:
    return execute_many(
        connection,
        "UPDATE row SET call = new.column4 FROM ({values}) AS new WHERE row.batch = new.column1"
        " AND row.objectname = new.column2 AND row.objectindex = new.column3 AND row.verdict = 'pending'"
        " AND NOT EXISTS (SELECT 1 FROM call WHERE call.batch = row.batch AND call.position = row.call"
        " AND call.state NOT IN ('DONE', 'REFUSED'))",
        call.rows,
        lambda address: (batch, *address, position),
    )


def _replace_items(connection: sqlite3.Connection, batch: int, change: PlanCall) -> None:
    replaced = execute_many(
        connection,
        "INSERT INTO item (entry, body) SELECT row.batch * new.column5 + row.position, new.column4"
        " FROM ({values}) AS new JOIN row ON row.batch = new.column1 AND row.objectname = new.column2"
        " AND row.objectindex = new.column3 WHERE true ON CONFLICT (entry) DO UPDATE SET body = excluded.body",
        list(change.items.items()),
        lambda item: (batch, *item[0], item[1], ENTRIES_PER_BATCH),
    )
    law.require_replaced(change, replaced)


def _move_call(connection: sqlite3.Connection, change: MoveCall) -> None:
    law.require_lawful(change)
    begins = change.at if change.after is CallState.SUBMITTING else None
    moved = connection.execute(
        "UPDATE call SET state = ?, why = ?, submitted_at = COALESCE(?, submitted_at),"
        " modern_batch = COALESCE(NULLIF(?, ''), modern_batch) WHERE id = ? AND state = ? RETURNING batch, position",
        (change.after, change.why, begins, change.modern_batch, change.call_id, change.before),
    ).fetchone()
    if moved is None:
        raise StaleCall(f"call {change.call_id} is not {change.before} any more")
    _record_attempt(connection, moved, change.at, change.after, change.why)


def _record_attempt(
    connection: sqlite3.Connection, call: tuple[int, int], at: float, state: CallState, why: str
) -> None:
    connection.execute(
        "INSERT INTO attempt (batch, call, step, at, state, why) SELECT ?1, ?2, COALESCE(MAX(step) + 1, 0), ?3, ?4, ?5"
        " FROM attempt WHERE batch = ?1 AND call = ?2",
        (*call, at, state, why),
    )


def _decide_rows(connection: sqlite3.Connection, change: DecideRows) -> None:
    finals = [outcome for outcome in change.outcomes if outcome.verdict is not Verdict.PENDING]
    _name_rows(connection, change.batch_id, [outcome for outcome in finals if outcome.ledgerref])

    def bind(outcome: Outcome) -> tuple[Any, ...]:
        return change.batch_id, *outcome.address, outcome.verdict, outcome.message

    decided = execute_many(
        connection,
        "UPDATE row SET verdict = new.column4, message = new.column5 FROM ({values}) AS new"
        " JOIN batch ON batch.id = new.column1 WHERE row.batch = batch.number AND row.objectname = new.column2"
        " AND row.objectindex = new.column3 AND row.verdict = 'pending'",
        finals,
        bind,
    )
    if decided != len(finals) or not finals:
        batch = _number_of(connection, change.batch_id)
        _require_rows(connection, batch, [outcome.address for outcome in finals])


def _name_rows(connection: sqlite3.Connection, batch_id: str, outcomes: Sequence[Outcome]) -> None:
    """Keep what the legacy host calls rows that it decides; a row that is decided keeps its reference, too."""
    execute_many(
        connection,
        "UPDATE row SET ledgerref = new.column4 FROM ({values}) AS new"
        " JOIN batch ON batch.id = new.column1 WHERE row.batch = batch.number AND row.objectname = new.column2"
        " AND row.objectindex = new.column3 AND row.verdict = 'pending'",
        outcomes,
        lambda outcome: (batch_id, *outcome.address, outcome.ledgerref),
    )


def _require_rows(connection: sqlite3.Connection, batch: int, addresses: Sequence[Address]) -> None:
    for address in addresses:
        held = connection.execute(
            "SELECT 1 FROM row WHERE batch = ? AND objectname = ? AND objectindex = ?", (batch, *address)
        ).fetchone()
        if held is None:
            raise ValueError(f"{address} is not a row of this batch")


def _finish_batch(connection: sqlite3.Connection, change: FinishBatch) -> None:
    # the first answer stands: whoever sends the batch again must get the same bytes
    finished = connection.execute(
        "UPDATE batch SET reply = ?1, finished_at = ?2 WHERE id = ?3 AND finished_at IS NULL AND NOT EXISTS"
        " (SELECT 1 FROM row WHERE row.batch = batch.number AND verdict = 'pending')",
        (change.reply, change.at, change.batch_id),
    )
    if not finished.rowcount:
        _require_decided(connection, change.batch_id)


def _require_decided(connection: sqlite3.Connection, batch_id: str) -> None:
    pending = connection.execute(
        "SELECT objectname, objectindex FROM row WHERE batch = ? AND verdict = 'pending' LIMIT 1",
        (_number_of(connection, batch_id),),
    ).fetchone()
    if pending is not None:
        raise ValueError(f"batch {batch_id} cannot be finished: {Address(*pending)} is still pending")


def _count_unknown(connection: sqlite3.Connection, change: CountUnknown) -> None:
    execute_many(
        connection,
        "INSERT INTO unknown_field (sender, objectname, field, count, last_seen)"
        " SELECT column1, column2, column3, column4, column5 FROM ({values}) WHERE true"
        " ON CONFLICT (sender, objectname, field) DO UPDATE SET count = count + excluded.count,"
        " last_seen = MAX(last_seen, excluded.last_seen)",
        list(change.counts.items()),
        lambda counted: (change.sender, change.objectname, *counted, change.at),
    )


def _see_creditor(connection: sqlite3.Connection, change: SeeCreditor) -> None:
    connection.execute(
        "INSERT INTO creditor (sender, idnumber, known, fields, first_seen, last_seen) VALUES (?1, ?2, ?3, ?4, ?5, ?5)"
        " ON CONFLICT (sender, idnumber) DO UPDATE SET known = excluded.known,"
        " fields = (SELECT json_group_array(value) FROM (SELECT value FROM json_each(creditor.fields)"
        " UNION SELECT value FROM json_each(excluded.fields))),"
        " first_seen = MIN(first_seen, excluded.first_seen), last_seen = MAX(last_seen, excluded.last_seen)",
        (change.sender, change.idnumber, change.known, json.dumps(sorted(set(change.fields))), change.at),
    )


def _number_of(connection: sqlite3.Connection, batch_id: str) -> int:
    found = connection.execute("SELECT number FROM batch WHERE id = ?", (batch_id,)).fetchone()
    if found is None:
        raise _unknown(batch_id)
    number: int = found[0]
    return number


def _unknown(batch_id: str) -> ValueError:
    return ValueError(f"batch {batch_id} is not in the journal")


def _learn(connection: sqlite3.Connection, change: LearnClaims) -> None:
    learn_claims(connection, change.claims)


_APPLY: dict[type[Change], Callable[[sqlite3.Connection, Any], None]] = {
    OpenBatch: _open_batch,
    PlanCall: _plan_call,
    MoveCall: _move_call,
    DecideRows: _decide_rows,
    LearnClaims: _learn,
    FinishBatch: _finish_batch,
    CountUnknown: _count_unknown,
    SeeCreditor: _see_creditor,
    PlaceOrder: place_order,
    FulfilOrder: fulfil_order,
    RegisterSettlements: register_settlements,
    NoteRebuild: note_rebuild,
    SetSwitch: set_switch,
    NotePassed: note_passed,
    Observe: observe,
    KeepSamples: keep_samples,
    HandOver: hand_over,
}
