"""How long it takes after a `kill -9`: until another replica has taken over, and until the bridge is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from tests.benchmarks.figures import Figure, median
from tests.benchmarks.replicas import postgres
from tests.benchmarks.site import BREAKS, NEVER, Bridge, Site, one_row, open_site, unique_id, wait_until

BATCHES, ROUNDS = 200, 3
TIMEOUT_SECONDS, SETTLE_SECONDS = 1.5, 0.5
SLOW_SECONDS = 0.3
MODERN = f"request_timeout_seconds = {TIMEOUT_SECONDS}\nsettle_seconds = {SETTLE_SECONDS}"
PLAN = {**NEVER, "fault": [{"operation": "invoices", "kind": "slow", "seconds": SLOW_SECONDS, "skip": BATCHES - 50}]}
"""The last fifty writes take so long that the kill comes while some are under way and others are planned."""
IN_DOUBT_SECONDS = TIMEOUT_SECONDS + 2 * SETTLE_SECONDS
"""How much longer a row in doubt may take: it is looked for twice, one settle time apart."""


@dataclass(frozen=True)
class Passing:
    """Seconds from the kill, or from the start after it."""

    first: float
    """Until the first action, or until Ping answers 200."""
    answered: float
    """Until every batch has its final answer."""
    in_doubt: int
    """How many calls were under way."""


def measure() -> Iterator[Figure]:
    """Measure takeover and restart; raises RuntimeError when a row was lost or doubled."""
    with postgres() as server:
        takeovers = [uvloop.run(_take_over(server.create())) for _ in range(ROUNDS)]
    restarts = [uvloop.run(_restart()) for _ in range(ROUNDS)]
    yield from _judge_takeovers(takeovers)
    yield from _judge_restarts(restarts)


async def _take_over(storage: str) -> Passing:
    """Kill one of two replicas; its callers turn to the other."""
    async with open_site(replicas=2, storage=storage, modern=MODERN) as site:
        dead, other = site.bridges
        killed_at = await _kill(site, dead)
        first = await wait_until(lambda: other.count("batch_resumed"), "the other replica acts")
        answered = await _ask_again(site, other)
        return Passing(first - killed_at, answered - killed_at, other.count("call_in_doubt"))


async def _restart() -> Passing:
    """Kill the only bridge and start it again."""
    async with open_site(modern=MODERN) as site:
        (bridge,) = site.bridges
        await _kill(site, bridge)
        began = time.monotonic()
        await bridge.start()
        ready = time.monotonic()
        answered = await _ask_again(site, bridge)
        return Passing(ready - began, answered - began, bridge.count("call_in_doubt"))


async def _kill(site: Site, bridge: Bridge) -> float:
    """Send all batches, wait until some are in each state, kill the bridge; return when."""
    site.sandbox.play(PLAN)
    callers = [asyncio.create_task(site.post(one_row(number, "k"), bridge)) for number in range(BATCHES)]
    await wait_until(
        lambda: bridge.count("batch_taken") == BATCHES and len(site.held) > BATCHES - 30, "all are in flight"
    )
    killed_at = time.monotonic()
    bridge.kill()
    ends = await asyncio.gather(*callers, return_exceptions=True)
    if not all(isinstance(end, BREAKS) for end in ends):
        raise RuntimeError("a caller got an answer before the kill")
    return killed_at


async def _ask_again(site: Site, bridge: Bridge) -> float:
    """Send the same batches again; return when all were answered, after checking that none is lost or doubled."""
    site.release()
    replies = await asyncio.gather(*(site.post(one_row(number, "k"), bridge) for number in range(BATCHES)))
    answered = time.monotonic()
    if not all(reply.startswith(b'{"statuscode":0') for reply in replies):
        raise RuntimeError("a batch was not answered as accepted")
    site.check_books(unique_id(number, "k") for number in range(BATCHES))
    return answered


def _judge_takeovers(seen: list[Passing]) -> Iterator[Figure]:
    doubts = ", ".join(str(one.in_doubt) for one in seen)
    first, last = max(one.first for one in seen), max(one.answered for one in seen)
    note = f"{BATCHES} batches in flight; worst of {ROUNDS}, median {median(one.first for one in seen):.2f} s"
    yield Figure("takeover of a killed replica's work: first action", first, "s", 2, note=note)
    note = f"none lost, none doubled; calls in doubt: {doubts}, which settle {IN_DOUBT_SECONDS:g} s longer"
    yield Figure("… every batch answered, the target with settle time", last, "s", 10 + IN_DOUBT_SECONDS, note=note)


def _judge_restarts(seen: list[Passing]) -> Iterator[Figure]:
    ready, last = max(one.first for one in seen), max(one.answered for one in seen)
    doubts = ", ".join(str(one.in_doubt) for one in seen)
    note = f"start of the process to Ping 200; worst of {ROUNDS}, median {median(one.first for one in seen):.2f} s"
    yield Figure(f"restart after kill -9 with {BATCHES} batches in flight", ready, "s", 2, note=note)
    yield Figure("… every batch answered", last, "s", note=f"none lost, none doubled; calls in doubt: {doubts}")
