"""Open the bridge and close it: settings in, aiohttp application out. Nothing is built at import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bridge.assembly.bridge import Bridge, Environment, Ground, Sessions, assemble
from bridge.assembly.surface import fetch_jwks
from bridge.calls.relay import open_relay_session
from bridge.errors import OperatorError, SettingsFault
from bridge.intake.desk import Desk
from bridge.journal.opening import open_journal
from bridge.journal.patient import PatientJournal
from bridge.logs import Event, get_log
from bridge.mapping import load_profiles
from bridge.organizations import Directory
from bridge.passthrough import open_line
from bridge.reach import open_session
from bridge.senders import Senders
from bridge.settings import Settings, require_profiles
from bridge.shadowing import ShadowTarget, shadow_settings

__all__ = ["LINGER_SECONDS", "Bridge", "Environment", "load_desks", "open_bridge", "open_sessions"]

log = get_log()

LINGER_SECONDS = 2.0
"""How long answers that are already written may take to leave the sockets at the end."""


def load_desks(settings: Settings, directory: Directory) -> dict[str, Desk]:
    """Return a desk for every profile a sender speaks; raises UnknownProfile naming those who speak a missing one."""
    profiles = load_profiles(settings.mappings.folder)
    require_profiles(settings, profiles)
    return {name: Desk(profiles[name], directory) for name in sorted({sender.profile for sender in settings.senders})}


@asynccontextmanager
async def open_bridge(settings: Settings, environment: Environment | None = None) -> AsyncIterator[Bridge]:
    """Open the journal, take up what a stop or crash left open, and yield the bridge; close everything afterwards."""
    environment = environment or Environment()
    directory = Directory(settings)
    desks = load_desks(settings, directory)
    journal = await open_journal(settings.storage.url, base=Path.cwd())
    try:
        async with open_sessions(settings) as sessions, _open_target(settings, environment) as target:
            patient = PatientJournal(journal, clock=environment.clock, sleep=asyncio.sleep)
            senders = Senders(settings, fetch_jwks(sessions.modern), environment.clock)
            ground = Ground(settings, environment, directory, desks, journal, patient, sessions, senders, target)
            bridge = assemble(ground)
            async with _at_work(bridge):
                yield bridge
    finally:
        await journal.close()
        log.info(Event.BRIDGE_STOPPED)


@asynccontextmanager
async def _at_work(bridge: Bridge) -> AsyncIterator[None]:
    """Set everything going that goes by itself; afterwards let go in an order that loses nothing."""
    steering = bridge.steering
    await steering.switchboard.refresh()
    await steering.switchboard.search()
    going = (
        steering.switchboard.run(),
        steering.observatory.run(),
        bridge.crossing.passages.run(),
        bridge.lookout.run(),
        bridge.housekeeping.run(),
    )
    rounds = [asyncio.create_task(one) for one in going]
    try:
        yield
    finally:
        for one in rounds:
            one.cancel()
        await asyncio.gather(*rounds, return_exceptions=True)
        await bridge.dispatch.quiesce(LINGER_SECONDS)
        await bridge.workshop.close()
        await bridge.readback.close()
        await bridge.crossing.close()
        await bridge.lookout.close()
        await steering.observatory.flush()


@asynccontextmanager
async def _open_target(settings: Settings, environment: Environment) -> AsyncIterator[ShadowTarget | None]:
    """Open the bridge to the shadow target, where one is configured."""
    if settings.shadow.base_url is None:
        yield None
        return
    there = shadow_settings(settings)
    served = [one.id for one in settings.organizations if one.shadow is not None]
    async with AsyncExitStack() as stack:
        pipeline, senders = None, None
        try:
            second = await stack.enter_async_context(open_bridge(there, environment))
            pipeline, senders = second.pipeline, second.senders
        except SettingsFault:
            raise
        except OperatorError as reason:  # a shadow's journal that is away keeps nobody from starting
            log.warning(Event.SHADOW_FAILED, why=str(reason))
        yield ShadowTarget(pipeline, senders.senders if senders else (), served, clock=environment.clock)


@asynccontextmanager
async def open_sessions(settings: Settings) -> AsyncIterator[Sessions]:
    """Open every session, and close them afterwards."""
    host = settings.legacy
    async with open_session() as modern, open_line(host) as legacy, open_relay_session(host) as relay:
        yield Sessions(modern, legacy, relay)
