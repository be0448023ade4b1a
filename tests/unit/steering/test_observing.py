"""What is seen of organizations: gathered in memory, written in groups, never lost to a store in trouble."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import CannotTakeNow
from bridge.journal import Change, KeepSamples, Observation, Observe, Sample
from bridge.steering.observing import Observatory, Topic


class Store:
    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.broken = False

    async def write(self, *changes: Change) -> None:
        if self.broken:
            raise CannotTakeNow
        self.changes += changes

    @property
    def observed(self) -> list[Observation]:
        return [one for change in self.changes if isinstance(change, Observe) for one in change.observations]


def watch(store: Store, now: list[float], **more: float) -> Observatory:
    return Observatory(store, clock=lambda: now[0], **more)  # type: ignore[arg-type]  # it only writes


async def test_counts_of_one_span_are_put_together() -> None:
    """By the minute where guardrails look, by the hour where people do."""
    store, now = Store(), [3_599.0]
    one = watch(store, now)
    one.see("o", Topic.COMPARED, ("same",))
    one.see("o", Topic.RULE, ("p", "invoice", "dueDate"), 2)
    now[0] = 3_601.0
    one.see("o", Topic.COMPARED, ("same",))
    one.see("o", Topic.RULE, ("p", "invoice", "dueDate"), 3)
    await one.flush()
    assert store.observed == [
        Observation("o", 3_540.0, "compared", ("same",), 1),
        Observation("o", 0.0, "rule", ("p", "invoice", "dueDate"), 2),
        Observation("o", 3_600.0, "compared", ("same",), 1),
        Observation("o", 3_600.0, "rule", ("p", "invoice", "dueDate"), 3),
    ]


async def test_nothing_seen_is_nothing_written() -> None:
    """An idle bridge leaves the store alone."""
    store = Store()
    await watch(store, [0.0]).flush()
    assert store.changes == []


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5), st.booleans())))
def test_no_count_is_lost_or_doubled_by_a_store_in_trouble(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever is seen between whichever failed writes adds up in the end."""

    async def run() -> None:
        store = Store()
        one = watch(store, [0.0])
        for name, count, broken in steps:
            one.see(name, Topic.ANSWERED, ("accepted",), count)
            store.broken = broken
            await one.flush()
        store.broken = False
        await one.flush()
        written = {name: sum(o.count for o in store.observed if o.organization == name) for name in "ab"}
        assert written == {name: sum(count for who, count, _ in steps if who == name) for name in "ab"}

    asyncio.run(run())


async def test_samples_wait_for_the_store_too() -> None:
    """The few that people will look at are not thrown away."""
    store = Store()
    one = watch(store, [0.0])
    sample = Sample("o", "invoice.ledgerref", "value", 1.0, "ERP", None, "a", "b")
    one.keep(sample)
    store.broken = True
    await one.flush()
    store.broken = False
    await one.flush()
    assert [change.samples for change in store.changes if isinstance(change, KeepSamples)] == [[sample]]


async def test_the_end_writes_what_is_left() -> None:
    """A bridge that stops has counted everything it saw."""
    store = Store()
    one = watch(store, [0.0], flush_seconds=3600.0)
    running = asyncio.create_task(one.run())
    await asyncio.sleep(0)
    one.see("o", Topic.PAIR, ("compared",))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [o.count for o in store.observed] == [1]
