"""An open batch as the journal remembers it, made workable again after a stop or a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bridge.batch import Address, CallState, Operation, Outcome, Verdict
from bridge.calls import LiveCall
from bridge.intake import Desk, unpack_names, unpack_row
from bridge.journal import Attempt, CallRecord, RowRecord, StoredBatch
from bridge.plan import BatchClaims, Draft, PlannedRow
from bridge.work import Work

ENDED = frozenset({CallState.DONE, CallState.REFUSED})


def reopen(stored: StoredBatch, attempts: Sequence[Attempt], desk: Desk) -> Work:
    """Return the batch as it was when the journal last heard of it.

    Nothing is translated again: items, unique ids and calls are those written down before the first byte left.
    """
    loop = asyncio.get_running_loop()
    planned = {row.address: unpack_row(row, _operations(desk, row)) for row in stored.rows if row.operation}
    claims = BatchClaims()
    for row in stored.rows:
        if row.operation:
            claims.add(planned[row.address])
        else:
            claims.add_refused(row.address, unpack_names(row))
    doubted = {attempt.call_id for attempt in attempts if attempt.state is CallState.IN_DOUBT}
    opened = loop.create_future()
    opened.set_result(None)
    return Work(
        record=stored.batch,
        desk=desk,
        rows=[(row.address, row.ledgerref) for row in stored.rows],
        planned=list(planned.values()),
        claims=claims,
        outcomes={row.address: _outcome(row) for row in stored.rows if row.verdict is not Verdict.PENDING},
        opened=opened,
        finished=loop.create_future(),
        calls=[_live(call, planned, tried=call.id in doubted) for call in stored.calls if call.state not in ENDED],
    )


def _operations(desk: Desk, row: RowRecord) -> Mapping[str, Operation]:
    return desk.profile.objects[row.address.objectname].operations


def _outcome(row: RowRecord) -> Outcome:
    return Outcome(row.address, row.verdict, row.message)


def _live(call: CallRecord, planned: Mapping[Address, PlannedRow], *, tried: bool) -> LiveCall:
    rows = tuple(planned[address] for address in call.rows)
    draft = Draft(call.organization, rows[0].operation, call.path, rows)
    return LiveCall(call, draft, tried=tried)
