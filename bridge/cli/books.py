"""`bridge batches list` and `show`: what was taken, and what became of it. No payload is ever shown."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from bridge.batch import LEGACY
from bridge.cli.doubts import list_at_legacy_host, list_in_doubt, name_command, order_fields, tell_state
from bridge.cli.journals import load_batch, read_books
from bridge.cli.places import address_fields, name_places
from bridge.cli.screen import Screen, bad, good, print_json, waiting
from bridge.cli.times import say_time, write_iso
from bridge.journal import Attempt, BatchSummary, Books, CallRecord, Order, RowRecord, StoredBatch
from bridge.settings import load_settings

LOOKED_FOR = "The bridge looks for it first. If it stays, find out whether it arrived"
LEFT_ALONE = "Nobody can look for it but you: find out at the legacy host whether it arrived"


@dataclass(frozen=True, slots=True)
class History:
    """A batch and everything that was done about it."""

    stored: StoredBatch
    attempts: Sequence[Attempt]
    orders: Sequence[Order]


def list_batches(config: Path, limit: int, *, as_json: bool) -> None:
    """Show the newest batches, one a line."""
    summaries = read_books(load_settings(config, os.environ), lambda books: books.summaries(limit=limit))
    if as_json:
        print_json([_summary_json(summary) for summary in summaries])
        return
    screen = Screen()
    if not summaries:
        screen.say("The journal holds no batch yet.")
        return
    screen.table(
        ("batch", "received (UTC)", "sender", "batchid", "rows"), [_summary_line(summary) for summary in summaries]
    )


def show_batch(config: Path, batch_id: str, *, as_json: bool) -> None:
    """Show each row of a batch with its state, every call with its attempts, and what operators said."""
    history = read_books(load_settings(config, os.environ), lambda books: _load(books, batch_id))
    if as_json:
        print_json(_batch_json(history))
    else:
        _write_batch(Screen(), history)


async def _load(books: Books, batch_id: str) -> History:
    stored, orders = await load_batch(books, batch_id)
    return History(stored, await books.attempts(batch_id), orders)


# --- one line a batch ----------------------------------------------------------------------------------------------


def _summary_line(summary: BatchSummary) -> Sequence[str | Text]:
    return (
        summary.id,
        say_time(summary.received_at),
        summary.sender,
        summary.batchid or "-",
        Text(", ").join(_count_rows(summary)) or str(summary.rows),
    )


def _count_rows(summary: BatchSummary) -> Iterator[Text]:
    """Yield how many rows stand where, as far as there are any."""
    counts = (
        (good, summary.accepted, "accepted"),
        (bad, summary.refused, "refused"),
        (waiting, summary.pending, "pending"),
        (bad, summary.in_doubt, "in doubt"),
    )
    for mark, count, state in counts:
        if count:
            yield mark(f"{count} {state}")


def _summary_json(summary: BatchSummary) -> dict[str, Any]:
    times = {"received_at": write_iso(summary.received_at), "finished_at": write_iso(summary.finished_at)}
    return asdict(summary) | times


# --- one batch -----------------------------------------------------------------------------------------------------


def _colour(state: str) -> Text:
    mark = {"accepted": good, "pending": waiting}.get(state, bad)
    return mark(state.replace("_", " "))


def _write_batch(screen: Screen, history: History) -> None:
    stored = history.stored
    batch, calls = stored.batch, {call.id: call for call in stored.calls}
    screen.title(f"Batch {batch.id}")
    finished = f"answered {say_time(batch.finished_at)}" if batch.finished_at else "not answered yet"
    screen.say(f"sender {batch.sender}, profile {batch.profile}, batchid {batch.batchid or '-'}")
    screen.say(f"received {say_time(batch.received_at)} UTC, {finished}, {batch.row_count} rows")
    screen.heading("Rows")
    rows = [
        (
            str(row.address),
            row.ledgerref or "-",
            _colour(tell_state(row, calls)),
            row.operation or "-",
            row.message or "-",
        )
        for row in stored.rows
    ]
    screen.table(("row", "reference", "state", "operation", "message"), rows)
    for call in stored.calls:
        _write_call(screen, call, [attempt for attempt in history.attempts if attempt.call_id == call.id])
    _write_orders(screen, history)


def _write_call(screen: Screen, call: CallRecord, attempts: Sequence[Attempt]) -> None:
    screen.heading(f"POST {call.path}")
    screen.say(f"  {call.operation}: {name_places(call.rows)}")
    if call.operation == LEGACY.name:
        screen.say("  to the legacy host, rows as their caller wrote them")
    else:
        screen.say(f"  idempotency key {call.id}, modern batch {call.modern_batch or '-'}")
    lines = [(say_time(attempt.at, precise=True), attempt.state.value, attempt.why or "-") for attempt in attempts]
    screen.table(("at (UTC)", "state", "why"), lines)


def _write_orders(screen: Screen, history: History) -> None:
    if history.orders:
        screen.heading("What operators said about rows in doubt")
        columns = ("at (UTC)", "by", "rows", "settled as", "because", "result")
        screen.table(columns, [_order_line(order) for order in history.orders])
    ordered = {row for order in history.orders if order.fulfilled_at is None for row in order.rows}
    open_doubts = [row for row in list_in_doubt(history.stored) if row not in ordered]
    legacy = list_at_legacy_host(history.stored)
    for advice, rows in (
        (LOOKED_FOR, [row for row in open_doubts if row not in legacy]),
        (LEFT_ALONE, [row for row in open_doubts if row in legacy]),
    ):
        if rows:
            screen.heading(f"In doubt: {name_places(rows)}")
            screen.say(f"  {advice}, and settle it:")
            screen.say(f"  {name_command(history.stored.batch.id, rows if len(rows) < len(open_doubts) else ())}")


def _order_line(order: Order) -> Sequence[str | Text]:
    result = waiting("waits for the bridge")
    if order.fulfilled_at is not None:
        result = Text(f"{order.result or 'done'} ({say_time(order.fulfilled_at)})")
    return (
        say_time(order.at),
        order.actor,
        name_places(order.rows),
        order.settlement.value,
        order.reason,
        result,
    )


def _batch_json(history: History) -> dict[str, Any]:
    stored, attempts = history.stored, history.attempts
    batch, calls = stored.batch, {call.id: call for call in stored.calls}
    return {
        "id": batch.id,
        "sender": batch.sender,
        "profile": batch.profile,
        "batchid": batch.batchid,
        "received_at": write_iso(batch.received_at),
        "finished_at": write_iso(batch.finished_at),
        "offline": batch.offline,
        "rows": [_row_json(row, calls) for row in stored.rows],
        "calls": [_call_json(call, attempts) for call in stored.calls],
        "orders": [order_fields(order) for order in history.orders],
    }


def _row_json(row: RowRecord, calls: dict[str, CallRecord]) -> dict[str, Any]:
    return {
        **address_fields(row.address),
        "state": tell_state(row, calls),
        "message": row.message,
        "ledgerref": row.ledgerref,
        "organization": row.organization,
        "operation": row.operation,
        "unique_id": row.unique_id,
        "call": row.call_id,
    }


def _call_json(call: CallRecord, attempts: Sequence[Attempt]) -> dict[str, Any]:
    return {
        "id": call.id,
        "organization": call.organization,
        "operation": call.operation,
        "path": call.path,
        "state": call.state.value,
        "modern_batch": call.modern_batch,
        "why": call.why,
        "rows": [address_fields(address) for address in call.rows],
        "attempts": [
            {"at": write_iso(attempt.at), "state": attempt.state.value, "why": attempt.why}
            for attempt in attempts
            if attempt.call_id == call.id
        ],
    }
