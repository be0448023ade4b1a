"""The life of the call that carries the legacy half of a batch to the legacy host.

It is `submission`'s neighbour: the same states, each step durable before the next. But nothing can be looked up at the
legacy host, and nothing there tells a second sending from the first. So a call that may have arrived is never sent
again by itself: it stays in doubt until an operator says what became of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar
from urllib.parse import urlencode

from bridge.batch import LEGACY, CallState, Outcome, Verdict
from bridge.calls.dispatch import tell
from bridge.calls.gates import Gate
from bridge.calls.keyring import Keyring
from bridge.calls.live import Backoff, LiveCall, Outcomes, alike, decisions
from bridge.calls.relay import Answer, Relay, Replied, Sub
from bridge.calls.traffic import Traffic
from bridge.journal import BatchRecord, CallRecord, Change
from bridge.journal.patient import PatientJournal
from bridge.legacy.sharing import judge, read_host_answer, write_sub_batch
from bridge.logs import Event, get_log
from bridge.mapping import ReplyTable
from bridge.modern.answers import NotTaken, Unknown
from bridge.plan import Draft, PlannedRow

log = get_log()

P = ParamSpec("P")
T = TypeVar("T")

ROWS_AT_ONCE = 200
"""Rows whose bytes are put together, or read, in about a millisecond."""
BACKOFF_CEILING_SECONDS = 30.0
AGAIN = "send it again in a new batch"
NO_CREDENTIALS = (
    "not submitted: the bridge was restarted before this row could be handed to the legacy host, and does not keep the "
    f"credentials it came with; {AGAIN}"
)


class Delivery:
    """Carry calls for the legacy host to their end."""

    def __init__(
        self,
        journal: PatientJournal,
        relay: Relay,
        traffic: Traffic,
        keyring: Keyring,
        gate: Gate,
        *,
        retry_seconds: float,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: random.Random | None = None,
    ) -> None:
        """`retry_seconds` is how long a call that was certainly not taken is sent again before its rows are refused."""
        self._journal = journal
        self._relay = relay
        self._traffic = traffic
        self._keyring = keyring
        self._gate = gate
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._new_id = new_id
        self._sleep = sleep
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret

    def prepare(self, batch: BatchRecord, rows: Sequence[PlannedRow]) -> LiveCall:
        """Give the legacy half of a batch its call; nothing is written yet."""
        path = f"{LEGACY.path}?{urlencode({'senderid': batch.sender})}"
        addresses = tuple(row.address for row in rows)
        record = CallRecord(
            self._new_id(), batch.id, "", LEGACY.name, path, addresses, CallState.PLANNED, planned_at=self._clock()
        )
        return LiveCall(record, Draft("", LEGACY, path, tuple(rows)))

    def forget(self, batch_id: str) -> None:
        """Forget the credentials of a batch that is over."""
        self._keyring.drop(batch_id)

    async def carry(self, call: LiveCall, batch: BatchRecord, table: ReplyTable) -> Outcomes:
        """Bring a journalled call to its end from whatever state it is in; rows left out of the result are in doubt."""
        try:
            if call.record.state is CallState.PLANNED:
                return await self._submit(call, batch, table)
            if call.record.state is CallState.SUBMITTING:
                await self._doubt(call, "the bridge stopped while this was being sent to the legacy host")
            return {}
        finally:
            self._traffic.arrive(call.id)  # however it ended: nobody will write its answer down any more

    async def _submit(self, call: LiveCall, batch: BatchRecord, table: ReplyTable) -> Outcomes:
        """Send until the legacy host has answered, or the budget for certainly untaken calls is spent."""
        rows = [(row.address, row.item) for row in call.rows]
        sub = Sub(batch.sender, batch.profile, await _aside(len(rows), write_sub_batch, batch.batchid, rows))
        backoff = Backoff(self._sleep, self._chance, ceiling_seconds=BACKOFF_CEILING_SECONDS)
        while True:
            authorization = await self._keyring.find(batch.id, batch.sender)
            if authorization is None:
                return await self._refuse(call, NO_CREDENTIALS, "its credentials were lost")
            call, answer = await self._attempt(call, sub, authorization)
            if not isinstance(answer, NotTaken):
                return await self._act_on(call, answer, table)
            if self._clock() - call.record.planned_at > self._retry_seconds:
                text = f"not submitted: the legacy host did not take it in time ({answer.why}); {AGAIN}"
                return await self._refuse(call, text, answer.why)
            call = await self._move(call, CallState.PLANNED, answer.why)
            log.warning(Event.CALL_NOT_TAKEN, call=call.id, batch=batch.id, why=answer.why)
            if not answer.retry_after_seconds:  # else the gate is held for so long
                await backoff.rest()

    async def _attempt(self, call: LiveCall, sub: Sub, authorization: str) -> tuple[LiveCall, Answer]:
        """Send once, after the intent is durable, and while the batch is surely ours.

        A host in trouble is left alone for a while by all batches: each that it does not answer would be in doubt.
        """
        with await self._gate.enter():
            await self._traffic.wait_until_allowed()
            self._traffic.depart(call.id, call.record.batch_id)
            call = await self._move(call, CallState.SUBMITTING)
            if not self._traffic.owned:
                return call, NotTaken("this replica's lease ran out before anything was sent")
            answer = await self._relay.send(sub, authorization)
            tell(self._gate, answer)
            return call, answer

    async def _act_on(self, call: LiveCall, answer: Replied | Unknown, table: ReplyTable) -> Outcomes:
        """Read the answer by one question: can any of it have been accepted?"""
        if isinstance(answer, Unknown):
            await self._doubt(call, answer.why)
            return {}
        told = await _aside(len(call.rows), read_host_answer, answer.body, answer.content_type)
        if answer.status >= 400 and not (told is not None and told.responses):  # it may have taken the rows it lists
            about_all = told.about_all if told is not None else ""
            return await self._refuse(call, _explain(answer.status, about_all), f"HTTP {answer.status}")
        if told is None:
            await self._doubt(call, f"the legacy host answered HTTP {answer.status}, and nothing that can be read")
            return {}
        decided = await _aside(len(call.rows), judge, told, call.record.rows, table)
        if len(decided) == len(call.rows):
            return await self._finish(call, decided.values(), CallState.DONE, "answered by the legacy host")
        why = "the legacy host has answered, but not finally for every row"
        log.warning(Event.CALL_IN_DOUBT, call=call.id, batch=call.record.batch_id, why=why)
        return await self._finish(call, decided.values(), CallState.IN_DOUBT, why)

    async def _refuse(self, call: LiveCall, message: str, why: str) -> Outcomes:
        return await self._finish(call, alike(call, Verdict.REFUSED, message), CallState.REFUSED, why)

    # --- the journal -----------------------------------------------------------------------------------------------

    async def _doubt(self, call: LiveCall, why: str) -> None:
        log.warning(Event.CALL_IN_DOUBT, call=call.id, batch=call.record.batch_id, why=why)
        await self._move(call, CallState.IN_DOUBT, why)

    async def _move(self, call: LiveCall, after: CallState, why: str = "") -> LiveCall:
        moved, change = call.moved(after, self._clock(), why=why)
        await self._write(moved, change)
        return moved

    async def _finish(self, call: LiveCall, decided: Iterable[Outcome], after: CallState, why: str) -> Outcomes:
        """End a call with the verdicts on its rows, in one step."""
        outcomes = {outcome.address: outcome for outcome in decided}
        ended, move = call.moved(after, self._clock(), why=why)
        await self._write(ended, move, *decisions(ended, outcomes), *await call.closing(outcomes))
        return outcomes

    async def _write(self, call: LiveCall, *changes: Change) -> None:
        """Make a step durable, and note that the call is not under way any more unless it was just begun."""
        await self._journal.write(*changes)
        if call.record.state is not CallState.SUBMITTING:
            self._traffic.arrive(call.id)


async def _aside(rows: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what takes long with many rows in a thread of its own, so that it holds nobody up."""
    if rows <= ROWS_AT_ONCE:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


def _explain(status: int, about_all: str) -> str:
    """Say why the legacy host refused everything, in its own words where it has some."""
    if status in {401, 403}:
        return f"the legacy host refused the credentials this row was sent with (HTTP {status})" + (
            f": {about_all}" if about_all else "; correct them there, or in the ERP, then send it again"
        )
    return about_all or f"the legacy host refused it with HTTP {status}"
