"""Put everything together: settings in, aiohttp application out. Nothing is built at import."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from bridge import __version__
from bridge.endpoints import Endpoints, HookSecrets
from bridge.errors import MappingFault, VendorError
from bridge.intake import Desk
from bridge.journal import Journal
from bridge.journal.opening import open_journal
from bridge.journal.patient import PatientJournal
from bridge.legacy.openapi import describe
from bridge.logs import Event, get_log
from bridge.mapping.library import Profile, load_profiles
from bridge.metrics import Metrics
from bridge.middleware import answer_errors, observe_requests
from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.organizations import Directory
from bridge.pipeline import Pipeline
from bridge.reconcile import Patience, Reconciler
from bridge.references import References
from bridge.senders import FetchJwks, Senders
from bridge.settings import Settings
from bridge.submission import Submitter, Terms
from bridge.work import Worker

log = get_log()

ERASE_EVERY_SECONDS = 3600.0
YOUNG_OBJECTS = 10_000
"""Allocations between two collections: a large batch makes many objects and no garbage cycles."""
SWITCH_SECONDS = 0.0001
"""How soon a waiting thread gets the interpreter."""
LINGER_SECONDS = 2.0
"""How long answers that are already written may take to leave the sockets at the end."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What comes from outside the program: time, ids, chance."""

    clock: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    chance: random.Random = random.Random()  # noqa: RUF009, S311 - one shared source of jitter, not of secrets


@dataclass(frozen=True, slots=True)
class Bridge:
    """The bridge, open and at work: its application, and its path for those who start and stop it."""

    app: web.Application
    pipeline: Pipeline


def load_desks(settings: Settings, directory: Directory) -> dict[str, Desk]:
    """Return a desk for every profile a sender speaks; raises MappingFault naming a missing one."""
    profiles = load_profiles(settings.mappings.folder)
    wanted = {sender.profile for sender in settings.senders}
    if missing := sorted(wanted - profiles.keys()):
        raise MappingFault(
            f"{settings.mappings.folder}: no profile {', '.join(missing)}; correct `profile` or add the folder"
        )
    return {name: Desk(profiles[name], directory) for name in sorted(wanted)}


@asynccontextmanager
async def open_bridge(settings: Settings, environment: Environment | None = None) -> AsyncIterator[Bridge]:
    """Open the journal, take up what a stop or crash left open, and yield the bridge; close everything afterwards."""
    environment = environment or Environment()
    directory = Directory(settings)
    desks = load_desks(settings, directory)
    journal = open_journal(settings.storage.url, base=Path.cwd())
    try:
        async with _open_session() as session:
            bridge = _assemble(settings, environment, directory, desks, journal, session)
            await bridge.pipeline.resume()
            erasing = asyncio.create_task(_erase_regularly(journal, settings, environment.clock))
            try:
                yield bridge
            finally:
                erasing.cancel()
                await asyncio.gather(erasing, return_exceptions=True)
                await bridge.pipeline.close()
    finally:
        await journal.close()
        log.info(Event.BRIDGE_STOPPED)


