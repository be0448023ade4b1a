"""Requests and answers on their way: bodies piece by piece, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from bridge.passthrough.exchange import Reply
from bridge.passthrough.heads import write_answer_head
from bridge.passthrough.line import CHUNK_BYTES
from bridge.passthrough.tap import Tap


class Body:
    """A request's body on its way on: as it comes in, or as it was read before."""

    def __init__(self, request: web.BaseRequest, body: bytes | None, tap: Tap | None) -> None:
        self._stream = request.content
        self._body = body
        self._tap = tap
        self._is_taken = False
        """Whether the last byte of a body that was at hand is on its way."""

    def take_whole(self) -> bytes | None:
        """Return all of it if it is at hand and small; None: it has to be waited for."""
        if self._body is not None:
            whole = self._body
        elif self._stream.is_eof():  # it came with its head, as small ones do
            whole = self._stream.read_nowait()
        else:
            return None
        if len(whole) > CHUNK_BYTES:
            self._body = whole
            return None
        self._is_taken = True
        if self._tap is not None:
            self._tap.see_request(whole)
        return whole

    async def pieces(self) -> AsyncIterator[bytes]:
        """Return it as it comes in."""
        async for piece in self._pieces():
            if self._tap is not None:
                self._tap.see_request(piece)
            yield piece

    def leave(self) -> None:
        """Hear that what was taken of it has left, or may have: once it came to its end, the host may have it all."""
        if self._tap is not None and (self._is_taken or (not self._body and self._stream.at_eof())):
            self._tap.end_request()

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self._body is not None:
            for start in range(0, len(self._body), CHUNK_BYTES):
                self._is_taken = start + CHUNK_BYTES >= len(self._body)
                yield self._body[start : start + CHUNK_BYTES]
        else:
            async for piece in self._stream.iter_any():
                yield piece


class Answer(web.StreamResponse):
    """An answer on its way back: what leaves is the legacy host's; the server only hears what it has to know."""

    def __init__(self, request: web.BaseRequest, reply: Reply) -> None:
        super().__init__(status=reply.message.code, reason=reply.message.reason)
        self._head = write_answer_head(request, reply.message, has_body=reply.has_body)
        self._writer = request.writer
        self._begun = False
        self._ended = False

    @property
    def prepared(self) -> bool:
        """Tell whether anything has left."""
        return self._begun

    @property
    def keep_alive(self) -> bool:
        """Tell whether the caller's connection stays open."""
        return self._head.keeps

    async def prepare(self, _: web.BaseRequest) -> AbstractStreamWriter:
        """Have the head leave."""
        if not self._begun:
            self._begun = True
            await self._writer.write(self._head.text)
        return self._writer

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Have a piece leave."""
        await self._writer.write(self._frame(bytes(data)))

    async def write_eof(self, data: bytes = b"") -> None:
        """Have the last piece leave, and the head with it if it has not left before."""
        if self._ended:
            return
        self._ended = True
        last = (self._frame(data) if data else b"") + (b"0\r\n\r\n" if self._head.chunked else b"")
        if not self._begun:
            self._begun = True
            last = self._head.text + last
        if last:
            await self._writer.write(last)

    def _frame(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._head.chunked else piece


async def hand_back(request: web.BaseRequest, reply: Reply, answer: Answer, tap: Tap | None) -> None:
    """Pass an answer on to its end."""
    last = b""
    if reply.content.is_eof():  # what came with its head leaves with it
        last = reply.content.read_nowait()
        if tap is not None:
            tap.see_reply(last)
    else:
        await answer.prepare(request)
        async for piece in reply.content.iter_any():
            if tap is not None:
                tap.see_reply(piece)
            await answer.write(piece)
    await answer.write_eof(last)
    if tap is not None:
        tap.end_reply(reply.message.code, reply.message.headers)
