"""The one thread that writes, and its group commit: whatever is waiting when the disk is free shares one commit."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from bridge.errors import CannotTakeNow
from bridge.journal.sqlite.connections import begin, fold
from bridge.journal.sqlite.failures import Failure, classify, translate

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A job, and the future its caller waits for."""

    job: Job[Any]
    future: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Settled:
    """What became of a job."""

    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class Writer:
    """Runs jobs on the writing connection, each all or nothing, many to a commit.

    A job may be run again when the commit it shared failed, so it must have no effect besides its SQL.
    """

    def __init__(
        self, connect: Callable[[], sqlite3.Connection], *, max_waiting: int = 4096, max_group: int = 512
    ) -> None:
        """Open the connection with `connect`, which is called again whenever the old one broke."""
        self._connect = connect
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._connection: sqlite3.Connection | None = connect()
        self._queue: SimpleQueue[_Waiting | None] = SimpleQueue()
        self._is_closed = False
        self.commits = 0
        """How many commits were made; with group commit fewer than jobs."""
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T]) -> T:
        """Run a job durably; raises what the job raises, or CannotTakeNow. Cancelling the caller does not undo it."""
        if self._is_closed:
            raise CannotTakeNow("the journal is closed: send the same batch again later")
        if self._queue.qsize() >= self._max_waiting:
            raise CannotTakeNow(f"{self._max_waiting} writes wait for the disk: send the same batch again later")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Waiting(job, future))
        return await future

    async def close(self) -> None:
        """Finish what is queued, fold the WAL into the file and end the thread."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while True:
            group, is_last = self._take_group()
            if group:
                _deliver(self._commit(group))
            if is_last:
                break
        self._disconnect()

    def _take_group(self) -> tuple[list[_Waiting], bool]:
        group: list[_Waiting] = []
        waiting = self._queue.get()
        with contextlib.suppress(Empty):
            while waiting is not None:
                group.append(waiting)
                if len(group) >= self._max_group:
                    return group, False
                waiting = self._queue.get_nowait()
        return group, waiting is None

    def _commit(self, group: list[_Waiting]) -> list[_Settled]:
        try:
            return self._transact(group)
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever happens to a group
            failure = classify(error)
            self._abandon(failure)
            if failure is not Failure.SPACE or len(group) == 1:
                return [_Settled(waiting.future, error=translate(error)) for waiting in group]
        # one at a time: a write that does not fit on the disk must not take its neighbours down
        return [settled for waiting in group for settled in self._commit([waiting])]

    def _transact(self, group: list[_Waiting]) -> list[_Settled]:
        if self._connection is None:
            self._connection = self._connect()
        connection = self._connection
        begin(connection)
        settled = _run_together(connection, group)
        if settled is None:
            connection.execute("ROLLBACK")
            begin(connection)
            settled = [_attempt(connection, waiting) for waiting in group]
        connection.execute("COMMIT")
        self.commits += 1
        return settled

    def _abandon(self, failure: Failure) -> None:
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:  # some errors have ended it by themselves
                connection.execute("ROLLBACK")
        if failure not in {Failure.SPACE, Failure.STORE} or connection.in_transaction:
            self._connection = None  # the next group opens a new one
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what was promised is in the WAL; the next start folds it in
                fold(self._connection)
            self._connection.close()


def _run_together(connection: sqlite3.Connection, group: list[_Waiting]) -> list[_Settled] | None:
    """Run all jobs of a group; None when one of them failed by its own fault, and all must be undone and run apart.

    That is rare, while a savepoint for each job would cost two more statements every time.
    """
    settled = []
    for waiting in group:
        try:
            settled.append(_Settled(waiting.future, waiting.job(connection)))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in one job is judged when it runs apart
            _own_fault(connection, error)
            return None
    return settled


def _attempt(connection: sqlite3.Connection, waiting: _Waiting) -> _Settled:
    """Run one job so that it can be undone alone; errors of the store are raised, they concern the whole group."""
    connection.execute("SAVEPOINT job")
    try:
        result = waiting.job(connection)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in one job is its own caller's answer
        refused = _own_fault(connection, error)
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return _Settled(waiting.future, error=refused)
    connection.execute("RELEASE job")
    return _Settled(waiting.future, result)


def _own_fault(connection: sqlite3.Connection, error: Exception) -> Exception:
    """Return the error a job answers with; raise it instead when it is not the job's own."""
    if classify(error) not in {Failure.CHANGE, Failure.PROGRAM} or not connection.in_transaction:
        raise error
    return translate(error)


def _deliver(settled: list[_Settled]) -> None:
    """Wake all callers of a group with one call into their loop; writing to its wake-up pipe is what costs."""
    for loop in {one.future.get_loop() for one in settled}:  # one, unless a command's first loop ended meanwhile
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits, and what was written is written
            loop.call_soon_threadsafe(_settle, [one for one in settled if one.future.get_loop() is loop])


def _settle(settled: list[_Settled]) -> None:
    for one in settled:
        if one.future.done():
            continue  # its caller was cancelled
        if one.error is not None:
            one.future.set_exception(one.error)
        else:
            one.future.set_result(one.result)
