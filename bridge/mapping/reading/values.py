"""What becomes of one value that the modern system sent: nothing here raises, what does not fit is None.

A vendor may send anything anywhere. To call an object a name, or to round an amount, would be untrue; null is not.
The value comes last, because `partial` is quick with positions only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any

from bridge.mapping.document import Scalar
from bridge.mapping.tables import CodeTable
from bridge.mapping.transforms import Unfit, as_text, keep_digits, read_date, read_decimal

Value = Any
Change = Callable[[Any], Any]
"""From a value that is not None to another one, or None."""

NOTHING: Mapping[str, Any] = {}
_MOST_DIGITS = 100
"""JSON knows no limit: 1e999999999 is ten characters there, and a gigabyte when it is written out."""
_MOST_BITS = 333
_JSON_NUMBER = re.compile(
    r"-?(?:0|[1-9][0-9]{0,99})(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,2})?"  # as long as an amount may get
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,100}")
_CANONICAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?Z", re.ASCII)


def rows(value: Any) -> Sequence[dict[str, Any]]:
    """Return the objects of a list; no list has none."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()


def items(value: Any) -> Sequence[Any]:
    """Return the elements of a list; no list has none."""
    return value if isinstance(value, list) else ()


def element(value: Any, index: int) -> Any:
    """Return one element of a list, None where there is none."""
    return value[index] if isinstance(value, list) and len(value) > index else None


def write_text(value: str | Decimal) -> str | None:
    """Write a scalar as a text."""
    if isinstance(value, str):
        return value or None
    return as_text(value) if _is_short(value) else None


def read_plain_number(value: str | int | Decimal) -> int | Decimal | None:
    """Read a number, or a text that is nothing else: JSON's spelling of a number, blanks around it, no grouping."""
    if not isinstance(value, str):
        return value
    match = _JSON_NUMBER.fullmatch(value.strip())
    if match is None:
        return None
    return Decimal(match[0]) if match[1] or match[2] else int(match[0])


def read_plain_whole(value: str | int) -> int | None:
    """Read a whole number, or a text that is nothing else."""
    read = read_plain_number(value)
    return read if isinstance(read, int) else None


def read_amount(value: str | Decimal) -> Decimal | None:
    """Read a number that may be written as a text."""
    try:
        return read_decimal(value)
    except Unfit:
        return None


def read_whole(value: str | Decimal) -> int | None:
    """Read a whole number that may be written as a text."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    return int(value) if _is_short(value) and value == int(value) else None


def read_digits(value: str | int) -> str | None:
    """Keep the digits of a text or number."""
    return keep_digits(value) if isinstance(value, str) or _is_short(value) else None


def leave_out(prefix: str, text: str) -> str | None:
    """Drop a text that begins with `prefix`."""
    return None if text.startswith(prefix) else text


def calendar_date(zone: tzinfo | None, text: str) -> str | None:
    """Return the calendar date of a date or date-time, an instant's as it is in the profile's time zone."""
    try:
        return read_date(text, zone=zone)
    except (Unfit, OverflowError):
        return None


def moment(zone: tzinfo | None, text: str) -> str | None:
    """Return a date or date-time as an instant: with `Z`, or as the clocks of the profile's time zone show it."""
    try:
        read = datetime.fromisoformat(text)
        if zone is None and _CANONICAL.fullmatch(text):
            return text
        aware = read.replace(tzinfo=zone or UTC) if read.tzinfo is None else read.astimezone(zone or UTC)
    except (ValueError, OverflowError):
        return None
    return aware.isoformat().replace("+00:00", "Z")


def look_up(known: Mapping[str, Scalar], table: CodeTable, value: Any) -> Any:
    """Translate a code; one without a row is None, unless the table says otherwise.

    `known` spares a code that is spelled as in the file the way through the table.
    """
    found = known.get(value)
    if found is not None:
        return found
    try:
        return table.look_up(value)
    except Unfit:
        return None


def pass_on(changes: Iterable[Change], value: Any) -> Any:
    """Put a value through several changes, as long as something is left of it."""
    for change in changes:
        if value is None:
            return None
        value = change(value)
    return value


def _is_short(value: int | Decimal) -> bool:
    if isinstance(value, int):
        return value.bit_length() <= _MOST_BITS
    return -_MOST_DIGITS < value.adjusted() < _MOST_DIGITS and len(value.as_tuple().digits) < _MOST_DIGITS
