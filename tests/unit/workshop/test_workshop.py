"""The open batches of a replica: opened, taken over, worked, lost, rested, settled, answered."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow, TooManyBatches
from bridge.journal import (
    Attempt,
    BatchRecord,
    CallRecord,
    DecideRows,
    FinishBatch,
    FulfilOrder,
    IdentityTaken,
    Journal,
    LostBatch,
    MoveCall,
    News,
    OpenBatch,
    Order,
    RowRecord,
    Settlement,
    StaleCall,
    Standing,
    StoredBatch,
)
from bridge.journal.patient import PatientJournal
from bridge.lobby import Lobby
from bridge.mapping import ReplyTable
from bridge.plan import BatchClaims, PlannedRow
from bridge.workshop.office import Office
from bridge.workshop.open_batches import Limits
from bridge.workshop.telling import Teller
from bridge.workshop.work import Work, Worker
from bridge.workshop.workshop import Workshop

FIRST, SECOND = Address("invoice", 0), Address("invoice", 1)
DESK: Any = SimpleNamespace(profile=SimpleNamespace(reply=ReplyTable(0, 1, 2, 3, "OK", "PENDING"), objects={}))
NOW = 1000.0


@dataclass
class Shelf:
    """A store in memory, whose methods fail as often as they are told to."""

    batches: dict[str, StoredBatch] = field(default_factory=dict)
    free: list[str] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    writes: list[tuple[Any, ...]] = field(default_factory=list)
    let_go_of: list[str] = field(default_factory=list)
    told: list[tuple[News, str]] = field(default_factory=list)

    def _fail(self, method: str) -> None:
        if (waiting := self.failures.get(method)) and (failure := waiting.pop(0)) is not None:
            raise failure

    def may_send(self, seconds: float) -> bool:
        return True

    def tell(self, news: News, name: str) -> None:
        self.told.append((news, name))

    async def take_over(self) -> list[str]:
        self._fail("take_over")
        taken, self.free = self.free, []
        return taken

    async def load(self, batch_id: str) -> StoredBatch | None:
        self._fail(f"load {batch_id}")
        return self.batches.get(batch_id)

    async def standing(self, batch_id: str) -> Standing | None:
        self._fail(f"standing {batch_id}")
        if (stored := self.batches.get(batch_id)) is None:
            return None
        rows = () if stored.batch.reply is not None else stored.rows
        decided = (row for row in rows if row.verdict is not Verdict.PENDING)
        outcomes = {row.address: Outcome(row.address, row.verdict, row.message) for row in decided}
        return Standing(stored.batch.reply, tuple((row.address, row.ledgerref) for row in rows), outcomes)

    async def attempts(self, batch_id: str) -> list[Attempt]:
        self._fail(f"attempts {batch_id}")
        return []

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        held = (stored.batch for stored in self.batches.values())
        return next((batch for batch in held if (batch.sender, batch.identity) == (sender, identity)), None)

    async def pending_orders(self) -> list[Order]:
        return [order for order in self.orders if order.fulfilled_at is None]

    async def let_go(self, batch_id: str) -> None:
        self._fail("let_go")
        self.let_go_of.append(batch_id)
        self.free.append(batch_id)

    async def write(self, *changes: Any) -> None:
        self._fail("write")
        self.writes.append(changes)
        for change in changes:
            self._apply(change)

    def _apply(self, change: Any) -> None:
        if isinstance(change, OpenBatch):
            self.batches[change.batch.id] = StoredBatch(change.batch, tuple(change.rows), ())
        elif isinstance(change, FulfilOrder):
            self.orders = [
                replace(order, fulfilled_at=change.at, result=change.result) if order.id == change.order_id else order
                for order in self.orders
            ]
        elif isinstance(change, FinishBatch):
            stored = self.batches[change.batch_id]
            finished = replace(stored.batch, reply=change.reply, finished_at=change.at)
            self.batches[change.batch_id] = replace(stored, batch=finished)
        elif isinstance(change, DecideRows):
            stored, told = self.batches[change.batch_id], {one.address: one for one in change.outcomes}
            rows = tuple(
                replace(row, verdict=told[row.address].verdict) if row.address in told else row for row in stored.rows
            )
            self.batches[change.batch_id] = replace(stored, rows=rows)
        elif isinstance(change, MoveCall):
            for batch_id, stored in self.batches.items():
                calls = tuple(
                    replace(call, state=change.after) if call.id == change.call_id else call for call in stored.calls
                )
                self.batches[batch_id] = replace(stored, calls=calls)

    def finished(self) -> list[FinishBatch]:
        return [change for changes in self.writes for change in changes if isinstance(change, FinishBatch)]


@dataclass
class Hands:
    """A worker that does what the test says."""

    script: Callable[[Work], Awaitable[None]]
    sending: bool = False
    runs: list[Work] = field(default_factory=list)

    async def first_calls(self, work: Work) -> list[Any]:
        return []

    def withdraw(self, work: Work) -> None:
        pass

    def is_sending(self, work: Work) -> bool:
        return self.sending

    async def run(self, work: Work) -> None:
        self.runs.append(work)
        await self.script(work)


@dataclass
class Witness:
    """Whom the workshop tells what it did."""

    taken: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    decided: list[dict[tuple[str, Verdict], int]] = field(default_factory=list)
    answered: list[tuple[str, tuple[str, ...], float]] = field(default_factory=list)

    def batch_taken(self, sender: str, rows: int) -> None:
        self.taken.append(sender)

    def batch_finished(self, sender: str, outcomes: Mapping[Address, Outcome], seconds: float) -> None:
        self.finished.append(sender)

    def rows_decided(self, received_at: float, verdicts: Mapping[tuple[str, Verdict], int]) -> None:
        self.decided.append(dict(verdicts))

    def batch_answered(self, record: BatchRecord, organizations: Sequence[str], seconds: float) -> None:
        self.answered.append((record.id, tuple(organizations), seconds))


@dataclass
class Place:
    """A workshop, and everything around it."""

    workshop: Workshop
    teller: Teller
    office: Office
    shelf: Shelf
    hands: Hands
    lobby: Lobby
    witness: Witness


def accept(work: Work, *addresses: Address) -> None:
    work.decide({address: Outcome(address, Verdict.ACCEPTED) for address in addresses})


async def finish(work: Work) -> None:
    accept(work, *(address for address, _ in work.rows))


async def for_ever(_: Work) -> None:
    await asyncio.Event().wait()


async def park(_: Work) -> None:
    pass


def make(script: Callable[[Work], Awaitable[None]] = finish, **limits: int) -> Place:
    shelf, hands, witness = Shelf(), Hands(script), Witness()
    clock = lambda: NOW  # noqa: E731 - time stands still
    lobby = Lobby(clock=clock)
    journal = PatientJournal(cast("Journal", shelf), clock=clock, sleep=asyncio.sleep)
    teller = Teller({"p": DESK}, cast("Journal", shelf))
    workshop = Workshop(
        teller,
        cast("Journal", shelf),
        journal,
        cast("Worker", hands),
        lobby,
        observer=witness,
        scorer=witness,
        limits=Limits(**{"batches": 10, "batches_per_sender": 10, "rows": 100} | limits),
        clock=clock,
    )
    office = Office(workshop, cast("Journal", shelf), journal, clock=clock, new_id=lambda: "new")
    return Place(workshop, teller, office, shelf, hands, lobby, witness)


def record(name: str, sender: str = "s", rows: int = 2, profile: str = "p") -> BatchRecord:
    return BatchRecord(name, sender, profile, "", f"i-{name}", "c", 990.0, offline=False, row_count=rows, payload=None)


def a_work(name: str = "b", sender: str = "s", rows: int = 2) -> Work:
    places = [(Address("invoice", index), f"l{index}") for index in range(rows)]
    opened = asyncio.get_running_loop().create_future()
    return Work(record(name, sender, rows), DESK, places, [], BatchClaims(), {}, opened)


def row_records(rows: int = 2, **more: Any) -> list[RowRecord]:
    return [RowRecord(Address("invoice", index), Verdict.PENDING, **more) for index in range(rows)]


def store(place: Place, name: str, *, profile: str = "p", calls: tuple[CallRecord, ...] = (), **row: Any) -> None:
    """Put an open batch on the shelf that nobody works on."""
    place.shelf.batches[name] = StoredBatch(record(name, profile=profile), tuple(row_records(**row)), calls)
    place.shelf.free.append(name)


def accepts(place: Place) -> bool:
    return place.workshop.accepting


async def open_one(place: Place, work: Work) -> None:
    await place.workshop.open(work, row_records(len(work.rows)), b"{}", "", ())


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - lists ring no bell
            await asyncio.sleep(0)


# --- opening and finishing ------------------------------------------------------------------------------------------


async def test_a_batch_is_journalled_worked_and_answered_once() -> None:
    """While it is at work it is found and counted; afterwards its answer stays with it."""
    place, work = make(), a_work()
    await open_one(place, work)
    assert place.workshop.works.find("s", "i-b") is work
    assert len(place.workshop.works) == 1
    assert work.opened.done()
    await until(lambda: work.reply)
    assert (len(place.workshop.works), place.workshop.works.find("s", "i-b")) == (0, None)
    assert await place.teller.look(work) == work.reply
    assert [change.reply for change in place.shelf.finished()] == [work.reply]
    assert place.shelf.writes[0][0].batch.payload == b"{}"
    assert (place.witness.taken, place.witness.finished) == (["s"], ["s"])


async def test_rows_are_told_by_organization() -> None:
    """When the batch is answered, with the time that took; only rows of the modern side, by their organization."""
    place, work = make(), a_work(rows=3)
    work.planned = [PlannedRow(FIRST, "org-a", cast("Any", None), b"{}")]
    decided = RowRecord(SECOND, Verdict.REFUSED, organization="org-b")
    work.decide({SECOND: Outcome(SECOND, Verdict.REFUSED)})
    legacy = RowRecord(Address("invoice", 2), Verdict.PENDING, organization="org-c")
    rows = [RowRecord(FIRST, Verdict.PENDING, organization="org-a"), decided, legacy]
    await place.workshop.open(work, rows, b"{}", "", ())
    assert place.witness.decided == []
    await until(lambda: work.reply)
    assert place.witness.decided == [{("org-a", Verdict.ACCEPTED): 1}]
    assert place.witness.answered == [("b", ("org-a",), 10.0)]


async def test_the_answer_that_came_with_the_last_verdict_is_not_written_again() -> None:
    """Two calls: the first one's end adds nothing, the second one's the answer; those bytes are what callers get."""
    added: list[Any] = []

    async def two_calls(work: Work) -> None:
        for address in (FIRST, SECOND):
            outcomes = {address: Outcome(address, Verdict.ACCEPTED)}
            changes = await work.closing(outcomes)
            added.append(list(changes))
            if changes:
                await place.shelf.write(*changes)
            work.decide(outcomes)

    place, work = make(two_calls), a_work()
    await open_one(place, work)
    await until(lambda: work.reply)
    assert [len(changes) for changes in added] == [0, 1]
    assert [change.reply for change in place.shelf.finished()] == [work.reply]


async def test_two_calls_that_end_together_leave_one_answer() -> None:
    """Neither sees the other's verdict, so neither brings the answer: it is written afterwards, once."""

    async def two_calls(work: Work) -> None:
        ends = [{address: Outcome(address, Verdict.ACCEPTED)} for address in (FIRST, SECOND)]
        assert [list(await work.closing(outcomes)) for outcomes in ends] == [[], []]
        for outcomes in ends:
            work.decide(outcomes)

    place, work = make(two_calls), a_work()
    await open_one(place, work)
    await until(lambda: work.reply)
    assert [change.reply for change in place.shelf.finished()] == [work.reply]


