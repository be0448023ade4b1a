"""Records from stored columns: the one place that knows in which order a store hands them over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any

from bridge.batch import Address, CallState, Verdict
from bridge.journal.addresses import read_addresses
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    CallRecord,
    CaseEvent,
    Order,
    PendingInvoice,
    RowRecord,
    SeenCreditor,
    Settlement,
)

BATCH_COLUMNS = (
    "batch.number, batch.id, sender, profile, batchid, identity, content, received_at, offline, row_count,"
    " payload.body, reply, finished_at"
)
CALL_COLUMNS = "id, organization, operation, path, addresses, state, modern_batch, planned_at, submitted_at, why"
ROW_COLUMNS = (
    "objectname, objectindex, verdict, message, ledgerref, organization, operation, unique_id, item.body,"
    " item.reference, call"
)
EVENT_COLUMNS = "number, organization, case_id, case_number, at, kind, status, fields"
ORDER_COLUMNS = "word.id, batch.id, word.addresses, settlement, actor, reason, at, fulfilled_at, result"

Columns = Iterable[Any]


def to_batch(found: Columns) -> BatchRecord:
    """Restore a batch from BATCH_COLUMNS."""
    _, batch_id, sender, profile, batchid, identity, content, received_at, offline, *rest = found
    return BatchRecord(batch_id, sender, profile, batchid, identity, content, received_at, bool(offline), *rest)


def to_call(found: Columns, batch_id: str) -> CallRecord:
    """Restore a call from CALL_COLUMNS."""
    call_id, organization, operation, path, addresses, state, *rest = found
    rows = read_addresses(addresses)
    return CallRecord(call_id, batch_id, organization, operation, path, rows, CallState(state), *rest)


def to_row(found: Columns, call_ids: Mapping[int, str]) -> RowRecord:
    """Restore a row from ROW_COLUMNS; `call_ids` are the calls of its batch by their positions."""
    objectname, objectindex, verdict, message, ledgerref, organization, operation, unique_id, *content, call = found
    item, reference = content
    return RowRecord(
        Address(objectname, objectindex),
        Verdict(verdict),
        *(message, ledgerref, organization, operation, unique_id, item, reference),
        call_id=call_ids.get(call),
    )


def to_pending_invoice(found: Columns) -> PendingInvoice:
    """Restore an undecided invoice row from the batch's id and batchid, its address, and kind and value of a name."""
    batch_id, batchid, objectname, objectindex, kind, value = found
    return PendingInvoice(batch_id, batchid, Address(objectname, objectindex), (kind, value))


def to_attempt(found: Columns) -> Attempt:
    """Restore an attempt from the call's id, its time, state and reason."""
    call_id, at, state, why = found
    return Attempt(call_id, at, CallState(state), why)


def to_creditor(found: Columns) -> SeenCreditor:
    """Restore a line of the creditor register; the names of its fields are a JSON list."""
    sender, idnumber, known, fields, first, last = found
    return SeenCreditor(sender, idnumber, bool(known), tuple(json.loads(fields)), first, last)


def to_order(found: Columns) -> Order:
    """Restore an operator's order from ORDER_COLUMNS."""
    order_id, batch_id, addresses, settlement, *rest = found
    return Order(order_id, batch_id, read_addresses(addresses), Settlement(settlement), *rest)


def to_histories(found: Iterable[Columns]) -> dict[str, list[CaseEvent]]:
    """Restore case events from EVENT_COLUMNS, by case id, oldest first; of one moment, in the order they arrived."""
    histories: dict[str, list[CaseEvent]] = {}
    arrived: list[tuple[Any, ...]] = [tuple(columns) for columns in found]
    for _, organization, case_id, case_number, at, kind, status, fields in sorted(arrived, key=itemgetter(4, 0)):
        event = CaseEvent(organization, case_id, case_number, at, kind, status, tuple(json.loads(fields)))
        histories.setdefault(event.case_id, []).append(event)
    return histories
