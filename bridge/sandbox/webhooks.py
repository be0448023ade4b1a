"""BATCH_COMPLETED on its way out: signed, sent once and never again, unless the script says otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .ids import Ids, derived_uuid
from .lifecycle import Batch
from .options import SandboxOptions
from .wire import encode, timestamp

EVENT = "BATCH_COMPLETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; every copy of it has the same body and key."""

    batch_id: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as the receiver took it."""

    batch_id: str
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

    def compose(self, batch: Batch, now: float) -> Event:
        """Return the event that tells of a finished batch."""
        key = self.ids.new_uuid()
        body = {
            "id": key,
            "type": EVENT,
            "source": "COLLECTION",
            "timeStamp": timestamp(now),
            "data": {"batchId": batch.id, "organizationId": batch.organization, "status": batch.status},
        }
        return Event(batch.id, key, encode(body))

    async def send(self, event: Event, copy: int) -> None:
        """Deliver one copy; a receiver that cannot be reached loses it."""
        assert self.session is not None, "the session is open while the application runs"  # noqa: S101 - for mypy
        status = None
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self.session.post(
                self.options.webhook_url, data=event.body, headers=self._headers(event, copy)
            ) as answer:
                status = answer.status
        self.deliveries.append(Delivery(event.batch_id, event.key, status))

    def lose(self, event: Event) -> None:
        """Write down an event that is never sent."""
        self.deliveries.append(Delivery(event.batch_id, event.key, None))

    def _headers(self, event: Event, copy: int) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Amili-Event": EVENT,
            "IdempotencyKey": event.key,
            "X-Amili-Request-Id": derived_uuid("webhook", event.key, str(copy)),
        }
        if self.options.webhook_secret:
            headers["X-Webhook-Signature"] = sign(self.options.webhook_secret, event.body)
        return headers

    def describe(self) -> list[dict[str, Any]]:
        """Return what GET /sandbox/webhooks shows, oldest first."""
        return [
            {"batchId": delivery.batch_id, "key": delivery.key, "status": delivery.status}
            for delivery in self.deliveries
        ]
