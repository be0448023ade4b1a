"""Put everything together: settings in, aiohttp application out. Nothing is built at import."""

from __future__ import annotations

import asyncio
import random
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
from bridge.dispatch import Dispatch
from bridge.endpoints import Endpoints, HookSecrets, NoteHook
from bridge.errors import MappingFault, VendorError
from bridge.gates import Gates, GateTerms
from bridge.housekeeping import Housekeeping
from bridge.intake import Desk
from bridge.journal import Journal, News
from bridge.journal.opening import open_journal
from bridge.journal.patient import PatientJournal
from bridge.legacy.openapi import describe
from bridge.lobby import Lobby
from bridge.logs import Event, get_log
from bridge.mapping.library import Profile, load_profiles
from bridge.metrics import Metrics
from bridge.middleware import answer_errors, observe_requests
from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.office import Office
from bridge.organizations import Directory
from bridge.pipeline import Pipeline
from bridge.reconcile import Patience, Reconciler
from bridge.references import References
from bridge.senders import FetchJwks, Senders
from bridge.settings import Settings
from bridge.submission import Submitter, Terms
from bridge.verdicts import Judge
from bridge.work import Worker
from bridge.workshop import Limits, Workshop

log = get_log()

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
    """The bridge, open and at work: its application, and the parts that are started and stopped."""

    app: web.Application
    pipeline: Pipeline
    workshop: Workshop
    dispatch: Dispatch
    housekeeping: Housekeeping


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
    journal = await open_journal(settings.storage.url, base=Path.cwd())
    try:
        async with _open_session() as session:
            patient = PatientJournal(journal, clock=environment.clock, sleep=asyncio.sleep)
            bridge = _assemble(_Ground(settings, environment, directory, desks, journal, patient, session))
            rounds = asyncio.create_task(bridge.housekeeping.run())
            try:
                yield bridge
            finally:
                rounds.cancel()
                await asyncio.gather(rounds, return_exceptions=True)
                await bridge.dispatch.quiesce(LINGER_SECONDS)
                await bridge.workshop.close()
    finally:
        await journal.close()
        log.info(Event.BRIDGE_STOPPED)


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything stands on."""

    settings: Settings
    environment: Environment
    directory: Directory
    desks: Mapping[str, Desk]
    journal: Journal
    patient: PatientJournal
    session: aiohttp.ClientSession


@dataclass(frozen=True, slots=True)
class _ModernSide:
    """The ways to the modern system."""

    client: ModernClient
    waiter: Waiter
    gates: Gates
    access: Callable[[str], Access]


def _assemble(ground: _Ground) -> Bridge:
    """Introduce everyone to everyone."""
    clock, new_id = ground.environment.clock, ground.environment.new_id
    modern, metrics, lobby = _reach_modern(ground), Metrics(), Lobby(clock=clock)
    dispatch = Dispatch(ground.patient, modern.client, modern.gates, modern.access)
    submitter = _make_submitter(ground, modern, dispatch)
    workshop = Workshop(
        ground.desks,
        ground.journal,
        ground.patient,
        _make_worker(ground, modern, submitter),
        lobby,
        observer=metrics,
        limits=_limits(ground.settings),
        clock=clock,
    )
    pipeline = Pipeline(ground.desks, ground.journal, workshop, lobby, clock=clock, new_id=new_id)
    metrics.watch(open_batches=lambda: workshop.open_batches, held_organizations=lambda: modern.gates.closed)
    office = Office(workshop, ground.journal, ground.patient, clock=clock, new_id=new_id)
    retention_seconds = ground.settings.storage.retention_days * 86_400
    housekeeping = Housekeeping(workshop, office, ground.journal, retention_seconds=retention_seconds, clock=clock)
    ground.journal.listen(_spread(lobby, modern.waiter, housekeeping, workshop))
    return Bridge(_make_surface(ground, pipeline, metrics), pipeline, workshop, dispatch, housekeeping)


def _reach_modern(ground: _Ground) -> _ModernSide:
    settings, jitter = ground.settings.modern, ground.environment.chance.random
    client = ModernClient(
        ground.session,
        settings.base_url,
        settings.token_url,
        clock=ground.environment.clock,
        idempotency_header=settings.idempotency_header,
        request_timeout_seconds=settings.request_timeout_seconds,
        jitter=jitter,
    )
    waiter = Waiter(
        client.glance,
        client.recent_batches,
        clock=time.monotonic,
        jitter=jitter,
        ceiling_seconds=settings.poll_ceiling_seconds,
    )
    gates = Gates(_gate_terms(ground.settings), clock=time.monotonic)
    return _ModernSide(client, waiter, gates, _accesses(ground.directory))


def _make_submitter(ground: _Ground, modern: _ModernSide, dispatch: Dispatch) -> Submitter:
    settings, environment = ground.settings.modern, ground.environment
    patience = Patience(settings.request_timeout_seconds, settings.settle_seconds)
    reconciler = Reconciler(modern.client, patience, clock=environment.clock)
    return Submitter(
        ground.patient,
        dispatch,
        modern.waiter,
        reconciler,
        Judge(reconciler, [word.casefold() for word in settings.duplicate_words]),
        access=modern.access,
        terms=Terms(retry_seconds=settings.retry_hours * 3600),
        clock=environment.clock,
        new_id=environment.new_id,
        chance=environment.chance,
    )


def _make_worker(ground: _Ground, modern: _ModernSide, submitter: Submitter) -> Worker:
    settings = ground.settings.modern
    references = References(
        ground.journal,
        modern.client,
        modern.access,
        settle_seconds=settings.settle_seconds,
        patience_seconds=settings.retry_hours * 3600,
    )
    return Worker(ground.patient, submitter, references, max_rows_per_call=settings.max_rows_per_call)


def _make_surface(ground: _Ground, pipeline: Pipeline, metrics: Metrics) -> web.Application:
    settings, clock = ground.settings, ground.environment.clock
    endpoints = Endpoints(
        Senders(settings, _fetch_jwks(ground.session), clock),
        pipeline,
        metrics,
        note_hook=_note_hook(ground.journal, clock),
        max_body_bytes=settings.server.max_body_bytes,
        max_reading_bytes=int(settings.server.max_reading_mb * 1024 * 1024),
        hook_secrets=_hook_secrets(settings, ground.directory),
        description=_describe(ground.desks),
    )
    app = web.Application(middlewares=[observe_requests(metrics), answer_errors()])
    app.add_routes(endpoints.routes())
    return app


def _note_hook(journal: Journal, clock: Callable[[], float]) -> NoteHook:
    async def note(key: str, modern_batch: str) -> bool:
        return await journal.note_hook(key, modern_batch, clock())

    return note


def _spread(
    lobby: Lobby, waiter: Waiter, housekeeping: Housekeeping, workshop: Workshop
) -> Callable[[News, str], None]:
    """Return who hears which news of the journal."""
    hearers: dict[News, Callable[[str], None]] = {
        News.FINISHED: lobby.stir,
        News.HINT: waiter.hint,
        News.ORDERED: lambda _: housekeeping.hurry(),
        News.LOST: workshop.forsake,
    }
    return lambda news, subject: hearers[news](subject)


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        open_batches=settings.server.max_open_batches,
        open_batches_per_sender=settings.server.max_open_batches_per_sender,
        open_rows=settings.server.max_open_rows,
    )


def _gate_terms(settings: Settings) -> GateTerms:
    return GateTerms(
        concurrency=settings.modern.concurrency_per_organization,
        writes_per_second=settings.modern.writes_per_second,
        failures_to_break=settings.modern.failures_to_break,
        break_seconds=settings.modern.break_seconds,
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
