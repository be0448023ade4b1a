"""`bridge batches` and `bridge ledger`: read the journal, also beside a running bridge. No payload is ever shown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rich.text import Text

from bridge.batch import CallState, Verdict
from bridge.cli.places import address_fields, name_places
from bridge.cli.screen import Screen, bad, good, print_json, quiet, waiting
from bridge.errors import OperatorError
from bridge.journal import Attempt, BatchSummary, Books, CallRecord, Ledger, RowRecord, StoredBatch
from bridge.journal.opening import open_books
from bridge.settings import load_settings

T = TypeVar("T")


def list_batches(config: Path, limit: int, *, as_json: bool) -> None:
    """Show the newest batches, one a line."""
    summaries = _read(config, lambda books: books.summaries(limit=limit))
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
    """Show each row of a batch with its state, and every call with its attempts."""
    stored, attempts = _read(config, lambda books: _load(books, batch_id))
    if as_json:
        print_json(_batch_json(stored, attempts))
    else:
        _write_batch(Screen(), stored, attempts)


def show_ledger(config: Path, *, as_json: bool) -> bool:
    """Show the row conservation proof; tell whether every row is accounted for."""
    ledger = _read(config, lambda books: books.ledger())
    if as_json:
        print_json(_ledger_json(ledger))
    else:
        _write_ledger(Screen(), ledger)
    return not ledger.unaccounted


def _read(config: Path, ask: Callable[[Books], Awaitable[T]]) -> T:
    settings = load_settings(config, os.environ)

    async def read() -> T:
        books = open_books(settings.storage.url, base=Path.cwd())
        try:
            return await ask(books)
        finally:
            await books.close()

    return asyncio.run(read())


async def _load(books: Books, batch_id: str) -> tuple[StoredBatch, list[Attempt]]:
    stored = await books.load(batch_id)
    if stored is None:
        raise OperatorError(f"{batch_id}: there is no such batch in this journal; `bridge batches list` shows the ids")
    return stored, await books.attempts(batch_id)


# --- one line a batch ----------------------------------------------------------------------------------------------


def _summary_line(summary: BatchSummary) -> Sequence[str | Text]:
    return (
        summary.id,
        _time(summary.received_at),
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
    times = {"received_at": _iso(summary.received_at), "finished_at": _iso(summary.finished_at)}
    return asdict(summary) | times


# --- one batch -----------------------------------------------------------------------------------------------------


def _state(row: RowRecord, calls: dict[str, CallRecord]) -> str:
    call = calls.get(row.call_id or "")
    if row.verdict is Verdict.PENDING and call is not None and call.state is CallState.IN_DOUBT:
        return "in_doubt"
    return row.verdict.value


def _colour(state: str) -> Text:
    mark = {"accepted": good, "pending": waiting}.get(state, bad)
    return mark(state.replace("_", " "))


def _write_batch(screen: Screen, stored: StoredBatch, attempts: Sequence[Attempt]) -> None:
    batch, calls = stored.batch, {call.id: call for call in stored.calls}
    screen.title(f"Batch {batch.id}")
    finished = f"answered {_time(batch.finished_at)}" if batch.finished_at else "not answered yet"
    screen.say(f"sender {batch.sender}, profile {batch.profile}, batchid {batch.batchid or '-'}")
    screen.say(f"received {_time(batch.received_at)} UTC, {finished}, {batch.row_count} rows")
    screen.heading("Rows")
    rows = [
        (str(row.address), row.ledgerref or "-", _colour(_state(row, calls)), row.operation or "-", row.message or "-")
        for row in stored.rows
    ]
    screen.table(("row", "reference", "state", "operation", "message"), rows)
    for call in stored.calls:
        _write_call(screen, call, [attempt for attempt in attempts if attempt.call_id == call.id])


def _write_call(screen: Screen, call: CallRecord, attempts: Sequence[Attempt]) -> None:
    screen.heading(f"POST {call.path}")
    screen.say(f"  {call.operation}: {name_places(call.rows)}")
    screen.say(f"  idempotency key {call.id}, modern batch {call.modern_batch or '-'}")
    lines = [(_time(attempt.at, precise=True), attempt.state.value, attempt.why or "-") for attempt in attempts]
    screen.table(("at (UTC)", "state", "why"), lines)


def _batch_json(stored: StoredBatch, attempts: Sequence[Attempt]) -> dict[str, Any]:
    batch, calls = stored.batch, {call.id: call for call in stored.calls}
    return {
        "id": batch.id,
        "sender": batch.sender,
        "profile": batch.profile,
        "batchid": batch.batchid,
        "received_at": _iso(batch.received_at),
        "finished_at": _iso(batch.finished_at),
        "offline": batch.offline,
        "rows": [_row_json(row, calls) for row in stored.rows],
        "calls": [_call_json(call, attempts) for call in stored.calls],
    }


def _row_json(row: RowRecord, calls: dict[str, CallRecord]) -> dict[str, Any]:
    return {
        **address_fields(row.address),
        "state": _state(row, calls),
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
            {"at": _iso(attempt.at), "state": attempt.state.value, "why": attempt.why}
            for attempt in attempts
            if attempt.call_id == call.id
        ],
    }


# --- the ledger ----------------------------------------------------------------------------------------------------


def _ledger_json(ledger: Ledger) -> dict[str, Any]:
    return {
        "accepted": ledger.accepted,
        "final": ledger.final,
        "pending": ledger.pending,
        "in_doubt": ledger.in_doubt,
        "in_doubt_rows": [{"batch": batch, **address_fields(address)} for batch, address in ledger.in_doubt_rows],
        "unaccounted": [asdict(fault) for fault in ledger.unaccounted],
    }


def _write_ledger(screen: Screen, ledger: Ledger) -> None:
    screen.say(f"rows accepted  {ledger.accepted:>8}")
    screen.say(f"  = final      {ledger.final:>8}")
    screen.say(f"  + pending    {ledger.pending:>8}")
    screen.say(f"  + in doubt   {ledger.in_doubt:>8}")
    if ledger.in_doubt_rows:
        screen.heading("In doubt: check these in the modern system; the bridge does not send them again")
        screen.table(("batch", "row"), [(batch, str(address)) for batch, address in ledger.in_doubt_rows])
    if ledger.unaccounted:
        screen.heading("Unaccounted for: keep a copy of the journal and tell the maintainers")
        faults = [(one.batch, f"{one.objectname} {one.objectindex}", one.why) for one in ledger.unaccounted]
        screen.table(("batch", "row", "why"), faults)
        return
    screen.say(quiet("every row is accounted for"))


def _time(seconds: float, *, precise: bool = False) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond // 1000:03}" if precise else "")


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
