"""What an organization owes to the legacy host, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from bridge.batch import CATCH_UP
from bridge.cli.places import address_fields, name_rows
from bridge.cli.screen import Screen, bad, good, quiet, waiting
from bridge.cli.times import say_time, write_iso
from bridge.debts.catch_up import Why
from bridge.debts.owed import Debt, Period
from bridge.journal import CaseEvent
from bridge.legacy.faults import name_safely

REMEDIES = {
    Why.IN_DOUBT: "in doubt: find out in the modern system, settle them (bridge batches settle), then run this again",
    Why.PENDING: "pending: the bridge is still at them; run this again when they are decided",
    Why.ERASED: "their payload was erased (storage.retention_days): enter them at the legacy host by hand",
    Why.NO_PROFILE: "the profile they came in is gone, or has a fault: put it back, then run this again",
    Why.NO_CREDITOR: "they name no creditor, and nothing else tells it: enter them at the legacy host by hand",
    Why.UNREADABLE: "they cannot be taken out of their batch: enter them at the legacy host by hand",
    Why.STILL_MODERN: "the bridge still answers for their creditors, so nobody owes them: switch those back first",
    Why.TWIN: "the same entity as an earlier row, by its unique id: it is written once",
}
"""Why rows are not in the file, and what to do."""
STILL_THERE = (
    "What is listed exists in the modern system until somebody closes it there: a claim that both systems have is "
    "collected twice."
)
PERSONAL = "Personal data is in it, so only you may read it (mode 0600). Delete it when the legacy host has it."
WRITTEN_ROWS = "rows (their references, up to five)"
ROWS = "rows (their references, up to five; --json has all)"
COLLECTED = "money that the modern side has settled; it cannot be written as a legacy batch: book it by hand"
HAPPENED = "the modern system changed them since; it cannot be written as a legacy batch: look at them"


@dataclass(frozen=True, slots=True)
class Export:
    """One catch-up batch that was written before."""

    id: str
    at: float
    rows: int


@dataclass(frozen=True, slots=True)
class Account:
    """What an organization owes, and what became of it."""

    organization: str
    name: str
    period: Period | None
    debt: Debt
    before: int = 0
    """Rows from before `period` that are in no catch-up batch."""
    settlements: Sequence[int] = ()
    """Numbers of settlements since."""
    events: Mapping[str, Sequence[CaseEvent]] = field(default_factory=dict)
    """What webhooks told of the cases of owed invoices, by case."""
    exports: Sequence[Export] = ()
    written: Mapping[str, Path] = field(default_factory=dict)
    """Files, by sender."""
    export: str = ""
    """Id of what was written just now."""
    out: Path | None = None
    """The file that was asked for."""


def to_json(account: Account) -> dict[str, Any]:
    """Return it as a document."""
    period, debt = account.period, account.debt
    return {
        "organization": account.organization,
        "since": write_iso(period.start) if period is not None and period.start else None,
        "until": write_iso(period.end) if period is not None else None,
        "rows": [
            {
                "batch": row.batch_id,
                "sender": row.sender,
                **address_fields(row.address),
                "ledgerref": row.ledgerref,
                "operation": row.operation,
                "by_modern_id": row.by_modern_id,
            }
            for row in debt.rows
        ],
        "unwritten": [
            {
                "why": one.why,
                "batch": one.batch_id,
                "rows": [{**address_fields(row.address), "ledgerref": row.ledgerref} for row in one.rows],
            }
            for one in debt.unwritten
        ],
        "refused": debt.refused,
        "carried": len(debt.carried),
        "before": account.before,
        "settlements": list(account.settlements),
        "cases": [_case_json(case, events) for case, events in account.events.items()],
        "exports": [{"id": one.id, "at": write_iso(one.at), "rows": one.rows} for one in account.exports],
        "export": account.export or None,
        "files": {sender: str(file) for sender, file in account.written.items()},
    }


def _case_json(case: str, events: Sequence[CaseEvent]) -> dict[str, Any]:
    return {
        "case": case,
        "number": events[-1].case_number,
        "events": [{"at": write_iso(one.at), "event": one.kind, "status": one.status} for one in events],
    }


def write_account(screen: Screen, account: Account) -> None:
    """Show it."""
    screen.say(_title(account))
    if account.period is None and not account.written:
        screen.say("Its rows never went to the bridge by a switch or by cutover.first_mode.")
    _write_rows(screen, account)
    _write_unwritten(screen, account)
    _write_beyond(screen, account)
    if account.exports and not account.written:
        screen.heading("Catch-up batches so far; bridge debt ORG --out FILE --export ID writes one again")
        screen.table(("export", "at (UTC)", "rows"), [(e.id, say_time(e.at), str(e.rows)) for e in account.exports])
    screen.say()
    _write_end(screen, account)


def _title(account: Account) -> str:
    who = f"{account.name} ({account.organization})" if account.name else account.organization
    period = account.period
    if period is None:
        return who
    start = say_time(period.start) if period.start else "the first"
    end = f"until {say_time(period.end)}" if period.end is not None else "and do so still"
    return f"{who}: rows went to the modern system from {start} {end} (UTC)"


def _write_rows(screen: Screen, account: Account) -> None:
    rows = account.debt.carried if account.written and not account.debt.rows else account.debt.rows
    if not rows:
        return
    screen.heading(f"Only in the modern system: {_rows(len(rows))}")
    lines = []
    for (batch, sender), some in groupby(rows, key=lambda row: (row.batch_id, row.sender)):
        mine = list(some)
        operations = ", ".join(dict.fromkeys(row.operation for row in mine))
        lines.append((batch, name_safely(sender), operations, name_rows((row.address, row.ledgerref) for row in mine)))
    screen.table(("batch", "sender", "operations", WRITTEN_ROWS if account.written else ROWS), lines)
    if strangers := [row for row in rows if row.by_modern_id]:
        screen.say(
            waiting(
                f"{len(strangers):,} of them name their claim by an id of the modern system, which the legacy host may "
                f"not know: {', '.join(sorted({row.batch_id for row in strangers}))}"
            )
        )


def _write_unwritten(screen: Screen, account: Account) -> None:
    for why in Why:
        found = [one for one in account.debt.unwritten if one.why is why]
        if found:
            screen.heading(f"Not to be written now, {_rows(sum(len(one.rows) for one in found))}: {REMEDIES[why]}")
            screen.table(("batch", ROWS), [(one.batch_id, name_rows(one.rows)) for one in found])


def _write_beyond(screen: Screen, account: Account) -> None:
    if account.settlements:
        numbers = ", ".join(map(str, account.settlements))
        screen.heading(f"Settlements since ({len(account.settlements):,}): {COLLECTED}")
        screen.say(f"  numbers {numbers}")
    if account.events:
        screen.heading(f"Cases ({len(account.events):,}): {HAPPENED}")
        lines = [
            (
                name_safely(events[-1].case_number) or case,
                say_time(events[-1].at),
                name_safely(events[-1].status) or "-",
            )
            for case, events in account.events.items()
        ]
        screen.table(("case", "last event (UTC)", "status"), lines)


def _write_end(screen: Screen, account: Account) -> None:
    debt = account.debt
    for line in _count_others(account):
        screen.say(quiet(line))
    if account.period is not None and account.period.end is None:
        screen.say(waiting("Rows still go to the modern system: once these are switched back as well, run this again."))
    if account.written:
        for sender, file in account.written.items():
            screen.say(good(f"Written for sender {name_safely(sender)}: {file}"))
        screen.say(
            f"Each is one legacy batch, batchid {CATCH_UP}{account.export}; send it to the legacy host as that sender."
        )
        screen.say(waiting(PERSONAL))
    elif debt.rows:
        screen.say(f"Write them as a legacy batch: bridge debt {account.organization} --out FILE")
    elif any(one.why is not Why.TWIN for one in debt.unwritten):
        screen.say(waiting("Nothing can be written now; what is named above is left."))
    else:
        screen.say(good("Nothing is left to be written."))
    if account.out is not None and not account.written:
        screen.say(waiting(f"No file was written: {account.out} would hold no row."))
    if debt.rows or account.written:
        screen.say(bad(STILL_THERE))


def _count_others(account: Account) -> Iterator[str]:
    debt = account.debt
    if debt.carried and not account.written:
        yield f"In catch-up batches already: {_rows(len(debt.carried))}."
    if debt.refused:
        yield f"Refused: {_rows(debt.refused)}. Their callers know, and nobody owes them."
    if account.before:
        yield (f"From before, and in no catch-up batch: {_rows(account.before)}. `--since TIME` reaches further back.")


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
