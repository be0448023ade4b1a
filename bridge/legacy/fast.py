"""The fast lane: rows that need no coercion at all go from bytes to fields without marshmallow.

From a shape two things are made: msgspec structs, which settle names, types and unknown fields in C, and one small
Python function per object, which settles what they cannot (trimmed texts, canonical dates, exact bounded amounts) and
builds the fields. Whatever either does not like goes to the schema, which alone may refuse. That no row gets through
which the schema would refuse or read differently is proven by `tests/unit/legacy/test_soundness.py`.

Source is generated because a generic walk costs more than the decoding itself (docs: architecture, section 3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded, Underflow
from types import GenericAlias
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bridge.legacy.amounts import INTEGER_DIGITS, INTEGER_MAX, INTEGER_MIN
from bridge.legacy.dates import read_date, read_datetime
from bridge.shape import Field, FieldType, Shape

_DATES_KEPT = 10_000
_SHORT_AMOUNTS = Context(
    # 11 digits, none below the tenth decimal place: always within the bounds of `amounts`, and checked in C
    prec=11,
    Emin=0,
    Emax=10,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Underflow],
)
_NATIVE: dict[FieldType, Any] = {
    FieldType.TEXT: str,
    FieldType.DECIMAL: Any,  # only untyped numbers are decoded by float_hook
    FieldType.INTEGER: int,
    FieldType.BOOLEAN: bool,
    FieldType.DATE: str,
    FieldType.DATETIME: str,
}
_CHECKS = {
    FieldType.TEXT: "if not {v} or {v}.strip() is not {v}: raise Coerce",
    FieldType.DECIMAL: (
        "if {v}.__class__ is not Decimal:\n"
        "    if {v}.__class__ is not int or not -LIMIT < {v} < LIMIT: raise Coerce\n"
        "    {v} = Decimal({v})"
    ),
    FieldType.INTEGER: "if not INTEGER_MIN <= {v} <= INTEGER_MAX: raise Coerce",
    FieldType.BOOLEAN: "",
    FieldType.DATE: "if {v} not in dates and not admit_date({v}): raise Coerce",
    FieldType.DATETIME: "if {v} not in datetimes and not admit_datetime({v}): raise Coerce",
}
_BACKSLASH = re.compile(rb"\\")
_NUL = b"\\u0000"


class Coerce(Exception):
    """The row needs the schema."""


_NOT_HERE = (Coerce, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)


class FastLane:
    """Reads rows of one shape that are canonical already."""

    def __init__(self, shape: Shape) -> None:
        self._take = _compile(shape.fields)
        struct = _struct(shape.objectname, shape.fields)
        self._decode = msgspec.json.Decoder(struct, float_hook=_SHORT_AMOUNTS.create_decimal).decode

    def read(self, raw: msgspec.Raw | bytes) -> dict[str, Any] | None:
        """Return the row's fields, or None when the schema must look at it."""
        try:
            fields = self._take(self._decode(raw))
        except _NOT_HERE:
            return None
        if _BACKSLASH.search(raw) and _NUL in bytes(raw):
            return None
        return fields


class KnownTexts(set[str]):
    """Texts that were found canonical; forgets all of them rather than grow without bound."""

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__()
        self._read = read

    def admit(self, text: str) -> bool:
        """Tell whether the schema would pass the text verbatim, and remember it if so."""
        try:
            canonical = self._read(text) == text
        except ValueError:
            return False
        if canonical:
            if len(self) >= _DATES_KEPT:
                self.clear()
            self.add(text)
        return canonical


def _struct(name: str, members: tuple[Field, ...]) -> type[msgspec.Struct]:
    """Declare an object; members are called f0, f1, … because JSON names need not be Python names."""
    declared: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for number, member in enumerate(members):
        kind: Any = _NATIVE[member.type] if member.type else _struct(member.name, member.fields)
        if member.many:
            kind = GenericAlias(list, kind)
        declared.append((f"f{number}", kind) if member.required else (f"f{number}", kind | UnsetType, UNSET))
    return msgspec.defstruct(
        name,
        declared,
        rename={f"f{number}": member.name for number, member in enumerate(members)},
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,  # structs live for one row and hold no cycles
    )


def _compile(members: tuple[Field, ...]) -> Callable[[Any], dict[str, Any]]:
    """Make the function that turns one struct into fields, or raises Coerce."""
    dates, datetimes = KnownTexts(read_date), KnownTexts(read_datetime)
    names: dict[str, Any] = {
        "Coerce": Coerce,
        "Decimal": Decimal,
        "UNSET": UNSET,
        "LIMIT": 10**INTEGER_DIGITS,
        "INTEGER_MIN": INTEGER_MIN,
        "INTEGER_MAX": INTEGER_MAX,
        "dates": dates,
        "admit_date": dates.admit,
        "datetimes": datetimes,
        "admit_datetime": datetimes.admit,
    }
    for number, member in enumerate(members):
        if member.type is None:
            names[f"take{number}"] = _compile(member.fields)
    exec(_source(members), names)  # noqa: S102  made from a shape alone; field names enter as string literals only
    take: Callable[[Any], dict[str, Any]] = names["take"]
    return take


def _source(members: tuple[Field, ...]) -> str:
    """Write the function."""
    lines = ["absent = False"]
    for number, member in enumerate(members):
        lines.append(f"v{number} = row.f{number}")
        check = _check(number, member)
        if not member.required:
            lines += [f"if v{number} is UNSET: absent = True", "else:", *_indent(check or ["pass"])]
        else:
            lines += check
    lines.append("fields = {" + ", ".join(f"{member.name!r}: v{n}" for n, member in enumerate(members)) + "}")
    lines.append("return {n: v for n, v in fields.items() if v is not UNSET} if absent else fields")
    return "\n".join(["def take(row):", *_indent(lines)])


def _check(number: int, member: Field) -> list[str]:
    """Write what must hold of one member that is there."""
    value = f"v{number}"
    empty = [f"if not {value}: raise Coerce"] if member.many and member.required else []
    if member.type is None:
        taken = f"list(map(take{number}, {value}))" if member.many else f"take{number}({value})"
        return [*empty, f"{value} = {taken}"]
    if not member.many:
        return _CHECKS[member.type].format(v=value).splitlines()
    element = _CHECKS[member.type].format(v="element").splitlines()
    kept = [f"kept{number} = []", f"for element in {value}:", *_indent([*element, f"kept{number}.append(element)"])]
    return [*empty, *kept, f"{value} = kept{number}"]


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
