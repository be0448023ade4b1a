"""The open batches of this replica: opened here or taken over, worked until every row is decided."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from bridge.batch import Address, Outcome, Verdict
from bridge.calls.live import Outcomes, close_nothing
from bridge.errors import BridgeError, CannotTakeNow
from bridge.journal import (
    BatchRecord,
    Change,
    FinishBatch,
    Journal,
    LostBatch,
    News,
    OpenBatch,
    PlanCall,
    RowRecord,
    StoredBatch,
)
from bridge.journal.patient import PatientJournal
from bridge.lobby import Lobby
from bridge.logs import Event, get_log
from bridge.replying import render
from bridge.workshop.open_batches import Limits, OpenBatches
from bridge.workshop.resumption import reopen
from bridge.workshop.telling import Teller
from bridge.workshop.work import Work, Worker

log = get_log()

LET_GO_SECONDS = 1.0
"""How often to try giving up a batch while the store is out of reach."""
SECOND_CHANCE_SECONDS = 30.0
"""How long a batch rests that was stopped by a fault of the program."""


class Observer(Protocol):
    """Whom the workshop tells what it did."""

    def batch_taken(self, sender: str, rows: int) -> None:
        """A batch was journalled."""
        ...

    def batch_finished(self, sender: str, outcomes: Mapping[Address, Outcome], seconds: float) -> None:
        """Every row of a batch has its verdict."""
        ...


class Scorer(Protocol):
    """Who counts what becomes of each organization's rows."""

    def rows_decided(self, received_at: float, verdicts: Mapping[tuple[str, Verdict], int]) -> None:
        """So many rows by (organization, verdict) were decided of a batch that was received then (Unix seconds)."""
        ...

    def batch_answered(self, record: BatchRecord, organizations: Sequence[str], seconds: float) -> None:
        """A batch has its final answer, so many seconds after it was received."""
        ...


