"""How callers are listened to: bodies as they come, and what is no proper HTTP refused in the legacy shape as well.

aiohttp answers some requests before any handler or middleware sees them: in plain text, with the bytes it did not like.
Its two seams for that are `web.RequestHandler.handle_error` and the handler a `web.Server` is made with.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from bridge.app import Bridge
from bridge.logs import Event, describe_error, get_log
from bridge.metrics import Metrics
from bridge.middleware import explain_failure, refusal

log = get_log()

LINE_BYTES = 32 * 1024
"""How long the first line or a header may be: a ticket for Negotiate takes up to 16 kB, twice what aiohttp allows."""
ROUTE = "malformed"
"""What a request is counted as that never reached a route."""
BROKEN = "the request is not proper HTTP: correct its first line, its headers or its chunks"
TOO_LONG = "the first line or a header of the request is too long: shorten it"
EXPECTED = "what the header Expect asks for is not known: send 100-continue, or leave it out"


def make_runner(bridge: Bridge, *, shutdown_timeout: float = 60.0) -> web.BaseRunner:
    """Return what runs the bridge's application on sockets, signals left alone."""
    return _Runner(bridge, shutdown_timeout=shutdown_timeout)


class _Runner(web.AppRunner):
    """Serves an application through connections of our own."""

    def __init__(self, bridge: Bridge, **options: Any) -> None:
        super().__init__(bridge.app, handle_signals=False, **options)
        self._metrics = bridge.metrics

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._metrics)


class _Server(web.Server):
    """Makes a connection for each caller."""

    def __init__(self, original: web.Server, metrics: Metrics) -> None:
        # bodies are inflated by `legacy.body`, which bounds them; callers that hang up change nothing
        super().__init__(
            self._handle,
            request_factory=original.request_factory,
            access_log=None,
            auto_decompress=False,
            max_line_size=LINE_BYTES,
            max_field_size=LINE_BYTES,
        )
        self._application = original.request_handler
        self.metrics = metrics

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)

    async def _handle(self, request: Any) -> web.StreamResponse:
        """Let the application answer; it looks at `Expect` before its middlewares run."""
        try:
            return await self._application(request)
        except web.HTTPExpectationFailed as refused:
            return self.refuse(refused.status, EXPECTED)

    def refuse(self, status: int, message: str) -> web.Response:
        """Count a request that no route has seen, and return its answer."""
        self.metrics.request_answered(ROUTE, status)
        log.info(Event.REQUEST_ANSWERED, route=ROUTE, status=status)
        return refusal(status, message)


class _Connection(web.RequestHandler):
    """One caller's connection."""

    __slots__ = ("_server",)

    def __init__(self, server: _Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request, which may hold credentials
    ) -> web.StreamResponse:
        """Answer what could not be read (400), or a fault outside the middlewares (500); the connection ends."""
        if request.writer.output_size > 0:
            raise ConnectionError("a part of another answer has left already")
        if status < 500:
            answer = self._server.refuse(status, TOO_LONG if isinstance(exc, LineTooLong) else BROKEN)
        else:
            log.error(Event.UNEXPECTED, **(describe_error(exc) if exc else {}))
            answer = self._server.refuse(status, explain_failure(request.method))
        answer.force_close()
        return answer
