"""Many writes share a transaction on PostgreSQL too, each of them all or nothing; and the server may be in trouble."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import (
    Change,
    CountUnknown,
    DecideRows,
    FinishBatch,
    HandOver,
    Hook,
    IdentityTaken,
    KeepSamples,
    LearnClaims,
    MoveCall,
    NotePassed,
    Observe,
    RegisterSettlements,
    SetSwitch,
    StaleCall,
)
from bridge.journal.postgres import PostgresJournal, open_postgres_journal
from bridge.journal.postgres.connections import WRITING, Connection, connect
from bridge.journal.postgres.crossreference import find_claims
from bridge.journal.postgres.waves import order_waves
from bridge.modes import Mode, Switch

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make

FIRST = Address("invoice", 0)


@pytest.fixture
async def journal(postgres_url: str) -> AsyncIterator[PostgresJournal]:
    opened = await open_postgres_journal(postgres_url)
    yield opened
    await opened.close()


class Scripted:
    """A connection that counts its statements, and raises an error at those that begin with certain words."""

    def __init__(self, connection: Any, errors: dict[str, list[Exception]] | None = None) -> None:
        self.connection = connection
        self.errors = errors or {}
        self.statements: list[str] = []

    def see(self, sql: str) -> None:
        self.statements.append(sql.strip())
        for words, errors in self.errors.items():
            if sql.strip().startswith(words) and errors:
                raise errors.pop(0)

    async def execute(self, sql: str, *arguments: Any) -> str:
        self.see(sql)
        status: str = await self.connection.execute(sql, *arguments)
        return status

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        self.see(sql)
        found: list[Any] = await self.connection.fetch(sql, *arguments)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


async def script(journal: PostgresJournal, errors: dict[str, list[Exception]] | None = None) -> Scripted:
    """Put a scripted connection in the place of the writer's."""
    await journal.let_go("nothing")  # so that there is a connection
    writer: Any = journal._writer
    writer._connection = Scripted(writer._connection, errors)
    scripted: Scripted = writer._connection
    return scripted


async def test_fifty_callers_share_commits(journal: PostgresJournal, make: Make) -> None:
    """Whatever waits while the server is busy goes into the next transaction, in few statements."""
    scripted = await script(journal)
    before = journal.commits

    async def call(caller: int) -> None:
        for number in range(10):
            name = f"{caller}-{number}"
            await journal.write(make.opening(name), make.planning(f"c-{name}", name))

    await asyncio.gather(*(call(caller) for caller in range(50)))
    assert journal.commits - before < 100
    assert len(scripted.statements) < 1000
    assert len(await journal.open_batches()) == 500


async def test_without_group_commit_every_write_pays_for_its_own(postgres_url: str, make: Make) -> None:
    """A group of one is the switch-off, and it shows."""
    journal = await open_postgres_journal(postgres_url, max_group=1)
    await asyncio.gather(*(journal.write(make.opening(f"b{number}")) for number in range(50)))
    assert journal.commits == 50
    await journal.close()


async def test_large_batches_do_not_pile_up_in_one_transaction(journal: PostgresJournal, make: Make) -> None:
    """Small writes wait for a few thousand rows at most."""
    before = journal.commits
    await asyncio.gather(*(journal.write(make.opening(f"b{number}", rows=1500)) for number in range(4)))
    assert journal.commits - before >= 2


async def test_a_refused_write_leaves_its_neighbours_in_the_group_alone(journal: PostgresJournal, make: Make) -> None:
    """Each refused write gets its own reason; the others are there, and share their commit."""
    await journal.write(make.opening("b0", rows=2), make.planning("c0", "b0", state=CallState.SUBMITTING))
    stale = MoveCall("c0", CallState.PLANNED, CallState.SUBMITTING, 1.0)
    unlawful = MoveCall("c0", CallState.PLANNED, CallState.DONE, 1.0)
    done = [Outcome(Address("action", 5), Verdict.ACCEPTED)]
    writes: list[Sequence[Change]] = [
        [make.opening("b1"), make.planning()],
        [make.opening("b2", identity="batchid:b1")],
        [make.opening("b3"), stale],
        [make.opening("b4"), unlawful],
        [make.opening("b5"), DecideRows("b0", done)],
        [make.opening("b6"), FinishBatch("b6", b"", 1.0)],
        [make.opening("b7"), make.planning("c7", "b7", rows=(3,))],
        [make.opening("b8"), DecideRows("b9", done)],
        [make.opening("b10"), replace(make.planning("c10", "b10"), items={Address("action", 1): b""})],
        [make.opening("b11", rows=2, row_count=1)],
        [make.opening("b12", id="b0", identity="other")],
        [make.opening("b13")],
    ]
    outcomes = await asyncio.gather(*(journal.write(*changes) for changes in writes), return_exceptions=True)
    kinds = [type(outcome) for outcome in outcomes]
    assert kinds == [type(None), IdentityTaken, StaleCall, *[ValueError] * 8, type(None)]
    assert await journal.open_batches() == ["b0", "b1", "b13"]
    assert (await journal.ledger()).unaccounted == ()


