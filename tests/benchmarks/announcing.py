"""How soon a caller has its answer after a webhook: at the replica that got it, and at another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import uvloop

from tests.benchmarks.figures import Figure, percentile
from tests.benchmarks.replicas import postgres
from tests.benchmarks.site import NEVER, Bridge, Site, one_row, open_site, wait_until

BATCHES = 40
AGE_SECONDS = 5.0
"""How old a batch is when it finishes: polls are 0.4 s apart by then, on average half of that away."""
PAUSE_SECONDS = 0.05
"""Between one batch's end and the next one's."""


def measure() -> Iterator[Figure]:
    """Measure from the moment a modern batch is finished to the reply at the caller."""
    with postgres() as server:
        same, other = uvloop.run(_measure(server.create()))
    for where, taken in (("the same replica", same), ("another replica", other)):
        note = f"p90 {percentile(taken, 0.9):.1f} ms, worst {max(taken):.1f} ms; {BATCHES} batches, one after the other"
        yield Figure(f"modern batch done → reply, webhook to {where}, p50", percentile(taken, 0.5), "ms", 15, note=note)


async def _measure(storage: str) -> tuple[list[float], list[float]]:
    async with open_site(replicas=2, storage=storage, hooks=True) as site:
        site.sandbox.play(NEVER)
        first, second = site.bridges
        return await _wake(site, first, "same-"), await _wake(site, second, "other-")


async def _wake(site: Site, bridge: Bridge, mark: str) -> list[float]:
    """Send batches to a bridge, let them grow old, finish one after the other; return each one's milliseconds."""
    before = len(site.held)
    ended: list[float] = [0.0] * BATCHES

    async def call(number: int) -> None:
        await site.post(one_row(number, mark), bridge)
        ended[number] = time.perf_counter()

    callers = []
    for number in range(BATCHES):  # one at a time, so that modern batches stand in the order of the calls
        callers.append(asyncio.create_task(call(number)))
        await wait_until(lambda: len(site.held) > before + number, "the modern system has it")  # noqa: B023 - awaited
    await asyncio.sleep(AGE_SECONDS)
    done = []
    for number, batch in enumerate(site.held[before:]):
        done.append(time.perf_counter())
        site.sandbox.stand_in.tick(batch, at_least=batch.created_at + 86_400)
        await callers[number]
        await asyncio.sleep(PAUSE_SECONDS)
    return [(end - begin) * 1000 for begin, end in zip(done, ended, strict=True)]
