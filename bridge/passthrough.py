"""Hand a request to the legacy host and its answer back, byte for byte, streamed both ways.

Nothing is decoded or compressed, and nothing is kept but what a `Tap` asks for. Headers that belong to one connection
stay with it (RFC 9110, section 7.6.1); all others pass as they are, the caller's credentials included: who may do what
is the legacy host's decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

import aiohttp
from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload
from multidict import CIMultiDict
from yarl import URL

from bridge.errors import CannotTakeNow, NoAnswer, NotSetUp, UnreadableQuestion
from bridge.logs import Event, get_log
from bridge.settings import LegacySettings

log = get_log()

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
CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
CALLER_GONE = 499
"""What an exchange is counted as whose caller went away."""
LOOK_SECONDS = 0.5
"""How often to look whether callers are still there while the legacy host is silent."""
STOPPING = "the bridge is stopping: send the same request again in a minute"
NO_HOST = (
    "this call needs the legacy host, which the modern system has no counterpart for: have the operator of the bridge "
    "set [legacy] base_url while that host still runs"
)
CROOKED = "the path steps upwards (..): write it straight"
UNREACHED = "the legacy host could not be reached: send the same request again later"
BROKEN = "the exchange with the legacy host broke: what it did with the request is not known"
SILENT = "the legacy host did not answer in time: what it did with the request is not known"


def open_legacy_session(settings: LegacySettings) -> aiohttp.ClientSession:
    """Return a session that changes nothing: no cookies, no headers of its own, no decompression, no redirects."""
    silence = settings.request_timeout_seconds
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
        auto_decompress=False,
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence),
        read_bufsize=CHUNK_BYTES,
    )


class Tap:
    """What is kept of an exchange beside it: both bodies, as they pass.

    It slows nothing and refuses nothing: when there is no room for more, it lets go of everything and says so.
    """

    def __init__(
        self,
        *,
        grant: Callable[[int], bool],
        sent: Callable[[], None],
        keep_request: bool = True,
        keep_reply: bool = True,
    ) -> None:
        """`grant` is asked for the room of so many bytes more, `sent` called once the whole request has left."""
        self._grant = grant
        self._sent = sent
        self._keep_request = keep_request
        self._keep_reply = keep_reply
        self._request: list[bytes] = []
        self._reply: list[bytes] = []
        self.whole = True
        """Whether it holds everything that has passed so far."""
        self.has_sent = False
        """Whether the request has left to its end: the legacy host may have taken it."""
        self.status = 0
        """Of an answer that has reached the caller to its end."""
        self.headers: CIMultiDict[str] = CIMultiDict()
        """Of the same answer."""

    @property
    def request(self) -> bytes:
        """Return what is kept of the request's body."""
        return self._request[0] if len(self._request) == 1 else b"".join(self._request)

    @property
    def reply(self) -> bytes:
        """Return what is kept of the answer's body."""
        return self._reply[0] if len(self._reply) == 1 else b"".join(self._reply)

    def see_request(self, piece: bytes) -> None:
        """Keep a piece of the request."""
        if self._keep_request:
            self._keep(self._request, piece)

    def see_reply(self, piece: bytes) -> None:
        """Keep a piece of the answer."""
        if self._keep_reply:
            self._keep(self._reply, piece)

    def end_request(self) -> None:
        """Hear that the whole request has left."""
        if not self.has_sent:
            self.has_sent = True
            self._sent()

    def end_reply(self, status: int, headers: CIMultiDict[str]) -> None:
        """Hear that the whole answer has reached the caller."""
        self.status, self.headers = status, headers

    def let_go(self) -> None:
        """Keep nothing any more."""
        self.whole = False
        self._request.clear()
        self._reply.clear()

    def _keep(self, side: list[bytes], piece: bytes) -> None:
        if self.whole and self._grant(len(piece)):
            side.append(piece)
        else:
            self.let_go()


