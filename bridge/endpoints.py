"""HTTP in and out: the legacy surface, health, metrics, the webhook receiver. Names match case-insensitively."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from bridge.bodies import Bodies, read_bounded
from bridge.logs import Event, get_log
from bridge.metrics import CONTENT_TYPE, Metrics
from bridge.modern.webhooks import read_webhook, verify_signature
from bridge.pipeline import Pipeline
from bridge.senders import Senders

log = get_log()

BATCH_PATH = "/{_:(?i:webapi/api/batch)/?}"
PING_PATH = "/{_:(?i:webapi/api/ping)/?}"
HOOK_PATH = "/hooks/amili"
HOOK_LIMIT_BYTES = 1024 * 1024

NoteHook = Callable[[str, str], Awaitable[bool]]
"""Keeps a webhook's key and the modern batch it speaks of; False when the key was kept before."""


@dataclass(frozen=True, slots=True)
class HookSecrets:
    """What webhooks may be signed with: by any organization's, or by one's own."""

    common: tuple[str, ...]
    by_organization: Mapping[str, tuple[str, ...]]

    def valid_for(self, organization: str) -> tuple[str, ...]:
        """Return the secrets a webhook about this organization may be signed with."""
        return (*self.common, *self.by_organization.get(organization.lower(), ()))

    @property
    def configured(self) -> bool:
        """Tell whether there is any secret at all."""
        return bool(self.common) or any(self.by_organization.values())


class Endpoints:
    """The handlers, with what they need."""

    def __init__(
        self,
        senders: Senders,
        pipeline: Pipeline,
        metrics: Metrics,
        *,
        note_hook: NoteHook,
        max_body_bytes: int,
        max_reading_bytes: int,
        hook_secrets: HookSecrets,
        description: Mapping[str, Any],
    ) -> None:
        self._senders = senders
        self._pipeline = pipeline
        self._metrics = metrics
        self._note_hook = note_hook
        self._bodies = Bodies(max_body_bytes=max_body_bytes, max_reading_bytes=max_reading_bytes)
        self._hook_secrets = hook_secrets
        self._description = msgspec.json.encode(description)

    def routes(self) -> list[web.RouteDef]:
        """Return every route of the bridge."""
        return [
            web.post(BATCH_PATH, self.post_batch, name="legacy.batch"),
            web.get(PING_PATH, self.ping, name="legacy.ping"),
            web.post(HOOK_PATH, self.take_hook, name="hooks.amili"),
            web.get("/health/live", self.live, name="health.live"),
            web.get("/health/ready", self.ping, name="health.ready"),
            web.get("/metrics", self.metrics, name="metrics"),
            web.get("/openapi.json", self.describe, name="openapi"),
        ]

    async def post_batch(self, request: web.Request) -> web.Response:
        """Answer a legacy batch."""
        senderid = _query(request, "senderid")
        sender = await self._senders.identify(senderid, request.headers.get("Authorization"))
        async with self._bodies.read_json(request) as body:
            ticket = await self._pipeline.take(sender, body)
        del body  # it is in the journal: a caller that is held must not hold it in memory as well
        answer = await self._pipeline.redeem(ticket)
        headers = {"X-Bridge-Batch": answer.batch_id}
        if answer.replayed:
            headers["X-Bridge-Replay"] = "true"
        return web.Response(body=answer.reply, content_type="application/json", headers=headers)

    async def ping(self, _: web.Request) -> web.Response:
        """Say whether the bridge can take work."""
        if self._pipeline.accepting:
            return web.json_response({"status": "OK"})
        return web.json_response({"status": "UNAVAILABLE"}, status=503, headers={"Retry-After": "5"})

    async def live(self, _: web.Request) -> web.Response:
        """Say that the process answers."""
        return web.json_response({"status": "OK"})

    async def metrics(self, _: web.Request) -> web.Response:
        """Return the figures for Prometheus."""
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def describe(self, _: web.Request) -> web.Response:
        """Return the OpenAPI description of the legacy surface."""
        return web.Response(body=self._description, content_type="application/json")

    async def take_hook(self, request: web.Request) -> web.Response:
        """Take a webhook: a hint to look at once, whose content is never believed."""
        if not self._hook_secrets.configured:
            raise web.HTTPNotFound
        body = await read_bounded(request, HOOK_LIMIT_BYTES)
        hook = read_webhook(request.headers, body)
        signature = request.headers.get("X-Webhook-Signature", "")
        if not verify_signature(body, signature, self._hook_secrets.valid_for(hook.organization)):
            self._metrics.webhook_received("rejected")
            log.warning(Event.WEBHOOK_REJECTED)
            return web.json_response({"status": "bad signature"}, status=401)
        # a delivery without a key is known by its content
        key = hook.idempotency_key or hashlib.sha256(body).hexdigest()
        first = await self._note_hook(key, hook.batch_id)
        self._metrics.webhook_received("taken" if first else "duplicate")
        log.info(Event.WEBHOOK_RECEIVED, modern_batch=hook.batch_id, state="taken" if first else "duplicate")
        return web.json_response({"status": "OK"})


def _query(request: web.Request, name: str) -> str | None:
    """Return a query parameter whatever the letter case of its name; the last one wins."""
    found = None
    for key, value in request.query.items():
        if key.lower() == name:
            found = value
    return found