async def test_a_verdict_once_given_is_what_the_answer_says() -> None:
    """A late second verdict on a row changes neither the row nor the answer."""

    async def change_of_mind(work: Work) -> None:
        accept(work, FIRST)
        late = {address: Outcome(address, Verdict.REFUSED, "late") for address in (FIRST, SECOND)}
        await place.shelf.write(*await work.closing(late))
        work.decide(late)

    place, work = make(change_of_mind), a_work()
    await open_one(place, work)
    await until(lambda: work.reply)
    assert work.reply is not None
    assert work.reply.count(b"late") == 1


@pytest.mark.parametrize("failure", [CannotTakeNow("full disk"), IdentityTaken()])
async def test_a_batch_the_journal_does_not_take_was_never_there(failure: Exception) -> None:
    """Its caller and whoever joined it are told; nothing stays open, nothing is worked."""
    place, work = make(), a_work()
    place.shelf.failures["write"] = [failure]
    opening = asyncio.create_task(open_one(place, work))
    joined = asyncio.create_task(work.wait_until_open())
    for waiting in (opening, joined):
        with pytest.raises(type(failure)):
            await waiting
    assert (len(place.workshop.works), place.hands.runs, place.witness.taken) == (0, [], [])
    assert place.workshop.works.rows == 0
    assert place.workshop.accepting is isinstance(failure, IdentityTaken)