class Workshop:
    """Every open batch at work here."""

    def __init__(
        self,
        teller: Teller,
        store: Journal,
        journal: PatientJournal,
        worker: Worker,
        lobby: Lobby,
        *,
        observer: Observer,
        scorer: Scorer,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        self._teller = teller
        self._store = store
        self._journal = journal
        self._worker = worker
        self._lobby = lobby
        self._observer = observer
        self._scorer = scorer
        self._clock = clock
        self._works = OpenBatches(limits)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._orphans: dict[str, None] = {}
        """Batches that are ours already, but not at work yet."""

    @property
    def works(self) -> OpenBatches:
        """Return what is open here."""
        return self._works

    @property
    def accepting(self) -> bool:
        """Tell whether a new batch would be taken now."""
        return self._journal.trusted and not self._works.full

    # --- opening ---------------------------------------------------------------------------------------------------

    async def open(
        self, work: Work, rows: Sequence[RowRecord], payload: bytes, supersedes: str, notes: Iterable[Change]
    ) -> None:
        """Journal a batch and its first intents in one transaction, then set it going.

        Raises IdentityTaken, TooManyBatches, or CannotTakeNow when the bridge is full or the journal cannot be written:
        then nothing was taken.
        """
        # others may have come in while this one was read
        self._works.refuse_when_full(work.record.sender, len(work.rows))
        self._works.keep(work)
        try:
            work.calls = await self._worker.first_calls(work)
            opening = OpenBatch(replace(work.record, payload=payload), rows, supersedes)
            await self._journal.write_now(opening, *(PlanCall(call.record) for call in work.calls), *notes)
        except BaseException as failure:
            self._worker.withdraw(work)
            self._works.drop(work)
            work.fail_to_open(failure)
            raise
        work.opened.set_result(None)
        self._start(work)
        self._observer.batch_taken(work.record.sender, work.record.row_count)
        log.info(Event.BATCH_TAKEN, batch=work.record.id, sender=work.record.sender, rows=work.record.row_count)

    async def take_over(self) -> None:
        """Take up every open batch that nobody works: after a start, or when another replica died."""
        self._orphans |= dict.fromkeys(await self._store.take_over())
        for batch_id in list(self._orphans):
            await self._take_up(batch_id)

    async def _take_up(self, batch_id: str) -> None:
        """Set an orphan going; raises CannotTakeNow when the store cannot be read: the next round repeats it."""
        try:
            stored = await self._store.load(batch_id)
            if stored is not None and stored.batch.reply is None:
                await self._reopen(stored)
        except BridgeError:
            raise
        except Exception:
            # a batch that cannot be read must not keep the others waiting, nor the bridge from starting
            log.exception(Event.UNEXPECTED, batch=batch_id)
            self._spawn(f"{batch_id} at rest", self._rest(batch_id))
        self._orphans.pop(batch_id, None)

    async def _reopen(self, stored: StoredBatch) -> None:
        """Set a batch going as the journal remembers it; one whose profile has changed too much must wait for it."""
        batch = stored.batch
        attempts = await self._store.attempts(batch.id)
        if work := self._works.get(batch.id):
            await self._stop(work)  # it was lost to others for a while, and does not know yet
        if batch.id not in self._orphans:
            return  # it was lost to others while it was read
        try:
            work = reopen(stored, attempts, self._teller.desk_of(batch))
        except CannotTakeNow as reason:
            log.error(Event.BATCH_PARKED, batch=batch.id, why=str(reason))  # noqa: TRY400 - the way there is no news
            self._teller.strand(batch.id, str(reason))
            return
        log.info(Event.BATCH_RESUMED, batch=batch.id, sender=batch.sender, rows=len(stored.rows))
        self._works.keep(work)
        self._start(work)

    # --- working ---------------------------------------------------------------------------------------------------

    def _start(self, work: Work) -> None:
        work.closing = partial(self._close, work)
        self._spawn(work.record.id, self._see_through(work), work)

    def _spawn(self, name: str, doing: Coroutine[None, None, None], work: Work | None = None) -> None:
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks[name] = task
        task.add_done_callback(partial(self._clear_up, name, work))

    def _clear_up(self, name: str, work: Work | None, done: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is done:
            del self._tasks[name]
        if work is not None:  # a task that is cancelled before its first step cannot do so itself
            self._worker.withdraw(work)

    async def _see_through(self, work: Work) -> None:
        """Work a batch until every row is decided, store the reply, and have its callers look."""
        batch_id = work.record.id
        try:
            await self._worker.run(work)
            if work.complete:
                await self._finish(work)
            else:
                work.parked = True
                self._store.tell(News.PARKED, batch_id)
                log.warning(Event.BATCH_PARKED, batch=batch_id, rows=len(work.rows) - len(work.outcomes))
        except LostBatch:
            log.warning(Event.BATCH_LOST, batch=batch_id)
            self._works.drop(work)
            work.lost = True
        except Exception:
            # a fault in one batch must not end the others, and the batch itself gets another chance
            log.exception(Event.UNEXPECTED, batch=batch_id)
            self._works.drop(work)
            work.lost = True
            self._spawn(f"{batch_id} at rest", self._rest(batch_id))
        finally:
            work.closing = close_nothing  # it holds the batch: only a full collection would free the two again
        self._lobby.stir(batch_id)

    async def _rest(self, batch_id: str) -> None:
        """Give a batch up that a fault of the program stopped, a while later; whoever looks next takes it up again."""
        await asyncio.sleep(SECOND_CHANCE_SECONDS)
        if self._works.get(batch_id):
            return  # an operator's order has set it going meanwhile
        try:
            await self._store.let_go(batch_id)
        except BridgeError:
            self._orphans[batch_id] = None  # it is still ours: the next round here takes it up

    async def _close(self, work: Work, outcomes: Outcomes) -> Sequence[Change]:
        """Store the answer in the same step as the last verdict (durability, rule 7); other calls add nothing."""
        known = {**outcomes, **work.outcomes}
        if len(known) < len(work.rows):
            return ()
        work.sealed = await render(work.rows, known, work.desk.profile.reply)
        return (self._finishing(work, work.sealed),)

    def _finishing(self, work: Work, reply: bytes) -> FinishBatch:
        return FinishBatch(work.record.id, reply, self._clock(), tuple(work.organizations()))

    async def _finish(self, work: Work) -> None:
        if work.sealed is None:  # the last verdict did not come with a call, or two calls ended at the same time
            work.sealed = await self._teller.remembered(work)
            await self._journal.write(self._finishing(work, work.sealed))
        work.reply = work.sealed
        self._works.drop(work)
        seconds = self._clock() - work.record.received_at
        self._observer.batch_finished(work.record.sender, work.outcomes, seconds)
        verdicts = Counter((row.organization, work.outcomes[row.address].verdict) for row in work.planned)
        self._scorer.rows_decided(work.record.received_at, verdicts)
        self._scorer.batch_answered(work.record, work.organizations(), seconds)
        log.info(Event.BATCH_FINISHED, batch=work.record.id, sender=work.record.sender)

    # --- letting go ------------------------------------------------------------------------------------------------

    async def pause(self, batch_id: str) -> bool:
        """Stop working a batch for a moment; False when a write of it is under way, which would then be in doubt."""
        work = self._works.get(batch_id)
        if work is not None:
            if self._worker.is_sending(work):
                return False
            await self._stop(work)
        return True

    async def go_on(self, batch_id: str) -> None:
        """Take a paused batch up again, as the journal has it now, unless it is finished.

        Raises CannotTakeNow when the store cannot be read: the next round repeats it.
        """
        self._orphans[batch_id] = None
        await self._take_up(batch_id)

    def forsake(self, batch_id: str) -> None:
        """Stop working a batch that another replica has taken over."""
        self._spawn(f"{batch_id} forsaken", self._forsake(batch_id))

    async def _forsake(self, batch_id: str) -> None:
        self._orphans.pop(batch_id, None)
        if work := self._works.get(batch_id):
            log.warning(Event.BATCH_LOST, batch=batch_id)
            await self._stop(work)
        self._lobby.stir(batch_id)
        while True:
            try:
                return await self._store.let_go(batch_id)
            except CannotTakeNow:
                await asyncio.sleep(LET_GO_SECONDS)

    async def _stop(self, work: Work) -> None:
        """Stop working a batch; callers who wait for it go on waiting."""
        work.lost = True
        self._works.drop(work)
        if task := self._tasks.get(work.record.id):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Stop working; what is open stays in the journal for the next start, or another replica."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
