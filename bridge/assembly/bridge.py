"""The rooms of the bridge, introduced to each other: from what everything stands on to the bridge."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from bridge.assembly.crew import Crew, gather_crew
from bridge.assembly.crew import Ground as CrewGround
from bridge.assembly.lookout import Lookout, LookoutGround, make_lookout
from bridge.assembly.steering import Steering, make_steering
from bridge.assembly.surface import make_surface
from bridge.calls.dispatch import Dispatch
from bridge.crossing import Bank, Crossing, make_crossing
from bridge.intake.desk import Desk
from bridge.journal import Journal, News
from bridge.journal.patient import PatientJournal
from bridge.lobby import Lobby
from bridge.metrics import Metrics
from bridge.modern.catalogue import Catalogue
from bridge.organizations import Directory
from bridge.passthrough import Line, PassThrough
from bridge.pipeline import Pipeline
from bridge.placing import Placer
from bridge.readback import Readback, read_terms
from bridge.senders import Senders
from bridge.settings import Settings
from bridge.shadowing import ShadowTarget
from bridge.workshop.housekeeping import Housekeeping
from bridge.workshop.office import Office
from bridge.workshop.open_batches import Limits
from bridge.workshop.telling import Teller
from bridge.workshop.work import Worker
from bridge.workshop.workshop import Workshop

CALLERS_PER_BATCH = 4
"""How many callers may wait for every batch that may be open: impatient ones send the same batch again, and wait."""


@dataclass(frozen=True, slots=True)
class Environment:
    """What comes from outside the program: time, ids, chance."""

    clock: Callable[[], float] = time.time
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    chance: random.Random = random.Random()  # noqa: RUF009, S311 - one shared source of jitter, not of secrets


@dataclass(frozen=True, slots=True)
class Sessions:
    """The ways out: to the modern system, and to the legacy host as a proxy and with batches of our own."""

    modern: aiohttp.ClientSession
    legacy: Line | None
    relay: aiohttp.ClientSession


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
    steering: Steering
    crossing: Crossing
    lookout: Lookout
    senders: Senders

    async def drain(self, seconds: float) -> None:
        """Take nothing more in; let callers that are held have what is known after at most so many seconds."""
        await asyncio.gather(self.pipeline.drain(seconds), self.crossing.drain(seconds))


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything stands on."""

    settings: Settings
    environment: Environment
    directory: Directory
    desks: Mapping[str, Desk]
    journal: Journal
    patient: PatientJournal
    sessions: Sessions
    senders: Senders
    target: ShadowTarget | None

    @property
    def crew(self) -> CrewGround:
        """Return what those who work batches stand on."""
        outside = self.environment
        return CrewGround(
            self.settings,
            self.directory,
            self.journal,
            self.patient,
            self.sessions.modern,
            self.sessions.relay,
            outside.clock,
            outside.new_id,
            outside.chance,
        )


def assemble(ground: Ground) -> Bridge:
    """Introduce everyone to everyone; nothing is at work yet."""
    clock = ground.environment.clock
    metrics, lobby = Metrics(), _make_lobby(ground)
    steering = make_steering(ground.settings, ground.journal, metrics, lambda: workshop.works, clock=clock)
    lookout = _make_lookout(ground, steering, metrics)
    crew = gather_crew(ground.crew, lookout.offer)
    teller = Teller(ground.desks, ground.journal)
    workshop = _make_workshop(ground, teller, crew.worker, lobby, metrics, steering)
    pipeline = _make_pipeline(ground, workshop, teller, lobby, crew, steering)
    _watch(ground, crew, workshop, metrics)
    housekeeping = _make_housekeeping(ground, workshop, steering, metrics)
    readback = _make_readback(ground, crew, metrics)
    ground.journal.listen(
        _spread(lobby, crew, housekeeping, workshop, teller, readback, ground.patient, steering.switchboard.hear)
    )
    crossing = _make_crossing(ground, pipeline, readback, steering, lookout, metrics)
    surface = make_surface(
        ground.settings, ground.directory, ground.desks, ground.journal, pipeline, crossing, metrics, clock=clock
    )
    return Bridge(
        surface,
        pipeline,
        workshop,
        readback,
        crew.dispatch,
        housekeeping,
        metrics,
        steering,
        crossing,
        lookout,
        ground.senders,
    )


