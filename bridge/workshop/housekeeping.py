"""What the bridge does by itself: take over orphans, carry out orders, keep budgets, count doubts, erase payloads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from bridge.errors import BridgeError
from bridge.journal import Journal
from bridge.legacy.rendering import redact
from bridge.logs import Event, get_log
from bridge.workshop.office import Office
from bridge.workshop.workshop import Workshop

log = get_log()

ROUND_SECONDS = 0.5
"""How often to look for batches whose owner died, and for orders."""
ERASE_EVERY_SECONDS = 3600.0
LEAST_ERASE_SECONDS = 1.0
COUNT_EVERY_SECONDS = 10.0
"""How old the number of rows in doubt may be; to count them is one look at the open batches."""
GUARD_EVERY_SECONDS = 2.0
"""How often to look whether an organization has broken a budget."""


class Housekeeping:
    """The regular rounds."""

    def __init__(
        self,
        workshop: Workshop,
        office: Office,
        journal: Journal,
        guard: Callable[[], Awaitable[None]],
        *,
        show_doubts: Callable[[Mapping[str, int]], None],
        retention_seconds: float,
        clock: Callable[[], float],
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self._workshop = workshop
        self._office = office
        self._journal = journal
        self._guard = guard
        self._show_doubts = show_doubts
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._round_seconds = round_seconds
        self._hurry = asyncio.Event()

    def hurry(self) -> None:
        """Begin the next round now: an operator placed an order."""
        self._hurry.set()

    async def run(self) -> None:
        """Make rounds until cancelled."""
        await asyncio.gather(
            self._make_rounds(), self._guard_regularly(), self._count_regularly(), self._erase_regularly()
        )

    async def _make_rounds(self) -> None:
        while True:
            self._hurry.clear()  # before the duties: an order that comes in the middle of them begins another round
            await _endure(self._workshop.take_over)
            await _endure(self._office.carry_out_orders)
            try:
                async with asyncio.timeout(self._round_seconds):
                    await self._hurry.wait()
            except TimeoutError:
                continue

    async def _guard_regularly(self) -> None:
        while True:
            await _endure(self._guard)
            await asyncio.sleep(GUARD_EVERY_SECONDS)

    async def _count_regularly(self) -> None:
        while True:
            await _endure(self._count_doubts)
            await asyncio.sleep(COUNT_EVERY_SECONDS)

    async def _count_doubts(self) -> None:
        """Show how many rows of the journal are in doubt, whichever replica works them."""
        self._show_doubts(await self._journal.doubts())

    async def _erase_regularly(self) -> None:
        while True:
            await _endure(self._erase)
            await asyncio.sleep(self._erase_pause())

    def _erase_pause(self) -> float:
        """Return how long until the next look: nobody keeps a payload for minutes only to have it lie for an hour."""
        return min(ERASE_EVERY_SECONDS, max(self._retention_seconds, LEAST_ERASE_SECONDS))

    async def _erase(self) -> None:
        """Erase what is past its retention."""
        erased = await self._journal.erase(self._clock() - self._retention_seconds, redact)
        if erased:
            log.info(Event.PAYLOADS_ERASED, count=erased)


async def _endure(duty: Callable[[], Awaitable[None]]) -> None:
    """Do one duty; what keeps it from being done now must not keep the next round from coming."""
    try:
        await duty()
    except BridgeError as reason:
        log.warning(Event.ROUND_FAILED, why=type(reason).__name__)
    except Exception:
        log.exception(Event.UNEXPECTED)
