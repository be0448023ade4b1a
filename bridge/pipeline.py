"""The path of a batch, from its bytes to its reply; and the same path taken up again after a crash.

Rooms are introduced to each other here and nowhere else: `legacy` reads, `intake` routes and translates, `plan` makes
calls, `journal` keeps, `work` and `submission` carry, `folding` folds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bridge.batch import Address, Outcome
from bridge.errors import CannotTakeNow
from bridge.identity import has_lapsed, identify, refuse_changed
from bridge.intake import Desk, Intake, fingerprint
from bridge.journal import (
    BatchRecord,
    Books,
    Change,
    CountUnknown,
    FinishBatch,
    IdentityTaken,
    OpenBatch,
    PlanCall,
    SeeCreditor,
)
from bridge.journal.patient import PatientJournal
from bridge.legacy.body import Envelope, split
from bridge.logs import Event, get_log
from bridge.replying import render
from bridge.resumption import reopen
from bridge.senders import Sender
from bridge.work import Work, Worker

log = get_log()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets: the reply's bytes, the bridge's id of the batch, and whether the batch was known before."""

    reply: bytes
    batch_id: str
    replayed: bool = False


class Observer(Protocol):
    """What the pipeline tells whoever counts."""

    def batch_taken(self, sender: str, rows: int) -> None:
        """A batch was journalled."""
        ...

    def batch_finished(self, sender: str, outcomes: Mapping[Address, Outcome], seconds: float) -> None:
        """Every row of a batch has its verdict."""
        ...


