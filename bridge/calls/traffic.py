"""Which writes are under way, whether more may leave, and how all of it comes to rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from bridge.journal.patient import PatientJournal

SEND_MARGIN_SECONDS = 1.0
"""How long our ownership must still last when the first byte of a write leaves."""
LEASE_LOOK_SECONDS = 0.1


class Traffic:
    """Every write of this replica, to whichever system."""

    def __init__(self, journal: PatientJournal, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._journal = journal
        self._sleep = sleep
        self._under_way: dict[str, str] = {}
        """Calls that are being sent, or whose answer is not written down yet, and their batches."""
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.stopping = False
        """Whether nothing may leave any more."""

    @property
    def owned(self) -> bool:
        """Tell whether our batches are sure to stay ours for as long as a write needs to leave."""
        return self._journal.may_send(SEND_MARGIN_SECONDS)

    def depart(self, call_id: str, batch_id: str) -> None:
        """Note that a call is about to be sent: its intent is on its way into the journal."""
        self._under_way[call_id] = batch_id
        self._quiet.clear()

    def arrive(self, call_id: str) -> None:
        """Note that the answer to a call is written down, or that nobody will do so any more."""
        self._under_way.pop(call_id, None)
        if not self._under_way:
            self._quiet.set()

    def is_sending(self, batch_id: str) -> bool:
        """Tell whether a call of this batch is under way."""
        return batch_id in self._under_way.values()

    async def wait_until_allowed(self) -> None:
        """Wait until our batches are surely ours; once the bridge stops, nothing more is sent at all."""
        while self.stopping or not self.owned:
            await self._sleep(LEASE_LOOK_SECONDS)

    async def quiesce(self, seconds: float) -> None:
        """Send nothing more, and wait until the answers to what was sent are written down, so long at most.

        A write that is cut off would be in doubt at the next start.
        """
        self.stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
