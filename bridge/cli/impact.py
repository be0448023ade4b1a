"""`bridge impact`: which rows of a recording two versions of the mappings treat differently."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bridge.batch import Address, Verdict
from bridge.cli.places import address_fields
from bridge.cli.progress import show_progress
from bridge.cli.replay_files import require_recordings
from bridge.cli.screen import Screen, bad, good, print_json, waiting
from bridge.errors import CallerError, OperatorError
from bridge.intake.desk import Desk
from bridge.legacy.body import split
from bridge.mapping import load_profile
from bridge.organizations import Directory
from bridge.predicting import Prediction, predict
from bridge.recording import Found, read_recordings
from bridge.senders import Sender, Senders
from bridge.settings import Settings, load_settings

UNREADABLE, STRANGER = "cannot be read", "are of a sender nobody knows"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing about a row that is different: `verdict`, `message`, `operation` and kin, or `item.` and a path."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that is treated differently, and where it is recorded."""

    file: str
    line: int
    address: Address | None
    """None for a batch that is refused as a whole under one of the two."""
    changes: tuple[Change, ...]


@dataclass(slots=True)
class Impact:
    """What a recording says of two versions of the mappings."""

    lines: int = 0
    rows: int = 0
    changed: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    """By what changes, places in arrays left out: how many rows."""


def show_impact(files: Sequence[Path], config: Path, before: Path, after: Path, *, as_json: bool) -> Impact:
    """Show every row that changes; return what there was to see."""
    settings = load_settings(config, os.environ)
    require_recordings(files)
    for option, folder in (("--before", before), ("--after", after)):
        if not folder.is_dir():
            raise OperatorError(f"{option}: there is no folder {folder}; name a folder of profiles, such as mappings")
    impact, listed, screen = Impact(), [], Screen()
    both = Versions(settings, before), Versions(settings, after)
    with show_progress("comparing", "exchanges") as advance, asyncio.Runner() as runner:
        for found in read_recordings(files):
            for row in runner.run(_judge(found, both, impact)):
                if as_json:
                    listed.append(row)
                else:
                    _write_row(screen, row)
            advance(1)
    if as_json:
        print_json(_to_json(impact, listed))
    else:
        _write_summary(screen, impact)
    return impact


