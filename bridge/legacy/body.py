"""The bytes of one request become an `Envelope`: what it is called, how it wants its answer, and its raw rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from bridge.batch import OBJECTNAMES
from bridge.errors import UnreadableBatch
from bridge.legacy.faults import name_safely
from bridge.legacy.inflating import Inflater
from bridge.legacy.properties import decode
from bridge.legacy.scan import ScanFault, check_piece, scan_array, scan_object
from bridge.legacy.schema import Boolean
from bridge.legacy.transfer import decode_body

__all__ = ["Envelope", "Inflater", "decode_body", "split"]

_LONGEST_BATCHID = 500
_MOST_UNKNOWN = 50
_PROPERTIES = frozenset({"batchid", "offline", *OBJECTNAMES})
_split_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_split_array = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
_read_text = msgspec.json.Decoder(str).decode
_read_boolean = Boolean().read
_NULL = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A batch as it arrived; every array is there, an absent one is empty."""

    batchid: str
    """Trimmed; empty when the caller gave none."""
    offline: bool
    rows: Mapping[str, list[msgspec.Raw]]
    unknown: tuple[str, ...] = ()
    """Top-level property names nobody reads."""

    @property
    def row_count(self) -> int:
        """Count the rows of all arrays."""
        return sum(map(len, self.rows.values()))


class _Property(NamedTuple):
    name: str
    raw: msgspec.Raw


class _Documented(msgspec.Struct, forbid_unknown_fields=True):
    """A body that spells its properties as documented, and has no others: one look at its bytes is enough."""

    batchid: msgspec.Raw = _NULL
    offline: msgspec.Raw = _NULL
    creditor: list[msgspec.Raw] | None = None
    invoice: list[msgspec.Raw] | None = None
    payment: list[msgspec.Raw] | None = None
    action: list[msgspec.Raw] | None = None


_split_documented = msgspec.json.Decoder(_Documented).decode


def split(body: bytes) -> Envelope:
    """Split UTF-8 JSON into raw rows; UnreadableBatch tells where it stops being a batch, never what stands there."""
    try:
        documented = _split_documented(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _split_any(body)
    return Envelope(
        batchid=_read_batchid(documented.batchid),
        offline=_read_offline(documented.offline),
        rows={name: getattr(documented, name) or [] for name in OBJECTNAMES},
    )


def _split_any(body: bytes) -> Envelope:
    """Split what is spelled otherwise, or is no batch at all."""
    properties, unknown = _match(_split_properties(body))
    return Envelope(
        batchid=_read_batchid(properties.get("batchid", _NULL)),
        offline=_read_offline(properties.get("offline", _NULL)),
        rows={name: _split_rows(name, properties.get(name, _NULL)) for name in OBJECTNAMES},
        unknown=unknown,
    )


def _split_properties(body: bytes) -> list[_Property]:
    """Return the top-level properties in the order they arrived; of equally spelled ones maybe the last alone."""
    try:
        properties = _split_object(body)
    except msgspec.ValidationError:
        raise UnreadableBatch("The body is not a JSON object: send one with the arrays of the batch.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _scan_doubtful(body)
    if len({name.lower() for name in properties}) < len(properties):
        return _scan_doubtful(body)
    return [_Property(name, raw) for name, raw in properties.items()]


def _scan_doubtful(body: bytes) -> list[_Property]:
    """Split, by order of arrival, a body that msgspec does not help with, unless it is no JSON in fact."""
    try:
        found = scan_object(body)
        for name, position, raw in found:
            if name.lower() in OBJECTNAMES and raw.startswith(b"["):
                scan_array(raw, position)
            else:
                check_piece(raw, position)
    except ScanFault as fault:
        raise UnreadableBatch(f"The body is not JSON {_place(body, fault.position)}: correct it there.") from None
    return [_Property(name, msgspec.Raw(raw)) for name, _, raw in found]


def _place(body: bytes, position: int) -> str:
    """Tell a byte position as a text editor would, and as it is."""
    position = min(position, len(body))
    line = body.count(b"\n", 0, position) + 1
    column = position - body.rfind(b"\n", 0, position)
    return f"at line {line}, column {column} (byte {position})"


def _match(properties: Iterable[_Property]) -> tuple[dict[str, msgspec.Raw], tuple[str, ...]]:
    """Sort properties into known ones, where the last spelling wins, and the names of the others."""
    known: dict[str, msgspec.Raw] = {}
    unknown: dict[str, None] = {}
    for one in properties:
        if (lowered := one.name.lower()) in _PROPERTIES:
            known[lowered] = one.raw
        elif len(unknown) < _MOST_UNKNOWN:
            unknown[name_safely(one.name)] = None
    return known, tuple(unknown)


def _read_batchid(raw: msgspec.Raw) -> str:
    """Return the batchid's text; a number keeps the digits it was written with."""
    written = bytes(raw)
    if written == b"null":
        return ""
    try:
        batchid = _read_text(written).strip() if written[:1] == b'"' else _number_text(written)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UnreadableBatch("batchid: not a text or a number.") from None
    if len(batchid) > _LONGEST_BATCHID or "\0" in batchid:
        raise UnreadableBatch(f"batchid: longer than {_LONGEST_BATCHID} characters, or with a NUL character in it.")
    return batchid


def _number_text(written: bytes) -> str:
    if written[:1] not in b"-0123456789":
        raise msgspec.DecodeError
    return written.decode("ascii")


def _read_offline(raw: msgspec.Raw) -> bool:
    """Return what the caller asked for; null and an empty text are no."""
    try:
        value = decode(raw)
        return False if value is None or (isinstance(value, str) and not value.strip()) else _read_boolean(value)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise UnreadableBatch("offline: not true or false.") from None


def _split_rows(name: str, raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the raw rows of one array; null is an empty one."""
    try:
        return _split_array(raw) or []
    except msgspec.ValidationError:
        raise _not_an_array(name) from None
    except (msgspec.DecodeError, RecursionError):  # an odd row, or an odd text where rows should be
        written = bytes(raw)
        if not written.startswith(b"["):
            raise _not_an_array(name) from None
        return [msgspec.Raw(row) for row in scan_array(written)]


def _not_an_array(name: str) -> UnreadableBatch:
    return UnreadableBatch(f"{name}: not an array; send an array of rows, even for one row.")
