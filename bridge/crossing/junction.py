"""Everything that decides which way calls go, introduced to each other; and how it starts and stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.bodies import Bodies
from bridge.crossing.batches import Batches
from bridge.crossing.beside import Beside, Watch
from bridge.crossing.questions import Questions
from bridge.intake.desk import Desk
from bridge.journal import Journal
from bridge.metrics import Metrics
from bridge.organizations import Directory
from bridge.passages import Passages
from bridge.passthrough import PassThrough
from bridge.pipeline import Pipeline
from bridge.placing import Placer
from bridge.readback import Readback
from bridge.senders import Senders
from bridge.settings import Settings
from bridge.steering.switchboard import Switchboard

CLOSE_SECONDS = 2.0
"""How long the last notes may take to be written."""


@dataclass(frozen=True, slots=True)
class Bank:
    """One side of the crossing: who works here."""

    senders: Senders
    directory: Directory
    desks: Mapping[str, Desk]
    pipeline: Pipeline
    readback: Readback


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where calls go either way."""

    batches: Batches
    questions: Questions
    legacy_host: PassThrough
    passages: Passages
    beside: Beside

    async def drain(self, seconds: float) -> None:
        """Pass nothing more on; return once nothing is under way any more, or after so many seconds."""
        await self.legacy_host.drain(seconds)

    async def close(self) -> None:
        """Have what left noted; `passages.run` must have ended."""
        await self.beside.close()
        await self.passages.close(CLOSE_SECONDS)


def make_crossing(
    settings: Settings,
    bank: Bank,
    legacy_host: PassThrough,
    switchboard: Switchboard,
    journal: Journal,
    watch: Watch,
    metrics: Metrics,
    *,
    clock: Callable[[], float],
) -> Crossing:
    """Put it together; `clock` tells Unix seconds."""
    passages = Passages(journal, observer=metrics, clock=clock)
    placer, strangers = Placer(bank.directory, switchboard), settings.cutover.pass_strangers
    # what is kept of bodies that pass must not put off callers whose bodies are read
    beside = Beside(legacy_host, bank.senders, passages, _make_bodies(settings), watch, clock=clock)
    batches = Batches(
        bank.senders,
        bank.pipeline,
        legacy_host,
        beside,
        switchboard,
        passages,
        placer,
        bank.desks,
        _make_bodies(settings),
        metrics,
        pass_strangers=strangers,
    )
    questions = Questions(
        bank.senders, bank.pipeline, bank.readback, legacy_host, switchboard, placer, metrics, pass_strangers=strangers
    )
    return Crossing(batches, questions, legacy_host, passages, beside)


def _make_bodies(settings: Settings) -> Bodies:
    server = settings.server
    return Bodies(max_body_bytes=server.max_body_bytes, max_reading_bytes=int(server.max_reading_mb * 1024 * 1024))
