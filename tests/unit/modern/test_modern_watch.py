"""When the waits of one organization look at its list, and how far: the figures that the documents promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from typing import Any

import pytest

from bridge.modern.ears import Cue, Ear
from bridge.modern.failures import ModernBusy
from bridge.modern.lists import Sighting
from bridge.modern.schedule import next_delay
from bridge.modern.tokens import Access
from bridge.modern.watch import Watch, _choose

OLD = 100.0
"""Seconds a wait has lasted already, so that it has no first poll of its own."""


class Organization:
    """A watch whose list shows what it is told to; notes the size of the pages asked for, and counts them."""

    def __init__(self, access: Access, time: Any) -> None:
        self.time = time
        self.shown: dict[str, bool] = {}
        self.foreign_pages = 0
        self.failure: Exception | None = None
        self.sizes: list[int] = []
        self.pages = 0
        self.watch = Watch(access, self.read_list, clock=time, call_later=time.call_later, ceiling_seconds=30.0)

    async def read_list(self, _: Access, page_size: int) -> AsyncGenerator[list[Sighting], None]:
        self.sizes.append(page_size)
        if self.failure is not None:
            raise self.failure
        for number in range(self.foreign_pages):
            self.pages += 1
            yield [Sighting(f"foreign-{number}", False)]
        self.pages += 1
        yield [Sighting(batch_id, finished) for batch_id, finished in self.shown.items()]

    def wait(self, names: Iterable[object], *, pause: float = 10.0, age: float = OLD) -> list[Ear]:
        """Begin waits that pause for so long from now on."""
        ears = [self.watch.join(f"b{name}", age) for name in names]
        for ear in ears:
            ear.pause_seconds = pause
            self.shown.setdefault(ear.batch_id, False)
            self.watch.next_cue(ear)
        return ears

    @property
    def looks(self) -> int:
        return len(self.sizes)


@pytest.fixture
async def organization(access: Access, time: Any) -> AsyncIterator[Organization]:
    made = Organization(access, time)
    yield made
    for ear in [ear for ears in made.watch._ears.values() for ear in ears]:
        made.watch.leave(ear)
    await asyncio.sleep(0)


@pytest.mark.parametrize(("count", "looks"), [(7, 0), (8, 1)])
async def test_eight_waits_are_a_crowd(organization: Organization, time: Any, count: int, looks: int) -> None:
    """Fewer poll one by one."""
    organization.wait(range(count))
    await time.advance(10.1)
    assert organization.looks == looks


@pytest.mark.parametrize(("moment", "looks"), [(4.9, 0), (5.0, 1)])
async def test_a_look_is_worth_it_when_eight_have_half_of_their_pause_behind_them(
    organization: Organization, time: Any, moment: float, looks: int
) -> None:
    """Together is cheaper than in time, but not at any time: whoever comes first goes alone."""
    organization.wait(range(8), pause=10.0)
    [first] = organization.wait(["first"], pause=moment)
    await time.advance(moment + 0.001)
    assert organization.looks == looks
    assert first.next_cue().done()


@pytest.mark.parametrize(("count", "size"), [(8, 20), (20, 20), (21, 21), (100, 100), (150, 100)])
async def test_a_page_is_as_large_as_the_crowd(organization: Organization, time: Any, count: int, size: int) -> None:
    """Twenty at least, for there are others' batches in between, and a hundred at most."""
    organization.wait(range(count))
    await time.advance(10.1)
    assert organization.sizes[0] == size


@pytest.mark.parametrize(("foreign_pages", "pages"), [(19, 20), (30, 20)])
async def test_a_look_reads_twenty_pages_at_most(
    organization: Organization, time: Any, foreign_pages: int, pages: int
) -> None:
    """What lies deeper goes by polls of its own."""
    organization.foreign_pages = foreign_pages
    organization.wait(range(8))
    await time.advance(10.1)
    assert organization.pages == pages


@pytest.mark.parametrize(("age", "seconds"), [(59.9, 0.004), (60.0, None)])
async def test_a_wait_younger_than_a_minute_begins_with_a_poll_of_its_own(
    organization: Organization, time: Any, age: float, seconds: float | None
) -> None:
    """Older ones come in crowds, after a restart."""
    [ear] = organization.wait(["b"], age=age)
    heard = ear.next_cue()
    await time.advance(0.003)
    assert not heard.done()
    await time.advance(0.002)
    assert heard.done() is (seconds is not None)


async def test_a_timer_that_goes_off_a_trifle_early_is_in_time(organization: Organization, time: Any) -> None:
    """Event loops count in milliseconds: what is due within one is due."""
    soon, later = organization.wait(["soon"], pause=1.0)[0], organization.wait(["later"], pause=1.01)[0]
    heard = soon.next_cue(), later.next_cue()
    time.now += 0.9995
    organization.watch._take_turns()
    assert [one.done() for one in heard] == [True, False]


async def test_thirty_two_results_are_read_side_by_side(organization: Organization) -> None:
    """When the list shows a thousand as finished, the others queue."""
    for _ in range(32):
        assert not organization.watch.turnstile.locked()
        await organization.watch.turnstile.acquire()
    assert organization.watch.turnstile.locked()


