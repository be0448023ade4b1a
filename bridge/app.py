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

import aiohttp
from aiohttp import web

from bridge.completing import Completer
from bridge.dispatch import Dispatch
from bridge.expecting import Expecting
from bridge.gates import Gates, GateTerms
from bridge.housekeeping import Housekeeping
from bridge.intake import Desk
from bridge.journal import Journal, News
from bridge.journal.opening import open_journal
from bridge.journal.patient import PatientJournal
from bridge.lobby import Lobby
from bridge.logs import Event, get_log
from bridge.mapping import load_profiles
from bridge.metrics import Metrics
from bridge.modern.catalogue import Catalogue
from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.office import Office
from bridge.open_batches import Limits
from bridge.organizations import Directory
from bridge.passthrough import open_legacy_session
from bridge.pipeline import Pipeline
from bridge.reach import accesses, make_client, open_session
from bridge.readback import Readback, read_terms
from bridge.reconcile import Patience, Reconciler
from bridge.references import References, teach_through
from bridge.refusals import Refusals
from bridge.settings import Settings, require_profiles
from bridge.submission import Submitter, Terms
from bridge.surface import make_surface
from bridge.verdicts import Judge
from bridge.work import Worker
from bridge.workshop import Workshop

log = get_log()

LINGER_SECONDS = 2.0
"""How long answers that are already written may take to leave the sockets at the end."""
CALLERS_PER_BATCH = 4
"""How many callers may wait for every batch that may be open: impatient ones send the same batch again, and wait."""


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
    readback: Readback
    dispatch: Dispatch
    housekeeping: Housekeeping
    metrics: Metrics


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
        async with open_session() as session, open_legacy_session(settings.legacy) as legacy:
            patient = PatientJournal(journal, clock=environment.clock, sleep=asyncio.sleep)
            bridge = _assemble(_Ground(settings, environment, directory, desks, journal, patient, session, legacy))
            rounds = asyncio.create_task(bridge.housekeeping.run())
            try:
                yield bridge
            finally:
                rounds.cancel()
                await asyncio.gather(rounds, return_exceptions=True)
                await bridge.dispatch.quiesce(LINGER_SECONDS)
                await bridge.workshop.close()
                await bridge.readback.close()
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
    legacy: aiohttp.ClientSession


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
    modern, metrics, lobby = _reach_modern(ground), Metrics(), _make_lobby(ground)
    dispatch = Dispatch(ground.patient, modern.client, modern.gates, modern.access)
    submitter = _make_submitter(ground, modern, dispatch)
    expecting = Expecting(ground.journal)
    workshop = _make_workshop(ground, _make_worker(ground, modern, submitter, expecting), lobby, metrics)
    pipeline = Pipeline(ground.desks, ground.journal, workshop, lobby, clock=clock, new_id=new_id)
    _watch(ground, modern, workshop, metrics)
    housekeeping = _make_housekeeping(ground, workshop, metrics)
    readback = _make_readback(ground, modern, metrics)
    ground.journal.listen(_spread(lobby, expecting, modern.waiter, housekeeping, workshop, readback, ground.patient))
    surface = make_surface(
        ground.settings,
        ground.directory,
        ground.desks,
        ground.journal,
        pipeline,
        readback,
        metrics,
        session=ground.session,
        legacy=ground.legacy,
        clock=clock,
    )
    return Bridge(surface, pipeline, workshop, readback, dispatch, housekeeping, metrics)


def _make_workshop(ground: _Ground, worker: Worker, lobby: Lobby, metrics: Metrics) -> Workshop:
    server = ground.settings.server
    return Workshop(
        ground.desks,
        ground.journal,
        ground.patient,
        worker,
        lobby,
        observer=metrics,
        limits=Limits(server.max_open_batches, server.max_open_batches_per_sender, server.max_open_rows),
        clock=ground.environment.clock,
    )


def _watch(ground: _Ground, modern: _ModernSide, workshop: Workshop, metrics: Metrics) -> None:
    metrics.watch(
        open_batches=lambda: len(workshop.works),
        pending_rows=lambda: workshop.works.pending_rows,
        held_organizations=lambda: modern.gates.closed,
    )
    metrics.rows_in_doubt({one.id: 0 for one in ground.settings.organizations})


