"""Rules that hold for any lists of addresses, any rows, and any lawful life of batches."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.batch import OBJECTNAMES, TRANSITIONS, Address, CallState, Outcome, Verdict
from bridge.journal import (
    BatchRecord,
    CallRecord,
    Change,
    DecideRows,
    FinishBatch,
    Journal,
    MoveCall,
    OpenBatch,
    PlanCall,
    RowRecord,
    StaleCall,
)
from bridge.journal.addresses import read_addresses, render_addresses
from bridge.journal.postgres import open_postgres_journal
from bridge.journal.sqlite import open_sqlite_journal
from bridge.journal.sqlite.bulk import execute_many, query_many

addresses = st.lists(st.builds(Address, st.sampled_from(OBJECTNAMES), st.integers(0, 40)))


@given(addresses)
def test_addresses_are_read_back_in_their_order(listed: list[Address]) -> None:
    """Any list of addresses survives being written, repetitions and disorder included."""
    assert read_addresses(render_addresses(listed)) == tuple(listed)


def test_neighbours_are_written_as_one_run() -> None:
    """A call of 500 rows takes a few bytes."""
    assert render_addresses(Address("invoice", index) for index in range(500)) == "invoice 0-499"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 700))
def test_many_rows_arrive_whatever_their_number(count: int) -> None:
    """Slices of a few sizes cover every length, in order."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (a, b)")
    changed = execute_many(connection, "INSERT INTO t {values}", range(count), lambda number: (number, -number))
    assert changed == count
    assert connection.execute("SELECT * FROM t ORDER BY rowid").fetchall() == [(n, -n) for n in range(count)]
    doubled = query_many(connection, "SELECT column1 * 2 FROM ({values})", range(count), lambda number: (number,))
    assert [value for (value,) in doubled] == [2 * number for number in range(count)]
    connection.close()


