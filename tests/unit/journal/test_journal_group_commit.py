"""Many writes share a commit, each of them all or nothing; and the store may fail and come back."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.batch import CallState
from bridge.errors import CannotTakeNow, OperatorError
from bridge.journal import IdentityTaken, MoveCall, StaleCall
from bridge.journal.sqlite import SqliteJournal, open_sqlite_journal
from bridge.journal.sqlite.connections import connect_writer, prepare
from bridge.journal.sqlite.writer import Writer

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make


@pytest.fixture
def journal(sqlite_journal: SqliteJournal) -> SqliteJournal:
    """SQLite's: these tests look into its writer."""
    return sqlite_journal


async def write_beside(journal: SqliteJournal, make: Make, callers: int) -> int:
    """Let callers open ten batches each; return how many commits that took."""
    before = journal.commits

    async def call(caller: int) -> None:
        for number in range(10):
            await journal.write(make.opening(f"{caller}-{number}"))

    await asyncio.gather(*(call(caller) for caller in range(callers)))
    return journal.commits - before


async def test_fifty_callers_share_commits(journal: SqliteJournal, make: Make) -> None:
    """Whatever waits while the disk is busy goes into the next commit."""
    assert await write_beside(journal, make, 50) < 200
    assert len(await journal.open_batches()) == 500


async def test_without_group_commit_every_write_pays_for_its_own(path: Path, make: Make) -> None:
    """A group of one is the switch-off, and it shows."""
    journal = open_sqlite_journal(path, max_group=1)
    assert await write_beside(journal, make, 50) == 500
    await journal.close()


async def test_a_refused_write_leaves_its_neighbours_in_the_group_alone(journal: SqliteJournal, make: Make) -> None:
    """IdentityTaken and StaleCall of one write roll back that write only."""
    hold = threading.Event()
    waiting = asyncio.ensure_future(journal._writer.run(lambda _: hold.wait()))
    stale = MoveCall("c1", CallState.SUBMITTING, CallState.DONE, 1.0)
    group = [
        journal.write(make.opening("b1"), make.planning()),
        journal.write(make.opening("b2", identity="batchid:b1")),
        journal.write(make.opening("b3"), stale),
        journal.write(make.opening("b4")),
    ]
    gathered = asyncio.gather(*group, return_exceptions=True)
    await asyncio.sleep(0)
    before = journal.commits
    hold.set()
    outcomes = await gathered
    await waiting
    assert [type(outcome) for outcome in outcomes] == [type(None), IdentityTaken, StaleCall, type(None)]
    assert await journal.open_batches() == ["b1", "b4"]
    assert journal.commits - before <= 2  # the held one, and the group


async def test_savepoints_are_paid_for_by_groups_with_a_refused_write_only(journal: SqliteJournal, make: Make) -> None:
    """A group that goes well takes each job's own statements; another one is undone, and each job run apart."""
    statements: list[str] = []
    await journal._writer.run(lambda connection: connection.set_trace_callback(statements.append))
    statements.clear()
    await journal.write(make.opening("b1"), make.planning())
    assert {"BEGIN IMMEDIATE", "COMMIT"} < set(statements)
    assert not any("SAVEPOINT" in statement for statement in statements)
    statements.clear()
    with pytest.raises(IdentityTaken):
        await journal.write(make.opening("b2", identity="batchid:b1"))
    assert statements.index("ROLLBACK") < statements.index("SAVEPOINT job") < statements.index("ROLLBACK TO job")
    assert await journal.open_batches() == ["b1"]


