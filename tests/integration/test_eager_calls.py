"""A small batch that finds a slot of its organization free is on its way with the commit that takes it (decision 8)."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.batch import CallState
from bridge.errors import CannotTakeNow
from bridge.journal import OpenBatch
from bridge.journal.opening import open_books
from bridge.workshop.work import EAGER_ROWS

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
SLOW: dict[str, object] = {"fault": [{"operation": "invoices", "kind": "slow", "seconds": 0.4, "times": 1}]}


class Gatekeeper:
    """Stands before the journal, and holds up the commit that takes a batch until it is told to go on."""

    def __init__(self, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = asyncio.Event()
        self.reached = asyncio.Event()
        self.failure: Exception | None = None
        store = world.bridge.workshop._store
        self._write = store.write
        monkeypatch.setattr(store, "write", self.write)

    async def write(self, *changes: Any) -> None:
        if any(isinstance(change, OpenBatch) for change in changes):
            self.reached.set()
            await self.go_on.wait()
            if self.failure is not None:
                raise self.failure
        await self._write(*changes)


async def free_slots(world: Any) -> int:
    """Count the organization's slots that could be taken now."""
    taken = []
    while passage := await world.bridge.dispatch._gates.of(ORG_A).enter_at_once():
        taken.append(passage)
    for passage in taken:
        passage.leave()
    return len(taken)


async def ever(world: Any, batch_id: str) -> list[CallState]:
    """Return every state the calls of a batch were in."""
    return [attempt.state for attempt in await world.books.attempts(batch_id)]


@pytest.fixture
async def narrow(open_world: Any) -> AsyncIterator[Any]:
    """A bridge that writes one call at a time."""
    async with open_world(concurrency_per_organization=1) as world:
        yield world


async def test_a_batch_alone_is_never_planned_first(narrow: Any, invoice: Invoice) -> None:
    """Its call begins its life SUBMITTING: its slot was there before the journal had it."""
    reply = await narrow.post({"invoice": [invoice("1")]})
    assert reply.code == 0
    states = await ever(narrow, reply.headers["x-bridge-batch"])
    assert states == [CallState.SUBMITTING, CallState.SUBMITTED, CallState.DONE]
    assert await free_slots(narrow) == 1


async def test_a_batch_that_finds_no_slot_is_planned(narrow: Any, invoice: Invoice, wait_until: Any) -> None:
    """What waits at a gate is PLANNED: nothing of it has left, so its death there leaves no doubt."""
    narrow.sandbox.play(SLOW)
    first = asyncio.create_task(narrow.post({"invoice": [invoice("1")]}))
    await wait_until(lambda: narrow.writes("invoices"))
    reply = await narrow.post({"invoice": [invoice("2")]})
    assert (await first).code == reply.code == 0
    states = await ever(narrow, reply.headers["x-bridge-batch"])
    assert states == [CallState.PLANNED, CallState.SUBMITTING, CallState.SUBMITTED, CallState.DONE]


@pytest.mark.parametrize(("rows", "per_call"), [(EAGER_ROWS + 1, 500), (4, 2)])
async def test_a_batch_that_is_not_small_keeps_no_slot_from_others(
    open_world: Any, invoice: Invoice, rows: int, per_call: int
) -> None:
    """While a large batch is journalled, or one of several calls, smaller ones can be sent."""
    async with open_world(max_rows_per_call=per_call) as world:
        reply = await world.post({"invoice": [invoice(str(number)) for number in range(rows)]})
        assert reply.code == 0
        calls = rows // per_call or 1
        assert (await ever(world, reply.headers["x-bridge-batch"]))[:calls] == [CallState.PLANNED] * calls


async def test_a_batch_the_journal_refuses_gives_its_slot_back(
    narrow: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was taken, nothing is sent, and the next one finds the slot free."""
    gatekeeper = Gatekeeper(narrow, monkeypatch)
    gatekeeper.failure = CannotTakeNow("the disk is full")
    caller = asyncio.create_task(narrow.post({"invoice": [invoice("1")]}))
    await gatekeeper.reached.wait()
    assert await free_slots(narrow) == 0
    gatekeeper.go_on.set()
    assert (await caller).status == 503
    assert await free_slots(narrow) == 1
    assert narrow.writes("invoices") == []
    await asyncio.wait_for(narrow.bridge.dispatch.quiesce(3600), 5)


async def test_a_caller_that_is_cut_off_gives_its_slot_back(
    narrow: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the end of the process does to those whose batch does not get into the journal in time."""
    workshop, gatekeeper = narrow.bridge.workshop, Gatekeeper(narrow, monkeypatch)
    opening, tasks = workshop.open, []

    async def open_as_task(*given: Any) -> None:
        tasks.append(asyncio.create_task(opening(*given)))
        await tasks[0]

    monkeypatch.setattr(workshop, "open", open_as_task)
    caller = asyncio.create_task(narrow.post({"invoice": [invoice("1")]}))
    await gatekeeper.reached.wait()
    tasks[0].cancel()
    with contextlib.suppress(Exception, asyncio.CancelledError):
        await caller
    assert await free_slots(narrow) == 1
    assert len(workshop.works) == 0


async def test_a_batch_stopped_before_its_first_step_gives_its_slot_back(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """A task that is cancelled before it began runs none of its own clean-up."""
    async with open_world(concurrency_per_organization=1, hold_seconds=0.2) as world:
        workshop = world.bridge.workshop
        spawn = workshop._spawn

        def spawn_and_cancel(name: str, *given: Any) -> None:
            spawn(name, *given)
            workshop._tasks[name].cancel()

        monkeypatch.setattr(workshop, "_spawn", spawn_and_cancel)
        await world.post({"invoice": [invoice("1")]})
        await wait_until(lambda: not workshop._tasks)
        assert await free_slots(world) == 1
        assert world.writes("invoices") == []


async def test_a_stop_while_a_batch_is_journalled_sends_nothing(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call is PLANNED again when the process ends, so the next start need not ask what became of it."""
    async with open_world(hold_seconds=0.3) as world:
        gatekeeper = Gatekeeper(world, monkeypatch)
        caller = asyncio.create_task(world.post({"batchid": "b", "invoice": [invoice("1")]}))
        await gatekeeper.reached.wait()
        stopped = asyncio.create_task(world.bridge.dispatch.quiesce(10))
        await asyncio.sleep(0)
        began = time.monotonic()
        gatekeeper.go_on.set()
        await stopped
        assert time.monotonic() - began < 5
        assert world.writes("invoices") == []
        batch_id = (await caller).headers["x-bridge-batch"]
    books = open_books(f"sqlite:///{world.folder}/bridge.db", base=world.folder)
    stored = await books.load(batch_id)
    assert stored is not None
    assert [call.state for call in stored.calls] == [CallState.PLANNED]
    assert "stop" in stored.calls[0].why
    await books.close()
