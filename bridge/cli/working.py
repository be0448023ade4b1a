"""A bridge inside a command, for replays: to the shadow target, or to a sandbox of its own."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
from pydantic import SecretStr

from bridge.app import open_bridge
from bridge.errors import CallerError, OperatorError
from bridge.legacy.rendering import whole_batch_error
from bridge.logs import configure_logs
from bridge.pipeline import Pipeline
from bridge.recording import Line, Side
from bridge.sandbox import SandboxOptions, running
from bridge.senders import Sender, Senders
from bridge.settings import OrganizationSettings, OrganizationShadowSettings, Settings, ShadowSettings
from bridge.shadowing import shadow_settings

WAIT_SECONDS = 600.0
"""How long a batch may take to become final; then its answer is kept as it is, with rows pending."""
RECOGNIZED_HOURS = 10 * 365 * 24.0
"""How long a replayed batch is recognized by its content, so that a line is never submitted a second time."""


@asynccontextmanager
async def open_staging(settings: Settings) -> AsyncIterator[Working]:
    """Run a bridge to the shadow target; SettingsFault without one. Its journal remembers what was sent there."""
    with _quiet_logs():
        async with _bridge_to(settings) as working:
            yield working


@asynccontextmanager
async def open_sandbox(settings: Settings) -> AsyncIterator[Working]:
    """Run a sandbox and a bridge to it, with a journal that is gone afterwards."""
    with _quiet_logs(), tempfile.TemporaryDirectory(prefix="bridge-replay-") as folder:
        async with running(SandboxOptions(port=0)) as sandbox:
            led = lead_to_sandbox(settings, sandbox.base_url, sandbox.token_url, Path(folder))
            async with _bridge_to(led) as working:
                yield working


class Working:
    """Has batches worked by a bridge in this process, to the end."""

    def __init__(self, pipeline: Pipeline, senders: Senders) -> None:
        self._pipeline, self._senders = pipeline, senders

    async def answer(self, line: Line) -> Side | None:
        """Return the final answer; of a batch that is known, what it was answered before."""
        sender = self._senders.find(line.sender)
        if sender is None:
            return None
        try:
            reply = await self._work(sender, line.body)
        except CallerError as refusal:
            return Side(refusal.status, msgspec.Raw(whole_batch_error(str(refusal))))
        return Side(200, msgspec.Raw(reply))

    async def _work(self, sender: Sender, body: bytes) -> bytes:
        ticket = await self._pipeline.take(sender, body)
        # an offline batch is answered at once; what is compared is how it ends
        patient = replace(ticket, deadline=time.time() + WAIT_SECONDS)
        return (await self._pipeline.redeem(patient)).reply


@asynccontextmanager
async def _bridge_to(settings: Settings) -> AsyncIterator[Working]:
    derived = shadow_settings(settings)
    senders = tuple(one.model_copy(update={"resend_window_hours": RECOGNIZED_HOURS}) for one in derived.senders)
    derived = derived.model_copy(update={"senders": senders})
    async with open_bridge(derived) as bridge:
        yield Working(bridge.pipeline, Senders(derived, _ask_nobody, clock=time.time))


def lead_to_sandbox(settings: Settings, base_url: str, token_url: str, folder: Path) -> Settings:
    """Return settings whose shadow target is a sandbox in which every organization stands in for itself."""
    shadow = ShadowSettings.model_construct(
        base_url=base_url,
        token_url=token_url,
        storage_url=f"sqlite:///{folder / 'journal.db'}",
        answer_seconds=WAIT_SECONDS,
    )
    organizations = tuple(map(_stand_for_itself, settings.organizations))
    return settings.model_copy(update={"shadow": shadow, "organizations": organizations})


def _stand_for_itself(organization: OrganizationSettings) -> OrganizationSettings:
    """Return an organization as the sandbox knows it, with credentials that open nothing."""
    there = OrganizationShadowSettings.model_construct(
        id=organization.id, client_id="replay", client_secret=SecretStr("replay")
    )
    return organization.model_copy(update={"shadow": there})


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Keep the log lines of a bridge that runs inside a command to itself, but for what goes wrong."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        configure_logs(nowhere, pretty=False)
        try:
            yield
        finally:
            configure_logs(sys.stderr, pretty=sys.stderr.isatty())


async def _ask_nobody(url: str) -> object:
    raise OperatorError(f"a replay asks nobody, and not {url}")  # pragma: no cover - nobody is identified here