class PassThrough:
    """The way to the legacy host."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str | None) -> None:
        self._session = session
        self._base_url = base_url
        self._under_way: dict[asyncio.Task[object], web.Request] = {}
        self._forsaken: set[asyncio.Task[object]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._draining = False
        self._idle = asyncio.Event()

    @property
    def is_set_up(self) -> bool:
        """Tell whether there is a legacy host."""
        return self._base_url is not None

    async def forward(
        self, request: web.Request, tap: Tap | None = None, *, body: bytes | None = None
    ) -> web.StreamResponse:
        """Pass one request on, and its answer back; `body` is the request's where it was read before, as it came.

        A caller that goes away ends the exchange with the legacy host as well. An answer that breaks off breaks off for
        the caller, too: it must not look whole. Raises NotSetUp without a legacy host, NoAnswer when it fails,
        CannotTakeNow when the bridge is stopping.
        """
        url = self._address(request)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in one
        self._under_way[task] = request
        self._look = self._look or asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_around)
        try:
            return await self._exchange(request, url, tap, body)
        except asyncio.CancelledError:
            if task in self._forsaken and task.uncancel() == 0:
                return web.StreamResponse(status=CALLER_GONE)
            raise
        finally:
            del self._under_way[task]
            self._forsaken.discard(task)
            if self._draining and not self._under_way:
                self._idle.set()

    async def drain(self, seconds: float) -> None:
        """Pass nothing more on; return once nothing is under way any more, or after so many seconds."""
        self._draining = True
        if self._under_way:
            await asyncio.wait([asyncio.ensure_future(self._idle.wait())], timeout=seconds)

    def _address(self, request: web.Request) -> URL:
        if self._base_url is None:
            raise NotSetUp(NO_HOST)
        if self._draining:
            raise CannotTakeNow(STOPPING, retry_after_seconds=30)
        if _is_crooked(request.rel_url.raw_path):
            raise UnreadableQuestion(CROOKED)
        return URL(self._base_url + request.rel_url.raw_path_qs, encoded=True)

    def _look_around(self) -> None:
        """End the exchanges whose callers have gone away: one look for all of them costs each next to nothing."""
        for task, request in self._under_way.items():
            if _is_gone(request) and task not in self._forsaken:
                self._forsaken.add(task)
                task.cancel()
        self._look = None
        if self._under_way:
            self._look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_around)

    async def _exchange(
        self, request: web.Request, url: URL, tap: Tap | None, body: bytes | None
    ) -> web.StreamResponse:
        answer: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                url,
                headers=pass_headers(request.raw_headers, OURS),
                data=_Body(request, body, tap) if request.body_exists else None,
                allow_redirects=False,
            ) as reply:
                answer = _Answer(reply)
                return await _stream(request, reply, answer, tap)
        except TimeoutError:
            return _give_up(request, answer, 504, SILENT)
        except aiohttp.ClientConnectorError:
            return _give_up(request, answer, 502, UNREACHED)
        except (aiohttp.ClientError, ConnectionError):
            return _give_up(request, answer, 502, BROKEN)


class _Body(Payload):
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


class _Answer(web.StreamResponse):
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


async def _stream(
    request: web.Request, reply: aiohttp.ClientResponse, answer: web.StreamResponse, tap: Tap | None
) -> web.StreamResponse:
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
    stay = HOP_BY_HOP | own
    for name, value in raw:
        if name.lower() == b"connection":
            stay |= {one.strip() for one in value.lower().split(b",")}
    return CIMultiDict(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in raw
        if name.lower() not in stay
    )


def _has_body(request: web.Request, reply: aiohttp.ClientResponse) -> bool:
    return request.method != hdrs.METH_HEAD and reply.status not in {204, 304}


def _is_crooked(path: str) -> bool:
    """Tell whether a path leads somewhere else than it seems to."""
    return ".." in unquote(path).replace("\\", "/").split("/")


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _give_up(request: web.Request, answer: web.StreamResponse | None, status: int, message: str) -> web.StreamResponse:
    """Say that there is no answer; one that has begun is broken off, so that nobody takes it for a whole one."""
    if _is_gone(request):
        return answer or web.StreamResponse(status=CALLER_GONE)
    log.warning(Event.LEGACY_HOST_FAILED, status=status)
    if answer is None or not answer.prepared:
        raise NoAnswer(message, status=status)
    if request.transport is not None:
        request.transport.abort()
    return answer
