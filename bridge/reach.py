"""From settings to the modern system: a session, a client, the credentials of every organization."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import aiohttp

from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access
from bridge.organizations import Organization
from bridge.settings import ModernSettings


def open_session() -> aiohttp.ClientSession:
    """Open a session for calls to the modern system; whoever opens it closes it."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    )


def make_client(
    session: aiohttp.ClientSession,
    settings: ModernSettings,
    *,
    clock: Callable[[], float],
    jitter: Callable[[], float] = random.random,
) -> ModernClient:
    """Return a client of the configured modern system."""
    return ModernClient(
        session,
        settings.base_url,
        settings.token_url,
        clock=clock,
        idempotency_header=settings.idempotency_header,
        request_timeout_seconds=settings.request_timeout_seconds,
        jitter=jitter,
    )


def access_of(organization: Organization) -> Access:
    """Return what it takes to reach an organization."""
    return Access(organization.id, organization.client_id, organization.client_secret)


def accesses(organizations: Iterable[Organization]) -> Callable[[str], Access]:
    """Return a function that gives the credentials of an organization; KeyError for one not configured any more."""
    return {one.id: access_of(one) for one in organizations}.__getitem__
