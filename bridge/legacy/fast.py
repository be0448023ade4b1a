"""The fast lane: rows that need no coercion at all go from bytes to fields without marshmallow.

From a shape two things are made: msgspec structs, which settle names, types and unknown fields in C, and one Python
function, which settles what they cannot (trimmed texts, canonical dates, bounded amounts). A row that either does not
like goes to the schema, which alone may refuse it. That none gets through which the schema would refuse or read
differently is proven by `tests/unit/legacy/test_soundness.py`.

Source is generated because a walk over the shape costs more than decoding the row (docs: architecture, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded, Underflow
from types import GenericAlias
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bridge.legacy.amounts import INTEGER_DIGITS, INTEGER_MAX, INTEGER_MIN
from bridge.legacy.dates import read_date, read_datetime
from bridge.shape import Field, FieldType, Shape

_DATES_KEPT = 10_000
_NUL = b"\\u0000"
_SHORT_AMOUNTS = Context(
    # 11 digits and at most ten decimals: always within the bounds of `amounts`, and checked in C
    prec=11,
    Emin=0,
    Emax=10,
    traps=[Clamped, Inexact, InvalidOperation, Overflow, Rounded, Underflow],
)
_TYPES: dict[FieldType, Any] = {
    FieldType.TEXT: Annotated[str, Meta(min_length=1)],
    FieldType.DECIMAL: Any,  # float_hook sees untyped numbers only
    FieldType.INTEGER: Annotated[int, Meta(ge=INTEGER_MIN, le=INTEGER_MAX)],
    FieldType.BOOLEAN: bool,
    FieldType.DATE: str,
    FieldType.DATETIME: str,
}
_CHECKS: dict[FieldType, str] = {
    FieldType.TEXT: "if value.strip() is not value: return False",  # strip gives an unchanged text back
    FieldType.DECIMAL: """\
if value.__class__ is not Decimal:
    if value.__class__ is not int or not -LIMIT < value < LIMIT: return False
    {place} = Decimal(value)""",
    FieldType.INTEGER: "",
    FieldType.BOOLEAN: "",
    FieldType.DATE: "if value not in dates and not admit_date(value): return False",
    FieldType.DATETIME: "if value not in datetimes and not admit_datetime(value): return False",
}
_NOT_HERE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ArithmeticError)


class FastLane:
    """Reads rows of one shape that are canonical already."""

    def __init__(self, shape: Shape) -> None:
        struct = _struct(shape.objectname, shape.fields)
        self._decode = msgspec.json.Decoder(struct, float_hook=_SHORT_AMOUNTS.create_decimal).decode
        self._is_canonical = _compile(shape.fields)

    def read_many(self, raws: Sequence[msgspec.Raw | bytes]) -> Iterator[dict[str, Any] | None]:
        """Yield each row's fields, or None when the schema must look at it."""
        joined = b"".join(raws)  # one search for a slice costs less than one for each row
        doubtful = b"\\" in joined and _NUL in joined
        for raw in raws:
            yield None if doubtful and _NUL in bytes(raw) else self._read(raw)

    def _read(self, raw: msgspec.Raw | bytes) -> dict[str, Any] | None:
        try:
            row = self._decode(raw)
        except _NOT_HERE:
            return None
        if not self._is_canonical(row):
            return None
        fields: dict[str, Any] = msgspec.to_builtins(row, builtin_types=(Decimal,))
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
        kind: Any = _TYPES[member.type] if member.type else _struct(member.name, member.fields)
        if member.many:
            kind = Annotated[GenericAlias(list, kind), Meta(min_length=int(member.required))]
        declared.append((f"f{number}", kind) if member.required else (f"f{number}", kind | UnsetType, UNSET))
    return msgspec.defstruct(
        name,
        declared,
        rename={f"f{number}": member.name for number, member in enumerate(members)},
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,  # structs live for one row and hold no cycles
    )


def _compile(members: tuple[Field, ...]) -> Callable[[Any], bool]:
    """Make the function that tells whether a struct is canonical, and makes its whole amounts Decimal."""
    dates, datetimes = KnownTexts(read_date), KnownTexts(read_datetime)
    names: dict[str, Any] = {
        "Decimal": Decimal,
        "UNSET": UNSET,
        "LIMIT": 10**INTEGER_DIGITS,
        "dates": dates,
        "admit_date": dates.admit,
        "datetimes": datetimes,
        "admit_datetime": datetimes.admit,
    }
    source = "\n".join(["def is_canonical(row0):", *_indent([*_walk(members, 0), "return True"])])
    exec(source, names)  # noqa: S102  made of numbers and the words above; nothing of a mapping file enters it
    is_canonical: Callable[[Any], bool] = names["is_canonical"]
    return is_canonical


def _walk(members: tuple[Field, ...], depth: int) -> Iterator[str]:
    """Write the checks of one object, held in `row<depth>`."""
    for number, member in enumerate(members):
        place = f"row{depth}.f{number}"
        check = list(_check(member, place, depth))
        if check:
            yield f"value = {place}"
            yield from check if member.required else ["if value is not UNSET:", *_indent(check)]


def _check(member: Field, place: str, depth: int) -> Iterator[str]:
    """Write the checks of one member that is there, held in `value`."""
    if member.type is None:
        inner = list(_walk(member.fields, depth + 1)) or ["pass"]
        holder = f"row{depth + 1}"
        yield from [f"for {holder} in value:", *_indent(inner)] if member.many else [f"{holder} = value", *inner]
    elif not member.many:
        yield from _CHECKS[member.type].format(place=place).splitlines()
    elif _CHECKS[member.type]:
        check = _CHECKS[member.type].format(place=f"{place}[number]").splitlines()
        yield from ["for number, value in enumerate(value):", *_indent(check)]


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
