"""Read JSON that nobody has documented: whatever is missing, null or of another type reads as nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import Any

import msgspec

# Floats stay text: no answer of the API is calculated with, and a number out of range must not make it unreadable.
_decoder = msgspec.json.Decoder(float_hook=str)
_exact_decoder = msgspec.json.Decoder(float_hook=Decimal)
_raw_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])

_NOT_JSON = (ValueError, RecursionError, DecimalException)
"""What the decoders raise: DecodeError and UnicodeDecodeError are ValueErrors."""


def decode(body: bytes) -> Any:
    """Return the JSON value, or None for anything that is not JSON."""
    try:
        return _decoder.decode(_without_mark(body))
    except _NOT_JSON:
        return None


def decode_exactly(body: bytes | msgspec.Raw) -> Any:
    """Return the JSON value, whole numbers as `int` and all others as `Decimal`; None for anything that is not JSON."""
    try:
        return _exact_decoder.decode(body)
    except _NOT_JSON:
        return None


def split_object(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the properties of a JSON object, names in lower case and values unread; empty when it is none."""
    try:
        return lower_keys(_raw_object_decoder.decode(_without_mark(body)))
    except _NOT_JSON:
        return {}


def split_array(body: bytes | msgspec.Raw) -> list[msgspec.Raw] | None:
    """Return the elements of a JSON array unread; None for `null` and anything else that is no array."""
    try:
        return _raw_array_decoder.decode(body)
    except _NOT_JSON:
        return None


def _without_mark(body: bytes) -> bytes:
    return body.removeprefix(b"\xef\xbb\xbf")


def lower_keys(value: Any) -> dict[str, Any]:
    """Return an object with its property names in lower case; an empty one when it is not an object."""
    return {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}


def objects(value: Any) -> tuple[dict[str, Any], ...]:
    """Return the objects of an array, names in lower case; `[null]`, `[{}]` and other types read as no object."""
    if not isinstance(value, list):
        return ()
    return tuple(lower_keys(entry) for entry in value if entry and isinstance(entry, dict))


def texts(value: Any) -> tuple[str, ...]:
    """Return the strings of an array that say anything, trimmed; other types read as none."""
    entries = value if isinstance(value, list) else ()
    return tuple(filter(None, (text(entry) for entry in entries if isinstance(entry, str))))


def text(value: Any) -> str:
    """Return a string or whole number as trimmed text, anything else as an empty one."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return ""


def first_text(entry: Mapping[str, Any], *names: str) -> str:
    """Return the first of these (lower-case) properties that says anything."""
    for name in names:
        if found := text(entry.get(name)):
            return found
    return ""


def position(value: Any) -> int | None:
    """Return a zero-based position written as a number or as digits."""
    digits = text(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header whatever the letter case of its name; empty when absent. Bytes that are not UTF-8 are latin-1."""
    found = headers.get(name)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == name.lower()), "")
    if not found.isascii() and any("\udc80" <= character <= "\udcff" for character in found):
        found = found.encode("utf-8", "surrogateescape").decode("latin-1")  # no store could keep it as it is
    return found.strip()
