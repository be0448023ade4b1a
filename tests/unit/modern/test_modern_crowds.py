"""Many batches of one organization: how the list spares requests, and what happens when it is of no use."""

from __future__ import annotations

import asyncio
import gc
import itertools
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
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
        return bool(self.time.now >= self.ready_at[batch_id])

    async def read(self, access: Access, batch_id: str) -> ModernBatch:
        self.polls[access.organization] += 1
        self.asked.setdefault(batch_id, []).append(self.time.now)
        self.reading += 1
        self.most_reading = max(self.most_reading, self.reading)
        await asyncio.sleep(0)
        self.reading -= 1
        return ModernBatch(batch_id, status="SUCCESS" if self.is_finished(batch_id) else "QUEUED")

    async def read_list(self, access: Access, page_size: int) -> AsyncGenerator[list[Sighting], None]:
        size = min(page_size, self.largest_page)
        for first in itertools.count(0, size):
            self.list_pages[access.organization] += 1
            self.list_times.append(self.time.now)
            if self.latency:
                await self.time.sleep(self.latency)
            if self.list_failure is not None:
                raise self.list_failure
            made = self.made[access.organization]
            shown = [batch_id for batch_id in reversed(made) if not self.hidden(batch_id)]
            yield [Sighting(batch_id, self.list_says(batch_id)) for batch_id in shown[first : first + size]]
            if first + size >= len(shown):
                return


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


@pytest.mark.chaos
@pytest.mark.timeout(600)  # an hour of 10,000 waits takes a while where every line is traced
async def test_ten_thousand_batches_pending_for_an_hour(start: Any, vendor: Vendor, time: Any) -> None:
    """Requests stay within what the README says, memory within 2 kB a wait; all end when the list shows them."""
    organizations = [Access(f"org-{number}", "id", "secret") for number in range(5)]
    tracemalloc.start()
    try:
        tasks = [
            task
            for organization in organizations
            for task in start(2000, time.now + HOUR, into=organization, prefix=f"{organization.organization}/")
        ]
        await time.advance(1)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20_000_000  # tasks, and what the test itself keeps, included
    await time.advance(HOUR - 2)
    assert finished(tasks) == 0
    for organization in organizations:
        pages, polls = vendor.list_pages[organization.organization], vendor.polls[organization.organization]
        assert pages + polls - 2000 < 14_000
    await time.advance(1 + CEILING_SECONDS + 1)
    assert finished(tasks) == 10_000
    assert time.pending == 0


async def test_few_batches_are_polled_by_themselves(start: Any, vendor: Vendor, time: Any) -> None:
    """Fewer than a crowd never ask for the list, and lose nothing of their schedule."""
    tasks = start(7, time.now + 20)
    await time.advance(22)
    assert finished(tasks) == 7 < CROWD
    assert not vendor.list_pages


