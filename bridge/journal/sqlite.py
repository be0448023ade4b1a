"""The journal in one SQLite file: what was measured, and why it is built so, is in docs/decisions/0003."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bridge.journal import Change
from bridge.journal.books import SqliteBooks
from bridge.journal.changes import apply_changes
from bridge.journal.connections import JournalLock, claim_file, connect_writer, prepare
from bridge.journal.erasing import erase_slice
from bridge.journal.writer import Writer


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
    """The whole journal: the books, and the one writer."""

    def __init__(self, path: Path, writer: Writer, lock: JournalLock) -> None:
        super().__init__(path)
        self._writer = writer
        self._lock = lock

    @property
    def commits(self) -> int:
        """Tell how many commits were made so far; group commit makes them fewer than the writes."""
        return self._writer.commits

    async def write(self, *changes: Change) -> None:
        """Make the changes durable, all or none.

        Raises IdentityTaken, StaleCall, ValueError for what the law of calls and rows forbids, or CannotTakeNow when
        the store cannot be written. A caller that is cancelled meanwhile does not undo its write.
        """
        if changes:
            await self._writer.run(lambda connection: apply_changes(connection, changes))

    async def erase(self, finished_before: float) -> int:
        """Erase payloads and items of batches finished before (Unix seconds), in slices; return how many batches."""
        total, more = 0, True
        while more:
            erased, more = await self._writer.run(lambda connection: erase_slice(connection, finished_before))
            total += erased
        return total

    async def close(self) -> None:
        """Finish what is queued, and let go of the file; safe to call twice."""
        await super().close()  # readers first: only the last connection to close can fold the WAL in and remove it
        await self._writer.close()
        self._lock.release()
