"""One open batch at work: waves of calls per organization until every row is decided, or parked in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bridge.batch import LEGACY, Address, Outcome
from bridge.calls.delivery import Delivery
from bridge.calls.live import Closing, LiveCall, Outcomes, close_nothing, side_by_side
from bridge.calls.submission import Submitter
from bridge.claims.expecting import Waiting
from bridge.intake.desk import Desk, Intake
from bridge.journal import BatchRecord, DecideRows, PlanCall
from bridge.journal.patient import PatientJournal
from bridge.logs import Event, get_log
from bridge.plan import BatchClaims, Draft, PlannedRow, draft_calls, in_sequence, waves
from bridge.workshop.completing import Completer

log = get_log()

EAGER_ROWS = 100
"""Up to which size a call takes its slot before its batch is journalled; a large batch would keep others waiting."""


@dataclass(eq=False)
class Work:
    """The state of one open batch; `outcomes` only ever grows, and each row is decided once."""

    record: BatchRecord
    desk: Desk
    rows: Sequence[tuple[Address, str]]
    """(address, ledgerref) of every row, in reply order."""
    planned: list[PlannedRow]
    """Rows for the modern system."""
    claims: BatchClaims
    outcomes: dict[Address, Outcome]
    opened: asyncio.Future[None]
    """Done once the journal has the batch."""
    relayed: Sequence[PlannedRow] = ()
    """Rows for the legacy host, where both systems share the batch; one call carries them all."""
    calls: list[LiveCall] = field(default_factory=list)
    """Calls the journal already knows."""
    closing: Closing = close_nothing
    """What belongs into the same step as the last verdict."""
    reply: bytes | None = None
    """The final answer, once the journal has it."""
    sealed: bytes | None = None
    """The final answer on its way into the journal, together with the last verdict."""
    parked: bool = False
    """Nothing goes on until an operator settles what is in doubt."""
    lost: bool = False
    """Not worked here any more; the journal knows more than this object."""

    @property
    def key(self) -> tuple[str, str]:
        """What the batch is recognized by."""
        return self.record.sender, self.record.identity

    @cached_property
    def unique_ids(self) -> dict[Address, str]:
        """The unique id of every row that was planned."""
        return {row.address: row.unique_id for row in self.planned}

    async def wait_until_open(self) -> None:
        """Wait until the journal has the batch; raises what kept it from that."""
        await asyncio.shield(self.opened)

    def fail_to_open(self, failure: BaseException) -> None:
        """Tell those who joined meanwhile that the journal did not take the batch."""
        self.opened.set_exception(failure)
        self.opened.exception()  # with nobody joined, it is not "never retrieved"

    def decide(self, outcomes: Outcomes) -> None:
        """Add verdicts; a row that has one keeps it."""
        for address, outcome in outcomes.items():
            self.outcomes.setdefault(address, outcome)

    @property
    def complete(self) -> bool:
        """Tell whether every row has its verdict."""
        return len(self.outcomes) == len(self.rows)

    def organizations(self) -> list[str]:
        """Return the organizations that rows of the batch go to on the modern side."""
        return sorted({row.organization for row in self.planned})

    def undecided(self) -> list[PlannedRow]:
        """Return the rows that no call has carried to an end, and no journalled call carries now."""
        carried = {address for call in self.calls for address in call.record.rows}
        return [row for row in self.planned if row.address not in self.outcomes and row.address not in carried]


def open_work(record: BatchRecord, desk: Desk, intake: Intake) -> Work:
    """Return a batch that was just read, before anything of it is kept."""
    return Work(
        record=record,
        desk=desk,
        rows=[(row.address, row.ledgerref) for row in intake.rows],
        planned=intake.planned,
        relayed=intake.relayed,
        # without a row that refers to a claim nobody will ask
        claims=intake.claims if any(row.reference for row in intake.planned) else BatchClaims(),
        outcomes=dict(intake.decided),
        opened=asyncio.get_running_loop().create_future(),
    )


class Worker:
    """Bring open batches forward."""

    def __init__(
        self,
        journal: PatientJournal,
        submitter: Submitter,
        completer: Completer,
        delivery: Delivery,
        *,
        max_rows_per_call: int,
    ) -> None:
        self._journal = journal
        self._submitter = submitter
        self._completer = completer
        self._delivery = delivery
        self._max_rows_per_call = max_rows_per_call

    async def first_calls(self, work: Work) -> list[LiveCall]:
        """Prepare the calls that need no look-up, to be journalled together with the batch; then `withdraw` or `run`.

        A small one that is alone is begun if its organization has a slot free, which saves the batch a commit.
        """
        calls = []
        for by_wave in waves(work.undecided()).values():
            ready = [row for row in by_wave[0] if row.reference is None]
            lanes = in_sequence(draft_calls(ready, self._max_rows_per_call))
            calls += [self._prepare(work, lane[0]) for lane in lanes]
        if len(calls) == 1 and len(calls[0].rows) + len(work.relayed) <= EAGER_ROWS:
            calls = [await self._submitter.begin_with_batch(calls[0])]
        if work.relayed:
            calls.append(self._delivery.prepare(work.record, work.relayed))
        return calls

    def withdraw(self, work: Work) -> None:
        """Free what calls hold that nobody carries any further."""
        for call in work.calls:
            self._submitter.withdraw(call)
        if work.complete:
            self._delivery.forget(work.record.id)

    def is_sending(self, work: Work) -> bool:
        """Tell whether a write of this batch is under way, which would be in doubt if it were cut off."""
        return self._submitter.is_sending(work.record.id)

    async def run(self, work: Work) -> None:
        """Work the rows of every organization, and those of the legacy host, side by side.

        Rows undecided afterwards are in doubt, or wait for such.

        A row that waits for an invoice of another batch keeps its own batch running, even if that one is in doubt:
        nobody would tell when to go on.
        """
        lanes = [self._run_organization(work, organization) for organization in work.organizations()]
        if work.relayed:
            lanes.append(self._run_legacy(work))
        await side_by_side(lanes)

    async def _run_legacy(self, work: Work) -> None:
        """Have the legacy host decide its rows; an operator may have divided them among several calls."""
        for call in work.calls:
            if call.draft.operation is LEGACY:
                carried = replace(call, closing=work.closing)
                work.decide(await self._delivery.carry(carried, work.record, work.desk.profile.reply))

    async def _run_organization(self, work: Work, organization: str) -> None:
        rest = waves(row for row in work.undecided() if row.organization == organization).get(organization, ())
        await self._carry(work, in_sequence([call for call in work.calls if call.draft.organization == organization]))
        waiting = [one for wave in rest for one in await self._run_wave(work, wave, {})]
        while waiting:
            arrivals = await self._completer.wait(waiting)
            waiting = arrivals.waiting
            for wave in waves(arrivals.rows).get(organization, ()):
                waiting += await self._run_wave(work, wave, arrivals.refusals)

    async def _run_wave(self, work: Work, wave: Sequence[PlannedRow], refusals: Mapping[Address, str]) -> list[Waiting]:
        """Find the claims the rows belong to, then carry them in as few calls as possible; return who must wait.

        `refusals` says more about rows whose claim is nowhere than that.
        """
        completed = await self._completer.complete(work, wave, refusals)
        await self._refuse(work, completed.refused)
        if completed.waiting:
            log.info(Event.ROWS_WAITING, batch=work.record.id, rows=len(completed.waiting))
        ready = completed.ready
        lanes = in_sequence(draft_calls(ready, self._max_rows_per_call))
        calls = [[self._prepare(work, draft) for draft in lane] for lane in lanes]
        items = {row.address: row.item for row in ready}
        if calls:
            await self._journal.write(
                *(
                    PlanCall(call.record, {row.address: items[row.address] for row in call.rows})
                    for lane in calls
                    for call in lane
                )
            )
        await self._carry(work, calls)
        return completed.waiting

    async def _refuse(self, work: Work, refused: Sequence[Outcome]) -> None:
        if refused:
            await self._journal.write(DecideRows(work.record.id, refused))
            work.decide({outcome.address: outcome for outcome in refused})

    def _prepare(self, work: Work, draft: Draft) -> LiveCall:
        return self._submitter.prepare(work.record.id, draft)

    async def _carry(self, work: Work, lanes: Iterable[Sequence[LiveCall]]) -> None:
        await side_by_side(self._carry_lane(work, lane) for lane in lanes)

    async def _carry_lane(self, work: Work, lane: Sequence[LiveCall]) -> None:
        for call in lane:
            outcomes = await self._submitter.carry(replace(call, closing=work.closing))
            work.decide(outcomes)
            if len(outcomes) < len(call.rows):
                return  # in doubt: what must follow it waits as well
