"""The life of one call: intent, send, read the answer, wait for the result, isolate faulty rows, decide every row.

The states and what may follow what are in `batch.TRANSITIONS`; each step is durable before the next begins.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.batch import CallState, Outcome, Verdict
from bridge.calls.dispatch import Dispatch
from bridge.calls.live import Backoff, LiveCall, Outcomes, alike, decisions, together
from bridge.calls.reconcile import Adopted, Found, NeverArrived, Parked, Reconciler
from bridge.calls.refusals import Refusals
from bridge.calls.verdicts import Judge
from bridge.journal import CallRecord, Change, PlanCall
from bridge.journal.patient import PatientJournal
from bridge.logs import Event, get_log
from bridge.modern.answers import Answer, Conflict, NotTaken, Refused, Taken, TakenAtOnce, Unknown
from bridge.modern.correlation import blame
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access
from bridge.modern.waiting import Waiter
from bridge.plan import Draft, halves

log = get_log()

BACKOFF_CEILING_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Terms:
    """How long calls are sent."""

    retry_seconds: float
    """How long a call that was provably not taken is sent again before its rows are refused."""


class Submitter:
    """Carry calls to their end."""

    def __init__(
        self,
        journal: PatientJournal,
        dispatch: Dispatch,
        waiter: Waiter,
        reconciler: Reconciler,
        judge: Judge,
        refusals: Refusals,
        *,
        access: Callable[[str], Access],
        terms: Terms,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self._journal = journal
        self._dispatch = dispatch
        self._waiter = waiter
        self._reconciler = reconciler
        self._judge = judge
        self._refusals = refusals
        self._access = access
        self._terms = terms
        self._clock = clock
        self._new_id = new_id
        self._sleep = sleep
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret

    def prepare(self, batch_id: str, draft: Draft) -> LiveCall:
        """Give a draft its identity; nothing is written yet."""
        record = CallRecord(
            id=self._new_id(),
            batch_id=batch_id,
            organization=draft.organization,
            operation=draft.operation.name,
            path=draft.path,
            rows=tuple(row.address for row in draft.rows),
            state=CallState.PLANNED,
            planned_at=self._clock(),
        )
        return LiveCall(record, draft)

    async def begin_with_batch(self, call: LiveCall) -> LiveCall:
        """Return a call as SUBMITTING if it can be sent as soon as its batch is journalled, else as it is.

        One that is never carried then must be withdrawn: it holds one of its organization's slots.
        """
        if not await self._dispatch.reserve(call):
            return call
        return call.moved(CallState.SUBMITTING, self._clock())[0]

    def withdraw(self, call: LiveCall) -> None:
        """Note that nobody will carry a call any further; one that was carried to its end has nothing left to note."""
        self._dispatch.note_arrival(call.id)

    async def carry(self, call: LiveCall) -> Outcomes:
        """Bring a journalled call to its end from whatever state it is in; rows left out of the result are in doubt."""
        try:
            return await self._carry(call)
        finally:
            self._dispatch.note_arrival(call.id)  # however it ended: nobody will write its answer down any more

    async def _carry(self, call: LiveCall) -> Outcomes:
        state = call.record.state
        if state is CallState.PLANNED or self._dispatch.is_reserved(call.id):
            return await self._submit(call)
        if state is CallState.SUBMITTED:
            return await self._conclude(call, await self._result(call))
        if state is CallState.SUBMITTING:
            call = await self._doubt(call, "the bridge stopped while this call was being sent")
        if state in {CallState.SUBMITTING, CallState.IN_DOUBT}:
            return await self._settle(replace(call, tried=True))
        return {}

    def is_sending(self, batch_id: str) -> bool:
        """Tell whether a call of this batch is being sent, or its answer not written down yet."""
        return self._dispatch.is_sending(batch_id)

    # --- sending ---------------------------------------------------------------------------------------------------

    async def _submit(self, call: LiveCall) -> Outcomes:
        """Send until the modern system has answered, or the budget for provably untaken calls is spent."""
        backoff = Backoff(self._sleep, self._chance, ceiling_seconds=BACKOFF_CEILING_SECONDS)
        while True:
            call, answer = await self._dispatch.attempt(call, self._begin)
            if not isinstance(answer, NotTaken):
                return await self._act_on(call, answer)
            if self._is_spent(call):
                return await self._give_up(call, answer.why)
            call = await self._move(call, CallState.PLANNED, why=answer.why)
            log.warning(Event.CALL_NOT_TAKEN, call=call.id, batch=call.record.batch_id, why=answer.why)
            if not answer.retry_after_seconds:  # else its gate is held for so long
                await backoff.rest()

    async def _begin(self, call: LiveCall) -> LiveCall:
        """Make the intent of an attempt durable."""
        return await self._move(call, CallState.SUBMITTING)

    async def _act_on(self, call: LiveCall, answer: Answer) -> Outcomes:
        """Read the answer by one question: can the write have been accepted?"""
        if isinstance(answer, Taken):
            return await self._taken(call, answer.modern_batch)
        if isinstance(answer, TakenAtOnce):
            return await self._finish(call, alike(call, Verdict.ACCEPTED), why="taken at once")
        if isinstance(answer, Refused):
            return await self._refused(call, answer)
        if isinstance(answer, Conflict):
            return await self._conflict(call, answer)
        if isinstance(answer, Unknown):
            call = await self._doubt(call, answer.why)
            return await self._settle(replace(call, tried=True))
        raise TypeError(f"no way to act on {type(answer).__name__}")

    def _is_spent(self, call: LiveCall) -> bool:
        """Tell whether a call has been tried for as long as calls are."""
        return self._clock() - call.record.planned_at > self._terms.retry_seconds

    async def _give_up(self, call: LiveCall, why: str) -> Outcomes:
        message = f"not submitted: the modern system did not take it in time ({why}); send it again in a new batch"
        return await self._finish(call, alike(call, Verdict.REFUSED, message), after=CallState.REFUSED, why=why)

    # --- waiting for the result ------------------------------------------------------------------------------------

    async def _taken(self, call: LiveCall, modern_batch: str) -> Outcomes:
        """Store the modern batch id while the result is already being asked for."""
        call.trials.taken = True
        call, change = call.moved(CallState.SUBMITTED, self._clock(), modern_batch=modern_batch)
        log.info(Event.CALL_TAKEN, call=call.id, batch=call.record.batch_id, modern_batch=modern_batch)
        try:
            async with asyncio.TaskGroup() as group:  # a write that fails ends the wait: the batch may be lost
                group.create_task(self._write(call, change))
                result = await self._result(call)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return await self._conclude(call, result)

    async def _result(self, call: LiveCall) -> ModernBatch:
        age = max(self._clock() - (call.record.submitted_at or self._clock()), 0.0)
        access = self._access(call.draft.organization)
        return await self._waiter.wait(access, call.record.modern_batch, age_seconds=age)

    async def _conclude(self, call: LiveCall, result: ModernBatch) -> Outcomes:
        """Turn a finished modern batch into the verdict on every row of the call."""
        decided = await self._judge.decide(self._access(call.draft.organization), call, result)
        why = f"modern batch {result.status}"
        if len(decided) == len(call.rows):
            return await self._finish(call, decided.values(), why=why)
        # nobody can say what became of a silent payment: refusing it might have it sent, and booked, twice
        why += ", which does not mention every row"
        return await self._finish(call, decided.values(), after=CallState.IN_DOUBT, why=why)

    # --- refusals --------------------------------------------------------------------------------------------------

    async def _refused(self, call: LiveCall, answer: Refused) -> Outcomes:
        """Refuse the faulty rows of a call that was refused as a whole, and send the others again."""
        why, access = f"HTTP {answer.status}", self._access(call.draft.organization)
        named = blame(call.sent_rows, answer)
        everything = "" if named else await self._refusals.explain_for_all(access, call, answer)
        if len(call.rows) == 1 or everything:
            text = everything or " ".join(named.values()) or answer.text or f"the modern system refused it with {why}"
            outcomes = await self._judge.reconsider(access, call, alike(call, Verdict.REFUSED, text))
            after = CallState.REFUSED if any(one.verdict is Verdict.REFUSED for one in outcomes) else CallState.DONE
            return await self._finish(call, outcomes, after=after, why=why)
        if not named:
            return await self._split(call, halves(call.draft), (), f"{why}: isolating the faulty rows")
        refused = [Outcome(address, Verdict.REFUSED, text) for address, text in named.items()]
        refused = await self._judge.reconsider(access, call, refused)
        rest = tuple(row for row in call.rows if row.address not in named)
        drafts = [replace(call.draft, rows=rest)] if rest else []
        return await self._split(call, drafts, refused, f"{why}: sending the other rows again")

    async def _split(self, call: LiveCall, drafts: Iterable[Draft], decided: Sequence[Outcome], why: str) -> Outcomes:
        """End a call and carry its undecided rows on in new ones; all of it is one step in the journal."""
        ended, move = call.moved(CallState.REFUSED, self._clock(), why=why)
        # what an earlier attempt may have left behind is ours for every part of the call
        begun = [self.prepare(call.record.batch_id, draft) for draft in drafts]
        parts = [replace(call, record=part.record, draft=part.draft) for part in begun]
        await self._write(
            ended, move, *(PlanCall(part.record) for part in parts), *decisions(ended, {o.address: o for o in decided})
        )
        log.info(Event.CALL_SPLIT, call=call.id, batch=call.record.batch_id, rows=len(call.rows), why=why)
        outcomes = {outcome.address: outcome for outcome in decided}
        for carried in await together(self.carry(part) for part in parts):
            outcomes |= carried
        return outcomes

    # --- in doubt --------------------------------------------------------------------------------------------------

    async def _doubt(self, call: LiveCall, why: str) -> LiveCall:
        log.warning(Event.CALL_IN_DOUBT, call=call.id, batch=call.record.batch_id, why=why)
        return await self._move(call, CallState.IN_DOUBT, why=why)

    async def _settle(self, call: LiveCall) -> Outcomes:
        """Find out what became of a call in doubt, and act on it."""
        finding = await self._reconciler.settle(self._access(call.draft.organization), call)
        log.info(Event.CALL_RECONCILED, call=call.id, batch=call.record.batch_id, why=type(finding).__name__)
        if isinstance(finding, NeverArrived) and self._is_spent(call):
            return await self._give_up(call, "no attempt was answered, and none arrived")
        if isinstance(finding, NeverArrived):
            call = await self._move(call, CallState.PLANNED, why="never arrived; sent again with the same ids and key")
            return await self._submit(call)
        if isinstance(finding, Parked):
            return {}
        return await self._arrived(call, finding)

    async def _arrived(self, call: LiveCall, finding: Adopted | Found) -> Outcomes:
        """Go on with a call of which at least a part arrived; missing rows travel in a call of their own."""
        if isinstance(finding, Adopted):
            batch_id = finding.modern_batch
            call = await self._move(call, CallState.SUBMITTED, why="found by its key", modern_batch=batch_id)
            return await self._conclude(call, await self._result(call))
        decided = list(finding.outcomes.values())
        if not finding.missing:
            return await self._finish(call, decided, why="its invoices exist")
        rest = replace(call.draft, rows=finding.missing)
        return await self._split(call, [rest], decided, "some of its invoices exist")

    async def _conflict(self, call: LiveCall, answer: Conflict) -> Outcomes:
        """Explain a 409: an echo of an earlier attempt of this call, or a claim held from elsewhere."""
        call = await self._doubt(call, "HTTP 409")
        access = self._access(call.draft.organization)
        finding = None if call.tried else await self._reconciler.explain_conflict(access, call)
        # unexplained, it may be the echo of a write that something on the way sent twice, and lists lag: look on
        finding = finding or await self._reconciler.settle(access, call)
        if isinstance(finding, Adopted | Found):
            return await self._arrived(call, finding)
        if call.tried or isinstance(finding, Parked):
            return {}  # probably its own echo, but nothing shows it: an operator must decide
        return await self._refused(call, Refused(409, answer.text, answer.faults))

    # --- the journal -----------------------------------------------------------------------------------------------

    async def _move(self, call: LiveCall, after: CallState, *, why: str = "", modern_batch: str = "") -> LiveCall:
        moved, change = call.moved(after, self._clock(), why=why, modern_batch=modern_batch)
        await self._write(moved, change)
        return moved

    async def _write(self, call: LiveCall, *changes: Change) -> None:
        """Make a step of a call durable, and note that it is not under way any more unless it was just begun."""
        await self._journal.write(*changes)
        if call.record.state is not CallState.SUBMITTING:
            self._dispatch.note_arrival(call.id)

    async def _finish(
        self, call: LiveCall, decided: Iterable[Outcome], *, after: CallState = CallState.DONE, why: str
    ) -> Outcomes:
        """End a call with the verdicts on its rows, in one step."""
        outcomes = {outcome.address: outcome for outcome in decided}
        ended, move = call.moved(after, self._clock(), why=why)
        await self._write(ended, move, *decisions(ended, outcomes), *await call.closing(outcomes))
        return outcomes