@pytest.mark.parametrize(
    ("allowed", "chosen"),
    [
        (1, {"young"}),
        (2, {"young", "late"}),
        (3, {"young", "middle", "late"}),
        (4, {"young", "middle", "late", "other"}),
    ],
)
async def test_scarce_turns_go_to_the_youngest_and_the_longest_due(allowed: int, chosen: set[str]) -> None:
    """Half of them each, and the odd one to the young."""
    ears = [
        Ear(name, now=1000.0, age_seconds=age)
        for name, age in (("young", 1.0), ("middle", 50.0), ("late", 100.0), ("other", 100.0))
    ]
    for ear, pause in zip(ears, (9.0, 8.0, 1.0, 7.0), strict=True):
        ear.pause_seconds = pause
    assert {ear.batch_id for ear in _choose(ears, allowed)} == chosen


async def test_a_wait_that_ends_before_its_first_poll_leaves_no_timer(organization: Organization, time: Any) -> None:
    """A webhook may be quicker than the floor."""
    organization.watch.leave(organization.watch.join("b", 0.0))
    assert time.pending == 0


@pytest.mark.parametrize(("others", "depth"), [(6, 1), (7, 4)], ids=["alone", "in a crowd"])
async def test_a_batch_deep_in_the_list_pauses_longer_in_a_crowd(
    organization: Organization, others: int, depth: int
) -> None:
    """To see it there again takes as many requests as it has pages above it; by itself it takes one."""
    [ear, *_] = organization.wait(range(1 + others))
    ear.depth = 4
    organization.watch.note_unfinished(ear, Cue.TURN)
    assert ear.pause_seconds == pytest.approx(next_delay(OLD, unit_seconds=0.02 * depth))
    assert (ear.misled, ear.depth) == (False, 4)


async def test_who_was_misled_by_the_list_does_not_pause_for_it(organization: Organization) -> None:
    """It is not sought there any more, so it does not matter how deep it was."""
    [ear, *_] = organization.wait(range(8))
    ear.depth = 4
    organization.watch.note_unfinished(ear, Cue.SIGHTING)
    assert (ear.misled, ear.depth) == (True, 1)
    assert ear.pause_seconds == pytest.approx(next_delay(OLD))


async def test_a_poll_that_failed_was_made(organization: Organization, time: Any) -> None:
    """It counts when the list is to be checked by polls, and is not followed by another one at once."""
    [ear] = organization.wait(["b"])
    time.now += 5.0
    organization.watch.note_failed(ear, 0.0)
    assert (ear.asked_at, ear.looked_at) == (time.now, time.now)
    assert ear.due_at == pytest.approx(time.now + 0.004)


async def test_a_look_costs_its_pages_and_as_many_polls_to_check_it(organization: Organization, time: Any) -> None:
    """All of it comes out of the one allowance; what was seen deep down is looked for again later."""
    organization.foreign_pages = 2
    ears = organization.wait(range(9), pause=1.0)
    ears[0].list_again_at = time.now + 1000.0
    await time.advance(1.0)
    assert organization.pages == 3
    assert sum(ear.next_cue().done() for ear in ears[1:]) == 3
    assert organization.watch._allowance.left() == 100.0 - 3 - 3 - 1, "one was not looked for, and polled by itself"
    assert {ear.depth for ear in ears} == {3}
    assert ears[0].list_again_at == 0.0, "it was there all the same"
    assert max(ear.pause_seconds for ear in ears) == pytest.approx(next_delay(OLD + 1.0, unit_seconds=0.06))


async def test_what_the_list_does_not_show_is_left_out_for_a_ceiling(organization: Organization, time: Any) -> None:
    """It is no deeper than anything else when it is looked for again."""
    missing, *_ = organization.wait(range(9), pause=1.0)
    missing.depth = 5
    del organization.shown[missing.batch_id]
    await time.advance(1.0)
    assert (missing.depth, missing.list_again_at) == (1, time.now + 30.0)


async def test_one_page_that_contradicts_is_enough(organization: Organization, time: Any) -> None:
    """Whatever the following pages say: the list is given a rest."""
    organization.watch._listing.testify("foreign-0", time.now - 100.0)
    organization.foreign_pages = 2
    organization.wait(range(8), pause=1.0)
    await time.advance(1.0)
    assert organization.looks == 1
    assert not organization.watch._listing.usable(time.now + 1.9)


async def test_a_busy_list_is_asked_again_when_it_said(organization: Organization, time: Any) -> None:
    """Not before, and not ten minutes later."""
    organization.failure = ModernBusy(retry_after_seconds=7.0)
    organization.wait(range(8), pause=1.0)
    await time.advance(1.0)
    listing = organization.watch._listing
    assert [listing.usable(time.now + seconds) for seconds in (6.9, 7.0)] == [False, True]


async def test_a_list_that_serves_makes_up_for_its_failures(organization: Organization, time: Any) -> None:
    """The next failure is a first one."""
    listing = organization.watch._listing
    for _ in range(5):
        listing.failed(-1000.0)
    organization.wait(range(8), pause=1.0)
    await time.advance(1.0)
    assert organization.looks == 1
    listing.failed(time.now)
    assert listing.usable(time.now + 2.0)