async def test_writes_of_one_batch_in_one_group_take_their_turns(journal: PostgresJournal, make: Make) -> None:
    """Two movers of a call, two openers of an identity, two verdicts on a row: the first wins, whatever the wave."""
    await journal.write(make.opening(), make.planning())
    move = MoveCall("c1", CallState.PLANNED, CallState.SUBMITTING, 1.0)
    outcomes = await asyncio.gather(journal.write(move), journal.write(move), return_exceptions=True)
    assert Counter(type(outcome) for outcome in outcomes) == {type(None): 1, StaleCall: 1}
    await journal.write(
        DecideRows("b1", [Outcome(FIRST, Verdict.ACCEPTED)]), DecideRows("b1", [Outcome(FIRST, Verdict.REFUSED)])
    )
    stored = await journal.load("b1")
    assert stored is not None
    assert stored.rows[0].verdict is Verdict.ACCEPTED


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO batch", "COMMIT"])
async def test_a_full_disk_is_told_and_survived(journal: PostgresJournal, make: Make, statement: str) -> None:
    """Everybody in the group is told to come back, nothing is kept, and the next write goes through."""
    await script(journal, {statement: [asyncpg.DiskFullError("could not extend file")]})
    outcomes = await asyncio.gather(
        *(journal.write(make.opening(f"b{number}")) for number in range(3)), return_exceptions=True
    )
    assert all(isinstance(outcome, CannotTakeNow) and "disk is full" in str(outcome) for outcome in outcomes)
    assert await journal.open_batches() == []
    await journal.write(make.opening())
    assert await journal.open_batches() == ["b1"]


async def test_a_transaction_that_was_in_the_way_is_tried_again(journal: PostgresJournal, make: Make) -> None:
    """Deadlocks between replicas are nobody's business; one without end is told."""
    scripted = await script(journal, {"INSERT INTO batch": [asyncpg.DeadlockDetectedError("x")] * 3})
    await journal.write(make.opening())
    scripted.errors["INSERT INTO batch"] = [asyncpg.DeadlockDetectedError("x")] * 10
    with pytest.raises(CannotTakeNow, match="failed again and again"):
        await journal.write(make.opening("b2"))
    assert await journal.open_batches() == ["b1"]


@pytest.mark.parametrize("statement", ["BEGIN", "INSERT INTO batch", "ROLLBACK"])
async def test_a_connection_lost_before_the_commit_is_replaced(
    journal: PostgresJournal, make: Make, statement: str
) -> None:
    """Nothing can have been written, so the same group is written on a new connection."""
    errors: dict[str, list[Exception]] = {statement: [asyncpg.ConnectionDoesNotExistError("gone")]}
    if statement == "ROLLBACK":
        errors["INSERT INTO batch"] = [asyncpg.DeadlockDetectedError("x")]
    await script(journal, errors)
    await journal.write(make.opening())
    assert await journal.open_batches() == ["b1"]


