"""The credentials that batches take to the legacy host: their callers', in memory only, else the configured ones."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from contextlib import suppress

from cachetools import LRUCache

from bridge.settings import SenderSettings

MOST_BATCHES = 10_000
WAIT_SECONDS = 600.0
"""How long a batch waits for a caller who brings its credentials once more, after a restart or a takeover."""


class Keyring:
    """What to show the legacy host for each batch; nothing of it is ever written down."""

    def __init__(self, senders: Iterable[SenderSettings] = (), *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._configured = {one.id: found for one in senders if (found := _configured(one))}
        self._brought: LRUCache[str, str] = LRUCache(MOST_BATCHES)
        self._wait_seconds = wait_seconds
        self._news = asyncio.Event()

    def keep(self, batch_id: str, authorization: str) -> None:
        """Keep what a caller showed with a batch; an empty one says that it needs no credentials."""
        self._brought[batch_id] = authorization
        self._news.set()
        self._news = asyncio.Event()

    def drop(self, batch_id: str) -> None:
        """Forget what a caller showed: its batch is over."""
        self._brought.pop(batch_id, None)

    async def find(self, batch_id: str, sender_id: str) -> str | None:
        """Return the Authorization header of a batch, perhaps empty.

        None when nobody knows it: its caller's are lost, none are configured, and nobody has sent the batch again.
        """
        if (known := self._known(batch_id, sender_id)) is not None:
            return known
        with suppress(TimeoutError):
            async with asyncio.timeout(self._wait_seconds):
                while self._known(batch_id, sender_id) is None:
                    await self._news.wait()
        return self._known(batch_id, sender_id)

    def _known(self, batch_id: str, sender_id: str) -> str | None:
        brought: str | None = self._brought.get(batch_id)
        return self._configured.get(sender_id) if brought is None else brought


def _configured(sender: SenderSettings) -> str:
    """Return what a sender shows by its configuration; empty where that cannot be told (tokens of others, none)."""
    if sender.basic is not None:
        pair = f"{sender.basic.username}:{sender.basic.password.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return f"Bearer {sender.bearer.get_secret_value()}" if sender.bearer is not None else ""
