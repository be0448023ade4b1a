from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern.failures import ModernBusy
from bridge.modern.results import ModernBatch
from bridge.modern.schedule import CEILING_SECONDS, FLOOR_SECONDS
from bridge.modern.tokens import Access
from bridge.modern.waiting import EARLY_HINT_SECONDS, Waiter


class FakeReads:
    """Say QUEUED until a moment has come; note when it was asked."""

    def __init__(self, time: Any) -> None:
        self.time = time
        self.ready_at = 0.0
        self.asked: list[float] = []
        self.failures: list[Exception] = []
        self.begun = asyncio.Event()

    async def read(self, _: Access, modern_batch_id: str) -> ModernBatch:
        self.asked.append(self.time.now)
        self.begun.set()
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return ModernBatch(modern_batch_id, status="SUCCESS" if self.time.now >= self.ready_at else "QUEUED")


@pytest.fixture
def reads(time: Any) -> FakeReads:
    return FakeReads(time)


@pytest.fixture
def waiter(reads: FakeReads, time: Any) -> Waiter:
    return Waiter(reads.read, clock=time, call_later=time.call_later, jitter=lambda: 1.0)


async def test_a_wait_ends_with_the_finished_batch(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """Polling goes on until the batch is finished, ever more seldom, and stops there."""
    reads.ready_at = time.now + 25
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(27)
    assert (await waiting).finished
    assert reads.asked[0] == pytest.approx(1000 + FLOOR_SECONDS)
    assert len(reads.asked) <= 56
    gaps = [later - earlier for earlier, later in itertools.pairwise(reads.asked)]
    assert gaps == sorted(gaps)
    assert reads.asked[-1] - reads.ready_at <= gaps[-1]
    assert time.pending == 0


async def test_a_hint_polls_at_once(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """A webhook ends the pause, however long; no time passes until the batch is read."""
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    reads.ready_at = time.now + 10_000
    await time.advance(5000)
    reads.ready_at = 0
    asked = len(reads.asked)
    waiter.hint("b")
    await time.settle()
    assert (await waiting).finished
    assert len(reads.asked) == asked + 1
    assert time.pending == 0


async def test_a_hint_wakes_everybody_who_waits(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """Two waits for one batch both end with one hint; another batch is not woken."""
    reads.ready_at = time.now + 10_000
    waiting = [asyncio.create_task(waiter.wait(access, name)) for name in ("b", "b", "other")]
    await time.advance(1000)
    reads.ready_at = 0
    waiter.hint("b")
    await time.settle()
    assert [task.done() for task in waiting] == [True, True, False]
    waiting[2].cancel()


async def test_a_hint_during_a_poll_is_not_lost(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """A webhook that arrives while the answer "queued" is on its way makes the wait look again at once."""
    reads.ready_at = time.now + 10_000
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(1000)
    started = len(reads.asked)
    reads.begun.clear()
    waiter.hint("b")
    await reads.begun.wait()
    waiter.hint("b")
    await time.settle()
    assert len(reads.asked) == started + 2
    waiting.cancel()


async def test_polls_are_dense_after_a_hint(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """A batch that lags behind its webhook is seen within milliseconds all the same."""
    reads.ready_at = time.now + 10_000
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(1000)
    reads.ready_at = time.now + 0.05
    waiter.hint("b")
    await time.advance(0.1)
    assert waiting.done()


async def test_a_hint_that_came_too_early_is_remembered(
    waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """A webhook that overtakes the answer of the write makes the wait look without any delay."""
    waiter.hint("b")
    waiter.hint("b")
    assert (await asyncio.wait_for(waiter.wait(access, "b"), 5)).finished
    assert reads.asked == [time.now]


async def test_an_early_hint_is_forgotten_in_time(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """Hints for batches that nobody ever waits for do not pile up."""
    waiter.hint("b")
    time.now += EARLY_HINT_SECONDS + 1
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.settle()
    assert reads.asked == []
    await time.advance(FLOOR_SECONDS)
    await waiting


@pytest.mark.parametrize("failure", [ModernUnreachable(), ModernRefused(status=404), ModernRefused(status=401)])
async def test_a_failed_read_does_not_end_the_wait(
    failure: Exception, waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """Whatever goes wrong with a read, it is made again, after pauses that grow up to the ceiling."""
    reads.failures = [failure] * 12
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(600)
    assert (await waiting).finished
    gaps = [later - earlier for earlier, later in itertools.pairwise(reads.asked)]
    assert gaps[:3] == pytest.approx([0.2, 0.4, 0.8])
    assert max(gaps) == pytest.approx(CEILING_SECONDS)


async def test_the_pause_the_vendor_asks_for_is_kept(
    waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """After a Retry-After no poll comes earlier, unless a webhook says that it is worth it."""
    reads.failures = [ModernBusy(retry_after_seconds=60.0)]
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(59)
    assert len(reads.asked) == 1
    await time.advance(2)
    assert waiting.done()


async def test_a_vendor_that_asks_for_no_pause_gets_one(reads: FakeReads, time: Any, access: Access) -> None:
    """A Retry-After of nothing does not make the wait poll without a pause."""
    waiter = Waiter(reads.read, clock=time, call_later=time.call_later, jitter=lambda: 0.0)
    reads.failures = [ModernBusy(retry_after_seconds=0.0)]
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(2.5 * FLOOR_SECONDS)
    assert (await waiting).finished
    assert reads.asked[1] - reads.asked[0] == pytest.approx(FLOOR_SECONDS)


async def test_a_fault_of_the_program_ends_the_wait(
    waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """What is not the vendor's failure is not waited away."""
    reads.failures = [ZeroDivisionError()]
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(1)
    with pytest.raises(ZeroDivisionError):
        await waiting


async def test_a_wait_of_some_age_goes_on_sparsely(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """After a restart an old batch is looked at once at the start, then as seldom as its age deserves."""
    reads.ready_at = time.now + 10_000
    waiting = asyncio.create_task(waiter.wait(access, "b", age_seconds=3600))
    await time.advance(20)
    assert len(reads.asked) == 2
    waiting.cancel()


async def test_a_clock_that_is_set_back_only_starts_the_schedule_again(
    reads: FakeReads, time: Any, access: Access
) -> None:
    """When the clock jumps back an hour, the wait polls as in its beginning, not without a pause for an hour."""
    set_back = 0.0
    waiter = Waiter(reads.read, clock=lambda: time.now - set_back, call_later=time.call_later)
    reads.ready_at = time.now + 10_000
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(10)
    asked, set_back = len(reads.asked), 3600.0
    await time.advance(20)
    waiting.cancel()
    assert len(reads.asked) - asked < 60


async def test_a_cancelled_wait_leaves_nothing_behind(
    waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """Neither a timer nor a listener remains of a wait that was given up."""
    reads.ready_at = time.now + 10_000
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert time.pending == 0
    assert [watch._ears for watch in waiter._watches.values()] == [{}]


async def test_thousands_wait_at_once(access: Access) -> None:
    """Two thousand waits on the real loop all end, most of them by their webhook."""
    done: set[str] = set()

    async def read(_: Access, modern_batch_id: str) -> ModernBatch:
        return ModernBatch(modern_batch_id, status="SUCCESS" if modern_batch_id in done else "QUEUED")

    loop = asyncio.get_running_loop()
    waiter = Waiter(read, clock=loop.time)
    waits = [asyncio.create_task(waiter.wait(access, str(number))) for number in range(2000)]
    await asyncio.sleep(0)
    for number in range(2000):
        done.add(str(number))
        if number % 10:
            waiter.hint(str(number))
    results: list[Any] = await asyncio.wait_for(asyncio.gather(*waits), 30)
    assert {batch.id for batch in results} == done


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_pauses_after_failures_grow_and_vary(reads: FakeReads, time: Any, jitter: float) -> None:
    """By half; a Retry-After is kept and a trifle more, so that not all come back at once; no number is too large."""
    waiter = Waiter(reads.read, clock=time, call_later=time.call_later, jitter=lambda: jitter)
    pauses = [waiter._back_off(ModernUnreachable(), failures) for failures in (1, 2, 5000)]
    assert pauses == pytest.approx([pause * (1 + jitter) / 2 for pause in (0.2, 0.4, 30.0)])
    assert waiter._back_off(ModernBusy(retry_after_seconds=9.0), 3) == pytest.approx(9.0 + 0.1 * jitter)


async def test_failures_that_are_over_are_forgotten(
    waiter: Waiter, reads: FakeReads, time: Any, access: Access
) -> None:
    """After an answer, the next failure is a first one."""
    reads.ready_at = time.now + 600
    reads.failures = [ModernUnreachable() for _ in range(6)]
    waiting = asyncio.create_task(waiter.wait(access, "b"))
    await time.advance(60)
    reads.failures = [ModernUnreachable()]
    asked = len(reads.asked)
    await time.advance(10)
    assert reads.failures == []
    failed, again = reads.asked[asked : asked + 2]
    assert again - failed == pytest.approx(0.2)
    waiting.cancel()


async def test_an_early_hint_counts_once(waiter: Waiter, reads: FakeReads, time: Any, access: Access) -> None:
    """Whoever waits for the same batch again polls after the floor."""
    waiter.hint("b")
    for pause in (0.0, FLOOR_SECONDS):
        reads.asked.clear()
        began = time.now
        waiting = asyncio.create_task(waiter.wait(access, "b"))
        await time.advance(1.0)
        assert (await waiting).finished
        assert reads.asked[0] - began == pytest.approx(pause)


def test_ten_thousand_early_hints_are_remembered_for_ten_minutes(waiter: Waiter) -> None:
    """As long as a write may take to be written down, and no more memory than that."""
    assert (waiter._early.maxsize, waiter._early.ttl) == (10_000, 600.0)