# --- bounds ---------------------------------------------------------------------------------------------------------


async def test_no_more_batches_than_agreed_are_open() -> None:
    """503 with the advice to come back; room is there again as soon as one is finished."""
    place = make(for_ever, batches=2)
    for name in "ab":
        await open_one(place, a_work(name, sender=name))
    assert not accepts(place)
    with pytest.raises(CannotTakeNow) as full:
        place.workshop.works.refuse_when_full("c", 1)
    assert full.value.retry_after_seconds == 15
    await until(lambda: place.hands.runs)
    await place.workshop._stop(place.hands.runs[0])
    place.workshop.works.refuse_when_full("c", 1)
    assert accepts(place)
    await place.workshop.close()


async def test_those_that_were_read_together_do_not_all_come_in() -> None:
    """Each passed the first check while the others were still being read: the last check is where it is taken."""
    place = make(for_ever, batches=2)
    for name in "abc":
        place.workshop.works.refuse_when_full(name, 2)
    opened = await asyncio.gather(*(open_one(place, a_work(name)) for name in "abc"), return_exceptions=True)
    assert [type(one).__name__ for one in opened] == ["NoneType", "NoneType", "CannotTakeNow"]
    assert len(place.workshop.works) == 2
    await place.workshop.close()


async def test_one_sender_does_not_take_all_the_room() -> None:
    """429 for the one that has its share open; another one is taken."""
    place = make(for_ever, batches_per_sender=1)
    await open_one(place, a_work("a"))
    with pytest.raises(TooManyBatches):
        place.workshop.works.refuse_when_full("s", 1)
    place.workshop.works.refuse_when_full("other", 1)
    await place.workshop.close()


