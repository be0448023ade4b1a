"""Records from stored columns: the one place that knows in which order a store hands them over."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal.addresses import read_addresses
from bridge.journal.cutover import HandedOver, Observation, Sample
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
    Standing,
)
from bridge.modes import Mode, Switch

BATCH_COLUMNS = (
    "batch.number, batch.id, sender, profile, batchid, identity, content, received_at, offline, row_count,"
    " payload.body, reply, finished_at"
)
CALL_COLUMNS = "id, organization, operation, path, addresses, state, modern_batch, planned_at, submitted_at, why"
ROW_COLUMNS = (
    "objectname, objectindex, verdict, message, ledgerref, organization, operation, unique_id, item.body,"
    " item.reference, call"
)
STANDING = """
SELECT batch.reply, row.objectname, row.objectindex, row.ledgerref, row.verdict, row.message
FROM batch LEFT JOIN row ON row.batch = batch.number AND batch.finished_at IS NULL
WHERE batch.id = {batch_id} ORDER BY row.position
"""
"""One statement, so that answer and rows are of one moment; the rows of a batch that is answered are not read."""
EVENT_COLUMNS = "number, organization, case_id, case_number, at, kind, status, fields"
ORDER_COLUMNS = "word.id, batch.id, word.addresses, settlement, actor, reason, at, fulfilled_at, result"
SWITCH_COLUMNS = "organization, mode, other, percent, recording, number, at, actor, reason"
OBSERVATION_COLUMNS = "organization, since, topic, subject, count"
SAMPLE_COLUMNS = "organization, path, kind, at, sender, objectname, objectindex, legacy, bridge"
HANDED_OVER_COLUMNS = "batch.id, word.objectname, word.objectindex, export, at"

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


def to_standing(found: Sequence[Any]) -> Standing | None:
    """Restore how a batch stands from what STANDING finds, which is nothing for an unknown one."""
    if not found:
        return None
    rows = [(Address(name, index), *rest) for _, name, index, *rest in found if name is not None]
    outcomes = {
        address: Outcome(address, Verdict(verdict), message)
        for address, _, verdict, message in rows
        if verdict != Verdict.PENDING
    }
    return Standing(found[0][0], tuple((address, ledgerref) for address, ledgerref, *_ in rows), outcomes)


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


def to_switch(found: Columns) -> Switch:
    """Restore a switch from SWITCH_COLUMNS."""
    organization, mode, other, percent, recording, *rest = found
    return Switch(organization, Mode(mode), Mode(other) if other else None, percent, bool(recording), *rest)


def to_observations(found: Iterable[Columns]) -> list[Observation]:
    """Restore what was seen from OBSERVATION_COLUMNS: by the beginning of the spans, then by topic and subject."""
    seen = [
        Observation(organization, since, topic, read_subject(subject), count)
        for organization, since, topic, subject, count in found
    ]
    return sorted(seen, key=lambda one: (one.since, one.topic, one.subject))


def render_subject(subject: Sequence[str]) -> str:
    """Write the subject of an observation as it is stored: JSON in ASCII, which every store can hold."""
    return json.dumps(list(subject), separators=(",", ":"))


@lru_cache(maxsize=4096)
def read_subject(text: str) -> tuple[str, ...]:
    """Read what `render_subject` wrote; the same few subjects come in span after span."""
    return tuple(json.loads(text))


def to_sample(found: Columns) -> Sample:
    """Restore a sample from SAMPLE_COLUMNS."""
    organization, path, kind, at, sender, objectname, objectindex, legacy, bridge = found
    address = None if objectname is None else Address(objectname, objectindex)
    return Sample(organization, path, kind, at, sender, address, legacy, bridge)


def to_carriers(found: Iterable[Columns]) -> dict[tuple[str, Address], tuple[str, str, float] | None]:
    """Restore rows (batch id, address), each with the export, actor and time of what carries it, if anything does."""
    return {
        (batch_id, Address(objectname, objectindex)): None if export is None else (export, actor, at)
        for batch_id, objectname, objectindex, export, actor, at in found
    }


def to_handed_over(found: Columns) -> HandedOver:
    """Restore a row that was handed over from HANDED_OVER_COLUMNS."""
    batch_id, objectname, objectindex, export, at = found
    return HandedOver(batch_id, Address(objectname, objectindex), export, at)
