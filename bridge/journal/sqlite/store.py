"""The journal in one SQLite file: what was measured, and why it is built so, is in docs/decisions/0003."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from bridge.journal.changes import Change, Hook
from bridge.journal.interface import News, Redact
from bridge.journal.news import news_of, news_of_hook
from bridge.journal.records import Order
from bridge.journal.sqlite import reading
from bridge.journal.sqlite.applying import apply_changes
from bridge.journal.sqlite.books import SqliteBooks
from bridge.journal.sqlite.connections import JournalLock, claim_file, connect_writer, fold_beside, prepare
from bridge.journal.sqlite.erasing import erase_lines, erase_slice
from bridge.journal.sqlite.inbox import keep_hook
from bridge.journal.sqlite.newsroom import FOUND, Hear, Newsroom
from bridge.journal.sqlite.writer import Writer


def open_sqlite_journal(path: Path, *, max_waiting: int = 4096, max_group: int = 512) -> SqliteJournal:
    """Open the journal at `path` for this process alone, creating or upgrading it as needed.

    `max_waiting` writes may queue before CannotTakeNow, `max_group` of them share a commit (1: no group commit).
    Raises JournalLocked, JournalTooNew, or another OperatorError that names the path and the remedy.
    """
    path, lock = claim_file(path)
    try:
        prepare(path).close()
        writer = Writer(partial(connect_writer, path), max_waiting=max_waiting, max_group=max_group)
        return SqliteJournal(path, writer, lock)
    except BaseException:
        lock.release()
        raise


class SqliteJournal(SqliteBooks):
    """The whole journal: the books, and the one writer. Every open batch belongs to the one process there is."""

    def __init__(self, path: Path, writer: Writer, lock: JournalLock) -> None:
        super().__init__(path)
        self._writer = writer
        self._lock = lock
        self._newsroom = Newsroom(self._probe)
        self._free = dict.fromkeys(reading.list_open(self._probe))
        """Open batches that nobody works on: those an earlier process left, and those let go of since."""
        self._has_remains = False
        """Whether something that was erased may still stand in the file or its WAL."""
        self._folding: asyncio.Future[bool] | None = None

    @property
    def commits(self) -> int:
        """Tell how many commits were made so far; group commit makes them fewer than the writes."""
        return self._writer.commits

    async def take_over(self) -> list[str]:
        """Return the ids of open batches that nobody works on, oldest first, and make them ours."""
        free, self._free = self._free, {}
        return list(free)

    async def let_go(self, batch_id: str) -> None:
        """Give up an open batch without working it further; the next `take_over` returns it."""
        if await self._read(reading.is_open, batch_id):
            self._free[batch_id] = None

    def may_send(self, seconds: float) -> bool:  # noqa: ARG002 - the interface's; here no time is too long
        """Tell that our batches stay ours, whatever happens: the lock file dies with us, and with nobody else."""
        return True

    def listen(self, hear: Hear) -> None:
        """Have news told on the event loop: our own, and orders and switches of the command line."""
        self._newsroom.listen(hear)

    def tell(self, news: News, name: str) -> None:
        """Tell something that no write tells."""
        self._tell([(news, name)])

    async def note_hook(self, hook: Hook) -> bool:
        """Keep a webhook in the inbox with what it taught, and tell everybody; False when its key was kept before."""
        is_new = await self._writer.run(lambda connection: keep_hook(connection, hook))
        if is_new:
            self._tell(news_of_hook(hook))
        return is_new

    async def pending_orders(self) -> list[Order]:
        """Return orders that are not carried out yet, oldest first."""
        return await self._read(reading.list_pending_orders)

    async def write(self, *changes: Change) -> None:
        """Make the changes durable, all or none.

        Raises IdentityTaken, StaleCall, StaleSwitch, HandedOverBefore, ValueError for what the law of calls and rows
        forbids, or CannotTakeNow when the store cannot be written. A caller that is cancelled meanwhile does not undo
        its write.
        """
        if not changes:
            return
        await self._writer.run(lambda connection: apply_changes(connection, changes))
        self._tell(news_of(changes))

    async def erase(self, finished_before: float, redact: Redact) -> int:
        """Erase payloads, items and messages of batches finished before (Unix seconds), in slices, and other old lines.

        Return how many batches were erased.
        """
        total, more = 0, True
        while more:
            erased, more = await self._writer.run(partial(erase_slice, finished_before=finished_before, redact=redact))
            total += erased
        lines = 0
        while count := await self._writer.run(lambda connection: erase_lines(connection, finished_before)):
            lines += count
        self._has_remains = self._has_remains or total + lines > 0
        if self._has_remains:
            await self._fold()
        return total

    async def _fold(self) -> None:
        """Get what was erased off the disk: old pages would stay in file and WAL for megabytes to come."""
        self._folding = asyncio.ensure_future(asyncio.to_thread(fold_beside, self._path))
        with contextlib.suppress(sqlite3.Error):  # erased it is; the next round tries again
            self._has_remains = not await asyncio.shield(self._folding)

    def _tell(self, news: Iterable[tuple[News, str]]) -> None:
        for kind, name in news:
            if kind in FOUND:
                self._newsroom.look()
            else:
                self._newsroom.tell(kind, name)

    async def close(self) -> None:
        """Finish what is queued, and let go of the file; safe to call twice."""
        await self._newsroom.close()
        await super().close()  # readers first: only the last connection to close can fold the WAL in and remove it
        if self._folding is not None:
            await asyncio.gather(self._folding, return_exceptions=True)
        await self._writer.close()
        self._lock.release()