async def test_rows_are_bounded_unless_a_batch_comes_alone() -> None:
    """A batch larger than the bound could never be taken otherwise."""
    place = make(for_ever, rows=5)
    place.workshop.works.refuse_when_full("s", 50)
    await open_one(place, a_work("a", rows=3))
    place.workshop.works.refuse_when_full("s", 2)
    with pytest.raises(CannotTakeNow):
        place.workshop.works.refuse_when_full("s", 3)
    await place.workshop.close()


# --- lost, stopped by a fault, taken over ---------------------------------------------------------------------------


async def test_callers_of_a_lost_batch_get_the_other_replicas_answer() -> None:
    """Work stops, nothing more is written here; callers look into the store, and find the answer when it is there."""

    async def lose(work: Work) -> None:
        accept(work, FIRST)
        raise LostBatch(work.record.id)

    place, work = make(lose), a_work()
    await open_one(place, work)
    caller = asyncio.create_task(place.lobby.wait("b", NOW + 60, lambda: place.teller.look(work)))
    await until(lambda: work.lost)
    assert len(place.workshop.works) == 0
    assert await place.teller.look(work) is None
    assert b"PENDING" in await place.teller.interim(work), "as the store knows it, not as this replica believed"
    await place.shelf.write(FinishBatch("b", b"the other's", NOW))
    place.lobby.stir("b")
    assert await asyncio.wait_for(caller, 5) == b"the other's"
    assert await place.teller.look((await place.shelf.find("s", "i-b")) or work) == b"the other's"
    assert [change.reply for change in place.shelf.finished()] == [b"the other's"]


async def test_the_answer_of_a_batch_that_superseded_it_is_not_its_own() -> None:
    """The identity has passed on to another batch meanwhile."""
    place = make()
    store(place, "b")
    old = (await place.shelf.find("s", "i-b")) or record("b")
    del place.shelf.batches["b"]
    other = replace(record("c"), identity="i-b", reply=b"other")
    place.shelf.batches["c"] = StoredBatch(other, (), ())
    assert await place.teller.look(old) is None
    with pytest.raises(CannotTakeNow, match="does not know this batch"):
        await place.teller.interim(old)