async def test_the_queue_is_bounded(postgres_url: str, make: Make) -> None:
    """Beyond it callers are refused at once, and asked to come back."""
    journal = await open_postgres_journal(postgres_url, max_waiting=2)
    writes = [asyncio.ensure_future(journal.write(make.opening(f"b{number}"))) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(CannotTakeNow, match="2 writes wait"):
        await journal.write(make.opening("b9"))
    await asyncio.gather(*writes)
    await journal.write(make.opening("b9"))
    await journal.close()


async def test_closing_finishes_what_was_queued(postgres_url: str, make: Make) -> None:
    """A write that was taken before the close is durable after it, also when its caller has gone."""
    journal = await open_postgres_journal(postgres_url)
    writes = [asyncio.ensure_future(journal.write(make.opening(f"b{number}"))) for number in range(100)]
    await asyncio.sleep(0)
    writes[7].cancel()
    await journal.close()
    await asyncio.gather(*writes, return_exceptions=True)
    again = await open_postgres_journal(postgres_url)
    assert len(await again.take_over()) == 100
    await again.close()


async def test_nothing_to_write_is_no_work(journal: PostgresJournal) -> None:
    """Empty writes, and changes that hold nothing, leave no trace."""
    before = journal.commits
    await journal.write()
    assert journal.commits == before
    await journal.write(LearnClaims([]), CountUnknown("ERP-1", "invoice", {}, 1.0))
    assert await journal.unknown_fields() == []


async def test_a_write_is_on_disk_before_it_returns(postgres_url: str) -> None:
    """Whatever the server's default is."""
    connection = await connect(postgres_url, WRITING)
    assert await connection.fetchval("SHOW synchronous_commit") == "on"
    await connection.close()


async def test_claims_are_looked_up_by_index(postgres_url: str, journal: PostgresJournal) -> None:
    """Every kind of look-up stays fast in a cross-reference of millions."""
    connection = await connect(postgres_url, {"enable_seqscan": "off"})
    for kind in ("invoiceId", "invoiceNumber", "uniqueSourceInvoiceId", "caseNumber", "ledgerref"):
        asked = Scripted(connection)
        await find_claims(cast("Connection", asked), "nordlys", kind, "x")
        plan = await connection.fetch(f"EXPLAIN {asked.statements[0]}", "x", "nordlys")
        assert "Seq Scan" not in "".join(line for (line,) in plan)
    with pytest.raises(ValueError, match="not by hat"):
        await find_claims(connection, "nordlys", "hat", "x")
    await connection.close()


kinds = st.sampled_from(
    [
        lambda key: MoveCall(key, CallState.PLANNED, CallState.SUBMITTING, 1.0),
        lambda key: DecideRows(key, []),
        lambda key: FinishBatch(key, b"", 1.0),
        lambda key: LearnClaims([]),
        lambda key: Hook(key, 1.0, modern_batch="m"),
    ]
)


@given(st.lists(st.lists(st.tuples(kinds, st.sampled_from("abc")), max_size=5), max_size=6))
def test_waves_keep_every_change_and_the_order_of_each_write(drawn: list[list[tuple[Any, str]]]) -> None:
    """And no wave moves a call, finishes a batch or keeps a hook twice."""
    writes = [[make(key) for make, key in write] for write in drawn]
    seen: list[list[Any]] = [[] for _ in writes]
    for kind, wave in order_waves(writes):
        assert {type(change) for _, change in wave} == {kind}
        if kind in {MoveCall, FinishBatch, Hook}:
            concerned = [change for _, change in wave]
            assert len(concerned) == len(set(concerned))
        for write, change in wave:
            seen[write].append(change)
    assert seen == writes


def test_settlements_are_numbered_when_all_else_is_done() -> None:
    """Whoever numbers holds up every other replica, so nothing else may come between that and the commit."""
    register = RegisterSettlements("o", [("s", "")])
    learn = LearnClaims([])
    writes: list[list[Change]] = [[register, learn], [learn, FinishBatch("b", b"", 1.0)], [register]]
    waves = [(kind.__name__, [write for write, _ in wave]) for kind, wave in order_waves(writes)]
    assert waves == [("LearnClaims", [0, 1]), ("FinishBatch", [1]), ("RegisterSettlements", [0, 2])]


def test_what_replicas_wait_for_comes_last_once_and_in_one_order() -> None:
    """However writes mix them: replicas that take the same locks in the same order never wait in a circle."""
    switch = SetSwitch(Switch("o", Mode.SHADOW), 0)
    late: list[Change] = [NotePassed([]), Observe([]), KeepSamples([]), HandOver("e", "o", [], "k", 1.0), switch]
    late.append(RegisterSettlements("o", []))
    learn = LearnClaims([])
    writes: list[list[Change]] = [[*reversed(late), learn, *late], [learn], [learn, *late]]
    waves = [(kind, [write for write, _ in wave]) for kind, wave in order_waves(writes)]
    assert waves == [(LearnClaims, [0, 1, 2]), *((type(change), [0, 0, 2]) for change in late)]


def test_thirty_writes_of_a_kind_are_one_wave(make: Make) -> None:
    """That is what makes them cheap."""
    writes: list[Sequence[Change]] = [
        [MoveCall(f"c{n}", CallState.SUBMITTED, CallState.DONE, 1.0), FinishBatch(f"b{n}", b"", 1.0)] for n in range(30)
    ]
    opened: list[list[Change]] = [[make.opening(f"n{n}"), make.planning(f"x{n}", f"n{n}")] for n in range(30)]
    waves = [(kind.__name__, len(wave)) for kind, wave in order_waves([*writes, *opened])]
    assert waves == [("OpenBatch", 30), ("MoveCall", 30), ("PlanCall", 30), ("FinishBatch", 30)]
