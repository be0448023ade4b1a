"""The journal in PostgreSQL, for any number of replicas: how it is built, and why, is in docs/decisions/0005."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from functools import partial

from bridge.errors import CannotTakeNow
from bridge.journal.changes import Change, Hook, LostBatch
from bridge.journal.interface import News, Redact
from bridge.journal.news import news_of, news_of_hook
from bridge.journal.postgres import erasing, reading, replicas
from bridge.journal.postgres.books import PostgresBooks
from bridge.journal.postgres.connections import LIVING, WRITING, Connection, connect, describe
from bridge.journal.postgres.failures import FOREIGN, translate_at_start
from bridge.journal.postgres.life import Life
from bridge.journal.postgres.lifeline import CHANNEL, Hear, Lifeline, pack_news
from bridge.journal.postgres.schema import upgrade
from bridge.journal.postgres.session import Session
from bridge.journal.postgres.writer import Writer
from bridge.journal.records import Order


async def open_postgres_journal(
    url: str,
    *,
    max_waiting: int = 4096,
    max_group: int = 256,
    clock: Callable[[], float] = time.monotonic,
) -> PostgresJournal:
    """Open the journal in the database at `url` as a new replica, creating or upgrading it as needed.

    `max_waiting` writes may queue before CannotTakeNow, `max_group` of them share a commit (1: no group commit).
    Raises JournalTooNew, or another OperatorError that names the place, without its password, and the remedy.
    """
    try:
        connection = await connect(url, WRITING, statement_seconds=None)
        try:
            await upgrade(connection)
            number = await replicas.register(connection)
        finally:
            connection.terminate()
    except FOREIGN as error:
        raise translate_at_start(error, describe(url)) from None
    life = Life(number, clock)
    writer = Writer(partial(connect, url, WRITING), life, max_waiting=max_waiting, max_group=max_group)
    return PostgresJournal(url, life, writer, clock=clock)


class PostgresJournal(PostgresBooks):
    """The whole journal as one replica has it."""

    def __init__(self, url: str, life: Life, writer: Writer, *, clock: Callable[[], float]) -> None:
        super().__init__(url, is_checked=True)
        self._life = life
        self._writer = writer
        life.mourn = self._mourn
        self._lifeline = Lifeline(partial(connect, url, LIVING), life, self._hear, self._begin_again, clock=clock)
        self._listeners: list[Hear] = []
        self._news: list[tuple[News, str]] = []
        self._telling: asyncio.Task[None] | None = None

    @property
    def commits(self) -> int:
        """Tell how many commits were made so far; group commit makes them fewer than the writes."""
        return self._writer.commits

    async def take_over(self) -> list[str]:
        """Return the ids of open batches that nobody works on, oldest first, and make them ours.

        At most some hundreds at a time, so that replicas share the work of a dead one. Raises CannotTakeNow.
        """
        life = self._life
        if not await self._readers.ask(replicas.anything_to_take, life.number, life.untold):
            return []
        claim = partial(replicas.take_over, but=life.untold, trust_locks=self._lifeline.is_mature)
        return await self._writer.run(claim)

    async def let_go(self, batch_id: str) -> None:
        """Give up an open batch without working it further: another replica, or the next start, may take it over."""
        self._life.untold.discard(batch_id)
        self._life.held.pop(batch_id, None)
        await self._writer.run(partial(replicas.give_up, batch_id=batch_id))

    def may_send(self, seconds: float) -> bool:
        """Tell whether our batches are sure to stay ours for so long; never for longer than the lease."""
        return self._life.lasts(seconds)

    def listen(self, hear: Hear) -> None:
        """Have news told on the event loop, our own and other replicas'."""
        self._listeners.append(hear)

    def tell(self, news: News, name: str) -> None:
        """Tell something that no write tells, here and to the other replicas."""
        self._tell([(news, name)])

    async def note_hook(self, hook: Hook) -> bool:
        """Keep a webhook in the inbox with what it taught, and tell everybody; False when its key was kept before."""
        is_new = bool(await self._writer.write([hook]))
        if is_new:
            self._tell(news_of_hook(hook))
        return is_new

    async def pending_orders(self) -> list[Order]:
        """Return orders for batches of ours that are not carried out yet, oldest first."""
        return await self._readers.ask(reading.list_pending_orders, self._life.number)

    async def write(self, *changes: Change) -> None:
        """Make the changes durable, all or none.

        Raises IdentityTaken, StaleCall, LostBatch, StaleSwitch, HandedOverBefore, ValueError for what the law of calls
        and rows forbids, or CannotTakeNow when the server cannot take it. A caller that is cancelled meanwhile does not
        undo its write.
        """
        if not changes:
            return
        try:
            await self._writer.write(changes)
        except LostBatch as lost:
            self._life.untold.discard(lost.batch_id)
            raise
        self._tell(news_of(changes))

    async def erase(self, finished_before: float, redact: Redact) -> int:
        """Erase payloads, items and messages of batches finished before (Unix seconds), in slices, and other old lines.

        Return how many batches were erased.
        """
        total, more = 0, True
        slice_ = partial(erasing.erase_slice, finished_before=finished_before, redact=redact)
        while more:
            erased, more = await self._writer.run(slice_)
            total += erased
        while await self._writer.run(partial(erasing.erase_lines, before=finished_before)):
            pass
        await self._writer.run(replicas.forget_buried)
        return total

    async def close(self) -> None:
        """Finish what is queued, leave what is open to the other replicas, and hang up; safe to call twice."""
        await self._writer.close(replicas.retire)  # without a server our lease ends by itself
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)
        await self._lifeline.close()
        await super().close()

    async def _begin_again(self) -> None:
        """Have the writer find out that we were buried, and go on under a new number."""
        with contextlib.suppress(CannotTakeNow):
            await self._writer.run(_do_nothing)

    def _mourn(self, batch_ids: Iterable[str]) -> None:
        """Tell our listeners what was taken from us; nobody else needs to know."""
        for batch_id in batch_ids:
            self._hear(News.LOST, batch_id)

    # --- news ------------------------------------------------------------------------------------------------------

    def _tell(self, news: Iterable[tuple[News, str]]) -> None:
        """Tell our own listeners now, and the other replicas as soon as the last message is out."""
        told = list(news)
        for kind, name in told:
            self._hear(kind, name)
        self._news += told
        if told and (self._telling is None or self._telling.done()):
            self._telling = asyncio.get_running_loop().create_task(self._spread())

    def _hear(self, news: News, name: str) -> None:
        for hear in self._listeners:
            asyncio.get_running_loop().call_soon(hear, news, name)

    async def _spread(self) -> None:
        while self._news:
            told, self._news = self._news, []
            for message in pack_news(self._life.number, told):
                with contextlib.suppress(CannotTakeNow, ValueError):  # a hint, not a promise
                    await self._readers.ask(_notify, message)


async def _do_nothing(_: Session) -> None:
    return


async def _notify(connection: Connection, message: str) -> None:
    await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)
