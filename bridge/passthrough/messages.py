"""Requests and answers on their way: their headers as they came, their bodies piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict

from bridge.passthrough.tap import Tap

CHUNK_BYTES = 256 * 1024
NAMES_KEPT = 1024
RawHeaders = tuple[tuple[bytes, bytes], ...]

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
ADDED = (hdrs.CONTENT_TYPE, hdrs.DATE, hdrs.SERVER)
"""Headers that aiohttp adds to an answer which lacks them."""


class Body(Payload):
    """A request's body on its way on: as it comes in, or as it was read before."""

    def __init__(self, request: web.Request, body: bytes | None, tap: Tap | None) -> None:
        super().__init__(body, content_type="application/octet-stream")  # nobody sees the type: the session skips it
        self._stream = request.content
        self._body = body
        self._tap = tap

    async def write_with_length(self, writer: AbstractStreamWriter, _: int | None) -> None:
        """Write it; whoever sent it has counted its length."""
        await self.write(writer)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it."""
        try:
            async for piece in self._pieces():
                if self._tap is not None:
                    self._tap.see_request(piece)
                await writer.write(piece)
        finally:
            if self._tap is not None and self._has_left:
                self._tap.end_request()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Refuse to: what passes is nobody's to read."""
        raise TypeError(f"not to be decoded ({encoding}, {errors})")

    @property
    def _has_left(self) -> bool:
        return self._stream.at_eof()

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._body is not None:
            for start in range(0, len(self._body), CHUNK_BYTES):
                yield self._body[start : start + CHUNK_BYTES]
        elif self._stream.is_eof():  # it came with its headers, as small ones do
            yield self._stream.read_nowait()
        else:
            async for piece in self._stream.iter_any():
                yield piece


class Answer(web.StreamResponse):
    """An answer on its way back: with no header that the legacy host did not send, but those of the connection."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        super().__init__(status=reply.status, reason=reply.reason, headers=pass_headers(reply.raw_headers))
        self._added = [name for name in ADDED if name not in reply.headers]
        # what came with its headers leaves with them
        self._send_headers_immediately = not reply.content.is_eof()

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        for name in self._added:
            self.headers.popall(name, None)


async def stream(
    request: web.Request, reply: aiohttp.ClientResponse, answer: web.StreamResponse, tap: Tap | None
) -> web.StreamResponse:
    """Pass an answer on to its end, and return it."""
    if hdrs.CONTENT_LENGTH not in answer.headers and _has_body(request, reply):
        if request.version >= aiohttp.HttpVersion11:
            answer.enable_chunked_encoding()
        else:
            answer.force_close()
    await answer.prepare(request)
    last = b""
    if reply.content.is_eof():
        last = reply.content.read_nowait()
        if tap is not None:
            tap.see_reply(last)
    else:
        await _pass_pieces(reply, answer, tap)
    await answer.write_eof(last)
    if tap is not None:
        tap.end_reply(reply.status, answer.headers)
    return answer


async def _pass_pieces(reply: aiohttp.ClientResponse, answer: web.StreamResponse, tap: Tap | None) -> None:
    async for piece in reply.content.iter_any():
        if tap is not None:
            tap.see_reply(piece)
        await answer.write(piece)


def pass_headers(raw: RawHeaders, own: frozenset[bytes] = frozenset()) -> CIMultiDict[str]:
    """Return the headers that travel on, spelt as they came: not those of one connection, nor what `Connection` names.

    `own` names further ones that stay, in lower case.
    """
    named = own
    kept: list[tuple[bytes, str, bytes]] = []
    for written, value in raw:
        name = _names.get(written) or _learn(written)
        if name.lower == b"connection":
            named |= {one.strip() for one in value.lower().split(b",")}
        elif name.travels:
            kept.append((name.lower, name.text, value))
    spelt: dict[bytes, str] = {}  # aiohttp keeps one of several headers of a name unless they are spelt alike
    return CIMultiDict(
        [(spelt.setdefault(name, text), _text(value)) for name, text, value in kept if name not in named]
    )


class _Name(NamedTuple):
    """A header's name."""

    lower: bytes
    text: str
    """As it was written."""
    travels: bool
    """Whether it belongs to the message, not to a connection."""


_names: dict[bytes, _Name] = {}
"""Names as they were written, each looked at once: that halves the cost of a message's headers."""


def _learn(written: bytes) -> _Name:
    """Remember a name; forget all of them rather than grow without bound."""
    if len(_names) >= NAMES_KEPT:
        _names.clear()
    lower = written.lower()
    name = _names[written] = _Name(lower, _text(written), lower not in HOP_BY_HOP)
    return name


def _text(written: bytes) -> str:
    return written.decode("utf-8", "surrogateescape")


def _has_body(request: web.Request, reply: aiohttp.ClientResponse) -> bool:
    return request.method != hdrs.METH_HEAD and reply.status not in {204, 304}
