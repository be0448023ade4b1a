"""Declared fields (`debtors[].emails[].value = "text"`) as the shape the legacy reader works by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.mapping.document import ObjectDocument
from bridge.mapping.paths import is_under, parse_path
from bridge.mapping.rules import Fault
from bridge.shape import Field, FieldType, Shape


@dataclass(slots=True)
class _Growing:
    """A field whose members are still being collected."""

    type: FieldType | None = None
    many: bool | None = None
    members: dict[str, _Growing] = field(default_factory=dict)


def shape_of(document: ObjectDocument) -> Shape:
    """Return the shape of a row; the fields must have passed `check_fields`."""
    fields = nest_fields(document.fields, required_fields(document))
    return Shape(document.objectname, fields, refuse_unknown=document.unknown == "reject")


def nest_fields(fields: Mapping[str, FieldType], required: frozenset[str] = frozenset()) -> tuple[Field, ...]:
    """Return declared paths as fields within fields, in declared order; they must have passed `check_paths`."""
    return _freeze(_grow(fields), "", required)


def required_fields(document: ObjectDocument) -> frozenset[str]:
    """Return the fields without which no row of this kind is taken: `[[require]]`, and simple required rules."""
    named = {name for part in document.require for name in part.fields}
    simple = {rule.source[0] for rule in document.rule if rule.required and not rule.only and len(rule.source) == 1}
    return frozenset(named | simple)


def check_fields(document: ObjectDocument) -> list[Fault]:
    """Find field paths that cannot stand side by side in one row, and requirements of fields that are not declared."""
    return check_paths(document.fields) or list(_undeclared(document))


def check_paths(fields: Mapping[str, FieldType]) -> list[Fault]:
    """Find declared paths that are none, or that cannot stand side by side."""
    return _malformed(fields) or _clashing(fields)


def _malformed(fields: Mapping[str, FieldType]) -> list[Fault]:
    faults = []
    for name in fields:
        try:
            path = parse_path(name)
        except ValueError as error:
            faults.append(Fault(f'fields "{name}"', str(error)))
            continue
        if any(step.index is not None for step in path):
            faults.append(
                Fault(f'fields "{name}"', "a field is every element of its array: write [] instead of a number")
            )
    return faults


def _clashing(fields: Mapping[str, FieldType]) -> list[Fault]:
    """Compare names without letter case, as legacy senders may write them."""
    faults, spellings = [], dict[str, tuple[str, bool]]()
    for name in fields:
        path = parse_path(name)
        for length in range(1, len(path) + 1):
            place = ".".join(part.name.casefold() for part in path[:length])
            spelled = ".".join(part.name + "[]" * part.each for part in path[:length])
            known = spellings.setdefault(place, (spelled, length == len(path)))
            if known != (spelled, length == len(path)):
                faults.append(Fault(f'fields "{name}"', f'does not fit beside "{known[0]}": one name, two meanings'))
                break
    return faults


def _undeclared(document: ObjectDocument) -> list[Fault]:
    return [
        Fault(f'require "{name}"', "is not a declared field; add it to [fields] or correct the spelling")
        for part in document.require
        for name in part.fields
        if not any(is_under(declared, name) for declared in document.fields)
    ]


def _grow(fields: Mapping[str, FieldType]) -> dict[str, _Growing]:
    root: dict[str, _Growing] = {}
    for name, kind in fields.items():
        members = root
        for step in parse_path(name):
            growing = members.setdefault(step.name, _Growing())
            growing.many = step.each
            members = growing.members
        growing.type = kind
    return root


def _freeze(members: Mapping[str, _Growing], parent: str, required: frozenset[str]) -> tuple[Field, ...]:
    fields = []
    for name, growing in members.items():
        place = f"{parent}{name}"
        inner = f"{place}[]." if growing.many else f"{place}."
        fields.append(
            Field(
                name,
                type=growing.type,
                fields=_freeze(growing.members, inner, required),
                many=bool(growing.many),
                required=not required.isdisjoint({place, f"{place}[]"}),
            )
        )
    return tuple(fields)
