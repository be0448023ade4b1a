"""Around every request: one log line, one count, and an answer in the legacy shape whatever goes wrong."""

from __future__ import annotations

import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bridge.crossing import WAY
from bridge.errors import (
    CallerError,
    CannotTakeNow,
    NoAnswer,
    NotAuthenticated,
    NotSetUp,
    TooManyBatches,
)
from bridge.legacy.rendering import whole_batch_error
from bridge.logs import Event, Fields, get_log
from bridge.metrics import Metrics

log = get_log()

CHALLENGE = 'Basic realm="AutoCollect Bridge", charset="UTF-8", Bearer realm="AutoCollect Bridge"'


NOTHING_HERE = (
    "there is nothing at this path: the bridge answers at /webapi/api/Batch, /webapi/api/Attachment and "
    "/webapi/api/Ping"
)


READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods of calls that cannot take anything."""


def explain_failure(method: str) -> str:
    """Say what a fault of the bridge means for the caller."""
    taken = "" if method in READING else ": nothing is known to be taken"
    return f"the bridge failed on this request{taken}; send the same again"


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an answer about the whole request, in the legacy shape."""
    return web.Response(
        status=status, body=whole_batch_error(message), content_type="application/json", headers=headers
    )


def answer_errors() -> Middleware:
    """Turn every error into an answer a legacy caller can read."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (CallerError, CannotTakeNow, NotSetUp, NoAnswer) as error:
            return _refuse(error)
        except web.HTTPException as error:
            return refusal(error.status, _explain(request, error), _allowed(error))
        except Exception:
            log.exception(Event.UNEXPECTED, route=_route(request))
            return refusal(500, explain_failure(request.method))

    return middleware


def _refuse(error: CallerError | CannotTakeNow | NotSetUp | NoAnswer) -> web.Response:
    """Return the answer to an error that says who must act."""
    match error:
        case CallerError():
            return refusal(error.status, str(error), _headers_for(error))
        case CannotTakeNow():
            return refusal(503, str(error), {"Retry-After": str(error.retry_after_seconds)})
        case NotSetUp():
            return refusal(501, str(error))
    pause = error.retry_after_seconds
    return refusal(error.status, str(error), {"Retry-After": str(pause)} if pause else None)


def observe_requests(metrics: Metrics) -> Middleware:
    """Log and count each request with its route, status and duration; never with its query, headers or body."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.perf_counter()
        response = await handler(request)
        route = _route(request)
        metrics.request_answered(route, response.status)
        if not route.startswith(("health", "metrics")):
            duration_ms = round((time.perf_counter() - began) * 1000, 1)
            fields = Fields(route=route, status=response.status, duration_ms=duration_ms)
            if way := request.get(WAY):
                fields["way"] = way
            log.info(Event.REQUEST_ANSWERED, **fields)
        return response

    return middleware


def _headers_for(error: CallerError) -> dict[str, str] | None:
    if isinstance(error, NotAuthenticated):
        return {"WWW-Authenticate": CHALLENGE}
    return {"Retry-After": "5"} if isinstance(error, TooManyBatches) else None


def _route(request: web.Request) -> str:
    """Return the name of the matched route, so that a made-up path cannot become a label."""
    return request.match_info.route.name or "unknown"


def _explain(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404:
        return NOTHING_HERE
    if error.status == 405:
        return f"{request.method} is not answered at this path"
    return error.reason


def _allowed(error: web.HTTPException) -> dict[str, str] | None:
    allow = error.headers.get("Allow")
    return {"Allow": allow} if allow else None
