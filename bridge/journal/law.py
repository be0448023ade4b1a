"""What the law of calls and rows forbids, as far as it can be judged without asking the store; both stores ask here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from bridge.batch import Address, CallState, advance
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import (
    SAMPLES_KEPT,
    HandedOverBefore,
    HandOver,
    MoveCall,
    OpenBatch,
    PlaceOrder,
    PlanCall,
    RegisterSettlements,
    SetSwitch,
    StaleSwitch,
)
from bridge.journal.cutover import Sample
from bridge.modes import Switch


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


def is_next(change: SetSwitch, newest: Switch | None) -> bool:
    """Tell whether a switch is to be written; False when it is recorded already, by a writer who could not be sure.

    Raises StaleSwitch when the organization's newest switch is another than was expected.
    """
    number = newest.number if newest is not None else 0
    if number == change.expected:
        return True
    if newest is not None and newest == replace(change.switch, number=number):
        return False
    raise StaleSwitch(
        f"organization {change.switch.organization} was switched in the meantime: "
        f"its newest switch is number {number}, not {change.expected}"
    )


Carried = tuple[str, str, float]
"""Which catch-up batch carries a row: its id, who made it, and when."""


def is_free(change: HandOver, found: Mapping[tuple[str, Address], Carried | None]) -> bool:
    """Tell whether rows are to be handed over; False when just this hand-over is recorded already.

    `found` are those of its rows that the journal has, with what carries them. Raises HandedOverBefore when something
    else does, ValueError when a row is not in the journal or is named twice.
    """
    if len(set(change.rows)) != len(change.rows):
        raise ValueError(f"catch-up batch {change.export} names a row twice")
    for batch_id, address in change.rows:
        if (batch_id, address) not in found:
            raise ValueError(f"{address} of batch {batch_id} is not in the journal")
    carriers = set(found.values())
    if carriers <= {None}:
        return True
    if carriers == {(change.export, change.actor, change.at)}:
        return False
    (batch_id, address), carrier = next((row, carrier) for row, carrier in found.items() if carrier is not None)
    raise HandedOverBefore(f"{address} of batch {batch_id} is in catch-up batch {carrier[0]} already")


Difference = tuple[str, str, str]
"""What samples are kept of: organization, path and kind."""


def difference_of(sample: Sample) -> Difference:
    """Return what a sample is one of."""
    return sample.organization, sample.path, sample.kind


def choose_samples(samples: Iterable[Sample], kept: Mapping[Difference, int]) -> list[Sample]:
    """Return the samples there is room for, beside those that are kept already."""
    counts, chosen = Counter(kept), []
    for sample in samples:
        if counts[difference_of(sample)] < SAMPLES_KEPT:
            counts[difference_of(sample)] += 1
            chosen.append(sample)
    return chosen