async def test_a_batch_stopped_by_a_fault_is_taken_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a rest; its callers wait on, and get the answer of the second try."""
    monkeypatch.setattr("bridge.workshop.workshop.SECOND_CHANCE_SECONDS", 0.01)

    async def fail_once(work: Work) -> None:
        if len(place.hands.runs) == 1:
            raise RuntimeError("a fault of the program")
        await finish(work)

    place, work = make(fail_once), a_work()
    await open_one(place, work)
    caller = asyncio.create_task(place.lobby.wait("b", NOW + 60, lambda: place.teller.look(work)))
    with capture_logs() as logs:
        await until(lambda: work.lost)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["unexpected"]
    assert len(place.workshop.works) == 0
    await until(lambda: place.shelf.let_go_of)
    await place.workshop.take_over()
    assert await asyncio.wait_for(caller, 5) == place.shelf.finished()[0].reply


async def test_a_batch_that_was_set_going_meanwhile_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's order came before its rest was over: it is not worked twice."""
    monkeypatch.setattr("bridge.workshop.workshop.SECOND_CHANCE_SECONDS", 0.01)

    async def fail_once(work: Work) -> None:
        if len(place.hands.runs) == 1:
            raise RuntimeError("a fault of the program")
        await for_ever(work)

    place, work = make(fail_once), a_work()
    await open_one(place, work)
    await until(lambda: work.lost)
    place.shelf.free.append("b")
    await place.workshop.take_over()
    await until(lambda: "b at rest" not in place.workshop._tasks)
    assert place.shelf.let_go_of == []
    await place.workshop.close()


