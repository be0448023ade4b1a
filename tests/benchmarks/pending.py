"""What ten thousand batches cost that the modern system does not finish: memory, and how often it is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import uvloop

from bridge.modern.watch import POLLS_AFTER_A_LULL, POLLS_PER_SECOND
from tests.benchmarks.figures import Figure
from tests.benchmarks.launching import rss_mb
from tests.benchmarks.site import NEVER, Site, one_row, open_site, wait_until

BATCHES, CALLERS = 10_000, 50
WATCHED_SECONDS = 60
READS = ("batch", "batches")
SERVER = f"max_open_batches = {BATCHES + 1}\nmax_open_batches_per_sender = {BATCHES + 1}"


def measure() -> Iterator[Figure]:
    """Measure a minute in which all are pending; the hour is made of such minutes, and polls only get rarer."""
    yield from uvloop.run(_measure())


async def _measure() -> list[Figure]:
    async with open_site(server=SERVER) as site:
        site.sandbox.play(NEVER)
        (bridge,) = site.bridges
        empty = rss_mb(bridge.process.pid)
        await _send_all(site)
        await wait_until(lambda: len(site.held) == BATCHES, "the modern system has all")
        full, asked = rss_mb(bridge.process.pid), _asked(site)
        await asyncio.sleep(WATCHED_SECONDS)
        memory, polls = rss_mb(bridge.process.pid), _asked(site) - asked
    kilobytes = (memory - empty) / BATCHES * 1024
    note = f"{empty:.0f} MB before, {full:.0f} MB when the last was taken; {kilobytes:.1f} kB for each"
    limit = POLLS_PER_SECOND * WATCHED_SECONDS + POLLS_AFTER_A_LULL
    return [
        Figure(f"memory with {BATCHES:,} batches pending, a minute later", memory, "MB", 200, note=note),
        Figure(
            "… looks at the modern system in that minute",
            polls,
            "",
            limit,
            note=f"{polls / WATCHED_SECONDS:.1f} a second",
        ),
    ]


async def _send_all(site: Site) -> None:
    """Take batches from callers who do not wait for the end."""
    numbers = iter(range(BATCHES))

    async def caller() -> None:
        for number in numbers:
            await site.post(one_row(number, "p", offline=True), site.bridges[0])

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def _asked(site: Site) -> int:
    return sum(len(site.sandbox.requests.newest(operation=operation)) for operation in READS)
