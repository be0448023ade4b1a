"""PostgreSQL goes away and comes back: nothing that was promised is lost, nothing is there twice, nobody has to act."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import Change, CountUnknown, DecideRows, FinishBatch, Hook, MoveCall, News
from bridge.journal.patient import PatientJournal
from bridge.journal.postgres import PostgresJournal, open_postgres_journal
from bridge.journal.postgres.connections import Connection

if TYPE_CHECKING:
    from tests.conftest import Server
    from tests.unit.journal.conftest import Make

Until = Callable[[Callable[[], bool]], Awaitable[None]]

FIRST = Address("invoice", 0)


class Writers:
    """Twenty workers that see batch after batch through, and count what they were promised and what was refused."""

    def __init__(self, journal: PostgresJournal, make: Make, prefix: str = "") -> None:
        self.journal = journal
        self.make = make
        self.prefix = prefix
        self.stop = asyncio.Event()
        self.promised: dict[str, int] = {}
        """By batch: how many of its three writes returned."""
        self.refused: set[str] = set()
        """Batches whose opening was refused, for good."""
        self.counted = 0
        self.tasks = [asyncio.ensure_future(self.work(number)) for number in range(20)]

    async def work(self, worker: int) -> None:
        number = 0
        while not self.stop.is_set():
            await self.live(f"{self.prefix}{worker}-{number}")
            number += 1

    async def live(self, name: str) -> None:
        call = f"c-{name}"
        count = CountUnknown("ERP-1", "invoice", {"beat": 1}, 1.0)
        try:
            opening = self.make.opening(name)
            await self.journal.write(opening, self.make.planning(call, name, state=CallState.SUBMITTING), count)
        except CannotTakeNow:
            self.refused.add(name)
            await asyncio.sleep(0.02)
            return
        self.counted += 1
        self.promised[name] = 1
        await self.insist(name, MoveCall(call, CallState.SUBMITTING, CallState.SUBMITTED, 2.0, modern_batch="m"))
        done = DecideRows(name, [Outcome(FIRST, Verdict.ACCEPTED)])
        move = MoveCall(call, CallState.SUBMITTED, CallState.DONE, 3.0)
        await self.insist(name, move, done, FinishBatch(name, b"answer", 4.0))

    async def insist(self, name: str, *changes: Change) -> None:
        """Write however long it takes; a StaleCall would tell of a write that was refused and yet happened."""
        while True:
            try:
                await self.journal.write(*changes)
            except CannotTakeNow:
                await asyncio.sleep(0.02)
            else:
                self.promised[name] += 1
                return

    async def finish(self) -> None:
        self.stop.set()
        await asyncio.gather(*self.tasks)

    async def until(self, more: int) -> None:
        """Wait until so many more batches were opened."""
        goal = len(self.promised) + more
        async with asyncio.timeout(30):
            while len(self.promised) < goal:
                for task in self.tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)


async def expect_whole(journal: PostgresJournal, writers: Writers, rounds: int) -> None:
    """What was promised is there once, and what was refused is not there at all."""
    assert await journal.open_batches() == []
    stored = {summary.id for summary in await journal.summaries(limit=1_000_000)}
    assert stored == set(writers.promised)
    assert not stored & writers.refused
    assert set(writers.promised.values()) == {3}
    for name in list(stored)[:50]:
        assert [attempt.state for attempt in await journal.attempts(name)] == ["SUBMITTING", "SUBMITTED", "DONE"]
    ledger = await journal.ledger()
    assert (ledger.accepted, ledger.final, ledger.unaccounted) == (len(stored), len(stored), ())
    assert [field.count for field in await journal.unknown_fields()] == [writers.counted]
    assert len(writers.refused) < 20 * 100 * rounds


@pytest.fixture
async def journal(postgres_server: Server) -> AsyncIterator[PostgresJournal]:
    opened = await open_postgres_journal(postgres_server.create())
    yield opened
    await opened.close()


async def restart(server: Server, mode: str = "immediate", pause: float = 0.0) -> None:
    await asyncio.to_thread(server.stop, mode)
    await asyncio.sleep(pause)
    await asyncio.to_thread(server.start)


async def test_a_restart_under_load_loses_and_doubles_nothing(
    journal: PostgresJournal, postgres_server: Server, make: Make
) -> None:
    """Three crashes of the server while twenty callers write; they go on by themselves."""
    writers = Writers(journal, make)
    for pause in (0.0, 0.0, 0.5):
        await writers.until(30)
        await restart(postgres_server, pause=pause)
    await writers.until(30)
    await writers.finish()
    await expect_whole(journal, writers, 3)


@pytest.mark.chaos
async def test_two_replicas_outlive_many_restarts(
    journal: PostgresJournal, postgres_server: Server, make: Make
) -> None:
    """Both come back to their own work: a common misfortune is nobody's death."""
    other = await open_postgres_journal(journal._url)
    both = [Writers(journal, make, "a"), Writers(other, make, "b")]
    taken: list[str] = []

    async def take_over() -> None:
        while True:
            for one in (journal, other):
                try:
                    taken.extend(await one.take_over())
                except CannotTakeNow:
                    continue
            await asyncio.sleep(0.5)

    taking = asyncio.ensure_future(take_over())
    for mode in ("immediate", "fast") * 4:
        for writers in both:
            await writers.until(20)
        await restart(postgres_server, mode, pause=0.3)
    for writers in both:
        await writers.until(20)
        await writers.finish()
    taking.cancel()
    assert taken == []
    stored = {summary.id for summary in await journal.summaries(limit=1_000_000)}
    assert stored == set(both[0].promised) | set(both[1].promised)
    assert (await other.ledger()).unaccounted == ()
    await other.close()


