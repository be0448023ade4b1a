"""The path of a batch, from its bytes to its reply.

Rooms are introduced to each other here and nowhere else: `legacy` reads, `identity` recognizes, `intake` routes and
translates, `workshop` journals and works, `lobby` holds the caller, `replying` folds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from bridge.batch import CATCH_UP, LegacyHalf, Verdict
from bridge.calls.keyring import Keyring
from bridge.errors import CallerError, CannotTakeNow, ForLegacyHost, NoSuchBatch
from bridge.identity import BATCHID, has_lapsed, identify, refuse_changed
from bridge.intake.desk import NOTHING, Desk, fingerprint
from bridge.journal import BatchRecord, Books, IdentityTaken
from bridge.legacy.body import Envelope, split
from bridge.lobby import Lobby
from bridge.logs import Event, get_log
from bridge.notes import Notes
from bridge.senders import Sender
from bridge.workshop.telling import Teller
from bridge.workshop.work import Work, open_work
from bridge.workshop.workshop import Workshop

log = get_log()

READ_STANDING_SECONDS = 1.0
"""How long the journal may take to say how a batch stands, for whoever brought it: less than `LAST_WORD_SECONDS`."""
STOPPING = "the bridge is stopping: send the same batch again in a minute"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets: the reply's bytes, the bridge's id of the batch, and whether the batch was known before."""

    reply: bytes
    batch_id: str
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a caller holds while its batch is at work: the batch itself, and how long the caller waits for it."""

    batch: Work | BatchRecord
    """The work here, or the record of a batch that is finished or worked by another replica."""
    deadline: float
    replayed: bool
    organizations: tuple[str, ...] = ()
    """Whose rows it may hold: its sender's."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request on its way: what came, and what makes it the same again."""

    sender: Sender
    envelope: Envelope
    body: bytes
    identity: str
    content: str
    legacy: LegacyHalf | None


class Scorer(Protocol):
    """Who counts what was refused at once, and what could not be taken or answered."""

    def rows_decided(self, received_at: float, verdicts: Mapping[tuple[str, Verdict], int]) -> None:
        """So many rows by (organization, verdict) were decided of a batch that was received then (Unix seconds)."""
        ...

    def batch_failed(self, organizations: Iterable[str], at: float) -> None:
        """A batch that may hold rows of these failed now (Unix seconds), and not through its caller's fault."""
        ...


