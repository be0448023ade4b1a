"""One organization's trouble stays its own."""

from __future__ import annotations

import asyncio

import pytest

from bridge.calls.gates import BREAK_CEILING_SECONDS, Gates, GateTerms


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


def gates(time: Time, **terms: float) -> Gates:
    return Gates(GateTerms(**{"concurrency": 2} | terms), clock=time.clock, sleep=time.sleep)  # type: ignore[arg-type]  # numbers by name


async def test_only_so_many_pass_side_by_side(time: Time) -> None:
    """A third write waits until one of two is done; another organization does not notice."""
    all_gates, inside, most = gates(time), 0, 0

    async def write() -> None:
        nonlocal inside, most
        with await all_gates.of("a").enter():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(write() for _ in range(10)))
    assert most == 2
    with await all_gates.of("a").enter(), await all_gates.of("a").enter(), await all_gates.of("b").enter():
        pass


async def test_writes_are_spaced(time: Time) -> None:
    """With two writes a second, five take two seconds."""
    gate = gates(time, writes_per_second=2).of("a")
    for _ in range(5):
        with await gate.enter():
            pass
    assert time.now == pytest.approx(102.0)


async def test_failures_in_a_row_close_the_gate_for_longer_and_longer(time: Time) -> None:
    """The third failure in a row closes it for a second, the next for two, never for more than a minute."""
    all_gates = gates(time, failures_to_break=3, break_seconds=1)
    gate = all_gates.of("a")
    waited = []
    for _ in range(12):
        before = time.now
        with await gate.enter():
            waited.append(time.now - before)
            gate.failed()
    assert waited[:5] == [0, 0, 0, 1, 2]
    assert max(waited) == BREAK_CEILING_SECONDS
    assert all_gates.closed == 1
    assert not all_gates.of("b").closed


async def test_a_success_opens_the_gate_for_good(time: Time) -> None:
    """One answer in between starts the count anew."""
    gate = gates(time, failures_to_break=2).of("a")
    for _ in range(5):
        gate.failed()
        gate.succeeded()
    assert not gate.closed


async def test_failures_of_writes_that_were_under_way_do_not_prolong_a_break(time: Time) -> None:
    """Several writes that fail together are one trouble: this break is not longer, and neither is the next."""
    gate = gates(time, failures_to_break=1, break_seconds=1).of("a")
    for end in (101.0, 103.0):
        for _ in range(4):
            gate.failed()
        with await gate.enter():
            assert time.now == pytest.approx(end)


async def test_a_retry_after_holds_everybody(time: Time) -> None:
    """An organization that asks for a pause gets it from all its calls."""
    gate = gates(time).of("a")
    gate.hold(7)
    gate.hold(3)
    with await gate.enter():
        assert time.now == pytest.approx(107.0)


async def test_a_slot_left_twice_is_free_once(time: Time) -> None:
    """Whoever cleans up need not know whether somebody else did."""
    gate = gates(time, concurrency=1).of("a")
    passage = await gate.enter()
    passage.leave()
    passage.leave()
    with await gate.enter():
        assert await gate.enter_at_once() is None


async def test_a_writer_cut_off_while_the_gate_is_held_leaves_its_slot(time: Time) -> None:
    """The pause is waited for with a slot in hand."""

    async def for_ever(_: float) -> None:
        await asyncio.Event().wait()

    gate = Gates(GateTerms(concurrency=1), clock=time.clock, sleep=for_ever).of("a")
    gate.hold(7)
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    time.now += 7
    assert await gate.enter_at_once() is not None


async def test_a_slot_is_taken_at_once_or_not_at_all(time: Time) -> None:
    """Not while another holds the only one, nor in a pause."""
    gate = gates(time, concurrency=1, writes_per_second=1).of("a")
    first = await gate.enter_at_once()
    assert first is not None
    assert await gate.enter_at_once() is None
    first.leave()
    assert await gate.enter_at_once() is None, "a second has not passed since the first"
    time.now += 1
    assert await gate.enter_at_once() is not None
