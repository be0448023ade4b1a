"""The way to the legacy host."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

import aiohttp
from aiohttp import hdrs, web
from yarl import URL

from bridge.errors import CannotTakeNow, NoAnswer, NotSetUp, UnreadableQuestion
from bridge.logs import Event, get_log
from bridge.passthrough.messages import CHUNK_BYTES, OURS, Answer, Body, pass_headers, stream
from bridge.passthrough.tap import Tap
from bridge.settings import LegacySettings

log = get_log()

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
REFUSED = (
    "the legacy host did not answer its part (HTTP {status}), and half an answer is none: send the same call again, or "
    "with a creditorid"
)
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

    async def fetch(self, request: web.Request, changes: Mapping[str, str]) -> bytes:
        """Return the legacy host's answer to a question of a caller, with other values for some of its parameters.

        An empty value leaves a parameter out. Raises NoAnswer for anything but a whole answer with status 200.
        """
        url = self._address(request)
        query = [(name, value) for name, value in url.query.items() if name.lower() not in changes]
        url = url.with_query([*query, *((name, value) for name, value in changes.items() if value)])
        headers = pass_headers(request.raw_headers, OURS | {b"accept-encoding"})
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as reply:
                if reply.status != HTTPStatus.OK or hdrs.CONTENT_ENCODING in reply.headers:
                    log.warning(Event.LEGACY_HOST_FAILED, status=reply.status)
                    raise NoAnswer(REFUSED.format(status=reply.status), status=502)
                return await reply.read()
        except TimeoutError as failure:
            raise NoAnswer(SILENT, status=504) from failure
        except (aiohttp.ClientError, ConnectionError) as failure:
            raise NoAnswer(UNREACHED, status=502) from failure

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
                data=Body(request, body, tap) if request.body_exists else None,
                allow_redirects=False,
            ) as reply:
                answer = Answer(reply)
                return await stream(request, reply, answer, tap)
        except TimeoutError:
            return _give_up(request, answer, 504, SILENT)
        except aiohttp.ClientConnectorError:
            return _give_up(request, answer, 502, UNREACHED)
        except (aiohttp.ClientError, ConnectionError):
            return _give_up(request, answer, 502, BROKEN)


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
