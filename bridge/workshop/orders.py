"""An operator's word on rows in doubt, turned into changes of the journal. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import CallRecord, Change, DecideRows, MoveCall, Order, PlanCall, Settlement, StoredBatch

WORDS = {
    Settlement.ACCEPTED: "",
    Settlement.REFUSED: "refused by an operator, after its fate could not be determined; send it again if it is wanted",
}
VERDICTS = {Settlement.ACCEPTED: Verdict.ACCEPTED, Settlement.REFUSED: Verdict.REFUSED}


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """What an order means: the changes, and in words what was done or why nothing was."""

    changes: list[Change]
    result: str


def carry_out(stored: StoredBatch, order: Order, at: float, new_id: Callable[[], str]) -> CarriedOut:
    """Return what an order means for its batch as it stands now; `at` is Unix seconds.

    A resend goes for whole calls: the rows of a call arrived together or not at all, so a word on some of them would
    be a guess about the others.
    """
    in_doubt, named = _rows_in_doubt(stored), set(order.rows)
    settled = [address for rows in in_doubt.values() for address in rows if address in named]
    if missing := named.difference(settled):
        places = ", ".join(str(address) for address in order.rows if address in missing)
        return CarriedOut([], f"nothing done: not in doubt any more: {places}")
    changes: list[Change] = []
    for call in stored.calls:
        rows = in_doubt.get(call.id, [])
        chosen = [address for address in rows if address in named]
        if not chosen:
            continue
        if order.settlement is Settlement.RESEND:
            if len(chosen) < len(rows):
                others = ", ".join(str(address) for address in rows if address not in chosen)
                return CarriedOut([], f"nothing done: these rows travelled in the same call, name them too: {others}")
            changes += _resend(call, chosen, order, at, new_id)
        else:
            changes += _decide(call, rows, chosen, order, at)
    return CarriedOut(changes, f"{order.settlement.value}: {', '.join(str(address) for address in settled)}")


def _rows_in_doubt(stored: StoredBatch) -> dict[str, list[Address]]:
    """Return the undecided rows of each call in doubt."""
    doubtful = {call.id: list[Address]() for call in stored.calls if call.state is CallState.IN_DOUBT}
    for row in stored.rows:
        if row.verdict is Verdict.PENDING and row.call_id in doubtful:
            doubtful[row.call_id].append(row.address)
    return doubtful


def _decide(call: CallRecord, rows: Iterable[Address], chosen: list[Address], order: Order, at: float) -> list[Change]:
    """Give rows the operator's verdict; the call is over when none of its rows is left."""
    verdict = VERDICTS[order.settlement]
    outcomes = [Outcome(address, verdict, WORDS[order.settlement]) for address in chosen]
    changes: list[Change] = [DecideRows(call.batch_id, outcomes)]
    if set(chosen) == set(rows):
        after = CallState.DONE if verdict is Verdict.ACCEPTED else CallState.REFUSED
        changes.append(MoveCall(call.id, CallState.IN_DOUBT, after, at, _why(order)))
    return changes


def _resend(
    call: CallRecord, chosen: list[Address], order: Order, at: float, new_id: Callable[[], str]
) -> list[Change]:
    """Send a call again under its own key; rows left over from a call that was partly decided go in a new one."""
    if len(chosen) == len(call.rows):
        return [MoveCall(call.id, CallState.IN_DOUBT, CallState.PLANNED, at, _why(order))]
    rest = replace(
        call, id=new_id(), rows=tuple(chosen), state=CallState.PLANNED, modern_batch="", planned_at=at, why=_why(order)
    )
    return [MoveCall(call.id, CallState.IN_DOUBT, CallState.REFUSED, at, _why(order)), PlanCall(rest)]


def _why(order: Order) -> str:
    return f"settled as {order.settlement.value} by {order.actor}"