async def test_a_batch_that_cannot_be_given_up_is_taken_up_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store was in trouble just then: the batch is not forgotten."""
    monkeypatch.setattr("bridge.workshop.workshop.SECOND_CHANCE_SECONDS", 0.01)

    async def fail_once(work: Work) -> None:
        if len(place.hands.runs) == 1:
            raise RuntimeError("a fault of the program")
        await finish(work)

    place = make(fail_once)
    place.shelf.failures["let_go"] = [CannotTakeNow()]
    await open_one(place, a_work())
    await until(lambda: place.workshop._orphans)
    await place.workshop.take_over()
    await until(place.shelf.finished)


async def test_orphans_are_taken_up_in_order() -> None:
    """Each comes to its end; what is decided already stays decided."""
    place = make()
    store(place, "a")
    store(place, "b")
    place.shelf.free.append("gone")
    await place.workshop.take_over()
    await until(lambda: len(place.shelf.finished()) == 2)
    assert [work.record.id for work in place.hands.runs] == ["a", "b"]
    assert place.workshop._orphans == {}


@pytest.mark.parametrize("question", ["load b", "attempts b"])
async def test_orphans_are_not_forgotten_when_the_store_is_in_trouble(question: str) -> None:
    """They are ours already, so no other replica takes them: the next round goes on where this one broke off."""
    place = make()
    for name in "abc":
        store(place, name)
    place.shelf.failures[question] = [CannotTakeNow()]
    with pytest.raises(CannotTakeNow):
        await place.workshop.take_over()
    await place.workshop.take_over()
    await until(lambda: len(place.shelf.finished()) == 3)
    assert [work.record.id for work in place.hands.runs] == ["a", "b", "c"]


async def test_a_batch_that_cannot_be_read_keeps_no_other_waiting() -> None:
    """Neither at the start, nor later: it rests, and the others are worked."""
    place = make()
    for name in "abc":
        store(place, name)
    place.shelf.failures["load b"] = [KeyError("a fault of the program")]
    await place.workshop.take_over()
    await until(lambda: list(place.workshop._tasks) == ["b at rest"])
    assert len(place.shelf.finished()) == 2
    await place.workshop.close()


async def test_a_batch_taken_over_from_ourselves_is_worked_once() -> None:
    """We were thought dead for a while, and got it back: the old work ends, its callers go on with the new one."""
    place, work = make(for_ever), a_work()
    await open_one(place, work)
    await until(lambda: place.hands.runs)
    place.shelf.free.append("b")
    await place.workshop.take_over()
    await until(lambda: len(place.hands.runs) == 2)
    assert work.lost
    place.workshop.works.drop(work)  # once more, as its end might
    assert (len(place.workshop.works), place.workshop.works.rows) == (1, 2)
    assert place.workshop.works.find("s", "i-b") is place.hands.runs[1]
    await place.workshop.close()


async def test_two_open_batches_may_share_an_identity() -> None:
    """The window of one has lapsed while it was in doubt: the end of either leaves the other at work."""
    ends = {name: asyncio.Event() for name in "ab"}

    async def wait(work: Work) -> None:
        await ends[work.record.id].wait()
        await finish(work)

    place = make(wait)
    works = [a_work(name) for name in "ab"]
    for work in works:
        work.record = replace(work.record, identity="same")
        await open_one(place, work)
    ends["a"].set()
    await until(lambda: works[0].reply)
    assert place.workshop.works.find("s", "same") is works[1]
    assert (len(place.workshop.works), place.workshop.works.rows) == (1, 2)
    ends["b"].set()
    await until(lambda: works[1].reply)
    assert (len(place.workshop.works), place.workshop.works.rows) == (0, 0)


async def test_a_batch_whose_profile_is_gone_waits_for_the_operator() -> None:
    """It is not worked, and its callers are told why with a 503."""
    place = make()
    store(place, "b", profile="gone")
    await place.workshop.take_over()
    batch = place.shelf.batches["b"].batch
    with pytest.raises(CannotTakeNow, match="waits for the profile gone"):
        await place.teller.look(batch)
    with pytest.raises(CannotTakeNow, match="waits for the profile gone"):
        await place.teller.interim(batch)
    assert (place.hands.runs, place.teller.is_parked(batch)) == ([], False)


# --- what may be said -----------------------------------------------------------------------------------------------


async def test_what_is_said_of_a_row_is_what_the_journal_has() -> None:
    """Another replica reads it there: a view of our own that is behind would take back what the other one said."""
    place, work = make(for_ever), a_work()
    await open_one(place, work)
    accept(work, SECOND)  # not written down, so nobody may hear of it
    await place.shelf.write(DecideRows("b", [Outcome(FIRST, Verdict.ACCEPTED)]))  # told by a part of a divided call
    assert not work.lost
    told = json.loads(await place.teller.interim(work))["responses"]
    assert [line["status_statuscode"] for line in told] == ["OK", "PENDING"]
    await place.workshop.close()


async def test_an_answer_that_is_in_the_journal_is_final_before_its_writer_knows() -> None:
    """The answer to its commit is still on the way; other replicas give it already."""
    place, work = make(for_ever), a_work()
    await open_one(place, work)
    await place.shelf.write(FinishBatch("b", b"final", NOW))
    assert await place.teller.look(work) is None
    assert await place.teller.interim(work) == b"final"
    await place.workshop.close()


async def test_nothing_is_said_while_the_journal_cannot_be_read() -> None:
    """A 503 takes nothing back; to call a row pending may."""
    place, work = make(for_ever), a_work()
    await open_one(place, work)
    place.shelf.failures["standing b"] = [CannotTakeNow("away")]
    with pytest.raises(CannotTakeNow, match="away"):
        await place.teller.interim(work)
    await place.workshop.close()


# --- parked, settled ------------------------------------------------------------------------------------------------

IN_DOUBT = CallRecord("call", "b", "org", "op", "/", (FIRST, SECOND), CallState.IN_DOUBT)


def parked(place: Place) -> None:
    """Put a batch on the shelf both of whose rows are in doubt."""
    store(place, "b", calls=(IN_DOUBT,), call_id="call")


def an_order(settlement: Settlement = Settlement.ACCEPTED) -> Order:
    return Order("o", "b", (FIRST, SECOND), settlement, "Kari", "seen", NOW)


@pytest.fixture(autouse=True)
def _reopen_without_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reopen batches whose rows carry no items: what their calls would send is the worker's business."""

    def reopen(stored: StoredBatch, _: Any, desk: Any) -> Work:
        opened = asyncio.get_running_loop().create_future()
        opened.set_result(None)
        outcomes = {
            row.address: Outcome(row.address, row.verdict, row.message)
            for row in stored.rows
            if row.verdict is not Verdict.PENDING
        }
        rows = [(row.address, row.ledgerref) for row in stored.rows]
        return Work(stored.batch, desk, rows, [], BatchClaims(), outcomes, opened)

    monkeypatch.setattr("bridge.workshop.workshop.reopen", reopen)