class Pipeline:
    """Take batches in, see them through, answer."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        books: Books,
        journal: PatientJournal,
        worker: Worker,
        *,
        observer: Observer,
        max_open_batches: int,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._desks = desks
        self._books = books
        self._journal = journal
        self._worker = worker
        self._observer = observer
        self._max_open_batches = max_open_batches
        self._clock = clock
        self._new_id = new_id
        self._works: dict[tuple[str, str], Work] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._release = asyncio.Event()
        self._held = 0
        self._unheld = asyncio.Event()
        self._unheld.set()

    # --- the path --------------------------------------------------------------------------------------------------

    async def answer(self, sender: Sender, body: bytes) -> Answer:
        """Answer one legacy batch (UTF-8 JSON): its final reply, or what is known when the sender's patience ends.

        Raises CallerError when the batch as a whole cannot be taken, CannotTakeNow when the bridge cannot take any.
        """
        if self._draining:
            raise CannotTakeNow("the bridge is stopping: send the same batch again in a minute", retry_after_seconds=30)
        deadline = self._clock() + sender.hold_seconds
        with self._holding():
            return await self._answer(sender, body, deadline)

    async def _answer(self, sender: Sender, body: bytes, deadline: float) -> Answer:
        envelope = split(body)
        content = await fingerprint(envelope)
        identity = identify(sender, envelope.batchid, content, self._new_id)
        while True:
            if work := self._works.get((sender.id, identity)):
                return await self._join(work, content, deadline, offline=envelope.offline)
            record = await self._books.find(sender.id, identity)
            if record is not None and not has_lapsed(record, sender, self._clock()):
                refuse_changed(record, content)
                if record.reply is not None:
                    log.info(Event.BATCH_REPLAYED, batch=record.id, sender=record.sender)
                    return Answer(record.reply, record.id, replayed=True)
                await self._reopen(record.id)
                continue
            self._refuse_when_full()
            try:
                work = await self._take(sender, envelope, body, (identity, content), record)
            except IdentityTaken:
                continue  # the same batch came in twice at once, and the other one was first: join it
            if work is not None:
                return await self._hold(work, deadline, offline=envelope.offline, replayed=False)

    async def _take(
        self, sender: Sender, envelope: Envelope, body: bytes, same: tuple[str, str], lapsed: BatchRecord | None
    ) -> Work | None:
        """Read, route, translate, plan, and journal the batch; from here on it is ours. None: somebody was faster."""
        identity, content = same
        desk = self._desks[sender.profile]
        supersedes = lapsed.id if lapsed is not None else ""
        intake = await desk.take(sender, envelope, seed="\0".join((sender.id, identity, supersedes)))
        if (sender.id, identity) in self._works:
            return None
        record = BatchRecord(
            id=self._new_id(),
            sender=sender.id,
            profile=sender.profile,
            batchid=envelope.batchid,
            identity=identity,
            content=content,
            received_at=self._clock(),
            offline=envelope.offline,
            row_count=envelope.row_count,
            payload=None,  # the journal keeps it; an open batch need not hold it in memory as well
        )
        work = _open_work(record, desk, intake)
        await self._open(work, intake, body, supersedes)
        return work

    async def _open(self, work: Work, intake: Intake, payload: bytes, supersedes: str) -> None:
        """Journal the batch and its first intents in one transaction, then set it going."""
        key = (work.record.sender, work.record.identity)
        self._works[key] = work
        work.calls = self._worker.first_calls(work)
        try:
            await self._journal.write_now(
                OpenBatch(replace(work.record, payload=payload), intake.rows, supersedes),
                *(PlanCall(call.record) for call in work.calls),
                *self._notes(work.record, intake),
            )
        except BaseException as failure:
            del self._works[key]
            work.opened.set_exception(failure)
            work.opened.exception()  # joiners see it too; with none, it is not "never retrieved"
            raise
        work.opened.set_result(None)
        self._observer.batch_taken(work.record.sender, work.record.row_count)
        log.info(Event.BATCH_TAKEN, batch=work.record.id, sender=work.record.sender, rows=work.record.row_count)
        self._start(work)

    def _notes(self, record: BatchRecord, intake: Intake) -> list[Change]:
        """Return what is worth keeping beside the batch: fields nobody reads, creditors mentioned."""
        counted: list[Change] = [
            CountUnknown(record.sender, objectname, counts, record.received_at)
            for objectname, counts in intake.unknown.items()
        ]
        seen = (
            SeeCreditor(record.sender, one.idnumber, one.known, one.fields, record.received_at)
            for one in intake.creditors
        )
        return [*counted, *seen]

    # --- the same batch again --------------------------------------------------------------------------------------

    async def _join(self, work: Work, content: str, deadline: float, *, offline: bool) -> Answer:
        """Let a repeated caller wait for the batch that is still at work."""
        refuse_changed(work.record, content)
        await asyncio.shield(work.opened)
        log.info(Event.BATCH_JOINED, batch=work.record.id, sender=work.record.sender)
        return await self._hold(work, deadline, offline=offline, replayed=True)

    def _refuse_when_full(self) -> None:
        if len(self._works) >= self._max_open_batches:
            raise CannotTakeNow("the bridge is full: send the same batch again later", retry_after_seconds=15)

    # --- working ---------------------------------------------------------------------------------------------------

    def _start(self, work: Work) -> None:
        task = asyncio.get_running_loop().create_task(self._see_through(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _see_through(self, work: Work) -> None:
        """Work a batch until every row is decided, store the reply, and let the caller go."""
        try:
            await self._worker.run(work)
            if work.complete:
                await self._finish(work)
            else:
                log.warning(Event.BATCH_PARKED, batch=work.record.id, rows=len(work.rows) - len(work.outcomes))
        except Exception:
            # a fault in one batch must not end the others; the batch is taken up again at the next start
            log.exception(Event.UNEXPECTED, batch=work.record.id)

    async def _finish(self, work: Work) -> None:
        reply = await _fold(work)
        now = self._clock()
        await self._journal.write(FinishBatch(work.record.id, reply, now))
        self._observer.batch_finished(work.record.sender, work.outcomes, now - work.record.received_at)
        log.info(Event.BATCH_FINISHED, batch=work.record.id, sender=work.record.sender)
        del self._works[work.record.sender, work.record.identity]
        work.finished.set_result(reply)

    async def _hold(self, work: Work, deadline: float, *, offline: bool, replayed: bool) -> Answer:
        """Wait with the caller until the batch is finished, its patience ends, or the bridge must stop."""
        if not offline and not work.finished.done():
            release = asyncio.ensure_future(self._release.wait())
            try:
                patience = max(deadline - self._clock(), 0.0)
                waited: set[asyncio.Future[Any]] = {work.finished, release}
                await asyncio.wait(waited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            finally:
                release.cancel()
        reply = work.finished.result() if work.finished.done() else await _fold(work)
        return Answer(reply, work.record.id, replayed)

    @contextmanager
    def _holding(self) -> Iterator[None]:
        """Count the callers that wait for an answer, for `drain`."""
        self._held += 1
        self._unheld.clear()
        try:
            yield
        finally:
            self._held -= 1
            if not self._held:
                self._unheld.set()

    # --- start and stop --------------------------------------------------------------------------------------------

    async def resume(self) -> int:
        """Take up every batch that a stop or a crash left open; return how many."""
        batch_ids = await self._books.open_batches()
        for batch_id in batch_ids:
            try:
                await self._reopen(batch_id)
            except CannotTakeNow as reason:
                log.warning(Event.BATCH_PARKED, batch=batch_id, why=str(reason))
        return len(batch_ids)

    async def _reopen(self, batch_id: str) -> None:
        """Set a batch going again that the journal holds open and nobody works on."""
        stored = await self._books.load(batch_id)
        attempts = await self._books.attempts(batch_id)
        if stored is None or (stored.batch.sender, stored.batch.identity) in self._works:
            return
        desk = self._desks.get(stored.batch.profile)
        if desk is None:
            raise CannotTakeNow("this batch waits for its profile: let the operator restore it, then send it again")
        work = reopen(stored, attempts, desk)
        log.info(Event.BATCH_RESUMED, batch=batch_id, sender=stored.batch.sender, rows=len(stored.rows))
        self._works[work.record.sender, work.record.identity] = work
        self._start(work)

    @property
    def open_batches(self) -> int:
        """Return how many batches have no final answer yet."""
        return len(self._works)

    @property
    def accepting(self) -> bool:
        """Tell whether new work would be taken now."""
        return not self._draining and self._journal.trusted and len(self._works) < self._max_open_batches

    async def drain(self, seconds: float) -> None:
        """Take nothing more; let held callers have what is known after at most so many seconds."""
        self._draining = True
        try:
            async with asyncio.timeout(seconds):
                await self._unheld.wait()
        except TimeoutError:
            self._release.set()
            await self._unheld.wait()

    async def close(self) -> None:
        """Stop working; what is open stays in the journal for the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _fold(work: Work) -> bytes:
    """Return the reply that what is known now allows."""
    return await render(work.rows, dict(work.outcomes), work.desk.profile.reply)


def _open_work(record: BatchRecord, desk: Desk, intake: Intake) -> Work:
    loop = asyncio.get_running_loop()
    return Work(
        record=record,
        desk=desk,
        rows=[(row.address, row.ledgerref) for row in intake.rows],
        planned=intake.planned,
        claims=intake.claims,
        outcomes=dict(intake.decided),
        opened=loop.create_future(),
        finished=loop.create_future(),
    )
