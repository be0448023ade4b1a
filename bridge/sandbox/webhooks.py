"""Events on their way out: signed, sent once and never again, unless the script says otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .events import write_event
from .ids import Ids, derived_uuid
from .lifecycle import Tidings
from .options import SandboxOptions


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; every copy of it has the same body and key."""

    name: str
    batch_id: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as the receiver took it."""

    event: str
    batch_id: str
    """Empty when it is not about a batch."""
    key: str
    """IdempotencyKey of the event."""
    status: int | None
    """HTTP status of the receiver; None when it could not be reached, or the webhook was lost on purpose."""


def sign(secret: str, body: bytes) -> str:
    """Return the lower-case hex HMAC-SHA256 of the raw body (assumed)."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass(slots=True)
class WebhookSender:
    """Sends events to the one address that is configured."""

    options: SandboxOptions
    ids: Ids
    deliveries: deque[Delivery] = field(default_factory=lambda: deque(maxlen=10_000))
    session: aiohttp.ClientSession | None = None
    """Open while the application runs."""

    def compose(self, tidings: Tidings, now: float, *, with_comma: bool) -> Event:
        """Return the event that tells these tidings."""
        key = self.ids.new_uuid()
        return Event(tidings.event, tidings.batch_id, key, write_event(tidings, key, now, with_comma=with_comma))

    async def send(self, event: Event, copy: int) -> None:
        """Deliver one copy; a receiver that cannot be reached loses it."""
        assert self.session is not None, "the session is open while the application runs"  # noqa: S101 - for mypy
        status = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.post(
                self.options.webhook_url, data=event.body, headers=self._headers(event, copy)
            ) as answer:
                status = answer.status
        self.deliveries.append(Delivery(event.name, event.batch_id, event.key, status))

    def lose(self, event: Event) -> None:
        """Write down an event that is never sent."""
        self.deliveries.append(Delivery(event.name, event.batch_id, event.key, None))

    def _headers(self, event: Event, copy: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Amili-Event": event.name,
            "IdempotencyKey": event.key,
            "X-Amili-Request-Id": derived_uuid("webhook", event.key, str(copy)),
        }
        if self.options.webhook_secret:
            headers["X-Webhook-Signature"] = sign(self.options.webhook_secret, event.body)
        return headers

    def describe(self) -> list[dict[str, Any]]:
        """Return what GET /sandbox/webhooks shows, oldest first."""
        return [
            {
                "event": delivery.event,
                "batchId": delivery.batch_id,
                "key": delivery.key,
                "status": delivery.status,
            }
            for delivery in self.deliveries
        ]
