"""Several replicas on one database: whose batch it is, what the dead leave behind, and what they hear of each other."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import (
    Claim,
    CountUnknown,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    Hook,
    IdentityTaken,
    LearnClaims,
    LostBatch,
    MoveCall,
    News,
    PlaceOrder,
    SeeCreditor,
    Settlement,
)
from bridge.journal.postgres import PostgresJournal, PostgresOffice, open_postgres_journal, replicas

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make

Until = Callable[[Callable[[], bool]], Awaitable[None]]
Open = Callable[[], Awaitable[PostgresJournal]]

CHILD = """
import asyncio, sys, time
from bridge.batch import *
from bridge.errors import CannotTakeNow
from bridge.journal import *
from bridge.journal.postgres import open_postgres_journal

async def watch(journal):
    # tells what the lease is believed to be worth at the first moment after a freeze
    before = time.monotonic()
    while time.monotonic() - before < 2:
        before = time.monotonic()
        await asyncio.sleep(0.05)
    print("woken", journal.may_send(0), flush=True)

async def main():
    url, command, *names = sys.argv[1:]
    journal = await open_postgres_journal(url)
    for name in names:
        row = RowRecord(Address("invoice", 0), Verdict.PENDING, operation="invoices", item=b"{}")
        call = CallRecord("c-" + name, name, "o", "invoices", "/x", (row.address,), CallState.PLANNED)
        await journal.write(
            OpenBatch(BatchRecord(name, "s", "p", name, name, "", 1.0, False, 1, b"{}"), [row]), PlanCall(call)
        )
    print("opened", flush=True)
    watching = asyncio.create_task(watch(journal))
    while command == "write":
        try:
            await journal.write(CountUnknown("s", "invoice", {"beat": 1}, 1.0))
            await journal.write(MoveCall("c-" + names[0], CallState.PLANNED, CallState.SUBMITTING, 2.0))
        except CannotTakeNow:
            continue
        except LostBatch:
            print("lost", flush=True)
            break
        except StaleCall:
            print("stale", flush=True)
        await asyncio.sleep(0.01)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.fixture
async def replica(postgres_url: str) -> AsyncIterator[Open]:
    """Start another replica of one bridge; all are closed at the end."""
    opened: list[PostgresJournal] = []

    async def start() -> PostgresJournal:
        opened.append(await open_postgres_journal(postgres_url))
        return opened[-1]

    yield start
    for journal in opened:
        await journal.close()


