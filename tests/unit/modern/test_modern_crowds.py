"""Many batches of one organization: how the list spares requests, and what happens when it is of no use."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern.failures import ModernBusy
from bridge.modern.lists import Sighting
from bridge.modern.results import ModernBatch
from bridge.modern.schedule import CEILING_SECONDS, FLOOR_SECONDS
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.modern.watch import CROWD, MOST_PAGES, POLLS_AFTER_A_LULL, POLLS_PER_SECOND

HOUR = 3600.0


class Vendor:
    """Hold batches of many organizations; note every request. What its list does wrong is set from outside."""

    def __init__(self, time: Any) -> None:
        self.time = time
        self.ready_at: dict[str, float] = {}
        self.made: dict[str, list[str]] = {}
        self.polls: Counter[str] = Counter()
        self.asked: dict[str, list[float]] = {}
        self.list_pages: Counter[str] = Counter()
        self.list_times: list[float] = []
        self.list_failure: Exception | None = None
        self.hidden: Callable[[str], bool] = lambda _: False
        self.list_says: Callable[[str], bool] = self.is_finished
        self.largest_page = 100
        self.latency = 0.0
        self.reading = self.most_reading = 0

    def make(self, organization: str, batch_id: str, ready_at: float) -> None:
        self.ready_at[batch_id] = ready_at
        self.made.setdefault(organization, []).append(batch_id)

    def is_finished(self, batch_id: str) -> bool:
        return self.time.now >= self.ready_at[batch_id]

    async def read(self, access: Access, batch_id: str) -> ModernBatch:
        self.polls[access.organization] += 1
        self.asked.setdefault(batch_id, []).append(self.time.now)
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        await asyncio.sleep(0)
        self.reading -= 1
        return ModernBatch(batch_id, status="SUCCESS" if self.is_finished(batch_id) else "QUEUED")

    async def read_list(self, access: Access, page_size: int) -> AsyncIterator[list[Sighting]]:
        size = min(page_size, self.largest_page)
        shown = [batch_id for batch_id in reversed(self.made[access.organization]) if not self.hidden(batch_id)]
        for first in range(0, max(len(shown), 1), size):
            self.list_pages[access.organization] += 1
            self.list_times.append(self.time.now)
            if self.latency:
                await self.time.sleep(self.latency)
            if self.list_failure is not None:
                raise self.list_failure
            yield [Sighting(batch_id, self.list_says(batch_id)) for batch_id in shown[first : first + size]]


@pytest.fixture
def vendor(time: Any) -> Vendor:
    return Vendor(time)


@pytest.fixture
def waiter(vendor: Vendor, time: Any) -> Waiter:
    return Waiter(vendor.read, vendor.read_list, clock=time, call_later=time.call_later, jitter=lambda: 1.0)


@pytest.fixture
async def start(waiter: Waiter, vendor: Vendor, access: Access) -> AsyncIterator[Any]:
    """Begin waits; what is left of them is cancelled in the end."""
    tasks: list[asyncio.Task[ModernBatch]] = []

    def begin(
        count: int, ready_at: float, *, into: Access = access, prefix: str = "b", **more: Any
    ) -> list[asyncio.Task[ModernBatch]]:
        ids = [f"{prefix}{number}" for number in range(count)]
        for batch_id in ids:
            vendor.make(into.organization, batch_id, ready_at)
        tasks.extend(asyncio.create_task(waiter.wait(into, batch_id, **more)) for batch_id in ids)
        return tasks[-count:]

    yield begin
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def finished(tasks: list[asyncio.Task[ModernBatch]]) -> int:
    return sum(task.done() and task.result().finished for task in tasks)


async def test_ten_thousand_batches_pending_for_an_hour(
    start: Any, vendor: Vendor, waiter: Waiter, time: Any, access: Access
) -> None:
    """Requests stay within the bound of `waiting`'s docstring, memory within 2 kB a wait; all end with the list."""
    organizations = [Access(f"org-{number}", "id", "secret") for number in range(5)]
    gc.collect()
    tracemalloc.start()
    tasks = [
        task
        for organization in organizations
        for task in start(2000, time.now + HOUR, into=organization, prefix=f"{organization.organization}/")
    ]
    try:
        await time.advance(60)
        gc.collect()
        held = sum(
            entry.size
            for entry in tracemalloc.take_snapshot()
            .filter_traces([tracemalloc.Filter(False, __file__), tracemalloc.Filter(False, "*conftest.py")])
            .statistics("filename")
        )
    finally:
        tracemalloc.stop()
    await time.advance(HOUR - 60 - 1)
    for organization in organizations:
        name = organization.organization
        print(name, vendor.list_pages[name], vendor.polls[name], held)
        assert 120 * MOST_PAGES < vendor.list_pages[name] < 3600
        assert vendor.polls[name] < 2000 + 3600
    assert held < 20_000_000
    assert finished(tasks) == 0
    await time.advance(CEILING_SECONDS + 2)
    assert finished(tasks) == 10_000
    assert time.pending == 0