class Pipeline:
    """Take batches in, see them through, answer."""

    def __init__(
        self,
        desks: Mapping[str, Desk],
        books: Books,
        workshop: Workshop,
        teller: Teller,
        lobby: Lobby,
        keyring: Keyring,
        *,
        scorer: Scorer,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._desks = desks
        self._books = books
        self._workshop = workshop
        self._teller = teller
        self._lobby = lobby
        self._keyring = keyring
        self._scorer = scorer
        self._notes = Notes(clock)
        self._clock = clock
        self._new_id = new_id
        self._draining = False

    async def take(self, sender: Sender, body: bytes, legacy: LegacyHalf | None = None) -> Ticket:
        """Take one legacy batch (UTF-8 JSON); when this returns, the journal has it and the body is needed no more.

        `legacy` names the rows that the legacy host decides, unless the batch is known: then the journal says what went
        where, and only the credentials are taken, for a batch that lost those of its first caller.
        Raises CallerError when the batch as a whole cannot be taken, CannotTakeNow when the bridge cannot take any.
        """
        if self._draining:
            raise CannotTakeNow(STOPPING, retry_after_seconds=30)
        began = self._clock()
        with self.count_failures(sender.organizations), self._visit():
            envelope = split(body)
            if envelope.batchid.startswith(CATCH_UP):
                raise ForLegacyHost
            content = await fingerprint(envelope)
            identity = identify(sender, envelope.batchid, content, self._new_id)
            batch, replayed = await self._recognize_or_take(_Asked(sender, envelope, body, identity, content, legacy))
        deadline = began if envelope.offline else began + sender.hold_seconds
        return Ticket(batch, deadline, replayed, sender.organizations)

    async def redeem(self, ticket: Ticket) -> Answer:
        """Wait until the batch ends, its caller's patience does, or the bridge must stop; answer what is known then.

        While the journal cannot be read, a caller who came again may have been told more than is remembered: raises
        CannotTakeNow. Who brought the batch is told what is remembered: a 503 would say that it was not taken.
        """
        batch = ticket.batch
        batch_id = batch.record.id if isinstance(batch, Work) else batch.id
        with self.count_failures(ticket.organizations), self._lobby.visit():
            if not isinstance(batch, Work) and batch.reply is None:
                self._teller.ask_if_parked(batch.id)  # the answer finds its caller in the lobby
            try:
                reply = await self._lobby.wait(batch_id, ticket.deadline, partial(self._look, batch))
                if reply is None:
                    async with asyncio.timeout(None if ticket.replayed else READ_STANDING_SECONDS):
                        reply = await self._teller.interim(batch)
            except (CannotTakeNow, TimeoutError):
                if ticket.replayed or not isinstance(batch, Work):
                    raise
                reply = await self._teller.remembered(batch)
            return Answer(reply, batch_id, ticket.replayed)

    async def is_final(self, ticket: Ticket) -> bool:
        """Tell whether a batch has its final answer; raises CannotTakeNow when that cannot be read."""
        return await self._teller.look(ticket.batch) is not None

    @contextmanager
    def _visit(self) -> Iterator[None]:
        """Count a caller who comes in; raises CannotTakeNow when as many wait as may."""
        if self._lobby.full:  # the same batch, sent again and again, counts once among the open ones
            raise CannotTakeNow("too many callers wait: send the same batch again later", retry_after_seconds=15)
        with self._lobby.visit():
            yield

    @contextmanager
    def count_failures(self, organizations: Iterable[str]) -> Iterator[None]:
        """Count what fails and is not the caller's fault; not what a bridge that stops turns away."""
        try:
            yield
        except CallerError:
            raise
        except Exception:
            if not self._draining:
                self._scorer.batch_failed(organizations, self._clock())
            raise

    async def recall(self, sender: Sender, batchid: str) -> Answer:
        """Return what is known of an earlier batch of this sender, without waiting; raises NoSuchBatch.

        It goes by the ERP's own batchid (of several under one label the newest), or by the id the bridge told it.
        """
        record = await self._find_again(sender, batchid)
        if record is None:
            raise NoSuchBatch
        work = self._workshop.works.find(sender.id, record.identity)
        batch = work if work is not None and work.record.id == record.id else record
        with self._lobby.visit():
            reply = await self._teller.look(batch)
            return Answer(reply or await self._teller.interim(batch), record.id)

    async def knows(self, sender: Sender, identity: str) -> bool:
        """Tell whether this batch was taken here, or at another replica; raises CannotTakeNow when that cannot be read.

        A batch that is recognized by its content is known as long as the sender's resend window lasts.
        """
        if self._workshop.works.find(sender.id, identity):
            return True
        record = await self._books.find(sender.id, identity)
        return record is not None and not has_lapsed(record, sender, self._clock())

    async def _find_again(self, sender: Sender, batchid: str) -> BatchRecord | None:
        if sender.batchid == "unique":
            found = await self._books.find(sender.id, BATCHID + batchid)
        else:
            found = await self._books.newest_labelled(sender.id, batchid)
        if found is None:
            stored = await self._books.load(batchid)
            found = stored.batch if stored is not None and stored.batch.sender == sender.id else None
        return found

    async def _look(self, batch: Work | BatchRecord) -> bytes | None:
        """Return the answer that a caller need not wait for any longer, if there is one."""
        if self._teller.is_parked(batch):
            return await self._teller.interim(batch)
        return await self._teller.look(batch)

    async def _recognize_or_take(self, asked: _Asked) -> tuple[Work | BatchRecord, bool]:
        """Return the batch, and whether it was known before: at work here, finished, or worked elsewhere."""
        while True:
            if work := self._workshop.works.find(asked.sender.id, asked.identity):
                refuse_changed(work.record, asked.content)
                try:
                    await work.wait_until_open()
                except IdentityTaken:
                    continue  # the same batch came in at another replica at once, and that one was first
                log.info(Event.BATCH_JOINED, batch=work.record.id, sender=work.record.sender)
                self._keep_credentials(work.record, asked.legacy)
                return work, True
            record = await self._books.find(asked.sender.id, asked.identity)
            if self._workshop.works.find(asked.sender.id, asked.identity):
                continue  # taken by another caller while the journal was read: what was read may be out of date
            if record is not None and not has_lapsed(record, asked.sender, self._clock()):
                refuse_changed(record, asked.content)
                event = Event.BATCH_JOINED if record.reply is None else Event.BATCH_REPLAYED
                log.info(event, batch=record.id, sender=record.sender)
                self._keep_credentials(record, asked.legacy)
                return record, True
            self._workshop.works.refuse_when_full(asked.sender.id, asked.envelope.row_count)
            try:
                work = await self._take(asked, record)
            except IdentityTaken:
                continue  # the same batch came in twice at once, and the other one was first
            if work is not None:
                return work, False

    async def _take(self, asked: _Asked, lapsed: BatchRecord | None) -> Work | None:
        """Read, route, translate, plan, and journal the batch; from here on it is ours. None: somebody was faster."""
        desk = self._desks[asked.sender.profile]
        supersedes = lapsed.id if lapsed is not None else ""
        seed = "\0".join((asked.sender.id, asked.identity, supersedes))
        legacy = asked.legacy.rows if asked.legacy is not None else NOTHING
        intake = await desk.take(asked.sender, asked.envelope, seed, legacy)
        if self._workshop.works.find(asked.sender.id, asked.identity):
            return None
        record = self._record(asked)
        work = open_work(record, desk, intake)
        notes = self._notes.take(record.sender, record.received_at, intake)
        await self._workshop.open(work, intake.rows, asked.body, supersedes, notes)
        if work.relayed:
            self._keep_credentials(record, asked.legacy)
        self._notes.keep(notes)
        refused = {(organization, Verdict.REFUSED): count for organization, count in intake.refused.items()}
        self._scorer.rows_decided(record.received_at, refused)
        return work

    def _keep_credentials(self, record: BatchRecord, legacy: LegacyHalf | None) -> None:
        """Keep what a caller shows for the legacy host, also for a batch that this replica may work only later."""
        if legacy is not None and record.reply is None:
            self._keyring.keep(record.id, legacy.authorization)

    def _record(self, asked: _Asked) -> BatchRecord:
        return BatchRecord(
            id=self._new_id(),
            sender=asked.sender.id,
            profile=asked.sender.profile,
            batchid=asked.envelope.batchid,
            identity=asked.identity,
            content=asked.content,
            received_at=self._clock(),
            offline=asked.envelope.offline,
            row_count=asked.envelope.row_count,
            payload=None,  # the journal keeps it; an open batch need not hold it in memory as well
        )

    @property
    def draining(self) -> bool:
        """Tell whether the bridge is about to stop."""
        return self._draining

    @property
    def accepting(self) -> bool:
        """Tell whether new work would be taken now."""
        return not self._draining and self._workshop.accepting

    async def drain(self, seconds: float) -> None:
        """Take nothing more; let held callers have what is known after at most so many seconds."""
        self._draining = True
        await self._lobby.clear(seconds)