@pytest.fixture
def child(postgres_url: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a replica in a process of its own, to be killed or frozen."""
    started: list[subprocess.Popen[str]] = []

    def start(command: str, *names: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, postgres_url, command, *names], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "opened\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def claim_until(journal: PostgresJournal, count: int, seconds: float) -> list[str]:
    """Take over twice a second, as a bridge does, until so many batches came."""
    taken: list[str] = []
    deadline = time.monotonic() + seconds
    while len(taken) < count:
        assert time.monotonic() < deadline, taken
        taken += await journal.take_over()
        await asyncio.sleep(0.1)
    return taken


async def test_what_a_stopped_replica_leaves_is_taken_over_at_once(replica: Open, make: Make) -> None:
    """Closing frees what is open, oldest first; what is finished stays as it is."""
    first, second = await replica(), await replica()
    for name, at in (("late", 2.0), ("early", 1.0)):
        await first.write(make.opening(name, received_at=at))
    await first.write(make.opening("done", rows=0), FinishBatch("done", b"", 1.0))
    assert await second.take_over() == []
    await first.close()
    assert await second.take_over() == ["early", "late"]
    assert await second.take_over() == []


async def test_a_batch_let_go_may_be_taken_by_anybody(replica: Open, make: Make) -> None:
    """Also by the one who let it go; until then nobody may write about it."""
    journal = await replica()
    await journal.write(make.opening(), make.planning())
    await journal.let_go("b1")
    with pytest.raises(LostBatch) as lost:
        await journal.write(DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.REFUSED, "x")]))
    assert lost.value.batch_id == "b1"
    assert await journal.take_over() == ["b1"]
    await journal.write(DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.REFUSED, "x")]))


async def test_each_batch_is_handed_to_one_replica_only(replica: Open, make: Make) -> None:
    """Replicas that take over at the same moment share the work."""
    first = await replica()
    names = {f"b{number}" for number in range(200)}
    await asyncio.gather(*(first.write(make.opening(name)) for name in names))
    others = [await replica() for _ in range(4)]
    await first.close()
    taken = list(itertools.chain(*await asyncio.gather(*(other.take_over() for other in others for _ in range(3)))))
    assert len(taken) == len(set(taken))
    assert set(taken) == names


async def test_a_replica_takes_so_much_at_a_time(replica: Open, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left is for the others, or for the next time."""
    monkeypatch.setattr(replicas, "CLAIMS_AT_ONCE", 2)
    first, second = await replica(), await replica()
    for number in range(3):
        await first.write(make.opening(f"b{number}"))
    await first.close()
    assert [await second.take_over() for _ in range(3)] == [["b0", "b1"], ["b2"], []]


async def test_an_identity_is_taken_across_replicas(replica: Open, make: Make) -> None:
    """Of ten callers on two replicas who send the same batch at once, one opens it."""
    journals = [await replica(), await replica()]
    writes = [
        journals[number % 2].write(
            make.opening(f"b{number}", identity="same"), make.planning(f"c{number}", f"b{number}")
        )
        for number in range(10)
    ]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["IdentityTaken"] * 9 + ["NoneType"]
    assert any(isinstance(outcome, IdentityTaken) for outcome in outcomes)
    assert len(await journals[0].open_batches()) == 1


async def test_nobody_writes_about_a_batch_of_another(replica: Open, make: Make) -> None:
    """Every change that concerns a batch is fenced, and nothing beside it is kept."""
    first, second = await replica(), await replica()
    await first.write(make.opening(rows=2), make.planning(), make.planning("c2", rows=(1,), state=CallState.SUBMITTING))
    await first.write(MoveCall("c2", CallState.SUBMITTING, CallState.IN_DOUBT, 1.0))
    order = PlaceOrder("o1", "b1", (Address("invoice", 1),), Settlement.ACCEPTED, "kari", "seen", 5.0)
    await second.write(order)
    before = await first.load("b1")
    learn = LearnClaims([Claim("o", "i1")])
    for change in (
        make.planning("c3"),
        MoveCall("c1", CallState.PLANNED, CallState.SUBMITTING, 2.0),
        DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.REFUSED, "x")]),
        FinishBatch("b1", b"", 3.0),
        FulfilOrder("o1", 6.0, "done"),
    ):
        with pytest.raises(LostBatch):
            await second.write(learn, change)
    assert await first.load("b1") == before
    assert await first.claims("o", "invoiceId", "i1") == []
    assert [each.id for each in await first.pending_orders()] == ["o1"]
    assert await second.pending_orders() == []


async def test_replicas_that_learn_of_one_claim_at_once_keep_one_record(replica: Open) -> None:
    """Whoever comes second completes what the first has written."""
    journals = [await replica(), await replica()]
    for number in range(20):
        learn = LearnClaims([Claim("o", f"i{number}", f"n{number}", f"u{number}")])
        await asyncio.gather(*(journal.write(learn) for journal in journals))
        assert len(await journals[0].claims("o", "invoiceId", f"i{number}")) == 1


async def test_replicas_count_and_register_the_same_things_side_by_side(replica: Open) -> None:
    """Neither waits for the other in a circle, and nothing is lost."""
    journals = [await replica(), await replica()]

    async def note(journal: PostgresJournal, number: int) -> None:
        fields = {"a": 1, "b": 1, "c": 1}
        await journal.write(
            CountUnknown("ERP-1", "invoice", fields if number % 2 else dict(reversed(fields.items())), 1.0),
            SeeCreditor("ERP-1", str(number % 3), known=True, fields=("name", f"f{number}"), at=float(number)),
        )

    await asyncio.gather(*(note(journals[number % 2], number) for number in range(100)))
    assert [counted.count for counted in await journals[0].unknown_fields()] == [100, 100, 100]
    assert sum(len(seen.fields) for seen in await journals[0].creditors()) == 103


