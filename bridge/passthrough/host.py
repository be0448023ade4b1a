"""The way to the legacy host."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

import aiohttp
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.errors import CannotTakeNow, NoAnswer, NotSetUp, UnreadableQuestion
from bridge.logs import Event, get_log
from bridge.passthrough.exchange import Exchange
from bridge.passthrough.heads import OURS, write_request_head
from bridge.passthrough.line import Line
from bridge.passthrough.messages import Answer, Body, hand_back
from bridge.passthrough.tap import Tap

log = get_log()

LINE_FAILURES = (aiohttp.ClientError, HttpProcessingError, ConnectionError, TimeoutError)
"""What a broken exchange raises; aiohttp's parser has errors of its own."""
CALLER_GONE = 499
"""What an exchange is counted as whose caller went away."""
LOOK_SECONDS = 0.5
"""How often to look whether callers are still there while the legacy host is silent."""
AT_ONCE = struct.pack("ii", 1, 0)
"""For SO_LINGER: wait no second for what has not left yet."""
OF_A_BODY = frozenset({b"accept-encoding", b"content-length"})
"""Headers of a caller's question that are not for one of ours: its body does not come with it, its answer is read."""
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


class PassThrough:
    """The way to the legacy host."""

    def __init__(self, line: Line | None) -> None:
        """`line` is None where there is no legacy host."""
        self._line = line
        self._under_way: dict[asyncio.Task[object], web.Request] = {}
        self._forsaken: set[asyncio.Task[object]] = set()
        self._look: asyncio.TimerHandle | None = None
        self._draining = False
        self._idle = asyncio.Event()

    @property
    def is_set_up(self) -> bool:
        """Tell whether there is a legacy host."""
        return self._line is not None

    async def forward(
        self, request: web.Request, tap: Tap | None = None, *, body: bytes | None = None
    ) -> web.StreamResponse:
        """Pass one request on, and its answer back; `body` is the request's where it was read before, as it came.

        A caller that goes away ends the exchange with the legacy host as well. An answer that breaks off breaks off for
        the caller, too: it must not look whole. Raises NotSetUp without a legacy host, NoAnswer when it fails,
        CannotTakeNow when the bridge is stopping.
        """
        line = self._check(request)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a handler runs in one
        self._under_way[task] = request
        self._look = self._look or asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look_around)
        try:
            return await self._exchange(line, request, tap, body)
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
        line = self._check(request)
        query = [(name, value) for name, value in request.query.items() if name.lower() not in changes]
        changed = request.rel_url.with_query([*query, *((name, value) for name, value in changes.items() if value)])
        target = line.path + changed.raw_path_qs
        head = write_request_head(request, target, line.host, own=OURS | OF_A_BODY, has_body=False)
        try:
            async with Exchange(line, hdrs.METH_GET, head) as reply:
                message = reply.message
                if message.code != HTTPStatus.OK or hdrs.CONTENT_ENCODING in message.headers:
                    log.warning(Event.LEGACY_HOST_FAILED, status=message.code)
                    raise NoAnswer(REFUSED.format(status=message.code), status=502)
                return await reply.content.read()
        except LINE_FAILURES as failure:
            status, why = _explain(failure)
            raise NoAnswer(why, status=status) from failure

    async def drain(self, seconds: float) -> None:
        """Pass nothing more on; return once nothing is under way any more, or after so many seconds."""
        self._draining = True
        if self._under_way:
            await asyncio.wait([asyncio.ensure_future(self._idle.wait())], timeout=seconds)

    def _check(self, request: web.Request) -> Line:
        """Return the line on which a request may leave."""
        if self._line is None:
            raise NotSetUp(NO_HOST)
        if self._draining:
            raise CannotTakeNow(STOPPING, retry_after_seconds=30)
        if _is_crooked(request.rel_url.raw_path):
            raise UnreadableQuestion(CROOKED)
        return self._line

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
        self, line: Line, request: web.Request, tap: Tap | None, body: bytes | None
    ) -> web.StreamResponse:
        has_body = request.body_exists
        head = write_request_head(request, line.path + _find_target(request), line.host, has_body=has_body)
        answer: Answer | None = None
        try:
            async with Exchange(line, request.method, head, Body(request, body, tap) if has_body else None) as reply:
                answer = Answer(request, reply)
                await hand_back(request, reply, answer, tap)
                return answer
        except LINE_FAILURES as failure:
            return _give_up(request, answer, *_explain(failure))


def _explain(failure: BaseException) -> tuple[int, str]:
    """Return the HTTP status and the message of a failed exchange: may the legacy host have got the request?"""
    match failure:
        case aiohttp.ConnectionTimeoutError():
            return 504, UNREACHED
        case TimeoutError():
            return 504, SILENT
        case aiohttp.ClientConnectorError():
            return 502, UNREACHED
    return 502, BROKEN


def _is_crooked(path: str) -> bool:
    """Tell whether a path leads somewhere else than it seems to."""
    if ".." not in path and "%" not in path:
        return False
    return ".." in unquote(path).replace("\\", "/").split("/")


def _find_target(request: web.Request) -> str:
    """Return what a request asks for, as its caller wrote it; but where it named a host, or a part of a page."""
    raw = request.raw_path
    return raw if raw.startswith("/") and "#" not in raw else request.rel_url.raw_path_qs


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _give_up(request: web.Request, answer: Answer | None, status: int, message: str) -> web.StreamResponse:
    """Say that there is no answer; one that has begun is broken off, so that nobody takes it for a whole one."""
    if _is_gone(request):
        return answer or web.StreamResponse(status=CALLER_GONE)
    log.warning(Event.LEGACY_HOST_FAILED, status=status)
    if answer is None or not answer.prepared:
        raise NoAnswer(message, status=status)
    _break_off(request)
    return answer


def _break_off(request: web.Request) -> None:
    """Reset a caller's connection: one that is closed in good order is the end of an answer without a length."""
    if request.transport is not None:
        if (at := request.transport.get_extra_info("socket")) is not None:
            at.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        request.transport.abort()
