"""Writes at the edges: when the bridge stops, when a batch is lost to another replica, and how few there are."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import DecideRows, FinishBatch, LostBatch, MoveCall
from bridge.journal.opening import open_books
from bridge.journal.patient import PatientJournal
from bridge.sandbox import Running, SandboxOptions, running

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    """A modern system that outlives the bridge, and wakes up whatever still sleeps at the end."""
    end = asyncio.Event()

    async def sleep(seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(end.wait(), seconds)

    async with running(SandboxOptions(port=0, sleep=sleep)) as sandbox:
        yield sandbox
        end.set()


async def states(folder: Any, batch_id: str) -> tuple[list[CallState], list[CallState]]:
    """Return the states of a stopped bridge's calls, and every state they ever were in."""
    books = open_books(f"sqlite:///{folder}/bridge.db", base=folder)
    try:
        stored = await books.load(batch_id)
        assert stored is not None
        return [call.state for call in stored.calls], [one.state for one in await books.attempts(batch_id)]
    finally:
        await books.close()


# --- stopping -------------------------------------------------------------------------------------------------------


async def test_a_write_under_way_at_the_stop_is_answered_and_written_down(
    open_world: Any, sandbox: Running, invoice: Invoice, wait_until: Any
) -> None:
    """It is SUBMITTED when the process ends, never in doubt, and goes on from there at the next start."""
    slow = {"operation": "invoices", "kind": "slow", "seconds": 0.6, "when": "after"}
    sandbox.play({"fault": [slow], "behaviour": {"finish_after_seconds": 86_000}})
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    async with open_world(sandbox=sandbox, request_timeout_seconds=10, hold_seconds=0.05) as world:
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await wait_until(lambda: world.writes("invoices"))
        assert world.writes("invoices")[0].status is None, "still on its way"
    assert (await states(world.folder, batch_id))[0] == [CallState.SUBMITTED]
    sandbox.play({})
    for held in list(sandbox.state.account(ORG_A).batches):
        sandbox.stand_in.tick(held, at_least=held.created_at + 86_400)
    async with open_world(sandbox=sandbox) as world:
        assert (await world.post(batch)).code == 0
        assert len(world.writes("invoices")) == 1
    assert CallState.IN_DOUBT not in (await states(world.folder, batch_id))[1]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_write_that_takes_too_long_at_the_stop_is_in_doubt_and_reconciled(
    open_world: Any,
    sandbox: Running,
    invoice: Invoice,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """The process does not wait for it any longer; the next one finds out what became of it."""
    monkeypatch.setattr("bridge.app.LINGER_SECONDS", 0.1)
    sandbox.play({"fault": [{"operation": "invoices", "kind": "slow", "seconds": 60, "when": when, "times": 1}]})
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    async with open_world(sandbox=sandbox, request_timeout_seconds=30, hold_seconds=0.05) as world:
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await wait_until(lambda: world.writes("invoices"))
    assert (await states(world.folder, batch_id))[0] == [CallState.SUBMITTING]
    async with open_world(sandbox=sandbox, request_timeout_seconds=0.3, settle_seconds=0.2) as world:
        assert (await world.post(batch)).code == 0
        assert world.accepted("invoices") == {"erp-1": 1}
    assert CallState.IN_DOUBT in (await states(world.folder, batch_id))[1]


async def test_nothing_is_sent_once_the_stop_has_begun(
    open_world: Any, sandbox: Running, invoice: Invoice, wait_until: Any
) -> None:
    """One write is on its way, four wait their turn: they stay PLANNED, and leave at the next start."""
    sandbox.play({"fault": [{"operation": "invoices", "kind": "slow", "seconds": 0.5, "times": 1}]})
    batch = {"batchid": "b", "invoice": [invoice(str(number)) for number in range(5)]}
    settings = {"max_rows_per_call": 1, "concurrency_per_organization": 1, "request_timeout_seconds": 10}
    async with open_world(sandbox=sandbox, hold_seconds=0.05, **settings) as world:
        batch_id = (await world.post(batch)).headers["x-bridge-batch"]
        await wait_until(lambda: world.writes("invoices"))
        await world.bridge.dispatch.quiesce(10)
        assert len(world.writes("invoices")) == 1
        await asyncio.sleep(0.3)  # the slot is free, and time enough to send if it were allowed
        assert len(world.writes("invoices")) == 1
    now, ever = await states(world.folder, batch_id)
    assert sorted(now)[1:] == [CallState.PLANNED] * 4
    assert ever.count(CallState.SUBMITTING) == 1
    async with open_world(sandbox=sandbox, **settings) as world:
        assert (await world.post(batch)).code == 0
        assert len(world.writes("invoices")) == 5


async def test_the_stop_waits_for_nobody_when_nothing_is_under_way(world: Any, invoice: Invoice) -> None:
    """Neither before the first write nor after the last."""
    await asyncio.wait_for(world.bridge.dispatch.quiesce(3600), 5)
    world.bridge.dispatch.traffic.stopping = False
    assert (await world.post({"invoice": [invoice("1")]})).code == 0
    await asyncio.wait_for(world.bridge.dispatch.quiesce(3600), 5)


async def test_callers_that_give_their_batch_while_the_bridge_drains_are_answered(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """The journal had their batch just then: they get what is known, instead of a broken connection."""
    async with open_world() as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 86_000}})
        store, go_on = world.bridge.workshop._store, asyncio.Event()
        write, reached = store.write, []

        async def write_slowly(*changes: Any) -> None:
            reached.append(changes)
            await go_on.wait()
            await write(*changes)

        monkeypatch.setattr(store, "write", write_slowly)
        caller = asyncio.create_task(world.post({"invoice": [invoice("1")]}))
        await wait_until(lambda: reached)
        draining = asyncio.create_task(world.bridge.pipeline.drain(1.0))
        await asyncio.sleep(0.02)
        go_on.set()
        began = time.monotonic()
        await asyncio.wait_for(draining, 10)
        assert time.monotonic() - began > 0.5, "the caller was there until its time was up"
        assert (await caller).code == 3


