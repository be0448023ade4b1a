"""The transforms a mapping file can name: what each takes, what it gives, and the function that does it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any

import phonenumbers
import pycountry

from bridge.shape import FieldType


class Kind(StrEnum):
    """The type of a value on its way from field to target: a field's own type, or an instant made of one."""

    TEXT = FieldType.TEXT.value
    DECIMAL = FieldType.DECIMAL.value
    INTEGER = FieldType.INTEGER.value
    BOOLEAN = FieldType.BOOLEAN.value
    DATE = FieldType.DATE.value
    DATETIME = FieldType.DATETIME.value
    """A date-time that may lack its zone."""
    INSTANT = "instant"
    """A date-time with `Z` or an offset."""


class Unfit(ValueError):
    """A value cannot be transformed; says what was expected, never what was there."""


@dataclass(frozen=True, slots=True)
class Application:
    """One transform applied to one kind of value."""

    gives: Kind
    function: Callable[[Any], Any] | None = None
    """None: the value is already what the transform would make of it."""
    expression: str = ""
    """The same as Python source over `v`, where that is possible; it neither fails nor gives None."""


_TEXTUAL = frozenset({Kind.TEXT, Kind.INTEGER})
_NUMERIC = frozenset({Kind.DECIMAL, Kind.INTEGER})
_TEMPORAL = frozenset({Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.INSTANT})

TAKES: dict[str, frozenset[Kind]] = {
    "absolute": _NUMERIC,
    "country": frozenset({Kind.TEXT}),
    "date": _TEMPORAL,
    "date-time": _TEMPORAL,
    "decimal": frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL}),
    "digits": _TEXTUAL,
    "negate": _NUMERIC,
    "phone": _TEXTUAL,
    "split-name": frozenset({Kind.TEXT}),
    "table": frozenset({Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN}),
    "text": frozenset({Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.DATE}),
    "trim": frozenset({Kind.TEXT}),
    "upper": frozenset({Kind.TEXT}),
}
"""Which kinds of value each transform can be applied to; anything else is a fault of the file."""

_ALREADY = frozenset(
    {
        ("date", Kind.DATE),
        ("date-time", Kind.INSTANT),
        ("decimal", Kind.DECIMAL),
        ("text", Kind.DATE),
        ("text", Kind.TEXT),
    }
)


def apply_plain(name: str, kind: Kind, zone: tzinfo | None) -> Application:
    """Return a transform without arguments, as cheap as the kind it is applied to allows."""
    gives = _GIVES.get(name, kind)
    if (name, kind) in _ALREADY:
        return Application(gives)
    expression = _EXPRESSIONS.get((name, kind), "")
    if expression and (zone is None or name not in _ZONED):
        return Application(gives, expression=expression)
    function = partial(_ZONED[name], zone=zone) if name in _ZONED else _FUNCTIONS[name]
    return Application(gives, function)


