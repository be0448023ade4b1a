"""HTTP in and out: the legacy surface, health, metrics, the webhook receiver. Names match case-insensitively."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web
from cachetools import TTLCache

from bridge.errors import BatchTooLarge, UnreadableBatch
from bridge.legacy.body import decode_body, inflate
from bridge.logs import Event, get_log
from bridge.metrics import CONTENT_TYPE, Metrics
from bridge.modern.waiting import Waiter
from bridge.modern.webhooks import read_webhook, verify_signature
from bridge.pipeline import Pipeline
from bridge.senders import Senders

log = get_log()

BATCH_PATH = "/{_:(?i:webapi/api/batch)/?}"
PING_PATH = "/{_:(?i:webapi/api/ping)/?}"
HOOK_PATH = "/hooks/amili"
LARGE_BODY_BYTES = 512 * 1024
"""A body beyond this is decoded in a thread, so that it holds nobody up."""
HOOK_LIMIT_BYTES = 1024 * 1024
REMEMBERED_HOOKS = 100_000
REMEMBERED_HOOK_SECONDS = 24 * 3600.0


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
        waiter: Waiter,
        metrics: Metrics,
        *,
        max_body_bytes: int,
        hook_secrets: HookSecrets,
        description: Mapping[str, Any],
    ) -> None:
        self._senders = senders
        self._pipeline = pipeline
        self._waiter = waiter
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._hook_secrets = hook_secrets
        self._description = msgspec.json.encode(description)
        self._seen_hooks: TTLCache[str, bool] = TTLCache(REMEMBERED_HOOKS, REMEMBERED_HOOK_SECONDS)

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
        body = await self._read_body(request)
        answer = await self._pipeline.answer(sender, body)
        headers = {"X-Bridge-Batch": answer.batch_id}
        if answer.replayed:
            headers["X-Bridge-Replay"] = "true"
        return web.Response(body=answer.reply, content_type="application/json", headers=headers)

    async def _read_body(self, request: web.Request) -> bytes:
        """Return the body as UTF-8 JSON, never holding much more than the limit."""
        raw = await _read_bounded(request, self._max_body_bytes)
        encoding, content_type = request.headers.get("Content-Encoding"), request.headers.get("Content-Type")
        if len(raw) <= LARGE_BODY_BYTES and not encoding:
            return decode_body(raw, content_type)
        return await asyncio.to_thread(_decode, raw, encoding, content_type, self._max_body_bytes)

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
        body = await _read_bounded(request, HOOK_LIMIT_BYTES)
        hook = read_webhook(request.headers, body)
        signature = request.headers.get("X-Webhook-Signature", "")
        if not verify_signature(body, signature, self._hook_secrets.valid_for(hook.organization)):
            self._metrics.webhook_received("rejected")
            log.warning(Event.WEBHOOK_REJECTED)
            return web.json_response({"status": "bad signature"}, status=401)
        if hook.idempotency_key and hook.idempotency_key in self._seen_hooks:
            self._metrics.webhook_received("duplicate")
            return web.json_response({"status": "OK"})
        if hook.idempotency_key:
            self._seen_hooks[hook.idempotency_key] = True
        self._metrics.webhook_received("taken")
        log.info(Event.WEBHOOK_RECEIVED, modern_batch=hook.batch_id)
        if hook.batch_id:
            self._waiter.hint(hook.batch_id)
        return web.json_response({"status": "OK"})


def _decode(raw: bytes, encoding: str | None, content_type: str | None, limit_bytes: int) -> bytes:
    return decode_body(inflate(raw, encoding, limit_bytes), content_type)


def _query(request: web.Request, name: str) -> str | None:
    """Return a query parameter whatever the letter case of its name; the last one wins."""
    found = None
    for key, value in request.query.items():
        if key.lower() == name:
            found = value
    return found


async def _read_bounded(request: web.Request, limit_bytes: int) -> bytes:
    """Read the body; raises BatchTooLarge as soon as it is known to pass the limit."""
    if (request.content_length or 0) > limit_bytes:
        raise BatchTooLarge(_too_large(limit_bytes))
    pieces = bytearray()
    try:
        async for piece in request.content.iter_any():
            pieces += piece
            if len(pieces) > limit_bytes:
                raise BatchTooLarge(_too_large(limit_bytes))
    except web.PayloadAccessError as broken:
        raise UnreadableBatch("the body broke off: send it again") from broken
    return bytes(pieces)


def _too_large(limit_bytes: int) -> str:
    return f"the body is larger than {limit_bytes // (1024 * 1024)} MB: split the batch"
