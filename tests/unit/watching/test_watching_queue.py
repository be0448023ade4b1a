"""The queue in front of the watcher: it takes without waiting, and works with a budget."""

from __future__ import annotations

import asyncio

import pytest

from bridge.exchanges import Exchange, Message
from bridge.watching import WatchQueue
from bridge.watching.pace import LONGEST_REST_SECONDS, SHARE


def exchange(size: int = 10, sender: str = "ERP") -> Exchange:
    return Exchange(sender, "autocollect", 0.0, Message(b"x" * size), 200, Message(b""), 0.0)


class Eyes:
    """Looks at what comes, as long as it may."""

    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.left_out: list[Exchange] = []
        self.rests: list[float] = []
        self.open = asyncio.Event()
        self.open.set()
        self.now = 0.0
        self.takes = 0.0

    async def look(self, one: Exchange) -> None:
        await self.open.wait()
        self.now += self.takes
        if one.sender == "BAD":
            raise RuntimeError("a fault of the program")
        self.seen.append(one)

    async def rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        await asyncio.sleep(0)

    def queue(self, most: int = 3, most_bytes: int = 100) -> WatchQueue:
        return WatchQueue(
            self.look,
            most=most,
            most_bytes=most_bytes,
            leave_out=self.left_out.append,
            timer=lambda: self.now,
            sleep=self.rest,
        )


async def finish(queue: WatchQueue, running: asyncio.Task[None], seconds: float = 5.0) -> None:
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await queue.finish(seconds)


async def test_everything_there_is_room_for_is_looked_at_in_order() -> None:
    """In the order in which the answers came."""
    eyes = Eyes()
    queue = eyes.queue()
    running = asyncio.create_task(queue.run())
    offered = [exchange(sender=str(number)) for number in range(3)]
    for one in offered:
        queue.offer(one)
    await finish(queue, running)
    assert eyes.seen == offered
    assert eyes.left_out == []


async def test_what_there_is_no_room_for_is_left_out_at_once() -> None:
    """By number and by memory; nobody waits, and what was looked at makes room again."""
    eyes = Eyes()
    queue = eyes.queue()
    for _ in range(4):
        queue.offer(exchange())
    assert len(eyes.left_out) == 1
    large = eyes.queue(most=10)
    large.offer(exchange(60))
    large.offer(exchange(60))
    assert len(eyes.left_out) == 2
    running = asyncio.create_task(large.run())
    async with asyncio.timeout(5):
        while not eyes.seen:  # noqa: ASYNC110 - it is told by nothing but its own list
            await asyncio.sleep(0)
    large.offer(exchange(60))
    await finish(large, running)
    assert len(eyes.seen) == 2


async def test_looking_takes_its_share_of_the_time_and_no_more() -> None:
    """After each exchange it rests: callers wait on the same core."""
    eyes = Eyes()
    eyes.takes = 0.01
    queue = eyes.queue()
    running = asyncio.create_task(queue.run())
    queue.offer(exchange())
    async with asyncio.timeout(5):
        while not eyes.rests:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert eyes.rests == [pytest.approx(0.01 * (1 / SHARE - 1))]
    eyes.takes = 10.0
    queue.offer(exchange())
    async with asyncio.timeout(5):
        while len(eyes.rests) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert eyes.rests[1] == LONGEST_REST_SECONDS
    await finish(queue, running)


async def test_a_fault_with_one_exchange_costs_that_one() -> None:
    """It is counted as left out; the next ones are looked at all the same."""
    eyes = Eyes()
    queue = eyes.queue()
    running = asyncio.create_task(queue.run())
    queue.offer(exchange(sender="BAD"))
    queue.offer(exchange(sender="GOOD"))
    await finish(queue, running)
    assert [one.sender for one in eyes.seen] == ["GOOD"]
    assert [one.sender for one in eyes.left_out] == ["BAD"]


async def test_what_is_being_looked_at_comes_to_its_end() -> None:
    """A bridge that stops has recorded and compared what it had begun, and what was waiting."""
    eyes = Eyes()
    eyes.open.clear()
    queue = eyes.queue()
    running = asyncio.create_task(queue.run())
    for sender in ("FIRST", "SECOND"):
        queue.offer(exchange(sender=sender))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    ending = asyncio.create_task(queue.finish(5))
    await asyncio.sleep(0)
    eyes.open.set()
    await ending
    assert [one.sender for one in eyes.seen] == ["FIRST", "SECOND"]
    assert eyes.left_out == []


async def test_the_end_does_not_wait_for_ever() -> None:
    """What could not be looked at in time is left out, and counted so."""
    eyes = Eyes()
    eyes.open.clear()
    queue = eyes.queue()
    running = asyncio.create_task(queue.run())
    offered = [exchange(sender=name) for name in ("begun", "begun at the end", "never begun")]
    for one in offered:
        queue.offer(one)
    await asyncio.sleep(0)
    await finish(queue, running, seconds=0.01)
    assert eyes.seen == []
    assert eyes.left_out == offered
