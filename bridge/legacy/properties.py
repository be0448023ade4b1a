"""Decoding JSON objects whose property names match case-insensitively, the last spelling winning."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

BEYOND_NUMBERS = Decimal("Infinity")
"""Stands for a number too large or small for Decimal itself; no reader of numbers takes it."""


class SpellingClash(Exception):
    """One object holds two spellings of one property, so the order they arrived in decides."""


def read_number(text: str) -> Decimal:
    """Return a JSON number exactly."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return BEYOND_NUMBERS


decode: Callable[[msgspec.Raw | bytes], Any] = msgspec.json.Decoder(float_hook=read_number).decode
"""Decode JSON with exact numbers; of two equally spelled properties the last wins."""


def decode_last_spelling(raw: msgspec.Raw | bytes) -> Any:
    """Decode JSON that `decode` has accepted, keeping of every property the spelling that came last."""
    return json.loads(bytes(raw), object_pairs_hook=_keep_last, parse_float=read_number)


def _keep_last(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict({name.lower(): (name, value) for name, value in pairs}.values())