class Life(RuleBasedStateMachine):
    """Batches are taken, planned, moved, decided and finished in any lawful order; the books balance at every step."""

    batches = Bundle("batches")
    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.prepare()
        self.journal = self.loop.run(self.open_journal())
        self.taken = 0
        self.rows: dict[str, dict[Address, Verdict]] = {}
        self.tied: dict[tuple[str, Address], str] = {}
        self.states: dict[str, CallState] = {}
        self.finished: set[str] = set()

    def prepare(self) -> None:
        """Make room for an empty journal."""
        self.folder = tempfile.TemporaryDirectory()

    async def open_journal(self) -> Journal:
        return open_sqlite_journal(Path(self.folder.name) / "bridge.db")

    def dispose(self) -> None:
        """Give the room back."""
        self.folder.cleanup()

    def run(self, *changes: Change) -> None:
        async def write() -> None:
            await self.journal.write(*changes)

        self.loop.run(write())

    @rule(target=batches, shape=st.lists(st.sampled_from(OBJECTNAMES), max_size=5))
    def open(self, shape: list[str]) -> str:
        name = f"b{len(self.rows)}"
        rows = [Address(objectname, index) for index, objectname in enumerate(sorted(shape, key=OBJECTNAMES.index))]
        records = [
            RowRecord(address, Verdict.PENDING, organization="o", operation="invoices", item=b"{}") for address in rows
        ]
        self.run(OpenBatch(BatchRecord(name, "s", "p", "", name, "", 1.0, False, len(rows), b"{}"), records))
        self.taken += len(rows)
        self.rows[name] = dict.fromkeys(rows, Verdict.PENDING)
        return name

    def free(self, batch: str) -> list[Address]:
        """Return the rows that may be planned: pending, and in no open call."""
        ended = {None, CallState.DONE, CallState.REFUSED}
        return [
            address
            for address, verdict in self.rows[batch].items()
            if verdict is Verdict.PENDING and self.states.get(self.tied.get((batch, address), "")) in ended
        ]

    @rule(target=calls, batch=batches, data=st.data())
    def plan(self, batch: str, data: st.DataObject) -> Any:
        if not (free := self.free(batch)):
            return multiple()
        return self.plan_rows(batch, data.draw(st.lists(st.sampled_from(free), min_size=1, unique=True)))

    def plan_rows(self, batch: str, rows: list[Address], *before: Change) -> tuple[str, str]:
        call = f"c{len(self.states)}"
        self.run(
            *before,
            PlanCall(CallRecord(call, batch, "o", "invoices", "/x", tuple(rows), CallState.PLANNED, planned_at=2.0)),
        )
        self.states[call] = CallState.PLANNED
        self.tied |= {(batch, address): call for address in rows}
        return (call, batch)

    @rule(known=calls, data=st.data())
    def move(self, known: tuple[str, str], data: st.DataObject) -> None:
        """Move a call; one that ends decides its rows in the same write, or hands them on to another call."""
        call, batch = known
        state = self.states[call]
        if not TRANSITIONS[state]:
            return
        after = data.draw(st.sampled_from(sorted(TRANSITIONS[state])))
        rows = [address for (owner, address), tied in self.tied.items() if owner == batch and tied == call]
        step = MoveCall(call, state, after, 3.0)
        if after not in {CallState.DONE, CallState.REFUSED}:
            self.run(step)
        elif after is CallState.REFUSED and data.draw(st.booleans()):
            self.states[call] = after
            self.plan_rows(batch, rows, step)
        else:
            verdicts = data.draw(st.lists(st.sampled_from(list(Verdict)[:2]), min_size=len(rows), max_size=len(rows)))
            decided = dict(zip(rows, verdicts, strict=True))
            self.run(step, DecideRows(batch, [Outcome(address, verdict) for address, verdict in decided.items()]))
            self.rows[batch] |= decided
        self.states[call] = after

    @rule(known=calls)
    def move_late(self, known: tuple[str, str]) -> None:
        """Somebody whose view is out of date changes nothing."""
        call, _ = known
        if self.states[call] is not CallState.IN_DOUBT:
            try:
                self.run(MoveCall(call, CallState.IN_DOUBT, CallState.DONE, 4.0))
            except StaleCall:
                return
            raise AssertionError("a stale move was accepted")

    @rule(batch=batches)
    def refuse_unplanned(self, batch: str) -> None:
        if batch in self.finished:
            return  # the next life has no business with it
        rows = [address for address in self.rows[batch] if (batch, address) not in self.tied]
        self.run(DecideRows(batch, [Outcome(address, Verdict.REFUSED, "why") for address in rows]))
        for address in rows:
            if self.rows[batch][address] is Verdict.PENDING:
                self.rows[batch][address] = Verdict.REFUSED

    @rule(batch=batches)
    def finish(self, batch: str) -> None:
        if batch not in self.finished and Verdict.PENDING not in self.rows[batch].values():
            self.run(FinishBatch(batch, b"answer", 5.0))
            self.finished.add(batch)

    @precondition(lambda self: self.finished)
    @rule()
    def erase(self) -> None:
        self.loop.run(self.journal.erase(10.0, lambda reply, rows, text: reply))

    @rule()
    def restart(self) -> None:
        """Whatever is open is taken over by the next life, and by nothing else."""
        self.loop.run(self.journal.close())
        self.journal = self.loop.run(self.open_journal())
        self.loop.run(self.take_over())

    async def take_over(self) -> None:
        assert set(await self.journal.take_over()) == set(self.rows) - self.finished

    @invariant()
    def the_books_balance(self) -> None:
        ledger = self.loop.run(self.journal.ledger())
        assert ledger.unaccounted == ()
        assert ledger.accepted == self.taken
        assert ledger.accepted == ledger.final + ledger.pending + ledger.in_doubt
        verdicts = [verdict for rows in self.rows.values() for verdict in rows.values()]
        assert [(one.organization, one.accepted, one.final) for one in ledger.organizations] == (
            [("o", self.taken, ledger.final)] if self.taken else []
        )
        assert ledger.final == sum(verdict is not Verdict.PENDING for verdict in verdicts)
        doubtful = {
            (batch, address)
            for (batch, address), call in self.tied.items()
            if self.states[call] is CallState.IN_DOUBT and self.rows[batch][address] is Verdict.PENDING
        }
        assert set(ledger.in_doubt_rows) == doubtful
        assert ledger.in_doubt == len(doubtful)

    def teardown(self) -> None:
        self.loop.run(self.journal.close())
        self.loop.close()
        self.dispose()


class LifeOnPostgres(Life):
    """The same, on PostgreSQL."""

    databases: Any = None

    def prepare(self) -> None:
        self.url = self.databases.create()

    async def open_journal(self) -> Journal:
        return await open_postgres_journal(self.url)

    def dispose(self) -> None:
        self.databases.release(self.url)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


@pytest.mark.hypothesis  # it runs a state machine of Hypothesis
def test_any_lawful_life_balances_on_postgres(databases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds for a file holds for a server."""
    monkeypatch.setattr(LifeOnPostgres, "databases", databases)
    plan = settings(max_examples=5, stateful_step_count=20, deadline=None, phases=[Phase.generate])
    run_state_machine_as_test(LifeOnPostgres, settings=plan)  # shrinking would make databases for minutes
