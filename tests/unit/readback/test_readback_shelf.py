"""What was read lately, and one read for many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from bridge.errors import CannotTakeNow
from bridge.readback.shelf import Shelf


@dataclass(frozen=True)
class Thing:
    """Something that was read."""

    name: str
    weight_bytes: int = 10


class Desk:
    """A shelf, its clock, and loads that wait until they are let go."""

    def __init__(
        self, max_bytes: int = 100, seconds: float = 30.0, grace_seconds: float = 60.0, max_reads: int = 100
    ) -> None:
        self.now = 0.0
        self.looks: list[str] = []
        self.loads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.shelf = Shelf(
            max_bytes=max_bytes,
            seconds=seconds,
            clock=self.tick,
            notice=lambda kind, result: self.looks.append(result),
            grace_seconds=grace_seconds,
            max_reads=max_reads,
        )

    def tick(self) -> float:
        self.now += 0.001
        return self.now

    async def get(
        self, organization: str = "a", *, weight: int = 10, fails: bool = False, since: float = -1.0
    ) -> Thing:
        async def load() -> Thing:
            self.loads += 1
            number = self.loads
            await self.gate.wait()
            if fails:
                raise ValueError("no")
            return Thing(f"{organization}{number}", weight)

        return await self.shelf.get((organization, "cases"), load, since=since)


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for knows of no event
        await asyncio.sleep(0)


async def test_what_was_read_answers_again_for_a_while() -> None:
    """Two looks, one read; after `seconds` it is read anew."""
    desk = Desk()

    first, second = await desk.get(), await desk.get()
    desk.now += 31
    third = await desk.get()

    assert (first.name, second.name, third.name) == ("a1", "a1", "a2")
    assert desk.looks == ["miss", "hit", "miss"]


async def test_many_who_ask_at_once_share_one_read() -> None:
    """Its failure included, which is not kept."""
    desk = Desk()
    desk.gate.clear()
    asking = [asyncio.create_task(desk.get(fails=True)) for _ in range(3)]
    await until(lambda: len(desk.looks) == 3)
    desk.gate.set()

    answers = await asyncio.gather(*asking, return_exceptions=True)

    assert [type(one) for one in answers] == [ValueError] * 3
    assert desk.looks == ["miss", "joined", "joined"]
    assert (await desk.get()).name == "a2"


async def test_a_caller_who_goes_away_takes_nothing_from_the_others() -> None:
    """The read goes on."""
    desk = Desk()
    desk.gate.clear()
    gone, patient = asyncio.create_task(desk.get()), asyncio.create_task(desk.get())
    await until(lambda: len(desk.looks) == 2)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    desk.gate.set()

    assert (await patient).name == "a1"


async def test_a_change_makes_everybody_read_anew() -> None:
    """What is kept of the organization is dropped; others keep theirs."""
    desk = Desk()
    await desk.get("a")
    await desk.get("b")

    desk.shelf.forget("a")

    assert (await desk.get("a")).name == "a3"
    assert (await desk.get("b")).name == "b2"


async def test_a_read_that_began_before_a_change_is_not_kept_and_not_joined() -> None:
    """It may have missed the change; whoever waited for it gets it all the same."""
    desk = Desk()
    desk.gate.clear()
    early = asyncio.create_task(desk.get())
    await until(lambda: desk.loads == 1)
    desk.shelf.forget("a")
    late = asyncio.create_task(desk.get())
    await until(lambda: desk.loads == 2)
    desk.gate.set()

    assert [(await early).name, (await late).name, (await desk.get()).name] == ["a1", "a2", "a2"]


async def test_somebody_may_ask_for_a_newer_read() -> None:
    """Neither what is kept nor what is under way will do, if it began too early."""
    desk = Desk()
    await desk.get()
    moment = desk.now

    assert (await desk.get(since=moment)).name == "a2"
    assert (await desk.get(since=moment)).name == "a2"
    assert desk.looks == ["miss", "miss", "hit"]


async def test_what_is_too_large_is_not_kept() -> None:
    """The cache never holds more than it may; what was asked least lately goes first."""
    desk = Desk(max_bytes=25)
    await desk.get("large", weight=26)
    for organization in "abc":
        await desk.get(organization)

    assert (await desk.get("large", weight=26)).name == "large5"
    assert (await desk.get("c")).name == "c4"
    assert (await desk.get("a")).name == "a6"


async def test_nothing_is_kept_for_no_time() -> None:
    """`cache_seconds = 0`: still one read for those who ask at once, but each later one reads."""
    desk = Desk(seconds=0)

    assert [(await desk.get()).name, (await desk.get()).name] == ["a1", "a2"]


async def test_closing_stops_what_is_under_way() -> None:
    """Nothing is left running."""
    desk = Desk()
    desk.gate.clear()
    asking = asyncio.create_task(desk.get())
    await until(lambda: desk.loads)

    await desk.shelf.close()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_read_that_somebody_gave_up_waiting_for_is_there_for_the_next() -> None:
    """However old it is by then, or too large to be kept; not after a change."""
    desk = Desk(max_bytes=5, seconds=0)

    async def give_up() -> None:
        desk.gate.clear()
        loads = desk.loads
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await desk.get()
        await until(lambda: desk.loads > loads)
        desk.gate.set()
        desk.now += 1000
        await asyncio.sleep(0)

    await give_up()
    assert [(await desk.get()).name, (await desk.get()).name] == ["a1", "a1"]
    desk.shelf.forget("a")
    assert (await desk.get()).name == "a2"
    await give_up()
    assert (await desk.get(since=desk.now)).name == "a4"


async def test_what_nobody_asks_for_again_is_dropped() -> None:
    """The memory is given back; a newer read in its place stays."""
    desk = Desk(seconds=0, grace_seconds=0)
    desk.gate.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await desk.get()
    desk.gate.set()
    await until(lambda: desk.loads)
    for _ in range(10):
        await asyncio.sleep(0)

    assert (await desk.get()).name == "a2"


async def test_reads_under_way_are_bounded() -> None:
    """One too many is refused, whether or not anybody still waits for the others; one that has ended makes room."""
    desk = Desk(max_reads=2)
    desk.gate.clear()
    asking = [asyncio.create_task(desk.get(name)) for name in "ab"]
    await until(lambda: desk.loads == 2)
    asking[0].cancel()
    await asyncio.gather(asking[0], return_exceptions=True)

    with pytest.raises(CannotTakeNow, match="too many readings wait"):
        await desk.get("c")
    joined = asyncio.create_task(desk.get("b"))
    desk.gate.set()

    assert (await joined).name == (await asking[1]).name == "b2"
    assert (await desk.get("c")).name == "c3"


async def test_what_nobody_waited_for_is_bounded_in_memory() -> None:
    """One thing of any size is left for who asks next; more only as far as the cache could hold them."""
    desk = Desk(max_bytes=100, seconds=0)
    desk.gate.clear()
    asking = [asyncio.create_task(desk.get(name, weight=80)) for name in "ab"]
    await until(lambda: desk.loads == 2)
    for one in asking:
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    desk.gate.set()
    await until(lambda: not desk.shelf._tasks)

    assert (await desk.get("a")).name == "a1"
    assert (await desk.get("b")).name == "b3"
    desk.shelf.forget("a")
    assert (await desk.get("a")).name == "a4"
