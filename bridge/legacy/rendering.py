"""Entries become the bytes of a reply, slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from bridge.batch import WHOLE_BATCH, Address, Entry, Verdict


class ErrorLine(msgspec.Struct):
    """One element of the reply's `errors`, keys in the documented order."""

    objectname: str
    objectindex: int
    message: str


class ResponseLine(msgspec.Struct):
    """One element of the reply's `responses`, keys in the documented order."""

    objectname: str
    objectindex: int
    ledgerref: str
    status_statuscode: str


_encode = msgspec.json.Encoder().encode


def render_entries(
    entries: Sequence[Entry], accepted_text: str = "OK", pending_text: str = "PENDING"
) -> tuple[list[bytes], list[bytes]]:
    """Return the fragments of `errors` and of `responses` for a slice of entries: none, or one of all its lines."""
    errors: list[ErrorLine] = []
    responses: list[ResponseLine] = []
    for entry in entries:
        name, index = entry.address
        if entry.verdict is Verdict.REFUSED:
            errors.append(ErrorLine(name, index, entry.message))
        else:
            status = accepted_text if entry.verdict is Verdict.ACCEPTED else pending_text
            responses.append(ResponseLine(name, index, entry.ledgerref, status))
    return _fragments(errors), _fragments(responses)


def assemble(statuscode: int, errors: Iterable[bytes], responses: Iterable[bytes]) -> bytes:
    """Join fragments, in the order given, into a whole reply."""
    return b'{"statuscode":%d,"errors":[%b],"responses":[%b]}' % (statuscode, b",".join(errors), b",".join(responses))


def redact(reply: bytes, addresses: Collection[Address], text: str) -> bytes:
    """Return a whole reply with the messages about some rows replaced by a text; all else stays as it is."""
    stored = msgspec.json.decode(reply, type=dict[str, msgspec.Raw])
    errors = msgspec.json.decode(stored["errors"], type=list[ErrorLine])
    for line in errors:
        if (line.objectname, line.objectindex) in addresses:
            line.message = text
    return _encode(stored | {"errors": errors})


def whole_batch_error(message: str) -> bytes:
    """Return the reply to a batch that could not be read or taken as a whole."""
    return assemble(2, _fragments([ErrorLine(WHOLE_BATCH, 0, message)]), ())


def _fragments(lines: Sequence[ErrorLine] | Sequence[ResponseLine]) -> list[bytes]:
    if not lines:
        return []
    try:
        return [_encode(lines)[1:-1]]
    except UnicodeEncodeError:  # a text from outside with half of a surrogate pair; no row is worth losing a reply
        return [_encode(list(map(_mend, lines)))[1:-1]]


def _mend(line: ErrorLine | ResponseLine) -> ErrorLine | ResponseLine:
    texts: dict[str, Any] = {
        name: value.encode("utf-8", "replace").decode()
        for name, value in msgspec.structs.asdict(line).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(line, **texts)
