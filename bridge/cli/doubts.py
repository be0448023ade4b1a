"""Rows in doubt: which they are, what operators said about them, and what to type to settle them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.batch import LEGACY, Address, CallState, Verdict
from bridge.cli.places import address_fields
from bridge.cli.times import write_iso
from bridge.journal import CallRecord, Order, RowRecord, StoredBatch

IN_DOUBT = "in_doubt"


def tell_state(row: RowRecord, calls: Mapping[str, CallRecord]) -> str:
    """Return where a row stands: `accepted`, `refused`, `pending` or `in_doubt`; `calls` are its batch's, by id."""
    call = calls.get(row.call_id or "")
    if row.verdict is Verdict.PENDING and call is not None and call.state is CallState.IN_DOUBT:
        return IN_DOUBT
    return row.verdict.value


def list_in_doubt(stored: StoredBatch) -> tuple[Address, ...]:
    """Return the rows of a batch that are in doubt, in reply order."""
    calls = {call.id: call for call in stored.calls}
    return tuple(row.address for row in stored.rows if tell_state(row, calls) == IN_DOUBT)


def list_at_legacy_host(stored: StoredBatch) -> frozenset[Address]:
    """Return the rows of a batch that the legacy host decides."""
    return frozenset(row.address for row in stored.rows if row.operation == LEGACY.name)


def name_command(batch_id: str, rows: Iterable[Address] = ()) -> str:
    """Return what to type to settle rows of a batch, or all that are in doubt."""
    named = "".join(f" --row {row.objectname}:{row.objectindex}" for row in rows)
    return f"bridge batches settle {batch_id}{named} --accepted|--refused|--resend --by NAME --because TEXT"


def order_fields(order: Order) -> dict[str, Any]:
    """Return an order for scripts."""
    return {
        "id": order.id,
        "at": write_iso(order.at),
        "by": order.actor,
        "settlement": order.settlement.value,
        "because": order.reason,
        "rows": [address_fields(address) for address in order.rows],
        "fulfilled_at": write_iso(order.fulfilled_at),
        "result": order.result,
    }