async def test_news_reach_the_other_replicas(replica: Open, make: Make, until: Until) -> None:
    """A finished batch, a webhook and an order are told everywhere, and once to whoever did it."""
    journals = [await replica(), await replica()]
    heard: list[list[tuple[News, str]]] = [[], []]
    for journal, list_ in zip(journals, heard, strict=True):
        journal.listen(lambda news, name, list_=list_: list_.append((news, name)))  # type: ignore[misc]
    await until(lambda: all(journal.may_send(0) for journal in journals))
    await journals[0].write(make.opening("b0", rows=0), FinishBatch("b0", b"", 1.0))
    assert await journals[1].note_hook(Hook("k1", 1.0, modern_batch="m1"))
    expected = [(News.FINISHED, "b0"), (News.HINT, "m1")]

    def told() -> list[list[tuple[News, str]]]:
        """Return what was heard; that a replica is connected is news, too, and no matter here."""
        return [sorted(one for one in list_ if one[0] is not News.BACK) for list_ in heard]

    await until(lambda: all(len(list_) >= 2 for list_ in told()))
    assert told() == [expected, expected]


async def test_a_webhook_is_kept_once_whoever_receives_it(replica: Open) -> None:
    """Of ten deliveries on two replicas one is new."""
    journals = [await replica(), await replica()]
    hook = Hook("k1", 1.0, modern_batch="m1")
    kept = await asyncio.gather(*(journals[number % 2].note_hook(hook) for number in range(10)))
    assert sorted(kept) == [False] * 9 + [True]
    assert not await journals[0].note_hook(Hook("k1", 2.0, modern_batch="m1"))


async def test_an_order_reaches_the_replica_that_works_the_batch(
    replica: Open, make: Make, postgres_url: str, until: Until
) -> None:
    """It is told at once, and pending there until it is carried out."""
    first, second = await replica(), await replica()
    heard: list[tuple[News, str]] = []
    first.listen(lambda news, name: heard.append((news, name)))
    await until(lambda: first.may_send(0))
    await first.write(make.opening(), make.planning(state=CallState.SUBMITTING))
    await first.write(MoveCall("c1", CallState.SUBMITTING, CallState.IN_DOUBT, 2.0))
    office = PostgresOffice(postgres_url)
    order = PlaceOrder("o1", "b1", (Address("invoice", 0),), Settlement.RESEND, "kari", "not there", 5.0)
    await office.write(order)
    await office.close()
    await until(lambda: [one for one in heard if one[0] is not News.BACK] == [(News.ORDERED, "b1")])
    assert [(each.id, each.actor) for each in await first.pending_orders()] == [("o1", "kari")]
    assert await second.pending_orders() == []
    await first.write(FulfilOrder("o1", 6.0, "sent again"))
    assert await first.pending_orders() == []


async def test_a_replica_may_send_while_its_lease_is_young(replica: Open, until: Until) -> None:
    """Never for longer than the lease lasts, and not at all when the lock may be lost."""
    journal = await replica()
    await until(lambda: journal.may_send(3.0))
    assert not journal.may_send(replicas.LEASE_SECONDS)
    journal._life.doubt()
    assert not journal.may_send(0)