async def serve(settings: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT, then drain: held callers get what is known, new ones 503."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_bridge(settings) as bridge:
        # bodies are inflated by `legacy.body`, which bounds them; callers that hang up change nothing
        runner = web.AppRunner(
            bridge.app, handle_signals=False, access_log=None, auto_decompress=False, shutdown_timeout=LINGER_SECONDS
        )
        await runner.setup()
        try:
            host, port = settings.server.host, settings.server.port
            await web.TCPSite(runner, host, port, reuse_address=True).start()
            _settle_interpreter()
            log.info(
                Event.BRIDGE_STARTED, version=__version__, host=host, port=port, count=bridge.pipeline.open_batches
            )
            await stop.wait()
            log.info(Event.DRAINING, count=bridge.pipeline.open_batches)
            await bridge.pipeline.drain(settings.server.drain_seconds)
        finally:
            await runner.cleanup()


def run(settings: Settings) -> None:
    """Run the bridge on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings))


def _assemble(
    settings: Settings,
    environment: Environment,
    directory: Directory,
    desks: Mapping[str, Desk],
    journal: Journal,
    session: aiohttp.ClientSession,
) -> Bridge:
    """Introduce everyone to everyone."""
    clock, sleep = environment.clock, asyncio.sleep
    modern = ModernClient(
        session,
        settings.modern.base_url,
        settings.modern.token_url,
        clock=clock,
        idempotency_header=settings.modern.idempotency_header,
        request_timeout_seconds=settings.modern.request_timeout_seconds,
        jitter=environment.chance.random,
    )
    waiter = Waiter(
        modern.glance,
        clock=time.monotonic,
        jitter=environment.chance.random,
        ceiling_seconds=settings.modern.poll_ceiling_seconds,
    )
    access = _accesses(directory)
    patient = PatientJournal(journal, clock=clock, sleep=sleep)
    patience = Patience(settings.modern.request_timeout_seconds, settings.modern.settle_seconds)
    submitter = Submitter(
        patient,
        modern,
        waiter,
        Reconciler(modern, patience, clock=clock),
        access=access,
        terms=_terms(settings),
        clock=clock,
        new_id=environment.new_id,
        chance=environment.chance,
    )
    references = References(journal, modern, access)
    worker = Worker(patient, submitter, references, max_rows_per_call=settings.modern.max_rows_per_call)
    metrics = Metrics()
    pipeline = Pipeline(
        desks,
        journal,
        patient,
        worker,
        observer=metrics,
        max_open_batches=settings.server.max_open_batches,
        clock=clock,
        new_id=environment.new_id,
    )
    metrics.watch_open_batches(lambda: pipeline.open_batches)
    endpoints = Endpoints(
        Senders(settings, _fetch_jwks(session), clock),
        pipeline,
        waiter,
        metrics,
        max_body_bytes=settings.server.max_body_bytes,
        hook_secrets=_hook_secrets(settings, directory),
        description=_describe(desks),
    )
    app = web.Application(middlewares=[observe_requests(metrics), answer_errors()])
    app.add_routes(endpoints.routes())
    return Bridge(app, pipeline)


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    )


def _terms(settings: Settings) -> Terms:
    return Terms(
        concurrency_per_organization=settings.modern.concurrency_per_organization,
        retry_seconds=settings.modern.retry_hours * 3600,
        duplicate_words=tuple(word.casefold() for word in settings.modern.duplicate_words),
    )


def _accesses(directory: Directory) -> Callable[[str], Access]:
    """Return a function that gives the credentials of an organization; KeyError for one not configured any more."""
    accesses = {one.id: Access(one.id, one.client_id, one.client_secret) for one in directory.organizations}
    return accesses.__getitem__


def _hook_secrets(settings: Settings, directory: Directory) -> HookSecrets:
    return HookSecrets(
        common=tuple(secret.get_secret_value() for secret in settings.modern.webhook_secrets),
        by_organization={one.id.lower(): one.webhook_secrets for one in directory.organizations},
    )


def _describe(desks: Mapping[str, Desk]) -> dict[str, Any]:
    """Describe the legacy surface as the first profile speaks it."""
    profile: Profile = next(iter(desks.values())).profile
    return describe({name: mapping.shape for name, mapping in profile.objects.items()}, __version__)


def _fetch_jwks(session: aiohttp.ClientSession) -> FetchJwks:
    async def fetch(url: str) -> Any:
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=10)) as response:
                response.raise_for_status()
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as failure:
            raise VendorError("the keys of the tokens' issuer could not be fetched") from failure

    return fetch


async def _erase_regularly(journal: Journal, settings: Settings, clock: Callable[[], float]) -> None:
    """Erase payloads past their retention, now and every hour."""
    while True:
        erased = await journal.erase(clock() - settings.storage.retention_days * 86_400)
        if erased:
            log.info(Event.PAYLOADS_ERASED, count=erased)
        await asyncio.sleep(ERASE_EVERY_SECONDS)


def _settle_interpreter() -> None:
    """Tune the interpreter for one busy loop beside the journal's threads.

    The collector keeps off what start-up made, and does not stop a large batch over and over. A thread that waits for
    the interpreter gets it after a fraction of a millisecond: with the usual 5 ms, a busy loop starves the journal.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, 100, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