def _make_lookout(ground: Ground, steering: Steering, metrics: Metrics) -> Lookout:
    outside = ground.environment
    standing = LookoutGround(
        ground.settings,
        ground.journal,
        ground.desks,
        Placer(ground.directory, steering.switchboard),
        steering.switchboard,
        steering.observatory,
        metrics,
        ground.senders.find,
        outside.clock,
        outside.new_id,
    )
    return make_lookout(standing, ground.target)


def _make_pipeline(
    ground: Ground, workshop: Workshop, teller: Teller, lobby: Lobby, crew: Crew, steering: Steering
) -> Pipeline:
    return Pipeline(
        ground.desks,
        ground.journal,
        workshop,
        teller,
        lobby,
        crew.keyring,
        scorer=steering.scores,
        clock=ground.environment.clock,
        new_id=ground.environment.new_id,
    )


def _make_crossing(
    ground: Ground, pipeline: Pipeline, readback: Readback, steering: Steering, lookout: Lookout, metrics: Metrics
) -> Crossing:
    settings, clock = ground.settings, ground.environment.clock
    return make_crossing(
        settings,
        Bank(ground.senders, ground.directory, ground.desks, pipeline, readback),
        PassThrough(ground.sessions.legacy),
        steering.switchboard,
        ground.journal,
        lookout,
        metrics,
        clock=clock,
    )


def _make_workshop(
    ground: Ground, teller: Teller, worker: Worker, lobby: Lobby, metrics: Metrics, steering: Steering
) -> Workshop:
    server = ground.settings.server
    return Workshop(
        teller,
        ground.journal,
        ground.patient,
        worker,
        lobby,
        observer=metrics,
        scorer=steering.scores,
        limits=Limits(server.max_open_batches, server.max_open_batches_per_sender, server.max_open_rows),
        clock=ground.environment.clock,
    )


def _watch(ground: Ground, crew: Crew, workshop: Workshop, metrics: Metrics) -> None:
    metrics.watch(
        open_batches=lambda: len(workshop.works),
        pending_rows=lambda: workshop.works.pending_rows,
        held_organizations=lambda: crew.gates.closed,
    )
    metrics.rows_in_doubt({one.id: 0 for one in ground.settings.organizations})


def _make_housekeeping(ground: Ground, workshop: Workshop, steering: Steering, metrics: Metrics) -> Housekeeping:
    clock, new_id = ground.environment.clock, ground.environment.new_id
    return Housekeeping(
        workshop,
        Office(workshop, ground.journal, ground.patient, clock=clock, new_id=new_id),
        ground.journal,
        steering.guardrails.look,
        show_doubts=metrics.rows_in_doubt,
        retention_seconds=ground.settings.storage.retention_days * 86_400,
        clock=clock,
    )


def _make_lobby(ground: Ground) -> Lobby:
    most = CALLERS_PER_BATCH * ground.settings.server.max_open_batches
    return Lobby(clock=ground.environment.clock, most_callers=most)


def _make_readback(ground: Ground, crew: Crew, metrics: Metrics) -> Readback:
    return Readback(
        ground.directory,
        {name: desk.profile.read for name, desk in ground.desks.items()},
        Catalogue(crew.client.reader),
        ground.journal,
        crew.access,
        terms=read_terms(ground.settings),
        observer=metrics,
        clock=time.monotonic,
    )


def _spread(
    lobby: Lobby,
    crew: Crew,
    housekeeping: Housekeeping,
    workshop: Workshop,
    teller: Teller,
    readback: Readback,
    patient: PatientJournal,
    hear_switch: Callable[[str], None],
) -> Callable[[News, str], None]:
    """Return who hears which news of the journal."""

    def finish(batch_id: str) -> None:
        lobby.stir(batch_id)
        crew.expecting.stir(batch_id)

    hearers: dict[News, Callable[[str], None]] = {
        News.FINISHED: finish,
        News.HINT: crew.waiter.hint,
        News.ORDERED: lambda _: housekeeping.hurry(),
        News.LOST: workshop.forsake,
        News.ASKED: lambda batch_id: teller.tell_if_parked(workshop.works.get(batch_id)),
        News.PARKED: lobby.dismiss,
        News.BACK: lambda _: patient.try_again(),
        News.CHANGED: readback.forget,
        News.SWITCHED: hear_switch,
    }
    return lambda news, subject: hearers[news](subject)