async def test_while_the_server_is_down_new_work_is_refused_at_once(
    journal: PostgresJournal, postgres_server: Server, make: Make, until: Until
) -> None:
    """Callers are not held for a server that is not there; when it is back, everything goes on."""
    await journal.write(make.opening())
    postgres_server.stop("immediate")
    for name in ("b2", "b3"):
        began = time.monotonic()
        with pytest.raises(CannotTakeNow, match="the server cannot be reached"):
            await journal.write(make.opening(name))
        assert time.monotonic() - began < 1.0
    with pytest.raises(CannotTakeNow):
        await journal.load("b1")
    finds = [journal.find("ERP-1", f"batchid:b{number}") for number in range(3)]
    found = await asyncio.gather(*finds, return_exceptions=True)
    assert [type(each) for each in found] == [CannotTakeNow] * 3
    with pytest.raises(CannotTakeNow):
        await journal.take_over()
    assert not journal.may_send(0)
    postgres_server.start()
    await journal.write(make.opening("b4"))
    assert await journal.open_batches() == ["b1", "b4"]
    await until(lambda: journal.may_send(1.0))
    assert await journal.take_over() == []


class LosesAnswers:
    """A connection that loses the answer to a commit: after it, or before it arrived."""

    def __init__(self, connection: Connection, *, arrives: bool) -> None:
        self.connection = connection
        self.arrives = arrives

    async def execute(self, query: str, *arguments: Any) -> str:
        if query == "COMMIT":
            if self.arrives:
                await self.connection.execute(query)
            self.connection.terminate()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return await self.connection.execute(query, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


@pytest.mark.parametrize("arrives", [True, False])
async def test_a_commit_whose_answer_was_lost_happens_once(postgres_url: str, make: Make, arrives: bool) -> None:
    """Whether it had arrived or not: the caller is told that it is done, and it is there once."""
    journal = await open_postgres_journal(postgres_url)
    await journal.write(make.opening(), make.planning())
    writer: Any = journal._writer
    writer._connection = LosesAnswers(writer._connection, arrives=arrives)
    move = MoveCall("c1", CallState.PLANNED, CallState.SUBMITTING, 2.0)
    await journal.write(move, CountUnknown("ERP-1", "invoice", {"beat": 1}, 1.0))
    assert [field.count for field in await journal.unknown_fields()] == [1]
    assert [attempt.state for attempt in await journal.attempts("b1")] == ["PLANNED", "SUBMITTING"]
    writer._connection = LosesAnswers(writer._connection, arrives=arrives)
    assert await journal.note_hook(Hook("k1", 1.0, modern_batch="m1"))
    await journal.close()


async def test_closing_while_the_fate_of_a_commit_is_unknown_says_so(postgres_server: Server, make: Make) -> None:
    """Nobody waits for ever for a server that does not come back."""
    url = postgres_server.create()
    journal = await open_postgres_journal(url)
    await journal.write(make.opening("b0"))
    writer: Any = journal._writer
    writer._connection = LosesAnswers(writer._connection, arrives=True)
    postgres_stop = asyncio.to_thread(postgres_server.stop, "immediate")

    async def fail() -> Connection:
        raise ConnectionRefusedError

    writer._connect = fail
    write = asyncio.ensure_future(journal.write(make.opening()))
    await postgres_stop
    closing = asyncio.ensure_future(journal.close())
    with pytest.raises(CannotTakeNow):
        await write
    await closing


async def test_a_server_that_hangs_is_given_up(postgres_server: Server, make: Make) -> None:
    """A connection that does not answer counts as lost; the write is done once the server moves again."""
    url = postgres_server.create()
    journal = await open_postgres_journal(url)
    await journal.write(make.opening())
    journal._writer._connection._config = journal._writer._connection._config._replace(command_timeout=0.3)  # type: ignore[union-attr]
    postgres_server.freeze()
    began = time.monotonic()
    with pytest.raises(CannotTakeNow):
        await journal.write(make.opening("b2"))
    assert time.monotonic() - began < 10.0
    postgres_server.thaw()
    await journal.write(make.opening("b3"))
    assert set(await journal.open_batches()) >= {"b1", "b3"}
    await journal.close()


async def test_what_waits_to_be_written_goes_on_as_soon_as_the_server_is_back(
    postgres_server: Server, journal: PostgresJournal
) -> None:
    """The lifeline tells; a pause that has grown during the outage is not waited out."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(3600)

    patient = PatientJournal(journal, clock=time.monotonic, sleep=sleep)
    journal.listen(lambda news, _: patient.try_again() if news is News.BACK else None)
    await asyncio.to_thread(postgres_server.stop, "immediate")
    writing = asyncio.create_task(patient.write(CountUnknown("ERP-1", "invoice", {"beat": 1}, 1.0)))
    async with asyncio.timeout(20):
        while patient.trusted or patient._failed_at is None:  # noqa: ASYNC110 - of another task
            await asyncio.sleep(0.01)
        await asyncio.to_thread(postgres_server.start)
        await writing
    assert [field.count for field in await journal.unknown_fields()] == [1]
