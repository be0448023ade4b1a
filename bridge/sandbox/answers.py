"""HTTP answers of the API: JSON envelopes, errors, and the ways an answer can go wrong."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aiohttp import web

from .wire import encode

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Refused(Exception):
    """The request gets an error status; each error is `{"index"?, "field"?, "message"}` (assumed shape)."""

    def __init__(
        self, status: int, errors: str | Sequence[Mapping[str, Any]], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status)
        self.status = status
        self.errors = [{"message": errors}] if isinstance(errors, str) else list(errors)
        self.headers = headers or {}


class Dropped(Exception):
    """The connection is to be broken without an answer."""


def respond(status: int, value: Any = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON, or without a body when there is nothing to say."""
    if value is None:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, body=encode(value), content_type="application/json", headers=headers)


def respond_refused(refusal: Refused, *, silent: bool) -> web.Response:
    """Answer with an error; a silent body does not say which rows or fields are at fault."""
    errors = [{"message": "the request is not valid"}] if silent else refusal.errors
    return respond(refusal.status, {"summary": {"status": "ERROR"}, "errors": errors}, refusal.headers)


def respond_garbage(kind: Literal["html", "text", "truncated", "empty"], status: int, proper: bytes) -> web.Response:
    """Answer with something that is not the agreed JSON."""
    if kind == "html":
        return web.Response(status=status, body=_HTML, content_type="text/html")
    if kind == "text":
        return web.Response(status=status, text="upstream connect error")
    body = proper[: len(proper) // 2] if kind == "truncated" else b""
    return web.Response(status=status, body=body, content_type="application/json")


def break_connection(request: web.BaseRequest) -> None:
    """Reset the connection (RST, not a polite end), so that the caller cannot know what happened."""
    transport = request.transport
    if transport is None:
        return  # the caller has hung up already
    linger_not_at_all = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not_at_all)
    transport.abort()
