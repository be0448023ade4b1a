"""The line to the legacy host: a pool of connections, and what each of them makes of what comes on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp import hdrs
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from yarl import URL

from bridge.settings import LegacySettings

CHUNK_BYTES = 256 * 1024
HEADER_BYTES = 64 * 1024
"""How long a line of an answer's head may be: who took a batch must be heard, even with a ticket for Negotiate."""
HEADERS = 1000
CONNECT_SECONDS = 10.0
KEPT_SECONDS = 60.0
"""How long a connection is kept that nobody uses."""
CUT_OFF = "the answer ends where its connection broke"


class Pool(aiohttp.TCPConnector):
    """aiohttp's pool, of connections that know their answers better."""

    def __init__(self, **options: Any) -> None:
        """`options` are those of TCPConnector."""
        super().__init__(**options)
        reader: type[ResponseHandler] = Reader
        self._factory = partial(reader, loop=self._loop)


class Reader(ResponseHandler):
    """aiohttp's reader of answers; but none is taken for another's, and whoever reads one hears if it breaks."""

    rests = False
    """Whether nobody waits for an answer."""

    def data_received(self, data: bytes) -> None:
        """Read on; a host that says something while nobody asked (408, say) does not get to answer what comes next."""
        if self.rests:
            cast("asyncio.Transport", self.transport).abort()
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Break off a body that has not come to its end.

        aiohttp takes a reset for the end of a body without a length, and says nothing of one whose chunks are garbled:
        its reader would wait for ever.
        """
        body = self._payload
        if exc is not None:
            _break_off(body)
        super().connection_lost(exc)
        _break_off(body)


def _break_off(body: aiohttp.StreamReader | None) -> None:
    if body is not None and not body.is_eof() and body.exception() is None:
        body.set_exception(aiohttp.ClientPayloadError(CUT_OFF))


class Line:
    """The line to the legacy host: connections that are used again, one exchange each at a time."""

    def __init__(self, pool: Pool, address: URL, *, silence_seconds: float) -> None:
        """`silence_seconds`: how long the host may say nothing once it has got a request."""
        self.host = address.host_port_subcomponent or ""
        self.path = address.raw_path.rstrip("/")
        """What comes before the path of every request."""
        self._pool = pool
        self.silence_seconds = silence_seconds
        self._timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS)  # the search for its name included
        self._where = aiohttp.ClientRequest(hdrs.METH_GET, address, loop=asyncio.get_running_loop())

    async def connect(self) -> Connection:
        """Return a connection for one exchange; raises ClientConnectorError, or ConnectionTimeoutError."""
        try:
            return await self._pool.connect(self._where, [], self._timeout)
        except TimeoutError as failure:
            raise aiohttp.ConnectionTimeoutError from failure

    def expect(self, reader: Reader, *, bodiless: bool) -> None:
        """Have the next bytes of a connection read as one answer, to the byte."""
        reader.rests = False
        reader.set_response_params(
            skip_payload=bodiless,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self.silence_seconds,
            read_bufsize=CHUNK_BYTES,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )


@asynccontextmanager
async def open_line(settings: LegacySettings) -> AsyncIterator[Line | None]:
    """Open the line to the legacy host, where there is one, and close it afterwards."""
    if settings.base_url is None:
        yield None
        return
    pool = Pool(limit=0, keepalive_timeout=KEPT_SECONDS)
    async with pool:
        yield Line(pool, URL(settings.base_url), silence_seconds=settings.request_timeout_seconds)
