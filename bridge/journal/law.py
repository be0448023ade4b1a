"""What the law of calls and rows forbids, as far as it can be judged without asking the store; both stores ask here."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.batch import Address, CallState, advance
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import MoveCall, OpenBatch, PlaceOrder, PlanCall, RegisterSettlements


def require_whole(change: OpenBatch) -> None:
    """Refuse a batch that brings more or fewer rows than it says; it would break the books from the start."""
    batch, count = change.batch, len(change.rows)
    if batch.row_count != count:
        raise ValueError(f"batch {batch.id} says it has {batch.row_count} rows, but brings {count}")


def require_beginning(change: PlanCall) -> None:
    """Refuse a call that is born with a result."""
    if change.call.state not in {CallState.PLANNED, CallState.SUBMITTING}:
        raise ValueError(f"call {change.call.id} cannot begin its life {change.call.state}")


def require_lawful(change: MoveCall) -> None:
    """Refuse a move that the table of transitions does not know."""
    advance(change.before, change.after)


def require_tied(change: PlanCall, tied: int) -> None:
    """Refuse a call that could not be tied to all of its rows."""
    call = change.call
    if tied != len(call.rows):
        raise ValueError(
            f"call {call.id} cannot take all its rows ({render_addresses(call.rows)}): "
            f"{tied} of {len(call.rows)} are in the batch, pending, and free of another open call"
        )


def require_replaced(change: PlanCall, replaced: int) -> None:
    """Refuse a call that brings items of rows that are not there."""
    if replaced != len(change.items):
        raise ValueError(f"call {change.call.id} brings items of rows that are not in its batch")


def require_doubt(change: PlaceOrder, in_doubt: set[Address]) -> None:
    """Refuse an order that names no row, or one that is not in doubt."""
    if not change.rows:
        raise ValueError(f"the order names no row of batch {change.batch_id}")
    if settled := [address for address in change.rows if address not in in_doubt]:
        raise ValueError(f"batch {change.batch_id}: not in doubt: {render_addresses(settled)}")


def date_settlements(change: RegisterSettlements) -> dict[str, str]:
    """Return the settlements of a change by their ids, in its order, each with the last date that was given."""
    dates: dict[str, str] = {}
    for settlement_id, settled_on in change.settlements:
        dates[settlement_id] = settled_on or dates.get(settlement_id, "")
    return dates


def sort_settlements(
    dates: Mapping[str, str], known: Mapping[str, str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the settlements that have no number yet, in their order, and the known ones whose date has changed."""
    new = [dated for dated in dates.items() if dated[0] not in known]
    redated = [dated for dated in dates.items() if dated[1] not in {"", known.get(dated[0], dated[1])}]
    return new, redated
