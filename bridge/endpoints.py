"""HTTP in and out: the legacy surface, health, metrics, the webhook receiver. Names match case-insensitively."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge.bodies import Bodies
from bridge.crossing import Batches, Questions
from bridge.hooks import HookSecrets, label_event
from bridge.logs import Event, get_log
from bridge.metrics import CONTENT_TYPE, Metrics
from bridge.modern.webhooks import Webhook, read_webhook, verify_signature
from bridge.passthrough import PassThrough
from bridge.pipeline import Answer, Pipeline
from bridge.readback import Account

log = get_log()

BATCH_PATH = "/{_:(?i:webapi/api/batch)/?}"
ATTACHMENT_PATH = "/{_:(?i:webapi/api/attachment)(/.*)?}"
PING_PATH = "/{_:(?i:webapi/api/ping)/?}"
HOOK_PATH = "/hooks/amili"
HOOK_LIMIT_BYTES = 1024 * 1024
HOOKS_LIMIT_BYTES = 16 * 1024 * 1024
"""What webhooks may take together while they are read: anybody may send some, their signature comes last."""

NoteHook = Callable[[Webhook, str], Awaitable[bool]]
"""Keeps what a webhook teaches, under its key; False when the key was kept before."""


class Endpoints:
    """The handlers, with what they need."""

    def __init__(
        self,
        batches: Batches,
        questions: Questions,
        pipeline: Pipeline,
        legacy_host: PassThrough,
        metrics: Metrics,
        *,
        note_hook: NoteHook,
        hook_secrets: HookSecrets,
        description: Mapping[str, Any],
    ) -> None:
        self._batches = batches
        self._questions = questions
        self._pipeline = pipeline
        self._legacy_host = legacy_host
        self._metrics = metrics
        self._note_hook = note_hook
        self._hook_bodies = Bodies(max_body_bytes=HOOK_LIMIT_BYTES, max_reading_bytes=HOOKS_LIMIT_BYTES)
        self._hook_secrets = hook_secrets
        self._description = msgspec.json.encode(description)

    def routes(self) -> list[web.RouteDef]:
        """Return every route of the bridge."""
        return [
            web.post(BATCH_PATH, self.post_batch, name="legacy.batch"),
            web.get(BATCH_PATH, self.get_batch, name="legacy.read", allow_head=False),
            web.route("*", ATTACHMENT_PATH, self.attachment, name="legacy.attachment"),
            web.get(PING_PATH, self.ping, name="legacy.ping"),
            web.post(HOOK_PATH, self.take_hook, name="hooks.amili"),
            web.get("/health/live", self.live, name="health.live"),
            web.get("/health/ready", self.ping, name="health.ready"),
            web.get("/metrics", self.metrics, name="metrics"),
            web.get("/openapi.json", self.describe, name="openapi"),
        ]

    async def post_batch(self, request: web.Request) -> web.StreamResponse:
        """Answer a legacy batch, or hand on the legacy host's answer."""
        taken = await self._batches.take(request)
        if isinstance(taken, web.StreamResponse):
            return taken
        # it is in the journal: a caller that is held must not hold its body in memory as well
        return _respond(await self._pipeline.redeem(taken))

    async def get_batch(self, request: web.Request) -> web.StreamResponse:
        """Answer what a connector asks: about claims and settlements, or about a batch it has sent."""
        told = await self._questions.answer(request)
        if isinstance(told, Answer):
            return _respond(told)
        return await _send(request, told) if isinstance(told, Account) else told

    async def attachment(self, request: web.Request) -> web.StreamResponse:
        """Hand a call about attachments to the legacy host; it knows its own callers, the bridge does not ask them."""
        return await self._legacy_host.forward(request)

    async def ping(self, _: web.Request) -> web.Response:
        """Say whether the bridge can take work."""
        passes = self._batches.needs_no_journal and not self._pipeline.draining
        if passes or self._pipeline.accepting:
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
        async with self._hook_bodies.read_raw(request) as body:
            return await self._keep_hook(request, body)

    async def _keep_hook(self, request: web.Request, body: bytes) -> web.Response:
        hook = read_webhook(request.headers, body)
        event = label_event(hook.event)
        signature = request.headers.get("X-Webhook-Signature", "")
        if not verify_signature(body, signature, self._hook_secrets.valid_for(hook.organization)):
            self._metrics.webhook_received(event, "rejected")
            log.warning(Event.WEBHOOK_REJECTED)
            return web.json_response({"status": "bad signature"}, status=401)
        # a delivery without a key is known by its content
        first = await self._note_hook(hook, hook.idempotency_key or hashlib.sha256(body).hexdigest())
        result = "taken" if first else "duplicate"
        self._metrics.webhook_received(event, result)
        log.info(Event.WEBHOOK_RECEIVED, modern_batch=hook.batch_id, operation=event, state=result)
        return web.json_response({"status": "OK"})


def _respond(answer: Answer) -> web.Response:
    """Return the reply to a batch."""
    headers = {"X-Bridge-Batch": answer.batch_id}
    if answer.replayed:
        headers["X-Bridge-Replay"] = "true"
    return web.Response(body=answer.reply, content_type="application/json", headers=headers)


async def _send(request: web.Request, account: Account) -> web.StreamResponse:
    """Send an answer piece by piece, as fast as the caller takes it."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = account.length
    try:
        await response.prepare(request)
        for piece in account.pieces:
            await response.write(piece)
        await response.write_eof()
    except ConnectionError:
        pass  # whoever hangs up has no use for the rest
    return response