async def test_a_batch_in_doubt_is_parked_and_stays_open() -> None:
    """Nothing is finished; waiting for it is useless until an operator has spoken."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    work = place.workshop.works.find("s", "i-b")
    assert work is not None
    await until(lambda: work.parked)
    assert place.teller.is_parked(work)
    assert (await place.teller.look(work), place.shelf.finished()) == (None, [])
    assert b"PENDING" in await place.teller.interim(work)
    assert len(place.workshop.works) == 1
    assert place.shelf.told == [(News.PARKED, "b")]
    place.teller.ask_if_parked("elsewhere")
    place.teller.tell_if_parked(place.workshop.works.get("elsewhere"))
    place.teller.tell_if_parked(place.workshop.works.get("b"))
    assert place.shelf.told[1:] == [(News.ASKED, "elsewhere"), (News.PARKED, "b")], "only who works it can tell"
    work.lost = True
    assert not place.teller.is_parked(work), "who knows what others do about it"


async def test_an_order_is_carried_out_and_the_batch_goes_on() -> None:
    """Its old work stops, the rows are decided, the answer follows; done once only."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    work = place.workshop.works.find("s", "i-b")
    assert work is not None
    await until(lambda: work.parked)
    place.shelf.orders.append(an_order())
    await place.office.carry_out_orders()
    await until(place.shelf.finished)
    assert work.lost
    assert place.shelf.orders[0].result == "accepted: invoice 0, invoice 1"
    assert b"OK" in (await place.teller.look(work) or b"")
    writes = len(place.shelf.writes)
    await place.office.carry_out_orders()
    assert len(place.shelf.writes) == writes


async def test_an_order_waits_for_the_answers_of_what_is_being_sent() -> None:
    """A write that were cut off for it would be in doubt itself."""
    place = make(for_ever)
    parked(place)
    await place.workshop.take_over()
    work = place.workshop.works.find("s", "i-b")
    place.shelf.orders.append(an_order())
    place.hands.sending = True
    await place.office.carry_out_orders()
    assert place.workshop.works.find("s", "i-b") is work
    assert [order.fulfilled_at for order in place.shelf.orders] == [None]
    place.hands.sending = False
    await place.office.carry_out_orders()
    assert [order.fulfilled_at for order in place.shelf.orders] == [NOW]
    await place.workshop.close()


async def test_an_order_for_a_batch_nobody_works_is_carried_out_as_well() -> None:
    """One that came too late for anything leaves a finished batch alone; one for an unknown batch says so."""
    place = make()
    parked(place)
    place.shelf.free.clear()
    await place.shelf.write(FinishBatch("b", b"final", NOW), MoveCall("call", CallState.IN_DOUBT, CallState.DONE, NOW))
    place.shelf.orders += [replace(an_order(), id="x", batch_id="unknown"), an_order()]
    await place.office.carry_out_orders()
    assert place.shelf.orders[1].result.startswith("nothing done: not in doubt any more")
    assert place.shelf.orders[0].result == "nothing done: there is no such batch"
    assert place.hands.runs == []


async def test_an_order_that_cannot_be_carried_out_now_leaves_the_batch_at_work() -> None:
    """The batch moved on just then, or the store is in trouble: the next round tries again, and the work goes on."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    await until(lambda: place.hands.runs)
    place.shelf.orders.append(an_order())
    place.shelf.failures["write"] = [StaleCall()]
    await place.office.carry_out_orders()
    await until(lambda: len(place.hands.runs) == 2)
    assert len(place.workshop.works) == 1
    await place.office.carry_out_orders()
    await until(place.shelf.finished)


@pytest.mark.parametrize("question", ["load", "attempts"])
async def test_a_batch_that_cannot_be_read_after_its_order_is_taken_up_by_the_next_round(question: str) -> None:
    """The order is done and will not bring it back: the batch must not lie still until the next start."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    await until(lambda: place.hands.runs)
    place.shelf.orders.append(an_order())
    place.shelf.failures[f"{question} b"] = [CannotTakeNow()]
    if question == "load":
        place.shelf.failures["load b"] = [None, CannotTakeNow()]  # type: ignore[list-item]  # the first look succeeds
    with pytest.raises(CannotTakeNow):
        await place.office.carry_out_orders()
    assert place.shelf.orders[0].fulfilled_at == NOW
    assert place.shelf.finished() == []
    await place.workshop.take_over()
    await until(place.shelf.finished)


