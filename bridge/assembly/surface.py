"""Put the HTTP surface together: endpoints with what they need, between the middlewares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from aiohttp import web

from bridge import __version__
from bridge.crossing import Crossing
from bridge.endpoints import Endpoints, NoteHook
from bridge.errors import VendorError
from bridge.hooks import HookSecrets, read_hook
from bridge.intake.desk import Desk
from bridge.journal import Journal
from bridge.legacy.openapi import describe
from bridge.mapping import Profile
from bridge.metrics import Metrics
from bridge.middleware import answer_errors, observe_requests
from bridge.modern.webhooks import Webhook
from bridge.organizations import Directory
from bridge.pipeline import Pipeline
from bridge.senders import FetchJwks
from bridge.settings import Settings


def make_surface(
    settings: Settings,
    directory: Directory,
    desks: Mapping[str, Desk],
    journal: Journal,
    pipeline: Pipeline,
    crossing: Crossing,
    metrics: Metrics,
    *,
    clock: Callable[[], float],
) -> web.Application:
    """Return the application."""
    endpoints = Endpoints(
        crossing.batches,
        crossing.questions,
        pipeline,
        crossing.legacy_host,
        metrics,
        note_hook=_note_hook(journal, directory, clock),
        hook_secrets=_hook_secrets(settings, directory),
        description=_describe(desks),
    )
    app = web.Application(middlewares=[observe_requests(metrics), answer_errors()])
    app.add_routes(endpoints.routes())
    return app


def _note_hook(journal: Journal, directory: Directory, clock: Callable[[], float]) -> NoteHook:
    organizations = {one.id for one in directory.organizations}

    async def note(webhook: Webhook, key: str) -> bool:
        return await journal.note_hook(read_hook(webhook, key, clock(), organizations))

    return note


def _hook_secrets(settings: Settings, directory: Directory) -> HookSecrets:
    return HookSecrets(
        common=tuple(secret.get_secret_value() for secret in settings.modern.webhook_secrets),
        by_organization={one.id.lower(): one.webhook_secrets for one in directory.organizations},
    )


def _describe(desks: Mapping[str, Desk]) -> dict[str, Any]:
    """Describe the legacy surface as the first profile speaks it."""
    profile: Profile = next(iter(desks.values())).profile
    read = profile.read
    entries = {one.objectname: one.shape for one in (read.creditor, read.case, read.settlement)} if read else {}
    return describe({name: mapping.shape for name, mapping in profile.objects.items()}, __version__, entries)


def fetch_jwks(session: aiohttp.ClientSession) -> FetchJwks:
    """Return what fetches the keys of tokens' issuers."""

    async def fetch(url: str) -> Any:
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=10)) as response:
                response.raise_for_status()
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise VendorError("the keys of the tokens' issuer could not be fetched") from failure

    return fetch
