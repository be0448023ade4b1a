"""Slots that calls take before their batch is journalled: given back whatever happens, and never used too late."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address, CallState, Operation
from bridge.calls.dispatch import Dispatch
from bridge.calls.gates import Gates, GateTerms
from bridge.calls.live import LiveCall
from bridge.calls.traffic import SEND_MARGIN_SECONDS
from bridge.journal import CallRecord
from bridge.modern.answers import Answer, NotTaken, Taken
from bridge.plan import Draft, PlannedRow

INVOICES = Operation("create_invoices", "/invoices", "invoices", "uniqueSourceInvoiceId")


def make(name: str, state: CallState = CallState.PLANNED) -> LiveCall:
    address = Address("invoice", 0)
    record = CallRecord(name, f"batch of {name}", "org", INVOICES.name, "/invoices", (address,), state)
    return LiveCall(record, Draft("org", INVOICES, "/invoices", (PlannedRow(address, "org", INVOICES, b"{}"),)))


async def begin(call: LiveCall) -> LiveCall:
    """Make the intent durable."""
    await asyncio.sleep(0)
    return replace(call, record=replace(call.record, state=CallState.SUBMITTING))


@dataclass
class Outside:
    """A store whose lease may end, and a modern system that answers as it is told."""

    leased: bool = True
    margins: list[float] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    answer: Callable[[str], Awaitable[Answer]] | None = None
    token: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)

    def may_send(self, seconds: float) -> bool:
        self.margins.append(seconds)
        return self.leased

    async def submit(
        self, access: Any, path: str, body: bytes, key: str, *, expects_batch: bool, hindrance: Callable[[], str]
    ) -> Answer:
        await self.token()
        if why := hindrance():
            return NotTaken(why)
        self.sent.append(key)
        return await self.answer(key) if self.answer else Taken("m")


@dataclass
class Place:
    """A dispatch, the gate in front of it, and what is around."""

    outside: Outside
    dispatch: Dispatch
    gates: Gates

    async def free_slots(self) -> int:
        """Count the slots that could be taken now."""
        taken = []
        while passage := await self.gates.of("org").enter_at_once():
            taken.append(passage)
        for passage in taken:
            passage.leave()
        return len(taken)


def place(**terms: float) -> Place:
    outside = Outside()
    gates = Gates(GateTerms(**{"concurrency": 2} | terms), clock=lambda: 100.0)  # type: ignore[arg-type]  # by name
    access: Any = lambda _: None  # noqa: E731 - nobody looks
    yielding = lambda _: asyncio.sleep(0)  # noqa: E731 - waiting takes no time here
    outside_: Any = outside
    return Place(outside, Dispatch(outside_, outside_, gates, access, sleep=yielding), gates)


async def test_a_reserved_call_is_sent_without_another_word_to_the_journal() -> None:
    """Its slot is taken, its intent durable: `begin` is not asked again."""
    here = place()
    assert await here.dispatch.reserve(make("c"))
    assert await here.free_slots() == 1
    assert here.dispatch.is_sending("batch of c")

    async def never(_: LiveCall) -> LiveCall:
        raise AssertionError

    _, answer = await here.dispatch.attempt(make("c", CallState.SUBMITTING), never)
    assert answer == Taken("m")
    assert here.outside.sent == ["c"]
    assert min(here.outside.margins) == SEND_MARGIN_SECONDS
    assert await here.free_slots() == 2
    assert not here.dispatch.is_reserved("c")


async def test_nothing_is_reserved_out_of_turn() -> None:
    """Not without a slot, not past those who wait for one, not in a pause, not without a lease, not at the stop."""
    here = place(concurrency=1)
    first = await here.gates.of("org").enter()
    assert not await here.dispatch.reserve(make("no slot"))
    waiting = asyncio.create_task(here.gates.of("org").enter())
    await asyncio.sleep(0)
    first.leave()
    assert not await here.dispatch.reserve(make("overtaking"))
    (await waiting).leave()
    here.outside.leased = False
    assert not await here.dispatch.reserve(make("no lease"))
    here.outside.leased = True
    here.gates.of("org").hold(1)
    assert not await here.dispatch.reserve(make("held"))

    spaced = place(writes_per_second=1)
    assert await spaced.dispatch.reserve(make("a"))
    assert not await spaced.dispatch.reserve(make("too soon after it"))

    stopped = place()
    await stopped.dispatch.quiesce(0)
    assert not await stopped.dispatch.reserve(make("stopping"))
    assert await stopped.free_slots() == 2


@pytest.mark.parametrize("end", ["lease", "stop"])
async def test_a_reserved_call_stays_when_it_may_not_be_sent_any_more(end: str) -> None:
    """While its batch was journalled the lease ran out, or the bridge began to stop: nothing leaves."""
    here = place()
    assert await here.dispatch.reserve(make("c"))
    here.outside.leased = end != "lease"
    if end == "stop":
        await here.dispatch.quiesce(0)
    call, answer = await here.dispatch.attempt(make("c", CallState.SUBMITTING), begin)
    assert isinstance(answer, NotTaken)
    assert call.record.state is CallState.SUBMITTING, "whoever asked writes down that it is PLANNED again"
    assert here.outside.sent == []
    assert await here.free_slots() == 2
    assert here.gates.of("org")._failures == 0, "the organization did nothing wrong"


@pytest.mark.parametrize("reserved", [True, False])
@pytest.mark.parametrize("delay", ["journal", "token"])
async def test_a_call_whose_intent_is_old_stays(monkeypatch: pytest.MonkeyPatch, delay: str, reserved: bool) -> None:
    """The search for a lost write counts from the intent: one that left much later would be given up too early."""
    monkeypatch.setattr("bridge.calls.dispatch.INTENT_SECONDS", 0.05)
    here, call = place(), make("c")

    async def wait() -> None:
        await asyncio.sleep(0.1)

    async def begin_slowly(call: LiveCall) -> LiveCall:
        if delay == "journal":
            await wait()
        return await begin(call)

    if delay == "token":
        here.outside.token = wait
    if reserved:
        assert await here.dispatch.reserve(call)
        call = await begin_slowly(call)
    _, answer = await here.dispatch.attempt(call, begin_slowly)
    assert isinstance(answer, NotTaken)
    assert here.outside.sent == []
    assert await here.free_slots() == 2


async def test_a_call_whose_lease_ends_while_it_waits_for_a_token_stays() -> None:
    """It was certain when the intent was written, and is asked for once more when all else is ready."""
    here = place()

    async def lose_lease() -> None:
        here.outside.leased = False

    here.outside.token = lose_lease
    _, answer = await here.dispatch.attempt(make("c"), begin)
    assert isinstance(answer, NotTaken)
    assert here.outside.sent == []


async def test_the_stop_waits_for_a_call_whose_batch_is_being_journalled() -> None:
    """It may be SUBMITTING in the journal any moment, and must be PLANNED again before the process ends."""
    here = place()
    assert await here.dispatch.reserve(make("c"))
    quiet = asyncio.create_task(here.dispatch.quiesce(3600))
    await asyncio.sleep(0.01)
    assert not quiet.done()
    await here.dispatch.attempt(make("c", CallState.SUBMITTING), begin)
    here.dispatch.note_arrival("c")
    await asyncio.wait_for(quiet, 5)


FATES = ("sent", "withdrawn", "cancelled before it is sent", "cancelled while sent", "broken", "lease", "taken twice")


@given(st.lists(st.tuples(st.sampled_from(FATES), st.integers(0, 3)), max_size=12), st.integers(1, 4), st.booleans())
def test_every_slot_comes_back(fates: list[tuple[str, int]], concurrency: int, stops: bool) -> None:
    """Whatever becomes of calls, in whatever order, reserved or not: in the end all slots are free and all is quiet."""
    asyncio.run(_live_through(fates, concurrency, stops=stops))


async def _live_through(fates: list[tuple[str, int]], concurrency: int, *, stops: bool) -> None:
    here = place(concurrency=concurrency, failures_to_break=1000)
    most, side_by_side = 0, 0

    async def answer(key: str) -> Answer:
        nonlocal most, side_by_side
        side_by_side += 1
        most = max(most, side_by_side)
        try:
            await asyncio.sleep(0)
        finally:
            side_by_side -= 1
        if key.endswith("broken"):
            raise RuntimeError("a fault of the program")
        return Taken("m")

    here.outside.answer = answer
    lives = [asyncio.create_task(_live(here, f"{n} {fate}", fate, delay)) for n, (fate, delay) in enumerate(fates)]
    await asyncio.wait_for(asyncio.gather(*lives), 10)
    assert most <= concurrency
    assert await here.free_slots() == concurrency
    if stops:
        await asyncio.wait_for(here.dispatch.quiesce(3600), 5)
    assert not here.dispatch.traffic._under_way


async def _live(here: Place, name: str, fate: str, delay: int) -> None:
    """Live one call's life as the workshop would have it."""
    for _ in range(delay):
        await asyncio.sleep(0)
    reserved = await here.dispatch.reserve(make(name))
    for _ in range(delay):
        await asyncio.sleep(0)  # the batch is journalled
    call = make(name, CallState.SUBMITTING if reserved else CallState.PLANNED)
    try:
        if fate != "withdrawn":
            await _attempt(here, call, fate)
    finally:
        here.dispatch.note_arrival(name)
        if fate == "taken twice":
            here.dispatch.note_arrival(name)


async def _attempt(here: Place, call: LiveCall, fate: str) -> None:
    async def break_off(_: LiveCall) -> LiveCall:
        raise RuntimeError("the journal lost the batch")

    async def lose_lease(call: LiveCall) -> LiveCall:
        here.outside.leased = False
        return await begin(call)

    attempt = here.dispatch.attempt(call, {"broken": break_off, "lease": lose_lease}.get(fate, begin))
    sending = asyncio.create_task(cast("Any", attempt))
    if fate == "cancelled while sent":
        await asyncio.sleep(0)
    if fate.startswith("cancelled"):
        sending.cancel()
    with contextlib.suppress(asyncio.CancelledError, RuntimeError):
        await sending
    here.outside.leased = True