async def test_an_order_for_a_batch_that_is_lost_just_then_is_its_new_owners() -> None:
    """Nothing of the batch goes on here, and the orders after it are carried out."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    await until(lambda: place.hands.runs)
    place.shelf.orders += [an_order(), replace(an_order(), id="next", batch_id="unknown")]
    place.shelf.failures["write"] = [LostBatch("b")]
    await place.office.carry_out_orders()
    assert [order.fulfilled_at for order in place.shelf.orders] == [None, NOW]
    assert (len(place.workshop.works), len(place.hands.runs)) == (0, 1)


async def test_a_batch_lost_while_it_is_taken_up_is_not_worked_here() -> None:
    """Its new owner works it: a second worker might never write, and so never learn that it is not its own."""
    place = make(park)
    parked(place)
    reading = place.shelf.attempts

    async def lose_meanwhile(batch_id: str) -> list[Attempt]:
        place.workshop.forsake(batch_id)
        await until(lambda: place.shelf.let_go_of)
        return await reading(batch_id)

    place.shelf.attempts = lose_meanwhile  # type: ignore[method-assign]
    await place.workshop.take_over()
    assert (len(place.workshop.works), place.hands.runs) == (0, [])


async def test_an_order_that_can_never_be_carried_out_is_not_tried_for_ever() -> None:
    """The law of calls and rows forbids it: the order says so, and the next one is carried out."""
    place = make(park)
    parked(place)
    await place.workshop.take_over()
    await until(lambda: place.hands.runs)
    place.shelf.orders += [replace(an_order(), id="bad"), an_order()]
    place.shelf.failures["write"] = [ValueError("against the law")]
    await place.office.carry_out_orders()
    assert place.shelf.orders[0].result == "nothing done: against the law"
    assert place.shelf.orders[1].fulfilled_at == NOW


async def test_a_forsaken_batch_is_let_go_as_soon_as_the_store_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store out of reach must not keep the batch from ever coming back to this replica."""
    monkeypatch.setattr("bridge.workshop.workshop.LET_GO_SECONDS", 0.001)
    place = make()
    place.shelf.failures["let_go"] = [CannotTakeNow(), CannotTakeNow()]
    place.workshop.forsake("b")
    await until(lambda: place.shelf.let_go_of == ["b"])


async def test_a_batch_that_others_have_taken_is_forsaken() -> None:
    """Its work ends at once, its callers look into the store, and nothing of it is written here any more."""
    place, work = make(for_ever), a_work()
    await open_one(place, work)
    caller = asyncio.create_task(place.lobby.wait("b", NOW + 60, lambda: place.teller.look(work)))
    await until(lambda: place.hands.runs)
    await place.shelf.write(FinishBatch("b", b"the other's", NOW))
    place.workshop.forsake("b")
    assert await asyncio.wait_for(caller, 5) == b"the other's"
    assert (work.lost, len(place.workshop.works), place.shelf.let_go_of) == (True, 0, ["b"])
    place.workshop.forsake("unknown")
    await until(lambda: not place.workshop._tasks)
    assert place.shelf.let_go_of == ["b", "unknown"]


async def test_closing_stops_the_work_and_keeps_it_in_the_journal() -> None:
    """Nothing is written on the way out, and no task is left."""
    place = make(for_ever)
    await open_one(place, a_work())
    await until(lambda: place.hands.runs)
    writes = len(place.shelf.writes)
    await place.workshop.close()
    assert (len(place.shelf.writes), place.workshop._tasks) == (writes, {})


async def test_a_finished_batch_leaves_memory_without_the_collector() -> None:
    """A large batch must not stay until the next full collection, which a busy bridge puts off for long."""
    place = make()
    work = a_work()
    await open_one(place, work)
    await until(place.shelf.finished)
    await until(lambda: not place.workshop._tasks)
    gone = weakref.ref(work)
    place.hands.runs.clear()
    gc.disable()
    try:
        del work
        assert gone() is None
    finally:
        gc.enable()
