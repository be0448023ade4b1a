"""Single attempts of writes: who may send now, or has its slot already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from bridge.calls.gates import Gate, Gates, Passage
from bridge.calls.live import LiveCall
from bridge.calls.traffic import Traffic
from bridge.journal.patient import PatientJournal
from bridge.modern.answers import Answer, NotTaken, Unknown
from bridge.modern.client import ModernClient
from bridge.modern.requests import assemble
from bridge.modern.tokens import Access

INTENT_SECONDS = 5.0
"""How old an intent may be when the first byte leaves: the search for a lost write counts its time from the intent."""


class Dispatch:
    """Make attempts through the organizations' gates, while the batches are ours and the bridge is not stopping."""

    def __init__(
        self,
        journal: PatientJournal,
        modern: ModernClient,
        gates: Gates,
        access: Callable[[str], Access],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._modern = modern
        self._gates = gates
        self._access = access
        self.traffic = Traffic(journal, sleep=sleep)
        """For whoever writes to another system than the modern one: all of it comes to rest together."""
        self._reserved: dict[str, tuple[Passage, float]] = {}
        """Slots of calls whose intent is on its way into the journal together with their batch, and since when."""

    async def reserve(self, call: LiveCall) -> bool:
        """Take a slot for a call if it could be sent now, without waiting; `attempt` uses it, `note_arrival` frees it.

        The call is under way from here on: its intent may be written together with its batch.
        """
        if self.traffic.stopping or not self.traffic.owned:
            return False
        passage = await self._gates.of(call.draft.organization).enter_at_once()
        if passage is None:
            return False
        self._reserved[call.id] = passage, _now()
        self.traffic.depart(call.id, call.record.batch_id)
        return True

    def is_reserved(self, call_id: str) -> bool:
        """Tell whether a slot is held for a call whose sending has not begun."""
        return call_id in self._reserved

    async def attempt(
        self, call: LiveCall, begin: Callable[[LiveCall], Awaitable[LiveCall]]
    ) -> tuple[LiveCall, Answer]:
        """Make one attempt; `begin` makes its intent durable before the first byte leaves, and returns the call then.

        The call is under way until `note_arrival`.
        """
        gate = self._gates.of(call.draft.organization)
        if reserved := self._reserved.pop(call.id, None):
            passage, intended_at = reserved
            with passage:
                if self.traffic.stopping:  # the youngest of all calls, and provably unsent: the next start sends it
                    return call, NotTaken("the bridge was told to stop before anything was sent")
                return call, await self._send(call, gate, intended_at)
        with await gate.enter():
            await self.traffic.wait_until_allowed()
            self.traffic.depart(call.id, call.record.batch_id)
            intended_at = _now()
            call = await begin(call)
            return call, await self._send(call, gate, intended_at)

    async def _send(self, call: LiveCall, gate: Gate, intended_at: float) -> Answer:
        """Send a call whose intent is durable, unless writing that down took so long that it may not leave any more."""
        hindrance = partial(self._hindrance, intended_at)
        if why := hindrance():
            return NotTaken(why)
        operation = call.draft.operation
        answer = await self._modern.submit(
            self._access(call.draft.organization),
            call.record.path,
            assemble(operation.collection, [row.item for row in call.rows]),
            call.id,
            expects_batch=bool(operation.collection),
            hindrance=hindrance,
        )
        tell(gate, answer)
        return answer

    def _hindrance(self, intended_at: float) -> str:
        """Return why a call may not leave any more, nothing if it may."""
        if not self.traffic.owned:
            return "this replica's lease ran out before anything was sent"
        if _now() - intended_at > INTENT_SECONDS:
            return "it took too long until it could be sent; nothing was"
        return ""

    def note_arrival(self, call_id: str) -> None:
        """Note that the answer to a call is written down, or that nobody will do so any more."""
        if reserved := self._reserved.pop(call_id, None):
            reserved[0].leave()
        self.traffic.arrive(call_id)

    def is_sending(self, batch_id: str) -> bool:
        """Tell whether a call of this batch is under way."""
        return self.traffic.is_sending(batch_id)

    async def quiesce(self, seconds: float) -> None:
        """Send nothing more, and wait until the answers to what was sent are written down, so long at most."""
        await self.traffic.quiesce(seconds)


def _now() -> float:
    return asyncio.get_running_loop().time()


def tell(gate: Gate, answer: object) -> None:
    """Let a gate know how a write fared."""
    if isinstance(answer, NotTaken) and answer.retry_after_seconds:
        gate.hold(answer.retry_after_seconds)
    elif isinstance(answer, NotTaken | Unknown):
        gate.failed()
    else:
        gate.succeeded()
