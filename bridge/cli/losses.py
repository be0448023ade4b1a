"""What stands in a batch and goes nowhere: fields that are dropped on purpose, and fields that nobody declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.text import Text

from bridge.batch import OBJECTNAMES, Address, Outcome, Row
from bridge.cli.places import name_places
from bridge.cli.screen import Screen, bad
from bridge.legacy.body import Envelope
from bridge.legacy.faults import name_safely
from bridge.legacy.properties import decode
from bridge.legacy.reader import RowReader
from bridge.mapping import Profile
from bridge.shape import Field

UNKNOWN = "unknown to this profile"
ABOUT_UNKNOWN = """
Declare what is unknown in the profile's mapping files, with a rule or in [[drop]]; many unknown fields at once mean
that the sender speaks another profile."""


@dataclass(frozen=True, slots=True)
class LostField:
    """A field that is not carried over, the rows that have it, and why; `known` tells it from a mere surprise."""

    field: str
    rows: tuple[Address, ...]
    reason: str
    known: bool


def list_lost(profile: Profile, reader: RowReader, envelope: Envelope) -> Iterator[LostField]:
    """Yield every field that goes nowhere, with the rows it stands in; of a refused row only undeclared ones."""
    for objectname in OBJECTNAMES:
        raws = envelope.rows.get(objectname, [])
        lost: dict[tuple[str, str, bool], list[Address]] = {}
        for row, raw in zip(reader.read_many(objectname, 0, raws), raws, strict=True):
            for fate in _list_fates(profile, row, raw):
                lost.setdefault(fate, []).append(row.address)
        for (name, reason, known), rows in lost.items():
            yield LostField(name, tuple(rows), reason, known)


def _list_fates(profile: Profile, row: Row | Outcome, raw: msgspec.Raw) -> Iterator[tuple[str, str, bool]]:
    """Yield (field, why, known) of the fields of one row."""
    mapping = profile.objects[row.address.objectname]
    if isinstance(row, Outcome):
        yield from ((name, UNKNOWN, False) for name in list_undeclared(raw, mapping.shape.fields))
        return
    yield from ((entry.field, entry.reason, True) for entry in mapping.account(row.fields))
    yield from ((name, UNKNOWN, False) for name in row.unknown)


def list_undeclared(raw: msgspec.Raw | bytes, fields: Sequence[Field]) -> tuple[str, ...]:
    """Return the paths of fields that nobody declares, as `Row.unknown` has them, of a row that was refused."""
    try:
        return tuple(dict.fromkeys(_walk(decode(raw), fields, "")))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()


def _walk(value: Any, fields: Sequence[Field], place: str) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    declared: Mapping[str, Field] = {field.name.lower(): field for field in fields}
    for name, part in value.items():
        field = declared.get(name.lower())
        if part is None:
            continue
        if field is None:
            yield place + name_safely(name)
        elif field.fields:
            inside = f"{place}{field.name}{'[]' if field.many else ''}."
            for element in part if isinstance(part, list) else [part]:
                yield from _walk(element, field.fields, inside)


def write_lost(screen: Screen, lost: Sequence[LostField], properties: Iterable[str]) -> None:
    """Show what is lost, one line a reason; `properties` are those of the batch itself."""
    screen.title("Fields not carried over")
    lines = list(_by_reason(lost))
    if names := list(properties):
        lines.append(("the batch itself", bad("unknown to the bridge"), ", ".join(names)))
    if not lines:
        screen.say("  none")
        return
    screen.table(("rows", "why", "fields"), lines)
    if not all(one.known for one in lost):
        screen.say(ABOUT_UNKNOWN)


def _by_reason(lost: Iterable[LostField]) -> Iterator[tuple[str, str | Text, str]]:
    groups: dict[tuple[str, str, bool], list[LostField]] = {}
    for one in lost:
        groups.setdefault((one.rows[0].objectname, one.reason, one.known), []).append(one)
    for (_, reason, known), members in groups.items():
        rows = dict.fromkeys(row for one in members for row in one.rows)
        yield name_places(rows), reason if known else bad(reason), name_fields([one.field for one in members])


def name_fields(paths: Iterable[str]) -> str:
    """Return paths as briefly as `street, contact.{email, fullname}`."""
    by_parent: dict[str, list[str]] = {}
    for path in paths:
        parent, dot, name = path.rpartition(".")
        by_parent.setdefault(parent + dot, []).append(name)
    groups = []
    for parent, names in by_parent.items():
        together = ", ".join(names)
        groups.append(f"{parent}{{{together}}}" if parent and len(names) > 1 else f"{parent}{together}")
    return ", ".join(groups)
