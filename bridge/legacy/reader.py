"""One raw row becomes a `Row`, or an `Outcome` that says why it could not be read. Nothing a caller sends raises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from marshmallow import Schema, ValidationError

from bridge.batch import Address, Outcome, Row, Verdict
from bridge.legacy.fast import FastLane
from bridge.legacy.faults import tell
from bridge.legacy.properties import SpellingClash, decode, decode_last_spelling
from bridge.legacy.schema import build_schema, load_row
from bridge.shape import Shape

TOO_DEEP = "not readable: it is nested too deeply"
NOT_TEXT = "not readable: a text in it is not valid Unicode, or it is not JSON"
BEYOND_NUMBERS = "not readable: a number in it has too many digits"


class RowReader:
    """Reads the rows of one profile; canonical ones by the fast lane, all others by marshmallow."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._lanes = {name: (FastLane(shape), build_schema(shape)) for name, shape in shapes.items()}
        self.fast_rows = 0
        """Rows the fast lane has read so far."""
        self.slow_rows = 0
        """Rows marshmallow has read or refused so far."""

    def read(self, address: Address, raw: msgspec.Raw | bytes) -> Row | Outcome:
        """Read one row; a refusal names every fault, and never a value."""
        return self.read_many(address.objectname, address.objectindex, (raw,))[0]

    def read_many(
        self, objectname: str, start: int, raws: Sequence[msgspec.Raw] | Sequence[bytes] | Sequence[msgspec.Raw | bytes]
    ) -> list[Row | Outcome]:
        """Read a slice of one array whose first element has the index `start`."""
        lanes = self._lanes.get(objectname)
        if lanes is None:
            message = f"{objectname}: this sender's profile has no mapping for such rows; ask the operator"
            return [_refuse(Address(objectname, index), message) for index in range(start, start + len(raws))]
        fast, schema = lanes
        slow = 0
        results: list[Row | Outcome] = []
        for index, (raw, fields) in enumerate(zip(raws, fast.read_many(raws), strict=True), start):
            address = Address(objectname, index)
            if fields is None:
                slow += 1
                results.append(_read_slowly(schema, address, raw))
            else:
                results.append(Row(address, fields))
        self.slow_rows += slow
        self.fast_rows += len(raws) - slow
        return results

    def peek(self, raw: msgspec.Raw | bytes, names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        """Return (key, text) of the top-level fields (key → field name) that can be told in a row that was refused."""
        try:
            data = decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ()
        if not isinstance(data, dict):
            return ()
        texts = {name.lower(): _text(value) for name, value in data.items()}
        found = ((key, texts.get(field.lower(), "")) for key, field in names.items())
        return tuple((key, text) for key, text in found if text)


def _read_slowly(schema: Schema, address: Address, raw: msgspec.Raw | bytes) -> Row | Outcome:
    try:
        fields, unknown = _load(schema, raw)
    except ValidationError as fault:
        return _refuse(address, tell(fault.messages))
    except RecursionError:
        return _refuse(address, TOO_DEEP)
    except msgspec.ValidationError:
        return _refuse(address, BEYOND_NUMBERS)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _refuse(address, NOT_TEXT)
    return Row(address, fields, unknown)


def _load(schema: Schema, raw: msgspec.Raw | bytes) -> tuple[dict[str, Any], tuple[str, ...]]:
    data = decode(raw)
    try:
        return load_row(schema, data)
    except SpellingClash:
        return load_row(schema, decode_last_spelling(raw))


def _refuse(address: Address, message: str) -> Outcome:
    return Outcome(address, Verdict.REFUSED, message)


def _text(value: object) -> str:
    """Return a scalar as a reference would be written; nothing for what is no scalar."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return ""
    return str(value).strip()