class Versions:
    """The desks of one version of the mappings, opened as senders need them."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._folder, self._directory = folder, Directory(settings)
        self._senders = Senders(settings, _ask_nobody, clock=lambda: 0.0)
        self._desks: dict[str, Desk] = {}

    def find_sender(self, name: str) -> Sender | None:
        """Return a sender of the configuration."""
        return self._senders.find(name)

    async def read(self, sender: Sender, body: bytes) -> Prediction | str:
        """Return what would become of a batch, or why it would be refused as a whole."""
        try:
            return await predict(self._open(sender.profile), sender, split(body))
        except CallerError as refusal:
            return str(refusal)

    def _open(self, profile: str) -> Desk:
        if profile not in self._desks:
            self._desks[profile] = Desk(load_profile(self._folder / profile), self._directory)
        return self._desks[profile]


async def _judge(found: Found, both: tuple[Versions, Versions], impact: Impact) -> list[ChangedRow]:
    line = found.line
    if line is None or not line.body:
        impact.left_out[UNREADABLE] += 1
        return []
    sender = both[0].find_sender(line.sender)
    if sender is None:
        impact.left_out[STRANGER] += 1
        return []
    impact.lines += 1
    before, after = [await version.read(sender, line.body) for version in both]
    rows = [
        ChangedRow(str(found.file), found.number, address, changes)
        for address, changes in _hold_against(before, after, impact)
    ]
    impact.changed += len(rows)
    impact.kinds.update(kind for row in rows for kind in {_generalize(change.what) for change in row.changes})
    return rows


def _hold_against(
    before: Prediction | str, after: Prediction | str, impact: Impact
) -> Iterator[tuple[Address | None, tuple[Change, ...]]]:
    if isinstance(before, str) or isinstance(after, str):
        told = [one if isinstance(one, str) else "taken" for one in (before, after)]
        if told[0] != told[1]:
            yield None, (Change("batch", *told),)
        return
    then = {row.address: row for row in before.intake.rows}
    for row in after.intake.rows:
        impact.rows += 1
        address, old = row.address, then[row.address]
        if old == row and before.outcomes[address] == after.outcomes[address]:
            continue
        changes = tuple(_list_changes(_describe(before, old), _describe(after, row)))
        if changes:
            yield address, changes


def _describe(prediction: Prediction, row: Any) -> dict[str, Any]:
    """Return everything that is said of a row, path by path."""
    outcome = prediction.outcomes[row.address]
    refused = outcome.verdict is Verdict.REFUSED
    told: dict[str, Any] = {
        "verdict": outcome.verdict.value,
        "message": outcome.message,
        "organization": "" if refused else row.organization,
        "operation": "" if refused else row.operation,
        "ledgerref": row.ledgerref,
    }
    names = _decode(row.reference) if row.reference else {}
    told["known by"] = _name(names.get("keys", ()))
    told["refers to"] = "" if refused else _say_reference(names)
    if row.item and not refused:
        told |= _flatten("item", _decode(row.item))
    return told


def _list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for what in dict.fromkeys((*before, *after)):
        old, new = before.get(what, ""), after.get(what, "")
        if old != new:
            yield Change(what, _write(old), _write(new))


def _flatten(place: str, value: Any) -> dict[str, Any]:
    """Return every scalar of a value by its path: `item.debtors[0].name`; texts and numbers are told apart."""
    parts: Iterator[tuple[str, Any]]
    if isinstance(value, dict):
        parts = ((f"{place}.{name}", inner) for name, inner in value.items())
    elif isinstance(value, list):
        parts = ((f"{place}[{index}]", inner) for index, inner in enumerate(value))
    else:
        return {place: msgspec.json.encode(value).decode()}
    return {path: scalar for name, inner in parts for path, scalar in _flatten(name, inner).items()}


def _say_reference(names: Mapping[str, Any]) -> str:
    """Return the claim a row belongs to in words: `case by ledgerref 10305`."""
    if not names.get("target"):
        return ""
    reference = names.get("reference") or {}
    known = names.get("invoice_id") or names.get("case_id")
    return f"{names['target']} {known}" if known else f"{names['target']} by {_name(reference.get('keys', ()))}"


def _name(keys: Sequence[Sequence[str]]) -> str:
    return ", else ".join(" ".join(key) for key in keys)


def _write(value: Any) -> str:
    return str(value) or NOTHING


def _generalize(what: str) -> str:
    """Return a path without places: `item.debtors[].name`."""
    return "[]".join(part.partition("]")[2] if place else part for place, part in enumerate(what.split("[")))


_decode = msgspec.json.Decoder().decode


async def _ask_nobody(url: str) -> Any:
    raise OperatorError(f"this asks nobody, and not {url}")  # pragma: no cover - nobody is identified here


# --- showing -----------------------------------------------------------------------------------------------------


def _write_row(screen: Screen, row: ChangedRow) -> None:
    screen.say(f"{row.file}:{row.line}  {row.address or 'the whole batch'}")
    for change in row.changes:
        screen.say(f"    {change.what}: {change.before} → {change.after}")


def _write_summary(screen: Screen, impact: Impact) -> None:
    if impact.kinds:
        screen.title("What changes")
        screen.table(("what", "rows"), [(kind, f"{count:,}") for kind, count in impact.kinds.most_common()])
    screen.say()
    told = f"{impact.changed:,} of {impact.rows:,} rows in {impact.lines:,} exchanges change"
    screen.say((waiting if impact.changed else good if impact.lines else bad)(told))
    for why, count in impact.left_out.items():
        screen.say(waiting(f"  left out: {count:,} lines that {why}"))
    if not impact.lines:
        screen.say("Nothing could be looked at: name recordings (.jsonl, .jsonl.gz).")


def _to_json(impact: Impact, rows: Sequence[ChangedRow]) -> dict[str, Any]:
    return {
        "lines": impact.lines,
        "rows": impact.rows,
        "changed": impact.changed,
        "left_out": impact.left_out,
        "kinds": impact.kinds,
        "rows_changed": [
            {
                "file": row.file,
                "line": row.line,
                **(address_fields(row.address) if row.address else {"objectname": "batch", "objectindex": 0}),
                "changes": [asdict(change) for change in row.changes],
            }
            for row in rows
        ],
    }