def _make_housekeeping(ground: _Ground, workshop: Workshop, metrics: Metrics) -> Housekeeping:
    clock, new_id = ground.environment.clock, ground.environment.new_id
    return Housekeeping(
        workshop,
        Office(workshop, ground.journal, ground.patient, clock=clock, new_id=new_id),
        ground.journal,
        show_doubts=metrics.rows_in_doubt,
        retention_seconds=ground.settings.storage.retention_days * 86_400,
        clock=clock,
    )


def _make_lobby(ground: _Ground) -> Lobby:
    most = CALLERS_PER_BATCH * ground.settings.server.max_open_batches
    return Lobby(clock=ground.environment.clock, most_callers=most)


def _reach_modern(ground: _Ground) -> _ModernSide:
    settings, jitter = ground.settings.modern, ground.environment.chance.random
    client = make_client(ground.session, settings, clock=ground.environment.clock, jitter=jitter)
    waiter = Waiter(
        client.glance,
        client.recent_batches,
        clock=time.monotonic,
        jitter=jitter,
        ceiling_seconds=settings.poll_ceiling_seconds,
    )
    gates = Gates(_gate_terms(ground.settings), clock=time.monotonic)
    return _ModernSide(client, waiter, gates, accesses(ground.directory.organizations))


def _make_submitter(ground: _Ground, modern: _ModernSide, dispatch: Dispatch) -> Submitter:
    settings, environment = ground.settings.modern, ground.environment
    patience = Patience(settings.request_timeout_seconds, settings.settle_seconds)
    reconciler = Reconciler(modern.client, ground.journal, patience, clock=environment.clock)
    return Submitter(
        ground.patient,
        dispatch,
        modern.waiter,
        reconciler,
        Judge(reconciler, [word.casefold() for word in settings.duplicate_words]),
        Refusals(modern.client, clock=environment.clock),
        access=modern.access,
        terms=Terms(retry_seconds=settings.retry_hours * 3600),
        clock=environment.clock,
        new_id=environment.new_id,
        chance=environment.chance,
    )


def _make_worker(ground: _Ground, modern: _ModernSide, submitter: Submitter, expecting: Expecting) -> Worker:
    settings = ground.settings.modern
    references = References(
        ground.journal,
        modern.client,
        modern.access,
        teach=teach_through(ground.journal),
        settle_seconds=settings.settle_seconds,
        patience_seconds=settings.retry_hours * 3600,
    )
    return Worker(
        ground.patient, submitter, Completer(references, expecting), max_rows_per_call=settings.max_rows_per_call
    )


def _make_readback(ground: _Ground, modern: _ModernSide, metrics: Metrics) -> Readback:
    return Readback(
        ground.directory,
        {name: desk.profile.read for name, desk in ground.desks.items()},
        Catalogue(modern.client.reader),
        ground.journal,
        modern.access,
        terms=read_terms(ground.settings),
        observer=metrics,
        clock=time.monotonic,
    )


def _spread(
    lobby: Lobby,
    expecting: Expecting,
    waiter: Waiter,
    housekeeping: Housekeeping,
    workshop: Workshop,
    readback: Readback,
    patient: PatientJournal,
) -> Callable[[News, str], None]:
    """Return who hears which news of the journal."""

    def finish(batch_id: str) -> None:
        lobby.stir(batch_id)
        expecting.stir(batch_id)

    hearers: dict[News, Callable[[str], None]] = {
        News.FINISHED: finish,
        News.HINT: waiter.hint,
        News.ORDERED: lambda _: housekeeping.hurry(),
        News.LOST: workshop.forsake,
        News.ASKED: workshop.tell_if_parked,
        News.PARKED: lobby.dismiss,
        News.BACK: lambda _: patient.try_again(),
        News.CHANGED: readback.forget,
    }
    return lambda news, subject: hearers[news](subject)


def _gate_terms(settings: Settings) -> GateTerms:
    return GateTerms(
        concurrency=settings.modern.concurrency_per_organization,
        writes_per_second=settings.modern.writes_per_second,
        failures_to_break=settings.modern.failures_to_break,
        break_seconds=settings.modern.break_seconds,
    )