def as_text(value: Any) -> str:
    """Write a scalar as a text, a decimal without exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def trim(text: str) -> str | None:
    """Cut blanks off both ends; what is left empty is absent."""
    return text.strip() or None


def keep_digits(value: str | int) -> str | None:
    """Keep the digits 0 to 9 only; none at all is absent."""
    return re.sub("[^0-9]", "", str(value)) or None


_NUMBER = re.compile(r"[+-]?[0-9]+(?:([.,])([0-9]+))?")
_BLANKS = re.compile(r"[\s\u00a0\u202f]")


def read_decimal(value: str | int | Decimal) -> Decimal:
    """Read a number exactly; grouping blanks and a decimal comma are understood, an ambiguous comma is not."""
    if not isinstance(value, str):
        return Decimal(value)
    compact = _BLANKS.sub("", value)
    match = _NUMBER.fullmatch(compact)
    if match is None:
        raise Unfit("expected a number such as 1250.00")
    mark, fraction = match.groups()
    if mark == "," and len(fraction) == 3:
        raise Unfit("expected a number with a decimal point: a comma before three digits can be read in two ways")
    return Decimal(compact.replace(",", "."))


def read_date(text: str, *, zone: tzinfo | None) -> str:
    """Read the calendar date of a date or date-time; an instant's is taken in the profile's time zone."""
    moment = _read_moment(text)
    if moment.tzinfo is not None and zone is not None:
        moment = moment.astimezone(zone)
    return moment.date().isoformat()


def read_instant(text: str, *, zone: tzinfo | None) -> str:
    """Read a date or date-time as an instant.

    What has an offset keeps its instant. A wall clock keeps its calendar date and time: it gets the offset of the
    profile's time zone, or `Z` where the profile names none.
    """
    moment = _read_moment(text)
    moment = moment.replace(tzinfo=zone or UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _read_moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Unfit("expected a date such as 2024-02-15, or a date-time such as 2024-02-15T09:30:00") from None


def split_name(text: str, *, part: str) -> str | None:
    """Take the first or last part of "Kari Anne Nordmann" or "Nordmann, Kari Anne"; one word is a last name."""
    if "," in text:
        last, _, first = text.partition(",")
    else:
        first, _, last = text.strip().rpartition(" ")
    return (first if part == "first" else last).strip() or None


def read_phone(value: str | int, *, part: str, region: str, unreadable: str) -> str | None:
    """Take one part of a phone number; see `document.Phone`."""
    number = _parse_phone(str(value), region)
    if number is None:
        if unreadable == "leave-out":
            return None
        raise Unfit(f"expected a phone number, with country code unless it is one of {region}")
    if part == "country-code":
        return f"+{number.country_code}"
    if part == "region":
        return phonenumbers.region_code_for_number(number)
    if part == "national":
        return phonenumbers.national_significant_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@lru_cache(maxsize=1024)  # the parts of one number are asked for one after the other
def _parse_phone(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_possible_number(number) else None


def read_country(text: str, *, unreadable: str) -> str | None:
    """Turn a country's code or English name into ISO 3166 alpha-2."""
    code = _find_country(text.strip())
    if not code and unreadable == "reject":
        raise Unfit("expected a country by its ISO 3166 code, such as NO, or its English name")
    return code or None


@lru_cache(maxsize=1024)
def _find_country(text: str) -> str:
    try:
        found: str = pycountry.countries.lookup(text).alpha_2
    except LookupError:
        return ""
    return found


def join_texts(values: tuple[Any, ...], separator: str) -> str | None:
    """Put the values that are there together as one text."""
    return separator.join(as_text(value) for value in values if value is not None) or None


def negate(value: Decimal | int) -> Decimal | int:
    """Turn the sign."""
    # copy_negate, because the minus sign would round to the context's precision
    return value.copy_negate() if isinstance(value, Decimal) else -value


def absolute(value: Decimal | int) -> Decimal | int:
    """Remove the sign."""
    return value.copy_abs() if isinstance(value, Decimal) else abs(value)


_GIVES = {
    "date": Kind.DATE,
    "date-time": Kind.INSTANT,
    "decimal": Kind.DECIMAL,
    "digits": Kind.TEXT,
    "text": Kind.TEXT,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "absolute": absolute,
    "decimal": read_decimal,
    "digits": keep_digits,
    "negate": negate,
    "text": as_text,
    "trim": trim,
}
_ZONED: dict[str, Callable[..., Any]] = {"date": read_date, "date-time": read_instant}
_EXPRESSIONS = {
    ("date", Kind.DATETIME): "v[:10]",
    ("date", Kind.INSTANT): "v[:10]",
    ("date-time", Kind.DATE): 'v + "T00:00:00Z"',
    ("date-time", Kind.DATETIME): 'v if v[-1] == "Z" else v + "Z"',
    ("text", Kind.INTEGER): "str(v)",
    ("upper", Kind.TEXT): "v.upper()",
}
