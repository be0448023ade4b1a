"""Writes under way, and how they come to rest."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from bridge.calls.traffic import SEND_MARGIN_SECONDS, Traffic


@dataclass
class Lease:
    owned: bool = True

    def may_send(self, seconds: float) -> bool:
        assert seconds == SEND_MARGIN_SECONDS
        return self.owned


def traffic(lease: Any) -> Traffic:
    return Traffic(lease, sleep=lambda _: asyncio.sleep(0))


async def test_a_batch_is_sending_until_its_answer_is_written_down() -> None:
    """From before the intent to after the answer."""
    here = traffic(Lease())
    here.depart("call", "batch")
    assert here.is_sending("batch")
    here.arrive("call")
    here.arrive("call")
    assert not here.is_sending("batch")


async def test_the_stop_waits_for_what_is_under_way_and_lets_nothing_leave() -> None:
    """It ends with the last arrival, or when its time is over."""
    here = traffic(Lease())
    here.depart("one", "batch")
    here.depart("short", "another batch")
    here.arrive("short")
    stop = asyncio.create_task(here.quiesce(5))
    waiting = asyncio.create_task(here.wait_until_allowed())
    await asyncio.sleep(0.01)
    assert not stop.done()
    assert here.stopping
    here.arrive("one")
    await stop
    assert not waiting.done()
    waiting.cancel()
    here.depart("two", "batch")
    await here.quiesce(0.01)


async def test_nothing_leaves_while_the_batches_may_be_anothers() -> None:
    """Who may not send waits until the lease is sure again."""
    lease = Lease(owned=False)
    here = traffic(lease)
    waiting = asyncio.create_task(here.wait_until_allowed())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    lease.owned = True
    await waiting
