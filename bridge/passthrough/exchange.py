"""One exchange with the legacy host: a request leaves on a connection of the pool, and its answer begins to come.

This is below aiohttp's client, on its pool, its transport and its parser: what passes needs none of what the client
adds, and has to leave as it came. See docs/decisions/0013-below-the-client.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage, StreamWriter

from bridge.passthrough.heads import Head
from bridge.passthrough.line import Line, Reader

READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that may be repeated when a connection breaks before anything was answered."""
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
HUNG_UP = "the connection to the legacy host is closed already"
STUCK = "the legacy host takes no more of the request"


class RequestBody(Protocol):
    """A request's body, as far as its way goes."""

    def take_whole(self) -> bytes | None:
        """Return all of it if it is at hand and small; None: it has to be waited for."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Return it as it comes in."""
        ...

    def leave(self) -> None:
        """Hear that what was taken of it has left, or may have."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose head has come."""

    message: RawResponseMessage
    content: aiohttp.StreamReader
    has_body: bool


class Exchange:
    """A request and its answer: at the end of the context the connection is free for the next, or closed.

    Entering raises ClientConnectorError or ConnectionTimeoutError when nothing has left; TimeoutError, and any other
    ClientError, ConnectionError or HttpProcessingError when nobody knows what the host has done.
    """

    def __init__(self, line: Line, method: str, head: Head, body: RequestBody | None = None) -> None:
        self._line = line
        self._method = method
        self._head = head
        self._body = body
        self._connection: Connection | None = None
        self._upload: asyncio.Task[None] | None = None
        self._is_answered = False

    async def __aenter__(self) -> Reply:
        try:
            return await self._begin()
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as failure:
            unreached = isinstance(failure, aiohttp.ClientConnectorError)
            if unreached or self._body is not None or self._method not in READING:
                raise
            return await self._begin()  # the host may just have closed a connection that nobody used for a while

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._end(reusable=kind is None)

    async def _begin(self) -> Reply:
        self._connection = connection = await self._line.connect()
        try:
            reader = cast("Reader", connection.protocol)
            self._line.expect(reader, bodiless=self._method == hdrs.METH_HEAD)
            self._send(reader, connection.transport)
            return await self._hear(reader)
        except BaseException:
            await self._end(reusable=False)
            raise

    def _send(self, reader: Reader, transport: asyncio.Transport | None) -> None:
        """Have the request leave: in one go if it is at hand, else as its body comes in."""
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError(HUNG_UP)
        body = self._body
        whole = None if body is None or self._head.chunked else body.take_whole()
        if body is not None and whole is None:
            transport.write(self._head.text)
            self._upload = asyncio.create_task(self._send_pieces(reader, body))
            return
        transport.write(self._head.text + (whole or b""))
        if body is not None:
            body.leave()
        reader.start_timeout()

    async def _send_pieces(self, reader: Reader, body: RequestBody) -> None:
        """Write a body as fast as it comes and the host takes it; a failure reaches whoever waits for the answer."""
        writer = StreamWriter(reader, asyncio.get_running_loop())
        if self._head.chunked:
            writer.enable_chunking()
        try:
            async for piece in body.pieces():
                await writer.write(piece, drain=False)
                if reader.writing_paused:
                    async with asyncio.timeout(self._line.silence_seconds):
                        await writer.drain()
            async with asyncio.timeout(self._line.silence_seconds):
                await writer.write_eof()
        except TimeoutError as failure:
            reader.set_exception(aiohttp.SocketTimeoutError(STUCK), failure)
        except Exception as failure:  # noqa: BLE001 - whatever it is, whoever waits for the answer must hear of it
            broken = aiohttp.ClientConnectionError("the request could not be sent to its end")
            reader.set_exception(broken, failure)
        else:
            if not self._is_answered:  # else it would run on while the connection is idle, or another's
                reader.start_timeout()
        finally:
            body.leave()

    async def _hear(self, reader: Reader) -> Reply:
        while True:
            message, content = await reader.read()
            if message.code >= HTTPStatus.OK:  # what comes before says that the answer will come
                has_body = self._method != hdrs.METH_HEAD and message.code not in BODILESS
                self._is_answered = True
                return Reply(message, content, has_body)
            if self._has_sent() and not len(reader):  # the parser stops the clock at a message without a body
                reader.start_timeout()

    async def _end(self, *, reusable: bool) -> None:
        """Let go of the connection; a body that was not waited for goes no further."""
        connection, upload = self._connection, self._upload
        assert connection is not None  # noqa: S101 - a context that was entered has one
        transport = connection.transport
        if reusable and self._has_sent() and (transport is None or not transport.get_write_buffer_size()):
            cast("Reader", connection.protocol).rests = True
            connection.release()
        else:
            if transport is not None:
                transport.abort()  # closed in good order it stays open for as long as the host takes nothing
            connection.close()
        if upload is not None and not upload.done():
            upload.cancel()
            await asyncio.wait([upload])

    def _has_sent(self) -> bool:
        return self._upload is None or self._upload.done()
