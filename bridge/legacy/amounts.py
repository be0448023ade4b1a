"""Numbers as old ERPs write them, read exactly: never through a binary float."""

from __future__ import annotations

import re
from decimal import Decimal

NOT_A_NUMBER = "not a number"
NOT_WHOLE = "not a whole number"
AMBIGUOUS = "ambiguous: one separator before three digits can mean thousands or decimals"
INTEGER_DIGITS = 20
DECIMAL_PLACES = 28
OUT_OF_RANGE = f"out of range: at most {INTEGER_DIGITS} digits before and {DECIMAL_PLACES} after the decimal point"
INTEGER_OUT_OF_RANGE = "out of range: a whole number of at most 64 bits"
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1

_LONGEST = 64
"""Characters; nothing longer can be within range and honestly meant."""
_PLAIN = re.compile(r"(?:[0-9]+(?:[.,][0-9]+)?|[.,][0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_UNCLEAR = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
# grouping blanks: space, no-break space, narrow no-break space, thin space
_GROUPED = re.compile(
    "[1-9][0-9]{0,2}(?P<blank>[ \u00a0\u202f\u2009.,])[0-9]{3}(?:(?P=blank)[0-9]{3})*"
    "(?:(?!(?P=blank))(?P<point>[.,])(?P<decimals>[0-9]+))?"
)


def read_decimal(value: object) -> Decimal:
    """Return the exact number in a JSON number or a text; ValueError says what is wrong, without the value."""
    if isinstance(value, str):
        return _bounded(_from_text(value.strip()))
    if isinstance(value, int) and not isinstance(value, bool):
        return _bounded(Decimal(value))
    if isinstance(value, Decimal):
        return _bounded(value)
    raise ValueError(NOT_A_NUMBER)


def read_integer(value: object) -> int:
    """Return the whole number in `12`, `12.0` or `"12"`, within 64 bits; ValueError says what is wrong."""
    number = read_decimal(value)
    whole = int(number)
    if whole != number:
        raise ValueError(NOT_WHOLE)
    if not INTEGER_MIN <= whole <= INTEGER_MAX:
        raise ValueError(INTEGER_OUT_OF_RANGE)
    return whole


def _bounded(number: Decimal) -> Decimal:
    """Refuse what no ledger holds, so that no later step pays for a number with a million digits."""
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -DECIMAL_PLACES or number.adjusted() >= INTEGER_DIGITS:
        raise ValueError(OUT_OF_RANGE)
    return number


def _from_text(text: str) -> Decimal:
    """Read a trimmed text; .NET in Norwegian writes a true minus sign (U+2212)."""
    if len(text) > _LONGEST:
        raise ValueError(OUT_OF_RANGE if text.isascii() and text.isdigit() else NOT_A_NUMBER)
    sign, digits = ("-", text[1:]) if text[:1] in ("-", "\u2212") else ("", text.removeprefix("+"))
    if _UNCLEAR.fullmatch(digits):
        raise ValueError(AMBIGUOUS)
    if _PLAIN.fullmatch(digits):
        return Decimal(sign + digits.replace(",", "."))
    grouped = _GROUPED.fullmatch(digits)
    if not grouped:
        raise ValueError(NOT_A_NUMBER)
    whole = digits[: grouped.start("point")] if grouped["point"] else digits
    return Decimal(f"{sign}{whole.replace(grouped['blank'], '')}.{grouped['decimals'] or ''}")
