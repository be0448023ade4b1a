"""One exchange with the legacy host: a request leaves on a connection of the pool, and its answer begins to come.

This is below aiohttp's client, on its pool, its transport and its parser: what passes needs none of what the client
adds, and has to leave as it came. See docs/decisions/0013-below-the-client.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage, StreamWriter
from yarl import URL

from bridge.passthrough.heads import Head
from bridge.settings import LegacySettings

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
KEPT_SECONDS = 60.0
"""How long a connection is kept that nobody uses."""
READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
"""Methods that may be repeated when a connection breaks before anything was answered."""
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
HUNG_UP = "the connection to the legacy host is closed already"


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


class Line:
    """The line to the legacy host: connections that are used again, one exchange each at a time."""

    def __init__(self, connector: aiohttp.TCPConnector, address: URL, *, silence_seconds: float) -> None:
        """`silence_seconds`: how long the host may say nothing once it has got a request."""
        self.host = address.host_port_subcomponent or ""
        self.path = address.raw_path.rstrip("/")
        """What comes before the path of every request."""
        self._connector = connector
        self._silence_seconds = silence_seconds
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        self._where = aiohttp.ClientRequest(hdrs.METH_GET, address, loop=asyncio.get_running_loop())

    def exchange(self, method: str, head: Head, body: RequestBody | None = None) -> Exchange:
        """Return an exchange: a context that yields the reply."""
        return Exchange(self, method, head, body)

    async def connect(self) -> Connection:
        """Return a connection for one exchange; raises ClientConnectorError, or ConnectionTimeoutError."""
        try:
            return await self._connector.connect(self._where, [], self._timeout)
        except TimeoutError as failure:
            raise aiohttp.ConnectionTimeoutError from failure

    def expect(self, protocol: ResponseHandler, *, bodiless: bool) -> None:
        """Have the next bytes of a connection read as one answer, to the byte."""
        protocol.set_response_params(
            skip_payload=bodiless,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._silence_seconds,
            read_bufsize=CHUNK_BYTES,
        )


@asynccontextmanager
async def open_line(settings: LegacySettings) -> AsyncIterator[Line | None]:
    """Open the line to the legacy host, where there is one, and close it afterwards."""
    if settings.base_url is None:
        yield None
        return
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)
    async with connector:
        yield Line(connector, URL(settings.base_url), silence_seconds=settings.request_timeout_seconds)


class Exchange:
    """A request and its answer: at the end of the context the connection is free for the next, or closed.

    Entering raises ClientConnectorError or ConnectionTimeoutError when nothing has left; TimeoutError, and any other
    ClientError, ConnectionError or HttpProcessingError when nobody knows what the host has done.
    """

    def __init__(self, line: Line, method: str, head: Head, body: RequestBody | None) -> None:
        self._line = line
        self._method = method
        self._head = head
        self._body = body
        self._connection: Connection | None = None
        self._upload: asyncio.Task[None] | None = None

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
            protocol = connection.protocol
            assert protocol is not None  # noqa: S101 - it has one until it is released
            self._line.expect(protocol, bodiless=self._method == hdrs.METH_HEAD)
            self._send(protocol, connection.transport)
            return await self._hear(protocol)
        except BaseException:
            await self._end(reusable=False)
            raise

    def _send(self, protocol: ResponseHandler, transport: asyncio.Transport | None) -> None:
        """Have the request leave: in one go if it is at hand, else as its body comes in."""
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError(HUNG_UP)
        body = self._body
        whole = None if body is None or self._head.chunked else body.take_whole()
        if body is not None and whole is None:
            transport.write(self._head.text)
            self._upload = asyncio.create_task(self._send_pieces(protocol, body))
            return
        transport.write(self._head.text + (whole or b""))
        if body is not None:
            body.leave()
        protocol.start_timeout()

    async def _send_pieces(self, protocol: ResponseHandler, body: RequestBody) -> None:
        """Write a body as fast as it comes and the host takes it; a failure reaches whoever waits for the answer."""
        writer = StreamWriter(protocol, asyncio.get_running_loop())
        if self._head.chunked:
            writer.enable_chunking()
        try:
            async for piece in body.pieces():
                await writer.write(piece)
            await writer.write_eof()
        except Exception as failure:  # noqa: BLE001 - whatever it is, whoever waits for the answer must hear of it
            broken = aiohttp.ClientConnectionError("the request could not be sent to its end")
            protocol.set_exception(broken, failure)
        else:
            protocol.start_timeout()
        finally:
            body.leave()

    async def _hear(self, protocol: ResponseHandler) -> Reply:
        while True:
            message, content = await protocol.read()
            if message.code >= HTTPStatus.OK:  # what comes before says that the answer will come
                has_body = self._method != hdrs.METH_HEAD and message.code not in BODILESS
                return Reply(message, content, has_body)

    async def _end(self, *, reusable: bool) -> None:
        """Let go of the connection; a body that was not waited for goes no further."""
        connection, upload = self._connection, self._upload
        assert connection is not None  # noqa: S101 - a context that was entered has one
        has_sent = upload is None or upload.done()
        if reusable and has_sent:
            connection.release()
        else:
            connection.close()
        if upload is not None and not has_sent:
            upload.cancel()
            await asyncio.wait([upload])
