"""The watch as a whole: what it takes, what it remembers of earlier days, and how it ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.assembly.lookout import Lookout
from bridge.exchanges import Exchange, Message
from bridge.recording import Recorder
from bridge.steering.observing import HOUR

NOW = 1_800_000_000.0


def exchange(sender: str) -> Exchange:
    return Exchange(sender, "autocollect", NOW, Message(b"{}"), 200, Message(b"{}"), 0.1)


class FakeWatcher:
    """Wants one sender's exchanges."""

    closed = False

    def wants(self, one: Exchange) -> bool:
        return one.sender == "ERP"

    async def close(self) -> None:
        self.closed = True


class FakeQueue:
    """Keeps what it is offered."""

    def __init__(self) -> None:
        self.offered: list[Exchange] = []
        self.left_out: list[Exchange] = []
        self.finished = False

    def offer(self, one: Exchange) -> None:
        self.offered.append(one)

    def leave_out(self, one: Exchange) -> None:
        self.left_out.append(one)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def finish(self, _: float) -> None:
        self.finished = True


class Memory:
    """What was learnt before: readable at every second look."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.enough = asyncio.Event()

    async def recall(self, since: float) -> bool:
        self.asked.append(since)
        if len(self.asked) == 4:
            self.enough.set()
        if len(self.asked) == 2:
            raise RuntimeError("a fault of the program")
        return len(self.asked) != 1


def make(watcher: Any, queue: Any, memory: Memory, recorder: Recorder | None = None) -> Lookout:
    return Lookout(watcher, queue, recorder, memory.recall, clock=lambda: NOW)


async def test_only_what_somebody_wants_to_see_takes_room() -> None:
    """The legacy half of a divided batch is offered whatever the modes are."""
    queue = FakeQueue()
    lookout = make(FakeWatcher(), queue, Memory())
    lookout.offer(exchange("ERP"))
    lookout.offer(exchange("OTHER"))
    assert [one.sender for one in queue.offered] == ["ERP"]
    lookout.leave_out(exchange("ERP"))
    lookout.leave_out(exchange("OTHER"))
    assert [one.sender for one in queue.left_out] == ["ERP"]


async def test_everything_is_remembered_once_and_then_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Months of counts are read at the start only; trouble of any kind means once more from the beginning."""
    monkeypatch.setattr("bridge.assembly.lookout.RECALL_SECONDS", 0.0)
    memory = Memory()
    running = asyncio.create_task(make(FakeWatcher(), FakeQueue(), memory).run())
    async with asyncio.timeout(5):
        await memory.enough.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert memory.asked[:4] == [0.0, 0.0, 0.0, NOW - 2 * HOUR]


async def test_its_end_looks_once_more_and_writes_everything_down(tmp_path: Path) -> None:
    """First what waits is looked at, then nobody is waited for any more, then the recording is closed."""
    watcher, queue, recorder = FakeWatcher(), FakeQueue(), Recorder(tmp_path, lambda: NOW)
    await make(watcher, queue, Memory(), recorder).close()
    assert (watcher.closed, queue.finished) == (True, True)
    assert recorder._closing
