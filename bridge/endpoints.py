"""HTTP in and out: the legacy surface, health, metrics, the webhook receiver. Names match case-insensitively."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from bridge.bodies import Bodies
from bridge.errors import BridgeError, CallerError
from bridge.hooks import HookSecrets, label_event
from bridge.logs import Event, get_log
from bridge.metrics import CONTENT_TYPE, Metrics
from bridge.modern.webhooks import Webhook, read_webhook, verify_signature
from bridge.passthrough import PassThrough
from bridge.pipeline import Answer, Pipeline
from bridge.readback import Account, Question, Readback, read_question
from bridge.senders import Sender, Senders

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
        senders: Senders,
        pipeline: Pipeline,
        readback: Readback,
        legacy_host: PassThrough,
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
        self._readback = readback
        self._legacy_host = legacy_host
        self._metrics = metrics
        self._note_hook = note_hook
        self._bodies = Bodies(max_body_bytes=max_body_bytes, max_reading_bytes=max_reading_bytes)
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

    async def post_batch(self, request: web.Request) -> web.Response:
        """Answer a legacy batch."""
        sender = await self._identify(request)
        async with self._bodies.read_json(request) as body:
            ticket = await self._pipeline.take(sender, body)
        del body  # it is in the journal: a caller that is held must not hold it in memory as well
        return _respond(await self._pipeline.redeem(ticket))

    async def get_batch(self, request: web.Request) -> web.StreamResponse:
        """Answer what a connector asks: about claims and settlements, or about a batch it has sent."""
        sender = await self._identify(request)
        result = "failed"
        try:
            question = read_question(request.query.items())
            if question.batchid:
                response: web.StreamResponse = _respond(await self._pipeline.recall(sender, question.batchid))
            else:
                response = await self._read_back(request, sender, question)
            result = "answered"
        except CallerError:
            result = "refused"
            raise
        finally:
            self._metrics.read_answered(sender.id, result)
        return response

    async def _read_back(self, request: web.Request, sender: Sender, question: Question) -> web.StreamResponse:
        try:
            account = await self._readback.answer(sender, question)
        except BridgeError as failure:
            # the caller is told what to do, the operator what happened
            cause = failure.__cause__ if isinstance(failure.__cause__, BridgeError) else failure
            log.warning(Event.READ_FAILED, sender=sender.id, why=str(cause))
            raise
        log.info(Event.READ_ANSWERED, sender=sender.id, cases=account.cases, settlements=account.settlements)
        return await _send(request, account)

    async def attachment(self, request: web.Request) -> web.StreamResponse:
        """Hand a call about attachments to the legacy host; it knows its own callers, the bridge does not ask them."""
        return await self._legacy_host.forward(request)

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

    async def _identify(self, request: web.Request) -> Sender:
        return await self._senders.identify(_query(request, "senderid"), request.headers.get("Authorization"))


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


def _query(request: web.Request, name: str) -> str | None:
    """Return a query parameter whatever the letter case of its name; the last one wins."""
    found = None
    for key, value in request.query.items():
        if key.lower() == name:
            found = value
    return found
