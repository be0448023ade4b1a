"""What was asked and what was answered: the last so many requests, and their bodies while there is room."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import msgspec

from .wire import NotJsonError, decode, timestamp


@dataclass(slots=True)
class Exchange:
    """One request and its answer. Neither credentials nor token requests' bodies are ever kept."""

    at: float
    operation: str
    method: str
    path: str
    query: str = ""
    organization: str = ""
    key: str = ""
    """Idempotency key."""
    rows: int = 0
    body: bytes = b""
    status: int | None = None
    """None: the connection was dropped without an answer."""
    faults: tuple[str, ...] = ()
    batch_id: str = ""
    replayed: bool = False
    """The batch was opened by an earlier call with the same key."""


class RequestLog:
    """The newest exchanges, bounded in number and in bytes of body."""

    def __init__(self, size: int, body_bytes: int) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=size)
        self._with_body: deque[Exchange] = deque()
        self._room = body_bytes
        self._body_bytes = 0
        self.total = 0

    def append(self, exchange: Exchange) -> None:
        """Remember an exchange from its first moment on; what becomes of it is written into it later."""
        self.total += 1
        self._exchanges.append(exchange)

    def keep_body(self, exchange: Exchange, body: bytes) -> None:
        """Remember its body too; the oldest bodies make room for it."""
        exchange.body = body
        self._with_body.append(exchange)
        self._body_bytes += len(body)
        while self._body_bytes > self._room or len(self._with_body) > (self._exchanges.maxlen or 0):
            oldest = self._with_body.popleft()
            self._body_bytes -= len(oldest.body)
            oldest.body = b""

    def clear(self) -> None:
        """Forget everything."""
        self._exchanges.clear()
        self._with_body.clear()
        self._body_bytes = self.total = 0

    def newest(self, limit: int | None = None, operation: str = "") -> list[Exchange]:
        """Return the newest exchanges, oldest of them first."""
        chosen = [exchange for exchange in self._exchanges if operation in {"", exchange.operation}]
        return chosen if limit is None else chosen[max(0, len(chosen) - limit) :]


def render_exchange(exchange: Exchange, *, with_body: bool) -> dict[str, Any]:
    """Show an exchange; a body that was JSON is shown as it came, any other as text."""
    shown: dict[str, Any] = {
        "at": timestamp(exchange.at),
        "operation": exchange.operation,
        "method": exchange.method,
        "path": exchange.path,
        "query": exchange.query,
        "status": exchange.status,
        "organization": exchange.organization,
        "idempotencyKey": exchange.key,
        "rows": exchange.rows,
        "batchId": exchange.batch_id,
        "replayed": exchange.replayed,
        "faults": list(exchange.faults),
    }
    if with_body:
        shown["body"] = _render_body(exchange.body)
    return shown


def _render_body(body: bytes) -> msgspec.Raw | str | None:
    if not body:
        return None
    try:
        decode(body)
    except NotJsonError:
        return body.decode("utf-8", "replace")
    return msgspec.Raw(body)