async def test_one_call_into_the_event_loop_wakes_a_whole_group(
    journal: SqliteJournal, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waking the loop costs a system call, so a group pays for it once."""
    loop = asyncio.get_running_loop()
    wakes: list[int] = []
    original = loop.call_soon_threadsafe

    def count(callback: Any, settled: list[object], **kwargs: Any) -> asyncio.Handle:
        wakes.append(len(settled))
        return original(callback, settled, **kwargs)

    monkeypatch.setattr(loop, "call_soon_threadsafe", count)
    await asyncio.gather(*(journal.write(make.opening(f"b{number}")) for number in range(50)))
    assert sum(wakes) == 50
    assert len(wakes) < 10


async def test_a_full_disk_is_told_and_survived(journal: SqliteJournal, make: Make) -> None:
    """What does not fit is refused with CannotTakeNow; smaller writes go on, and later everything does."""
    pages = await journal._writer.run(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0])
    await journal._writer.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 6}").fetchall())
    big = journal.write(make.opening("big", payload=b"x" * 1_000_000))
    outcomes = await asyncio.gather(big, journal.write(make.opening("small")), return_exceptions=True)
    assert isinstance(outcomes[0], CannotTakeNow)
    assert "disk is full" in str(outcomes[0])
    assert outcomes[1] is None
    assert await journal.open_batches() == ["small"]

    await journal._writer.run(lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchall())
    await journal.write(make.opening("big", payload=b"x" * 1_000_000))
    assert await journal.open_batches() == ["small", "big"]


async def test_a_read_only_store_is_told_and_survived(journal: SqliteJournal, make: Make) -> None:
    """While the store is read-only nothing is accepted; books can be read, and the next write finds out for itself.

    The connection is opened anew for it: SQLite leaves one that began read-only as it is.
    """
    connection = journal._writer._connection  # idle now; a job could not switch it back, because it could not begin
    assert connection is not None
    connection.execute("PRAGMA query_only = ON")
    outcomes = await asyncio.gather(
        *(journal.write(make.opening(f"b{number}")) for number in range(5)), return_exceptions=True
    )
    assert all(isinstance(outcome, CannotTakeNow) for outcome in outcomes)
    assert "read-only" in str(outcomes[0])
    assert await journal.open_batches() == []

    await journal.write(make.opening())
    assert await journal.open_batches() == ["b1"]


class Breaking:
    """A connection that reports an error of the disk from one of its statements on, as SQLite would."""

    def __init__(self, connection: sqlite3.Connection, statement: str, *, ends_transaction: bool) -> None:
        self.connection = connection
        self.statement = statement
        self.ends_transaction = ends_transaction
        self.closed = False

    @property
    def in_transaction(self) -> bool:
        return self.connection.in_transaction

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith(self.statement):
            if self.ends_transaction:
                self.connection.execute("ROLLBACK")
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return self.connection.execute(sql, *parameters)

    def close(self) -> None:
        self.closed = True
        self.connection.close()


class Busy(Breaking):
    """A connection whose file is busy for the first so many attempts to write."""

    def __init__(self, connection: sqlite3.Connection, code: int, *, times: int) -> None:
        super().__init__(connection, "BEGIN", ends_transaction=False)
        self.code, self.times = code, times

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if self.times and sql.startswith(self.statement):
            self.times -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        return self.connection.execute(sql, *parameters)


@pytest.mark.parametrize("ends_transaction", [False, True])
@pytest.mark.parametrize("statement", ["BEGIN", "COMMIT", "INSERT", "ROLLBACK TO"])
async def test_a_broken_connection_is_replaced(tmp_path: Path, statement: str, ends_transaction: bool) -> None:
    """After an I/O error, wherever it strikes, everybody in the group is told, and the next write gets a new one."""
    file = tmp_path / "j.db"
    file.touch()
    prepare(file).close()
    if statement == "BEGIN" and ends_transaction:
        pytest.skip("there is no transaction yet that could end")
    broken = Breaking(connect_writer(file), statement, ends_transaction=ends_transaction)
    connections: Iterator[Any] = iter([broken, connect_writer(file)])
    writer = Writer(lambda: next(connections))

    def see(connection: sqlite3.Connection, *, fails: bool = False) -> None:
        connection.execute("INSERT INTO unknown_field VALUES ('s', 'invoice', 'f', 1, 1.0)")
        if fails:
            raise StaleCall

    outcomes = await asyncio.gather(
        writer.run(partial(see, fails=statement == "ROLLBACK TO")), writer.run(see), return_exceptions=True
    )
    assert all(isinstance(outcome, CannotTakeNow) for outcome in outcomes[:1])
    assert broken.closed
    with suppress(ValueError):  # the second one may have been a group of its own
        await writer.run(see)
    assert await writer.run(lambda connection: connection.execute("SELECT count FROM unknown_field").fetchall()) == [
        (1,)
    ]
    await writer.close()


async def test_a_store_that_cannot_be_opened_again_is_told_until_it_can(tmp_path: Path) -> None:
    """Whatever opening raises reaches the caller; the thread lives on."""
    file = tmp_path / "j.db"
    file.touch()
    prepare(file).close()
    openings: list[object] = [
        Breaking(connect_writer(file), "BEGIN", ends_transaction=False),
        OperatorError("gone"),
        KeyError("odd"),
        connect_writer(file),
    ]

    def connect() -> Any:
        opening = openings.pop(0)
        if isinstance(opening, Exception):
            raise opening
        return opening

    writer = Writer(connect)
    for expected in (CannotTakeNow, OperatorError, KeyError):
        with pytest.raises(expected):
            await writer.run(lambda _: None)
    assert await writer.run(lambda _: "back") == "back"
    await writer.close()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY])
async def test_a_writer_waits_for_its_turn(tmp_path: Path, code: int) -> None:
    """Whatever keeps the file busy for a moment is no failure."""
    file = tmp_path / "j.db"
    file.touch()
    prepare(file).close()
    busy: Any = Busy(connect_writer(file), code, times=3)
    writer = Writer(lambda: busy)
    assert await writer.run(lambda _: "done") == "done"
    assert busy.times == 0
    await writer.close()


async def test_a_writer_that_lost_its_connection_can_still_be_closed(tmp_path: Path) -> None:
    """Closing does not need the store."""
    file = tmp_path / "j.db"
    file.touch()
    prepare(file).close()
    broken: Any = Breaking(connect_writer(file), "BEGIN", ends_transaction=False)
    writer = Writer(lambda: broken)
    with pytest.raises(CannotTakeNow):
        await writer.run(lambda _: None)
    await writer.close()


async def test_a_full_queue_is_refused_at_once(path: Path, make: Make) -> None:
    """More writes than may wait are not taken, instead of filling the memory."""
    journal = open_sqlite_journal(path, max_waiting=2)
    hold = threading.Event()
    started = threading.Event()

    def block(_: sqlite3.Connection) -> None:
        started.set()
        hold.wait()

    blocked = asyncio.ensure_future(journal._writer.run(block))
    await asyncio.to_thread(started.wait)
    waiting = [asyncio.ensure_future(journal.write(make.opening(f"b{number}"))) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(CannotTakeNow, match="2 writes wait"):
        await journal.write(make.opening("b9"))
    hold.set()
    await asyncio.gather(blocked, *waiting)
    await journal.write(make.opening("b9"))
    await journal.close()


async def test_closing_finishes_what_was_queued(path: Path, make: Make) -> None:
    """A write that was taken before the close is durable after it; one that comes later is refused."""
    journal = open_sqlite_journal(path)
    writes = [asyncio.ensure_future(journal.write(make.opening(f"b{number}"))) for number in range(100)]
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.gather(*writes)
    with pytest.raises(CannotTakeNow, match="closed"):
        await journal.write(make.opening("late"))
    assert not path.with_name("bridge.db-wal").exists()
    again = open_sqlite_journal(path)
    assert len(await again.open_batches()) == 100
    await again.close()


async def test_a_cancelled_caller_does_not_undo_its_write(journal: SqliteJournal, make: Make) -> None:
    """What was handed to the writer is written, whoever still waits."""
    task = asyncio.ensure_future(journal.write(make.opening()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.write(make.opening("b2"))
    assert await journal.open_batches() == ["b1", "b2"]


def test_a_write_outlives_the_loop_that_asked_for_it(path: Path, make: Make) -> None:
    """A loop that is closed before the answer comes harms nobody."""
    journal = open_sqlite_journal(path)
    hold = threading.Event()

    async def leave() -> None:
        blocked = asyncio.ensure_future(journal._writer.run(lambda _: hold.wait()))
        await asyncio.sleep(0)
        blocked.cancel()

    asyncio.run(leave())
    hold.set()

    async def look() -> list[str]:
        await journal.write(make.opening())
        found = await journal.open_batches()
        await journal.close()
        return found

    assert asyncio.run(look()) == ["b1"]
