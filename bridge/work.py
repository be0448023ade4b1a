"""One open batch at work: waves of calls per organization until every row is decided, or parked in doubt."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bridge.batch import Address, Outcome, Reference, RowRefused, Verdict
from bridge.calls import Closing, LiveCall, Outcomes, close_nothing, side_by_side, together
from bridge.errors import ModernRefused
from bridge.intake import Desk, Intake
from bridge.journal import BatchRecord, Claim, DecideRows, PlanCall
from bridge.journal.patient import PatientJournal
from bridge.modern.requests import with_field
from bridge.plan import BatchClaims, Draft, PlannedRow, draft_calls, in_sequence, refuse_with, waves
from bridge.references import References
from bridge.submission import Submitter

EAGER_ROWS = 100
"""Up to which size a call takes its slot before its batch is journalled; a large batch would keep others waiting."""
LOOK_UPS_AT_ONCE = 8
"""References of one wave that are looked up side by side."""


@dataclass(eq=False)
class Work:
    """The state of one open batch; `outcomes` only ever grows, and each row is decided once."""

    record: BatchRecord
    desk: Desk
    rows: Sequence[tuple[Address, str]]
    """(address, ledgerref) of every row, in reply order."""
    planned: list[PlannedRow]
    claims: BatchClaims
    outcomes: dict[Address, Outcome]
    opened: asyncio.Future[None]
    """Done once the journal has the batch."""
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
        """Return the organizations that rows of the batch go to."""
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
        references: References,
        *,
        max_rows_per_call: int,
    ) -> None:
        self._journal = journal
        self._submitter = submitter
        self._references = references
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
        if len(calls) == 1 and len(calls[0].rows) <= EAGER_ROWS:
            return [await self._submitter.begin_with_batch(calls[0])]
        return calls

    def withdraw(self, work: Work) -> None:
        """Free what calls hold that nobody carries any further."""
        for call in work.calls:
            self._submitter.withdraw(call)

    def is_sending(self, work: Work) -> bool:
        """Tell whether a write of this batch is under way, which would be in doubt if it were cut off."""
        return self._submitter.is_sending(work.record.id)

    async def run(self, work: Work) -> None:
        """Work every organization's rows side by side; rows undecided afterwards are in doubt, or wait for such."""
        await side_by_side(self._run_organization(work, organization) for organization in work.organizations())

    async def _run_organization(self, work: Work, organization: str) -> None:
        rest = waves(row for row in work.undecided() if row.organization == organization).get(organization, ())
        await self._carry(work, in_sequence([call for call in work.calls if call.draft.organization == organization]))
        for wave in rest:
            await self._run_wave(work, wave)

    async def _run_wave(self, work: Work, wave: Sequence[PlannedRow]) -> None:
        """Find the claims the rows belong to, then carry them in as few calls as possible."""
        ready = await self._complete_all(work, wave)
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

    # --- references ------------------------------------------------------------------------------------------------

    async def _complete_all(self, work: Work, wave: Sequence[PlannedRow]) -> list[PlannedRow]:
        """Return the rows that can go now; refused ones are decided, ones that wait for a row in doubt left out."""
        slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        results = await together(self._complete_or_refuse(work, row, slots) for row in wave)
        refused = [result for result in results if isinstance(result, Outcome)]
        if refused:
            await self._journal.write(DecideRows(work.record.id, refused))
            work.decide({outcome.address: outcome for outcome in refused})
        return [result for result in results if isinstance(result, PlannedRow)]

    async def _complete_or_refuse(
        self, work: Work, row: PlannedRow, slots: asyncio.Semaphore
    ) -> PlannedRow | Outcome | None:
        if row.reference is None:
            return row
        try:
            async with slots:
                return await self._complete(work, row, row.reference)
        except RowRefused as refusal:
            return Outcome(row.address, Verdict.REFUSED, str(refusal))
        except ModernRefused as refusal:
            message = f"its claim could not be looked up: the modern system answered HTTP {refusal.status}"
            return Outcome(row.address, Verdict.REFUSED, message)

    async def _complete(self, work: Work, row: PlannedRow, reference: Reference) -> PlannedRow | Outcome | None:
        """Give a row the id of its claim: from the same batch first, then from wherever it can be found."""
        depends = work.claims.depend(row.organization, reference)
        if depends is not None:
            outcome = work.outcomes.get(depends.invoice)
            if outcome is None:
                return None
            if outcome.verdict is Verdict.REFUSED:
                return refuse_with(outcome, row.address)
            if reference.target == "invoice" and outcome.ids.get("invoiceId"):
                return _complete_with(row, Claim(row.organization, invoice_id=outcome.ids["invoiceId"]))
            reference = replace(reference, keys=_own_keys(work, depends.invoice))
        claim = await self._references.resolve_patiently(row.organization, reference)
        return _complete_with(row, claim)


def _own_keys(work: Work, invoice: Address) -> tuple[tuple[str, str], ...]:
    """Return the names of an invoice of the batch by which it can be looked up."""
    return (("uniqueSourceInvoiceId", work.unique_ids[invoice]),)


def _complete_with(row: PlannedRow, claim: Claim) -> PlannedRow:
    """Return the row with the id of its claim where it belongs: in the item, or in the path."""
    reference = row.reference
    if reference is None:
        return row
    known = claim.case_id if reference.target == "case" else claim.invoice_id
    item = with_field(row.item, reference.into, known) if reference.into else row.item
    if reference.target == "case":
        return replace(row, item=item, case_id=known, reference=None)
    return replace(row, item=item, invoice_id=known, reference=None)