async def test_a_killed_replicas_work_is_taken_over_within_two_seconds(
    replica: Open, child: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its lock is gone with it, so nobody waits for the end of its lease."""
    journal = await replica()
    process = child("wait", "x1", "x2")
    await asyncio.sleep(0.3)  # not waited for: the child is to have lived for a while
    assert await journal.take_over() == []
    process.send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert await claim_until(journal, 2, 5.0) == ["x1", "x2"]
    assert time.monotonic() - began < 2.0
    await journal.write(MoveCall("c-x1", CallState.PLANNED, CallState.SUBMITTING, 2.0))


async def test_a_frozen_replicas_late_writes_are_fenced_off(
    replica: Open, child: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its work is taken over when its lease has run out; woken, it learns that, and has changed nothing."""
    journal = await replica()
    process = child("write", "x1")
    assert process.stdout is not None
    assert process.stdout.readline() == "stale\n"  # it has moved its call once, and cannot twice
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    assert await claim_until(journal, 1, 8.0) == ["x1"]
    assert time.monotonic() - began < replicas.LEASE_SECONDS + 1.5
    await journal.write(MoveCall("c-x1", CallState.SUBMITTING, CallState.IN_DOUBT, 3.0))
    before = await journal.load("x1")
    process.send_signal(signal.SIGCONT)
    lines = [line for line in iter(process.stdout.readline, "lost\n") if line != "stale\n"]
    assert lines == ["woken False\n"]
    assert await journal.load("x1") == before
    assert await journal.take_over() == []


async def test_a_batch_comes_back_to_us_only_after_its_worker_was_told(replica: Open, make: Make, until: Until) -> None:
    """Otherwise two workers of one process would be at the same batch."""
    first, second = await replica(), await replica()
    await first.write(make.opening("b1"), make.opening("b2"))
    await until(lambda: first.may_send(0))
    await second._writer.run(lambda session: session.fetch("UPDATE replica SET buried_at = now() WHERE number = 1"))
    await second._writer.run(lambda session: session.fetch("UPDATE batch SET owner = NULL WHERE owner = 1"))
    await first.write(make.opening("b3"))  # under a new number by now
    assert await first.take_over() == []
    with pytest.raises(LostBatch):
        await first.write(FinishBatch("b1", b"", 1.0))
    assert await first.take_over() == ["b1"]
    await first.let_go("b2")
    assert await first.take_over() == ["b2"]
    await until(lambda: first.may_send(0))
    await first.write(DecideRows("b3", [Outcome(Address("invoice", 0), Verdict.REFUSED, "x")]))


async def test_a_closed_journal_takes_nothing(replica: Open, make: Make) -> None:
    """What comes after the close is refused; closing twice is harmless."""
    journal = await replica()
    await journal.close()
    with pytest.raises(CannotTakeNow, match="closed"):
        await journal.write(make.opening())


async def test_locks_are_not_trusted_right_after_our_own_connection_broke(
    replica: Open, make: Make, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    """A restart of the server frees everybody's lock at once; who is back first must not bury the others."""
    journal = await replica()
    await until(lambda: journal.may_send(0))
    await journal.write(make.opening())
    await journal._writer.run(
        lambda session: session.fetch("""
        WITH silent AS (INSERT INTO replica (seen_at) VALUES (clock_timestamp() - interval '2 s') RETURNING number)
        UPDATE batch SET owner = silent.number FROM silent""")
    )
    await journal._writer.run(
        lambda session: session.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
    )
    await until(lambda: not journal.may_send(0))
    assert await journal.take_over() == []
    monkeypatch.setattr("bridge.journal.postgres.lifeline.MATURE_SECONDS", 0.0)
    assert await journal.take_over() == ["b1"]


async def test_a_replica_that_was_buried_is_told_what_it_lost(
    replica: Open, make: Make, postgres_url: str, until: Until
) -> None:
    """It need not write to find out: its batches are another's, and come back only once it has let them go."""
    sleeper, other = await replica(), await replica()
    heard: list[tuple[News, str]] = []
    sleeper.listen(lambda news, name: heard.append((news, name)))
    await sleeper.write(make.opening("b"))
    connection = await asyncpg.connect(postgres_url)
    try:
        await connection.execute("SET search_path = bridge")
        bury = "UPDATE replica SET buried_at = clock_timestamp() WHERE number = $1"
        await connection.execute(bury, sleeper._life.number)
        await connection.execute("UPDATE batch SET owner = NULL")
        assert await other.take_over() == ["b"]
    finally:
        await connection.close()
    await until(lambda: (News.LOST, "b") in heard)
    await other.let_go("b")
    assert await sleeper.take_over() == []
    await sleeper.let_go("b")
    assert await sleeper.take_over() == ["b"]
