"""What the stand-in for the legacy host reads: from the bytes of a batch to its rows, as written and in lower case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .wire import NotJsonError, decode

OBJECTNAMES = ("creditor", "invoice", "payment", "action")
MAX_DEPTH = 64
"""How deep JSON may nest; what .NET's own readers stop at."""

Row = Mapping[str, Any]


class UnreadableError(ValueError):
    """The body is no batch."""


@dataclass(frozen=True, slots=True)
class LegacyRow:
    """One row of a batch."""

    objectname: str
    index: int
    fields: Row
    """Property names in lower case, since the host does not mind it."""
    written: Row
    """As the caller wrote it: what a fault script's `where` speaks of."""


@dataclass(frozen=True, slots=True)
class LegacyBatch:
    """One POST, read."""

    batchid: str
    fields: Row
    """All of it, property names in lower case."""
    rows: tuple[LegacyRow, ...]


async def read_body(request: web.Request) -> bytes:
    """Return the body as UTF-8, inflated: old ERPs send other charsets. Raises UnreadableError."""
    try:
        body = await request.read()
        return body.decode(request.charset or "utf-8").removeprefix("\ufeff").encode()
    except (LookupError, UnicodeError) as fault:
        raise UnreadableError("the charset") from fault
    except web.RequestPayloadError as fault:
        raise UnreadableError("the compression") from fault


def read_batch(body: bytes) -> LegacyBatch:
    """Read a batch; raises UnreadableError where it is not an object whose arrays hold objects."""
    try:
        document = decode(body)
    except NotJsonError as fault:
        raise UnreadableError("no JSON") from fault
    if not isinstance(document, dict):
        raise UnreadableError("no object")
    fields = _lower(document)
    written = {name.lower(): value for name, value in document.items()}
    rows = tuple(row for name in OBJECTNAMES for row in _read_rows(name, fields.get(name), written.get(name)))
    return LegacyBatch(write_text(fields.get("batchid")), fields, rows)


def write_text(value: Any) -> str:
    """Return a value as text without blanks around it; nothing, for null."""
    return "" if value is None else str(value).strip()


def _read_rows(objectname: str, rows: Any, written: Any) -> Iterator[LegacyRow]:
    if rows is None:
        return
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnreadableError(objectname)
    for index, (fields, as_written) in enumerate(zip(rows, written, strict=True)):
        yield LegacyRow(objectname, index, fields, as_written)


def _lower(value: Any, depth: int = 0) -> Any:
    """Return a value with every property name in lower case; of two spellings of one name the last one counts."""
    if depth > MAX_DEPTH:
        raise UnreadableError("too deep")
    if isinstance(value, dict):
        return {name.lower(): _lower(inner, depth + 1) for name, inner in value.items()}
    return [_lower(inner, depth + 1) for inner in value] if isinstance(value, list) else value
