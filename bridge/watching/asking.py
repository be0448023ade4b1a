"""Batches on their way to a shadow target: few at a time, and nobody waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from bridge.comparing import Answer
from bridge.errors import BridgeError
from bridge.logs import Event, get_log
from bridge.watching.pace import Pace
from bridge.watching.sight import Sight

log = get_log()

MOST_PENDING = 8
"""How many batches may wait for the shadow target at a time; while it hangs, what comes is left out."""
MOST_PENDING_BYTES = 32 * 1024 * 1024
"""How large these may be together; one alone may always go."""


Hear = Callable[[Answer], Coroutine[Any, Any, None]]


class Target(Protocol):
    """A modern system that is not the production one, and a bridge to it."""

    async def answer(self, sender: str, body: bytes) -> Answer | None:
        """Have a batch worked for real there; None when there is no answer in time."""
        ...

    def serves(self, organization: str) -> bool:
        """Tell whether an organization has a stand-in there."""
        ...


class Questions:
    """What the shadow target is asked, side by side."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pending: dict[asyncio.Task[None], int] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def serves(self, organizations: Iterable[str]) -> bool:
        """Tell whether all of these organizations have a stand-in there."""
        return all(map(self._target.serves, organizations))

    def ask(self, sight: Sight, hear: Hear, miss: Callable[[], None]) -> None:
        """Have a batch worked there; `hear` gets the answer, `miss` is called when there is none, or no room."""
        size = sight.exchange.size
        held = sum(self._pending.values())
        if len(self._pending) >= MOST_PENDING or (self._pending and held + size > MOST_PENDING_BYTES):
            miss()
            return
        task = asyncio.create_task(self._ask(sight, hear, miss))
        self._pending[task] = size
        task.add_done_callback(self._pending.pop)

    async def close(self) -> None:
        """Wait for nobody any more."""
        for task in self._pending:
            task.cancel()
        await asyncio.gather(*self._pending, return_exceptions=True)

    async def _ask(self, sight: Sight, hear: Hear, miss: Callable[[], None]) -> None:
        heard = False
        try:
            answer = await self._target.answer(sight.sender.id, sight.request)
            if answer is not None:
                await Pace(time.perf_counter, asyncio.sleep).keep(hear(answer))
                heard = True
        except BridgeError as reason:
            log.warning(Event.SHADOW_FAILED, sender=sight.sender.id, why=type(reason).__name__)
        except Exception:
            log.exception(Event.UNEXPECTED, sender=sight.sender.id)
        finally:
            if not heard:
                miss()
