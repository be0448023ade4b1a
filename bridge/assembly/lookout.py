"""The watch over exchanges with the legacy host, put together, and run beside everything else."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bridge.comparing import Judge, load_rules
from bridge.discretion import gather_terms, open_redactor
from bridge.exchanges import Exchange
from bridge.intake.desk import Desk
from bridge.journal import Journal
from bridge.logs import Event, get_log
from bridge.metrics import Metrics
from bridge.origins import trace_origins
from bridge.placing import Placer
from bridge.recording import Recorder, Redactor
from bridge.senders import Sender
from bridge.settings import Settings
from bridge.steering.observing import HOUR, Observatory
from bridge.steering.switchboard import Switchboard
from bridge.watching import Desks, PenAndKey, ShadowClaims, Target, Terms, Trail, Watcher, WatchQueue, attend

log = get_log()

EMPTY_QUEUE_SECONDS = 2.0
"""How long what is waiting may be looked at when the bridge stops."""
RECALL_SECONDS = 60.0
"""How often to look for noise that other replicas have learnt."""
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class LookoutGround:
    """What the watch stands on."""

    settings: Settings
    journal: Journal
    desks: Mapping[str, Desk]
    placer: Placer
    switchboard: Switchboard
    observatory: Observatory
    metrics: Metrics
    find_sender: Callable[[str], Sender | None]
    clock: Callable[[], float]
    new_id: Callable[[], str]


class Lookout:
    """Takes exchanges, has them looked at beside everything else, and comes to an end."""

    def __init__(
        self,
        watcher: Watcher,
        queue: WatchQueue,
        recorder: Recorder | None,
        recall: Callable[[float], Awaitable[bool]],
        *,
        clock: Callable[[], float],
    ) -> None:
        """`recall` reads what was learnt since a moment (Unix seconds), also by other replicas."""
        self._watcher = watcher
        self._queue = queue
        self._recorder = recorder
        self._recall = recall
        self._clock = clock

    def offer(self, exchange: Exchange) -> None:
        """Take an exchange somebody wants to see, if there is room; never waits, never raises."""
        if self._watcher.wants(exchange):
            self._queue.offer(exchange)

    def leave_out(self, exchange: Exchange) -> None:
        """Count an exchange that somebody wants to see, and whose bodies there was no room to keep."""
        if self._watcher.wants(exchange):
            self._queue.leave_out(exchange)

    async def run(self) -> None:
        """Look at what comes until cancelled."""
        recalling = asyncio.create_task(self._remember())
        try:
            await self._queue.run()
        finally:
            recalling.cancel()
            await asyncio.gather(recalling, return_exceptions=True)

    async def _remember(self) -> None:
        """Read everything once, then what is new: what was counted in an hour may be written after its end."""
        since = 0.0
        while True:
            now = self._clock()
            try:
                if await self._recall(since):
                    since = now - 2 * HOUR
            except Exception:
                log.exception(Event.UNEXPECTED)
            await asyncio.sleep(RECALL_SECONDS)

    async def close(self) -> None:
        """Look a last time at what still waits, and write down what was recorded; `run` must have ended."""
        await self._queue.finish(EMPTY_QUEUE_SECONDS)
        await self._watcher.close()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)


def make_lookout(ground: LookoutGround, target: Target | None) -> Lookout:
    """Put the watch together; `target` is where shadowed batches are really submitted to, if anywhere."""
    recorder = _open_recorder(ground)
    watcher = _make_watcher(ground, recorder, target)
    cutover = ground.settings.cutover

    def leave_out(exchange: Exchange) -> None:
        watcher.count(exchange, "left_out")
        ground.metrics.exchange_left_out()

    queue = WatchQueue(
        watcher.look,
        most=cutover.watch_queue,
        most_bytes=int(cutover.watch_queue_mb * 1024 * 1024),
        leave_out=leave_out,
    )
    organizations = [one.id for one in ground.settings.organizations]
    return Lookout(
        watcher,
        queue,
        recorder,
        lambda since: watcher.recall(ground.journal, organizations, since),
        clock=ground.clock,
    )


def _make_watcher(ground: LookoutGround, recorder: Recorder | None, target: Target | None) -> Watcher:
    trail = Trail()
    profiles = {name: desk.profile for name, desk in ground.desks.items()}
    organizations = [one.id for one in ground.settings.organizations]
    return Watcher(
        Desks(
            attend(profiles, ground.settings, trail),
            trail,
            ground.find_sender,
            most_bytes=ground.settings.server.max_body_bytes,
        ),
        ground.placer,
        ground.switchboard,
        Terms(
            Judge(load_rules(ground.settings.cutover.differences, organizations)),
            {name: trace_origins(profile) for name, profile in profiles.items()},
            lambda: _today(ground.clock),
        ),
        ground.observatory,
        ShadowClaims(ground.journal),
        PenAndKey(_open_redactor(ground), recorder, new_id=ground.new_id),
        ground.journal,
        target=target,
        clock=ground.clock,
    )


def _open_redactor(ground: LookoutGround) -> Redactor:
    """Return the configured redactor; samples need one even where no key is set, but nobody will compare its words."""
    profiles = [desk.profile for desk in ground.desks.values()]
    if ground.settings.recording.key is not None:
        return open_redactor(ground.settings, profiles)
    return Redactor(secrets.token_bytes(KEY_BYTES), ground.settings.recording.plain_fields, gather_terms(profiles))


def _open_recorder(ground: LookoutGround) -> Recorder | None:
    if ground.settings.recording.key is None:
        return None

    def tell(fault: OSError | None) -> None:
        if fault is not None:
            log.warning(Event.RECORDING_FAILED, why=fault.strerror or type(fault).__name__)

    recorder = Recorder(ground.settings.recording.folder, ground.clock, tell=tell)
    ground.metrics.watch_recording(lambda: recorder.written, lambda: recorder.dropped)
    return recorder


def _today(clock: Callable[[], float]) -> date:
    return datetime.fromtimestamp(clock(), UTC).date()
