"""An open batch as the journal remembers it, made workable again after a stop or a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bridge.batch import LEGACY, Address, CallState, Outcome, Verdict
from bridge.calls.live import LiveCall
from bridge.errors import CannotTakeNow
from bridge.intake.desk import Desk
from bridge.intake.packing import unpack_names, unpack_row
from bridge.journal import Attempt, CallRecord, RowRecord, StoredBatch
from bridge.modern.requests import read_field
from bridge.plan import BatchClaims, Draft, PlannedRow, case_in
from bridge.workshop.work import Work

ENDED = frozenset({CallState.DONE, CallState.REFUSED})


def reopen(stored: StoredBatch, attempts: Sequence[Attempt], desk: Desk) -> Work:
    """Return the batch as it was when the journal last heard of it.

    Nothing is translated again: items, unique ids and calls are those written down before the first byte left.
    Raises CannotTakeNow when the profile has lost an operation that the batch needs.
    """
    loop = asyncio.get_running_loop()
    planned = {row.address: _rebuild(desk, row) for row in stored.rows if row.operation}
    claims = BatchClaims()
    for row in stored.rows:
        if row.operation == LEGACY.name:
            claims.add_elsewhere(row.organization, row.address, desk.names_in(row.address, row.item or b""))
        elif row.operation:
            claims.add(planned[row.address])
        else:
            claims.add_refused(row.address, unpack_names(row))
    doubted = _rows_once_in_doubt(stored, attempts)
    opened = loop.create_future()
    opened.set_result(None)
    return Work(
        record=stored.batch,
        desk=desk,
        rows=[(row.address, row.ledgerref) for row in stored.rows],
        planned=[row for row in planned.values() if row.operation is not LEGACY],
        relayed=[row for row in planned.values() if row.operation is LEGACY],
        claims=claims,
        outcomes={row.address: _outcome(row) for row in stored.rows if row.verdict is not Verdict.PENDING},
        opened=opened,
        calls=[
            _live(call, planned, tried=not doubted.isdisjoint(call.rows))
            for call in stored.calls
            if call.state not in ENDED
        ],
    )


def _rows_once_in_doubt(stored: StoredBatch, attempts: Sequence[Attempt]) -> set[Address]:
    """Return the rows an attempt may have left behind at the modern system, by whichever call they went then."""
    doubted = {attempt.call_id for attempt in attempts if attempt.state is CallState.IN_DOUBT}
    return {address for call in stored.calls if call.id in doubted for address in call.rows}


def _rebuild(desk: Desk, row: RowRecord) -> PlannedRow:
    if row.operation == LEGACY.name:
        return PlannedRow(row.address, row.organization, LEGACY, row.item or b"{}")
    try:
        return unpack_row(row, desk.profile.objects[row.address.objectname].operations)
    except KeyError:
        raise CannotTakeNow(
            f"this batch waits for the operation {row.operation} of {row.address.objectname} rows, which its profile "
            "lost: let the operator restore it, restart the bridge, then send the batch again"
        ) from None


def _outcome(row: RowRecord) -> Outcome:
    return Outcome(row.address, row.verdict, row.message)


def _live(call: CallRecord, planned: Mapping[Address, PlannedRow], *, tried: bool) -> LiveCall:
    rows = tuple(_as_sent(planned[address], call.path) for address in call.rows)
    draft = Draft(call.organization, rows[0].operation, call.path, rows)
    return LiveCall(call, draft, tried=tried)


def _as_sent(row: PlannedRow, path: str) -> PlannedRow:
    """Return a row as it stands in a journalled call: with the claim found for it, by which results name it."""
    if row.reference is None:
        return row
    into = row.reference.into
    return replace(
        row,
        reference=None,
        invoice_id=read_field(row.item, into) if into else "",
        case_id=case_in(row.operation, path),
    )
