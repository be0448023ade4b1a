"""Work at a pace: in slices, with rests in proportion, and otherwise as if nobody had stepped in."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest

from bridge.watching.pace import LEAST_SECONDS, LONGEST_REST_SECONDS, SHARE, Pace, in_slices


class Watch:
    """Time that passes when it is told to, and rests that are noted."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []

    def work(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)

    def pace(self) -> Pace:
        return Pace(lambda: self.now, self.sleep)


async def test_each_slice_is_rested_for_in_proportion() -> None:
    """A quarter of the time is worked, wherever the work lets others have a turn."""
    watch = Watch()

    async def look() -> str:
        for seconds in (0.01, 0.02):
            watch.work(seconds)
            await asyncio.sleep(0)
        watch.work(0.03)
        return "seen"

    pace = watch.pace()
    assert await pace.keep(look()) == "seen"
    assert watch.rests == [pytest.approx(seconds * (1 / SHARE - 1)) for seconds in (0.01, 0.02)]
    await pace.rest()
    assert watch.rests[2] == pytest.approx(0.03 * (1 / SHARE - 1))
    await pace.rest()
    assert watch.rests[3] == 0


async def test_short_slices_are_rested_for_together() -> None:
    """Timers are no finer than a millisecond."""
    watch = Watch()

    async def look() -> None:
        for _ in range(4):
            watch.work(LEAST_SECONDS / 2 + 1e-9)
            await asyncio.sleep(0)

    await watch.pace().keep(look())
    assert watch.rests == [pytest.approx((LEAST_SECONDS + 2e-9) * (1 / SHARE - 1))] * 2


async def test_no_rest_is_longer_than_a_moment() -> None:
    """A slice that was held up by others need not be paid for in full."""
    watch = Watch()

    async def look() -> None:
        watch.work(60)
        await asyncio.sleep(0)

    await watch.pace().keep(look())
    assert watch.rests == [LONGEST_REST_SECONDS]


async def test_what_work_waits_for_is_no_work() -> None:
    """The time of a question to the journal is not rested for, and its answer arrives."""
    watch, answer = Watch(), asyncio.get_running_loop().create_future()

    async def look() -> str:
        return await answer  # type: ignore[no-any-return]  # a text

    looking = asyncio.create_task(watch.pace().keep(look()))
    await asyncio.sleep(0)
    watch.now += 5
    answer.set_result("known")
    assert await looking == "known"
    assert watch.rests == []


async def test_work_hears_of_failures_and_of_the_end() -> None:
    """What it waits for may fail, and whoever cancels it cancels it: its last words are heard."""
    heard: list[str] = []
    failing, never = asyncio.get_running_loop().create_future(), asyncio.get_running_loop().create_future()

    async def look() -> None:
        try:
            await failing
        except OSError:
            heard.append("failed")
        try:
            await never
        finally:
            heard.append("ended")

    looking = asyncio.create_task(Watch().pace().keep(look()))
    await asyncio.sleep(0)
    failing.set_exception(OSError())
    await asyncio.sleep(0)
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert heard == ["failed", "ended"]


async def test_a_rest_that_is_cancelled_ends_the_work() -> None:
    """At a stop, mostly."""
    heard: list[str] = []
    watch = Watch()

    async def sleep(_: float) -> None:
        await asyncio.Event().wait()

    async def look() -> None:
        try:
            watch.work(1)
            await asyncio.sleep(0)
        finally:
            heard.append("ended")

    looking = asyncio.create_task(Pace(lambda: watch.now, sleep).keep(look()))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert heard == ["ended"]


async def test_a_fault_of_the_work_is_the_callers() -> None:
    """It passes through."""

    async def look() -> None:
        raise RuntimeError("a fault of the program")

    with pytest.raises(RuntimeError):
        await Watch().pace().keep(look())


async def test_generators_give_way_after_each_step() -> None:
    """What is pure knows nothing of an event loop."""
    turns = 0

    def steps() -> Generator[None, None, str]:
        for _ in range(3):
            yield
        return "done"

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert await in_slices(steps()) == "done"
    beside.cancel()
    assert turns >= 3