# --- ownership ------------------------------------------------------------------------------------------------------


async def test_nothing_is_sent_while_the_batch_may_belong_to_somebody_else(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """Our lease is uncertain: the write waits, without a trace in the journal, until it is certain again."""
    store, asked = world.bridge.workshop._store, []
    answer = [False]

    def may_send(seconds: float) -> bool:
        asked.append(seconds)
        return answer[0]

    monkeypatch.setattr(store, "may_send", may_send)
    caller = asyncio.create_task(world.post({"batchid": "b", "invoice": [invoice("1")]}))
    await wait_until(lambda: len(asked) >= 3)
    assert world.writes("invoices") == []
    (batch_id,) = await world.books.open_batches()
    stored = await world.books.load(batch_id)
    assert [call.state for call in stored.calls] == [CallState.PLANNED]
    assert min(asked) > 0
    answer[0] = True
    assert (await asyncio.wait_for(caller, 10)).code == 0


async def test_a_lease_that_ends_while_the_intent_is_written_sends_nothing(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call goes back to PLANNED, provably unsent, and leaves when the lease is certain again; once."""
    answers = [True, False, False]  # when the slot is taken, when the intent is on disk, when the lease is waited for
    monkeypatch.setattr(world.bridge.workshop._store, "may_send", lambda _: answers.pop(0) if answers else True)
    reply = await asyncio.wait_for(world.post({"invoice": [invoice("1")]}), 10)
    assert reply.code == 0
    attempts = await world.books.attempts(reply.headers["x-bridge-batch"])
    assert [attempt.state for attempt in attempts] == [
        *(CallState.SUBMITTING, CallState.PLANNED),
        *(CallState.SUBMITTING, CallState.SUBMITTED, CallState.DONE),
    ]
    assert "lease" in attempts[1].why
    assert len(world.writes("invoices")) == 1
    assert world.bridge.dispatch._gates.of(ORG_A)._failures == 0, "the organization did nothing wrong"


async def test_callers_of_a_lost_batch_get_what_the_other_replica_answered(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """The store says that the batch is not ours: nothing is written any more, and its callers look there."""
    store = world.bridge.workshop._store
    write, told = store.write, []

    async def write_unless_verdict(*changes: Any) -> None:
        for change in changes:
            if isinstance(change, DecideRows):
                told.append(change.batch_id)
                raise LostBatch(change.batch_id)
        await write(*changes)

    monkeypatch.setattr(store, "write", write_unless_verdict)
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    callers = [asyncio.create_task(world.post(batch)) for _ in range(2)]
    await wait_until(lambda: told and len(world.bridge.workshop.works) == 0)
    assert not any(caller.done() for caller in callers)
    await asyncio.wait_for(world.bridge.dispatch.quiesce(3600), 5)
    (call,) = (await world.books.load(told[0])).calls
    assert call.state is CallState.SUBMITTED
    theirs = b'{"statuscode":0,"errors":[],"responses":[]}'
    decided = DecideRows(told[0], [Outcome(Address("invoice", 0), Verdict.ACCEPTED)])
    done = MoveCall(call.id, CallState.SUBMITTED, CallState.DONE, time.time())
    await write(done, decided, FinishBatch(told[0], theirs, time.time()))
    async with asyncio.timeout(10):
        replies = [await caller for caller in callers]
    assert [reply.body["responses"] for reply in replies] == [[], []]
    assert len(told) == 1


async def test_a_batch_lost_while_its_result_is_waited_for_is_let_go_at_once(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """Not when the result comes, which may be in hours: until then its callers would look in the wrong place."""
    async with open_world(hold_seconds=0.05) as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 86_000}})
        store = world.bridge.workshop._store
        write = store.write

        async def lose_when_taken(*changes: Any) -> None:
            if any(isinstance(change, MoveCall) and change.after is CallState.SUBMITTED for change in changes):
                raise LostBatch("b")
            await write(*changes)

        monkeypatch.setattr(store, "write", lose_when_taken)
        assert (await world.post({"batchid": "b", "invoice": [invoice("1")]})).code == 3
        await wait_until(lambda: len(world.bridge.workshop.works) == 0, 5)
        await wait_until(lambda: not world.bridge.workshop._tasks, 5)
        await asyncio.wait_for(world.bridge.dispatch.quiesce(3600), 5)


# --- how few writes there are ---------------------------------------------------------------------------------------


def spy(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Note the kinds of changes of every write that became durable."""
    writes: list[tuple[str, ...]] = []
    write_now: Callable[..., Awaitable[None]] = PatientJournal.write_now

    async def write_and_note(journal: PatientJournal, *changes: Any) -> None:
        await write_now(journal, *changes)
        writes.append(tuple(type(change).__name__ for change in changes))

    monkeypatch.setattr(PatientJournal, "write_now", write_and_note)
    return writes


async def test_the_answer_is_stored_with_the_last_verdict(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of one call takes three writes: taken and on its way, arrived, decided and answered."""
    writes = spy(monkeypatch)
    assert (await world.post({"invoice": [invoice("1"), invoice("2")]})).code == 0
    assert writes == [
        ("OpenBatch", "PlanCall"),
        ("MoveCall",),
        ("MoveCall", "DecideRows", "LearnClaims", "FinishBatch"),
    ]


@pytest.mark.parametrize("status", [422, 403])
async def test_the_answer_is_stored_with_the_last_refusal(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    """A call that is refused at once takes two."""
    writes = spy(monkeypatch)
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "fail", "status": status}]})
    assert (await world.post({"invoice": [invoice("1")]})).code == 2
    assert writes == [("OpenBatch", "PlanCall"), ("MoveCall", "DecideRows", "FinishBatch")]


async def test_a_batch_of_several_waves_is_answered_with_the_last(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An invoice, and its payment after it: no write of its own for the answer."""
    writes = spy(monkeypatch)
    batch = {"invoice": [invoice("1")], "payment": [{"invoiceNumber": "1", "amount": 1}]}
    assert (await world.post(batch)).code == 0
    assert [kinds for kinds in writes if "FinishBatch" in kinds] == [("MoveCall", "DecideRows", "FinishBatch")]
    assert writes.index(("MoveCall", "DecideRows", "FinishBatch")) == len(writes) - 1


async def test_calls_that_end_together_leave_one_answer(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the ends of eight calls fall, there is exactly one answer, and it speaks of every row."""
    async with open_world(max_rows_per_call=1, concurrency_per_organization=8) as world:
        writes = spy(monkeypatch)
        for number in range(5):
            batch = {"batchid": str(number), "invoice": [invoice(f"{number}-{row}") for row in range(8)]}
            reply = await world.post(batch)
            assert (reply.code, len(reply.states)) == (0, 8)
            assert (await world.post(batch)).body == reply.body
        assert sum(kinds.count("FinishBatch") for kinds in writes) == 5


async def test_an_answer_is_not_given_before_the_journal_has_it(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """The last write does not get through for a while: callers wait, although every verdict is known, old and new."""
    store, lobby = world.bridge.workshop._store, world.bridge.pipeline._lobby
    refused: list[str] = []
    write, is_full = store.write, True

    async def fail_at_the_end(*changes: Any) -> None:
        finished = [change.batch_id for change in changes if isinstance(change, FinishBatch)]
        if finished and is_full:
            refused.extend(finished)
            raise CannotTakeNow("the disk is full")
        await write(*changes)

    monkeypatch.setattr(store, "write", fail_at_the_end)
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    callers = [asyncio.create_task(world.post(batch))]
    await wait_until(lambda: refused)
    callers.append(asyncio.create_task(world.post(batch)))
    await wait_until(lambda: lobby._seats[refused[0]].taken == 2)
    lobby.stir(refused[0])
    await asyncio.sleep(0.05)  # time enough to answer, if there were an answer
    assert not any(caller.done() for caller in callers)
    is_full = False
    async with asyncio.timeout(10):
        assert [(await caller).code for caller in callers] == [0, 0]


# --- a fault of the program -----------------------------------------------------------------------------------------


async def test_a_batch_stopped_by_a_fault_of_the_program_is_taken_up_again(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its caller still waits: it rests for a while, and then comes to its end without a restart."""
    monkeypatch.setattr("bridge.workshop.workshop.SECOND_CHANCE_SECONDS", 0.1)
    async with open_world() as world:
        judge = world.bridge.workshop._worker._submitter._judge
        decide, faults = judge.decide, [RuntimeError("a fault of the program")]

        async def fail_once(*given: Any) -> Any:
            if faults:
                raise faults.pop()
            return await decide(*given)

        monkeypatch.setattr(judge, "decide", fail_once)
        reply = await asyncio.wait_for(world.post({"batchid": "b", "invoice": [invoice("1")]}), 15)
        assert reply.code == 0
        assert faults == []
        assert len(world.writes("invoices")) == 1
