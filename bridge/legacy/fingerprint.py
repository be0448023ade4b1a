"""What makes two contents the same: a digest of the rows in canonical form.

Canonical: property names in lower case and sorted at every depth, of several spellings the last, no white space, texts
decoded, numbers as exact decimals. Everything else counts: the order of elements, `null` against absent inside a row,
`1.0` against `1.00`. A row that cannot be decoded counts by its bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from bridge.batch import OBJECTNAMES
from bridge.legacy.properties import SpellingClash, decode_last_spelling

_NAMES_KEPT = 4096
_lowered: dict[str, str] = {}
"""Property names in lower case, each computed once: the memo halves the cost of a row."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
# no canonical JSON begins with these bytes
_ROW, _RAW_ROW = b"\n", b"\n!"


class Fingerprint:
    """Takes in the arrays of one batch slice by slice; each array in its own order, the arrays in any."""

    def __init__(self) -> None:
        self._digests = {name: hashlib.sha256() for name in OBJECTNAMES}
        self._counts = dict.fromkeys(OBJECTNAMES, 0)

    def update(self, objectname: str, raws: Sequence[msgspec.Raw] | Sequence[bytes]) -> None:
        """Take in the next rows of one array."""
        self._digests[objectname].update(b"".join(map(_canonical, raws)))
        self._counts[objectname] += len(raws)

    def hexdigest(self) -> str:
        """Return the digest of all rows so far; 64 hexadecimal digits."""
        parts = [f"{name} {self._counts[name]} {self._digests[name].hexdigest()}" for name in OBJECTNAMES]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _canonical(raw: msgspec.Raw | bytes) -> bytes:
    """Return one row's canonical bytes, framed."""
    try:
        return _ROW + _encode(_fold(_decode(raw)))
    except SpellingClash:
        return _ROW + _encode(_fold(decode_last_spelling(raw)))
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        written = bytes(raw)
        return _RAW_ROW + b"%d:" % len(written) + written


def _fold(value: Any) -> Any:
    """Give every property its lower-case name; SpellingClash when two become one."""
    if value.__class__ is list:
        return [_fold(element) for element in value]
    if value.__class__ is not dict:
        return value
    folded = {}
    for name, inner in value.items():
        if inner.__class__ is list:
            inner = [_fold(element) for element in inner]  # noqa: PLW2901  spelled out: a call costs a fifth of the row
        elif inner.__class__ is dict:
            inner = _fold(inner)  # noqa: PLW2901  as above
        try:
            folded[_lowered[name]] = inner
        except KeyError:
            folded[_lower(name)] = inner
    if len(folded) != len(value):
        raise SpellingClash
    return folded


def _lower(name: str) -> str:
    """Remember a name; forget all of them rather than grow without bound."""
    if len(_lowered) >= _NAMES_KEPT:
        _lowered.clear()
    lowered = _lowered[name] = name.lower()
    return lowered
