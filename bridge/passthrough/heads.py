"""The heads of messages on their way, in bytes: each header in its order and spelling, but those of a connection."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.http import HttpVersion11, RawResponseMessage

from bridge.errors import NoAnswer

NAMES_KEPT = 1024
RawHeaders = Sequence[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
OURS = frozenset({b"host", b"expect"})
"""Of a request: what the next connection has its own of. `Expect` is answered before anything is passed on."""
NOTHING: frozenset[bytes] = frozenset()
LENGTH = frozenset({b"content-length"})
CHUNKED = b"\r\nTransfer-Encoding: chunked"
CLOSED = b"\r\nConnection: close"
KEPT = b"\r\nConnection: keep-alive"
PERSISTENCE = frozenset({b"close", b"keep-alive"})
"""What `Connection` says that names no header."""
MANGLED = "the legacy host's answer has a header with a line break in it, which cannot be passed on"


class Head(NamedTuple):
    """The first lines of a message, up to and with the empty one."""

    text: bytes
    chunked: bool
    """Whether its body comes in chunks."""
    keeps: bool = True
    """Whether its connection stays open behind it."""


def write_request_head(
    request: web.BaseRequest, target: str, host: str, *, own: frozenset[bytes] = OURS, has_body: bool
) -> Head:
    """Return the head of a request that goes on; `own` names headers that stay, in lower case."""
    lines, has_length = _pass_on(request.raw_headers, own)
    if chunked := has_body and not has_length:
        lines.append(CHUNKED)
    first = f"{request.method} {target} HTTP/1.1\r\nHost: {host}"
    return Head(_join(_encode(first), lines), chunked)


def write_answer_head(request: web.BaseRequest, message: RawResponseMessage, *, has_body: bool) -> Head:
    """Return the head of an answer for the caller; raises NoAnswer for one that would look like another to it."""
    is_old = request.version < HttpVersion11
    # of two ways to tell where it ends, the chunks hold
    lines, has_length = _pass_on(message.raw_headers, LENGTH if message.chunked else NOTHING)
    is_open = has_body and not has_length
    keeps = bool(request.keep_alive) and not (is_open and is_old)
    if is_open and not is_old:
        lines.append(CHUNKED)
    if keeps is is_old:  # what the version does not say by itself
        lines.append(KEPT if keeps else CLOSED)
    version = "1.0" if is_old else "1.1"
    head = _join(_encode(f"HTTP/{version} {message.code} {message.reason}"), lines)
    if not head.count(b"\n") == head.count(b"\r") == len(lines) + 2:
        raise NoAnswer(MANGLED, status=HTTPStatus.BAD_GATEWAY)
    return Head(head, is_open and not is_old, keeps)


def _join(first: bytes, lines: list[bytes]) -> bytes:
    return b"%b%b\r\n\r\n" % (first, b"".join(lines))


def _pass_on(raw: RawHeaders, own: frozenset[bytes]) -> tuple[list[bytes], bool]:
    """Return the lines that travel on, each behind a line break; and whether they tell a length.

    Not those of one connection, nor what `Connection` names, nor `own` ones.
    """
    lines: list[bytes] = []
    named: frozenset[bytes] = NOTHING
    has_length = False
    for written, value in raw:
        name = _names.get(written) or _learn(written)
        if name.travels:
            if name.lower not in own:
                has_length = has_length or name.lower == b"content-length"
                lines.append(name.start + value)
        elif name.lower == b"connection":
            named |= {one.strip() for one in value.lower().split(b",")} - PERSISTENCE
    if named - own:  # which may stand before it
        return _pass_on(raw, own | named)
    return lines, has_length


class _Name(NamedTuple):
    """A header's name."""

    lower: bytes
    start: bytes
    """What its line starts with, as it was written."""
    travels: bool
    """Whether it belongs to the message, not to a connection."""


_names: dict[bytes, _Name] = {}
"""Names as they were written, each looked at once: that halves the cost of a message's head."""


def _learn(written: bytes) -> _Name:
    """Remember a name; forget all of them rather than grow without bound."""
    if len(_names) >= NAMES_KEPT:
        _names.clear()
    lower = written.lower()
    name = _names[written] = _Name(lower, b"\r\n%b: " % written, lower not in HOP_BY_HOP)
    return name


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
