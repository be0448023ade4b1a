"""JSON in and out with every digit kept, and the time format of the modern API."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal, DecimalException, Inexact
from typing import Any

import msgspec

EXACT = Context(prec=200, traps=[Inexact])
"""Money is added and subtracted here only: a sum that had to be rounded raises instead."""

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTING_ENCODER = msgspec.json.Encoder(decimal_format="number", order="sorted")


class NotJsonError(ValueError):
    """The body is not one JSON document in UTF-8."""


def decode(body: bytes) -> Any:
    """Read one JSON document: integers as `int`, other numbers as `Decimal`; raise NotJsonError."""
    try:
        return _DECODER.decode(body)
    except (ValueError, RecursionError, DecimalException) as fault:
        raise NotJsonError("the body is not one JSON document in UTF-8") from fault


def encode(value: Any) -> bytes:
    """Write JSON; a `Decimal` becomes a number with exactly its digits."""
    return _ENCODER.encode(value)


def canonical(value: Any) -> bytes:
    """Write JSON so that property order and white space of the original no longer matter."""
    return _SORTING_ENCODER.encode(value)


def timestamp(unix_seconds: float | None) -> str | None:
    """Write an instant as the API does, `2025-03-09T14:30:00.000Z`; None stays None."""
    if unix_seconds is None:
        return None
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
