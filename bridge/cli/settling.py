"""`bridge batches settle`: record an operator's word on rows in doubt; the bridge that works the batch acts on it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import typer

from bridge.batch import Address
from bridge.cli.doubts import list_in_doubt, order_fields, tell_state
from bridge.cli.journals import load_batch, read_books
from bridge.cli.places import name_places, read_place
from bridge.cli.screen import Screen, good, print_json, waiting
from bridge.errors import OperatorError
from bridge.journal import Order, PlaceOrder, Settlement, StoredBatch
from bridge.journal.opening import open_office
from bridge.settings import Settings, load_settings

MEANINGS = {
    Settlement.ACCEPTED: "the reply will say OK; nothing is sent",
    Settlement.REFUSED: "the ERP will be told that it was refused, and may send it again; nothing is sent",
    Settlement.RESEND: "it will be sent again as it was, with the same ids and idempotency key where it has them",
}
"""What follows from each settlement, for every row it covers."""
WARNINGS = {
    Settlement.ACCEPTED: "Only when you have seen it in the system that decides it: otherwise it is lost.",
    Settlement.REFUSED: "Only when you know that it did not arrive: otherwise the ERP may have it booked twice.",
    Settlement.RESEND: "Only when you know that it did not arrive: otherwise it may be booked twice.",
}
NEXT = "A running bridge carries it out within seconds, otherwise the next one to start does."


@dataclass(frozen=True, slots=True)
class Finding:
    """What an operator found out, and who says so; no rows: every row of the batch that is in doubt."""

    batch_id: str
    rows: tuple[Address, ...]
    settlement: Settlement
    actor: str
    reason: str


def read_finding(batch_id: str, rows: Iterable[str], said: Mapping[str, bool], *, actor: str, reason: str) -> Finding:
    """Read what was typed; BadParameter unless exactly one settlement was said, by somebody, for a reason."""
    chosen = [name for name, wanted in said.items() if wanted]
    if len(chosen) != 1:
        raise typer.BadParameter("say exactly one of them", param_hint=" / ".join(f"--{name}" for name in said))
    for option, text in (("--by", actor), ("--because", reason)):
        if not text.strip():
            raise typer.BadParameter("must not be empty", param_hint=option)
    try:
        places = tuple(map(read_place, rows))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--row") from error
    return Finding(batch_id, places, Settlement(chosen[0]), actor.strip(), reason.strip())


def settle(config: Path, finding: Finding, *, order_id: str, at: float, confirmed: bool, as_json: bool) -> None:
    """Place the order, after asking a person at a terminal unless `confirmed`."""
    settings = load_settings(config, os.environ)
    stored, orders = read_books(settings, lambda books: load_batch(books, finding.batch_id))
    rows = choose_rows(stored, orders, finding.rows)
    if finding.settlement is Settlement.RESEND:
        _require_whole_calls(stored, rows)
    if not confirmed:
        _confirm(stored, rows, finding.settlement)
    order = PlaceOrder(
        order_id, finding.batch_id, rows, finding.settlement, actor=finding.actor, reason=finding.reason, at=at
    )
    _place(settings, order)
    if as_json:
        placed = Order(order.id, order.batch_id, rows, order.settlement, order.actor, order.reason, at)
        print_json({"batch": order.batch_id, **order_fields(placed), "next": NEXT})
    else:
        _tell(Screen(), order)


def choose_rows(stored: StoredBatch, orders: list[Order], wanted: tuple[Address, ...]) -> tuple[Address, ...]:
    """Return the rows to settle; OperatorError when one is not in doubt, or has an order that is not carried out."""
    batch_id, in_doubt = stored.batch.id, list_in_doubt(stored)
    if not in_doubt:
        raise OperatorError(f"{batch_id}: none of its rows is in doubt, so there is nothing to settle")
    rows = tuple(dict.fromkeys(wanted)) or in_doubt
    states = _states(stored)
    for row in rows:
        if row not in in_doubt:
            state = f"is {states[row]}, not in doubt" if row in states else "is not in this batch"
            raise OperatorError(f"{batch_id}: {row} {state}; in doubt: {name_places(in_doubt)}")
    for order in orders:
        if order.fulfilled_at is None and (ordered := [row for row in order.rows if row in rows]):
            raise OperatorError(
                f"{batch_id}: {name_places(ordered)}: {order.actor} has settled this as {order.settlement} already, "
                "and the bridge has still to carry it out; start it, or see `bridge batches show`"
            )
    return rows


def _states(stored: StoredBatch) -> dict[Address, str]:
    calls = {call.id: call for call in stored.calls}
    return {row.address: tell_state(row, calls) for row in stored.rows}


def _require_whole_calls(stored: StoredBatch, rows: tuple[Address, ...]) -> None:
    """Refuse to send a part of a call again: its rows arrived together or not at all."""
    in_doubt = list_in_doubt(stored)
    for call in stored.calls:
        others = [row for row in call.rows if row in in_doubt and row not in rows]
        if others and not set(rows).isdisjoint(call.rows):
            raise OperatorError(
                f"{stored.batch.id}: {name_places(others)} travelled in the same call, and arrived or did not with it: "
                "name them too, or leave --row out"
            )


def _confirm(stored: StoredBatch, rows: tuple[Address, ...], settlement: Settlement) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("add it where nobody can be asked", param_hint="--yes")
    screen = Screen(sys.stderr)
    screen.say(f"Batch {stored.batch.id} of {stored.batch.sender}, in doubt: {name_places(rows)}")
    screen.say(f"{settlement}: {MEANINGS[settlement]}.")
    screen.say(waiting(WARNINGS[settlement]))
    if not typer.confirm("Settle so?", err=True):
        raise OperatorError("nothing was recorded")


def _place(settings: Settings, order: PlaceOrder) -> None:
    async def place() -> None:
        office = open_office(settings.storage.url, base=Path.cwd())
        try:
            await office.write(order)
        except ValueError as error:
            # settled by itself since we looked
            message = f"{order.batch_id}: not in doubt any more; see `bridge batches show {order.batch_id}`"
            raise OperatorError(message) from error
        finally:
            await office.close()

    asyncio.run(place())


def _tell(screen: Screen, order: PlaceOrder) -> None:
    screen.say(good(f"Recorded: {name_places(order.rows)} {order.settlement}, by {order.actor}."))
    screen.say(f"{NEXT} Then {MEANINGS[order.settlement]}.")
    screen.say(f"Follow it: bridge batches show {order.batch_id}")