async def test_a_crowd_costs_hardly_more_than_one_batch(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """A hundred batches are seen as soon after their end as one would be, by one look in place of a hundred polls."""
    tasks = start(100, time.now + 20)
    await time.advance(22)
    assert finished(tasks) == 100
    assert vendor.list_pages[access.organization] < 60
    assert vendor.polls[access.organization] < 100 + 60 + 100  # first polls, checks, results


async def test_the_first_poll_of_a_batch_is_its_own(start: Any, vendor: Vendor, time: Any) -> None:
    """However many others wait, a fast result is read after the floor, without a look at the list."""
    start(200, time.now + HOUR)
    await time.advance(60)
    looks = len(vendor.list_times)
    began = time.now
    [fast] = start(1, began, prefix="fast")
    await time.advance(FLOOR_SECONDS + 0.0001)
    assert finished([fast]) == 1
    assert vendor.asked["fast0"] == [pytest.approx(began + FLOOR_SECONDS)]
    assert len(vendor.list_times) == looks


async def test_a_batch_among_old_ones_is_seen_soon(start: Any, time: Any) -> None:
    """The young one does not wait for the turns of the old."""
    start(50, time.now + 10 * HOUR)
    await time.advance(HOUR)
    [young] = start(1, time.now + 1, prefix="young")
    await time.advance(1.5)
    assert finished([young]) == 1


async def test_the_list_is_only_a_hint(start: Any, vendor: Vendor, time: Any) -> None:
    """A list that calls everything finished makes each batch be read once, and is not believed again."""
    vendor.list_says = lambda _: True
    tasks = start(20, time.now + 100)
    await time.advance(99)
    assert finished(tasks) == 0
    assert len(vendor.list_times) <= 2
    await time.advance(10)
    assert finished(tasks) == 20


async def test_a_single_false_finish_is_not_believed_twice(start: Any, vendor: Vendor, time: Any) -> None:
    """While the list goes on serving the others, the batch it lied about goes by its own schedule."""
    vendor.list_says = lambda batch_id: batch_id == "b3" or vendor.is_finished(batch_id)
    tasks = start(20, time.now + 60)
    await time.advance(59)
    assert len(vendor.list_times) > 50
    assert len(vendor.asked["b3"]) < 90
    await time.advance(3)
    assert finished(tasks) == 20


async def test_a_list_that_never_says_finished_is_found_out(start: Any, vendor: Vendor, time: Any) -> None:
    """Batches checked by a poll of their own contradict the list; it gets a rest, and every batch its own polls."""
    vendor.list_says = lambda _: False
    tasks = start(60, time.now + 10)
    await time.advance(10 + 20)
    assert finished(tasks) == 60


async def test_single_entries_that_lie_are_found_out(start: Any, vendor: Vendor, time: Any) -> None:
    """An entry that stays unfinished for ever does not keep its batch waiting for ever."""
    vendor.list_says = lambda batch_id: batch_id != "b7" and vendor.is_finished(batch_id)
    start(40, time.now + 10 * HOUR, prefix="other")
    tasks = start(10, time.now + 30)
    await time.advance(30 + 60)
    assert finished(tasks) == 10


async def test_a_missing_batch_is_polled_by_itself(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """Nothing is concluded from its absence; it is not sought in the list again and again."""
    vendor.hidden = lambda batch_id: batch_id == "b3"
    for number in range(1000):
        vendor.make(access.organization, f"foreign{number}", time.now + HOUR)
    start(20, time.now + HOUR, prefix="other")
    tasks = start(5, time.now + 60)
    await time.advance(60 + 3)
    assert finished(tasks) == 5
    assert vendor.list_pages[access.organization] < 200
    assert 20 < len(vendor.asked["b3"]) < 100


async def test_a_list_that_lags_is_asked_again(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """While new batches are not in the list yet they are polled; once they are, the list serves them."""
    shown_from = time.now + 5
    vendor.hidden = lambda _: time.now < shown_from
    tasks = start(30, time.now + 300)
    await time.advance(60)
    polls, looks = vendor.polls[access.organization], len(vendor.list_times)
    await time.advance(230)
    assert len(vendor.list_times) - looks > 30
    assert vendor.polls[access.organization] - polls < 2 * (len(vendor.list_times) - looks)
    await time.advance(10 + 10)
    assert finished(tasks) == 30


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_a_list_without_our_batches_is_left_alone(start: Any, vendor: Vendor, time: Any) -> None:
    """One that never shows them is asked ever more seldom; polls of their own find the ends."""
    vendor.hidden = lambda _: True
    tasks = start(30, time.now + HOUR)
    await time.advance(HOUR + CEILING_SECONDS)
    assert finished(tasks) == 30
    assert len(vendor.list_times) < 20


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize(
    ("failure", "most_looks"),
    [
        (ModernRefused(status=400), 6),
        (ModernRefused(status=404), 6),
        (ModernUnreachable(), 20),
        (ModernBusy(retry_after_seconds=60.0), 60),
    ],
)
async def test_a_list_that_fails_is_left_alone(
    failure: Exception, most_looks: int, start: Any, vendor: Vendor, time: Any
) -> None:
    """Refused, the list rests for ten minutes; unreachable, ever longer; busy, as long as it asks."""
    vendor.list_failure = failure
    tasks = start(30, time.now + 3500)
    await time.advance(3500 + CEILING_SECONDS)
    assert finished(tasks) == 30
    assert 3 <= len(vendor.list_times) <= most_looks + 1


async def test_a_list_that_recovers_is_used_again(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """After the trouble is over, the list serves as before."""
    vendor.list_failure = ModernUnreachable()
    start(30, time.now + HOUR)
    await time.advance(100)
    vendor.list_failure = None
    await time.advance(300)
    polls, looks = vendor.polls[access.organization], len(vendor.list_times)
    await time.advance(600)
    assert len(vendor.list_times) - looks > 20
    assert vendor.polls[access.organization] - polls <= 2 * (len(vendor.list_times) - looks)


async def test_a_fault_of_the_program_in_the_list_is_told(start: Any, vendor: Vendor, time: Any) -> None:
    """The event loop reports it; the waits go on by themselves."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    vendor.list_failure = ZeroDivisionError()
    tasks = start(30, time.now + 100)
    await time.advance(100 + 10)
    gc.collect()
    assert finished(tasks) == 30
    assert [type(context["exception"]) for context in told] == [ZeroDivisionError]


async def test_only_the_pages_needed_are_read(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """The look ends with the page that shows the last batch waited for, whatever comes after it."""
    for number in range(5000):
        vendor.make(access.organization, f"foreign{number}", time.now + HOUR)
    start(60, time.now + HOUR)
    vendor.largest_page = 25
    await time.advance(0.02)
    assert vendor.list_pages[access.organization] == 3


async def test_a_look_ends_after_so_many_pages(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """Batches deep down in the list are not sought without end; their own polls find them."""
    tasks = start(10, time.now + 60)
    for number in range(5000):
        vendor.make(access.organization, f"foreign{number}", time.now + HOUR)
    await time.advance(0.02)
    assert vendor.list_pages[access.organization] == MOST_PAGES
    await time.advance(63)
    assert finished(tasks) == 10


async def test_a_hint_is_followed_during_a_look(start: Any, vendor: Vendor, waiter: Waiter, time: Any) -> None:
    """A webhook does not wait for a slow list; the sighting that comes later finds nobody."""
    vendor.latency = 5.0
    tasks = start(20, time.now + HOUR)
    await time.advance(10)
    vendor.ready_at["b4"] = 0.0
    waiter.hint("b4")
    await time.settle()
    assert finished(tasks) == finished([tasks[4]]) == 1
    await time.advance(100)
    assert finished(tasks) == 1


async def test_a_look_ends_when_nobody_is_left_to_look_for(
    start: Any, vendor: Vendor, waiter: Waiter, time: Any, access: Access
) -> None:
    """Batches that ended meanwhile are not sought on further pages."""
    tasks = start(20, time.now + HOUR)
    for number in range(5000):
        vendor.make(access.organization, f"foreign{number}", time.now + HOUR)
    [other] = start(1, time.now + HOUR, prefix="other")
    vendor.latency = 1.0
    await time.advance(3.5)
    pages = vendor.list_pages[access.organization]
    assert 0 < pages < 5
    for number in range(20):
        vendor.ready_at[f"b{number}"] = 0.0
        waiter.hint(f"b{number}")
    await time.advance(60)
    assert finished(tasks) == 20
    assert vendor.list_pages[access.organization] == pages
    assert not other.done()


async def test_waits_go_on_while_the_list_hangs(start: Any, vendor: Vendor, time: Any) -> None:
    """A look that takes minutes delays no batch by more than one pause."""
    vendor.latency = 600.0
    tasks = start(20, time.now + 20)
    await time.advance(22)
    assert finished(tasks) == 20


async def test_giving_up_during_a_look_leaves_nothing_behind(
    start: Any, vendor: Vendor, waiter: Waiter, time: Any
) -> None:
    """With the last wait its organization's timer and look end, too."""
    vendor.latency = 5.0
    tasks = start(20, time.now + HOUR)
    await time.advance(10)
    [watch] = waiter._watches.values()
    look = watch._look
    assert look is not None
    for task in tasks:
        task.cancel()
    await time.settle()
    assert all(task.cancelled() for task in tasks)
    assert look.cancelled()
    assert watch._ears == {}
    assert time.pending == 0


async def test_waits_may_come_and_go_in_any_order(start: Any, vendor: Vendor, time: Any) -> None:
    """Cancelled waits disturb neither the look they take part in nor the others."""
    vendor.latency = 0.5
    tasks = start(40, time.now + 50)
    await time.advance(10)
    for task in tasks[::2]:
        task.cancel()
    await time.advance(45)
    assert finished(tasks[1::2]) == 20


async def test_a_batch_that_begins_during_a_look_polls_first_by_itself(start: Any, vendor: Vendor, time: Any) -> None:
    """The list shows it before its first poll was due; that poll is made all the same."""
    vendor.latency = 0.5
    start(20, time.now + HOUR)
    await time.advance(60)
    looks = len(vendor.list_times)
    while len(vendor.list_times) == looks:
        await time.advance(0.1)
    await time.advance(vendor.list_times[-1] + 0.498 - time.now)
    vendor.list_says = lambda _: False
    began = time.now
    [late] = start(1, began, prefix="late")
    await time.advance(FLOOR_SECONDS + 0.0001)
    assert finished([late]) == 1


async def test_everybody_who_waits_for_a_batch_gets_it(start: Any, waiter: Waiter, time: Any, access: Access) -> None:
    """Two waits for the same batch both end by the list."""
    tasks = start(20, time.now + 30)
    tasks += [asyncio.create_task(waiter.wait(access, "b5"))]
    await time.advance(32)
    assert finished(tasks) == 21


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
@pytest.mark.parametrize(("batches", "seconds"), [(400, 60), pytest.param(2000, 250, marks=pytest.mark.chaos)])
async def test_polls_are_bounded_without_a_list(
    start: Any, vendor: Vendor, time: Any, access: Access, batches: int, seconds: int
) -> None:
    """However many batches wait, no more than the allowance is polled; every batch still gets its turn."""
    vendor.list_failure = ModernRefused(status=404)
    start(batches, time.now + HOUR)
    await time.advance(seconds)
    polls = vendor.polls[access.organization] - batches
    assert (seconds - 10) * POLLS_PER_SECOND < polls <= POLLS_AFTER_A_LULL + seconds * POLLS_PER_SECOND
    assert min(len(moments) for moments in vendor.asked.values()) >= 2


async def test_polls_are_bounded_with_a_list(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """Pages of the list, and the polls that check it, come out of the same allowance."""
    start(2000, time.now + HOUR)
    await time.advance(10)
    requests = vendor.list_pages[access.organization] + vendor.polls[access.organization] - 2000
    assert requests <= POLLS_AFTER_A_LULL + 10 * POLLS_PER_SECOND + 2 * MOST_PAGES


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_the_young_go_first_where_polls_are_scarce(start: Any, vendor: Vendor, time: Any) -> None:
    """Old batches that queue up for their polls, for half a minute and more, do not starve a new one."""
    vendor.list_failure = ModernRefused(status=404)
    start(400, time.now + HOUR)
    await time.advance(60)
    [young] = start(1, time.now + 1, prefix="young")
    await time.advance(3)
    assert finished([young]) == 1


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_the_young_do_not_starve_the_old(start: Any, vendor: Vendor, time: Any) -> None:
    """With ever more new batches than polls are allowed, old ones still get their turns."""
    vendor.list_failure = ModernRefused(status=404)
    start(100, time.now + HOUR, prefix="old")
    await time.advance(60)
    polls = {number: len(vendor.asked[f"old{number}"]) for number in range(100)}
    for second in range(60):
        start(20, time.now + HOUR, prefix=f"young{second}-")
        await time.advance(1)
    assert all(len(vendor.asked[f"old{number}"]) > polls[number] for number in range(100))


async def test_old_batches_are_taken_up_by_the_list(start: Any, vendor: Vendor, time: Any, access: Access) -> None:
    """After a restart a thousand old batches cost a few looks, not a thousand polls at once."""
    start(1000, time.now + HOUR, age_seconds=HOUR)
    await time.advance(60)
    assert vendor.list_pages[access.organization] < 100
    assert vendor.polls[access.organization] < 100


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_results_are_read_a_few_at_a_time(start: Any, vendor: Vendor, time: Any) -> None:
    """When a thousand batches finish together, the vendor is not asked for a thousand results at once."""
    tasks = start(1000, time.now + 100, age_seconds=100.0)
    await time.advance(100 + CEILING_SECONDS)
    assert finished(tasks) == 1000
    assert vendor.most_reading <= 64


async def test_a_clock_that_is_set_back_does_not_stop_a_crowd(vendor: Vendor, time: Any, access: Access) -> None:
    """The waits start their schedule again."""
    set_back = 0.0
    waiter = Waiter(vendor.read, vendor.read_list, clock=lambda: time.now - set_back, call_later=time.call_later)
    for number in range(20):
        vendor.make(access.organization, f"b{number}", time.now + 100)
    tasks = [asyncio.create_task(waiter.wait(access, f"b{number}")) for number in range(20)]
    await time.advance(50)
    set_back = HOUR
    await time.advance(50 + CEILING_SECONDS)
    assert finished(tasks) == 20


async def test_without_a_list_every_batch_is_polled(vendor: Vendor, time: Any, access: Access) -> None:
    """A waiter that was given no list works all the same."""
    waiter = Waiter(vendor.read, clock=time, call_later=time.call_later)
    for number in range(20):
        vendor.make(access.organization, f"b{number}", time.now + 20)
    tasks = [asyncio.create_task(waiter.wait(access, f"b{number}")) for number in range(20)]
    await time.advance(25)
    assert finished(tasks) == 20


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_organizations_do_not_share_lists_or_allowances(start: Any, vendor: Vendor, time: Any) -> None:
    """One organization's trouble costs another nothing."""
    troubled, well = Access("troubled", "id", "secret"), Access("well", "id", "secret")
    vendor.list_failure = ModernRefused(status=403)
    start(2000, time.now + HOUR, into=troubled, prefix="t")
    await time.advance(10)
    vendor.list_failure = None
    tasks = start(20, time.now + 10, into=well, prefix="w")
    await time.advance(11.5)
    assert finished(tasks) == 20
    assert vendor.list_pages["well"] > 10
