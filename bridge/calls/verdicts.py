"""From a finished modern batch to the verdict on every row of its call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bridge.batch import Address, Outcome, Verdict
from bridge.calls.live import LiveCall
from bridge.calls.reconcile import Reconciler, can_be_looked_up, is_same_claim
from bridge.modern.correlation import correlate
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access
from bridge.plan import PlannedRow


class Judge:
    """Decide rows by what their modern batch says of them, and by a look at the claims where it says too little."""

    def __init__(self, reconciler: Reconciler, duplicate_words: Sequence[str]) -> None:
        """`duplicate_words`, in lower case, tell that a refusal means "we have this already" (assumed)."""
        self._reconciler = reconciler
        self._duplicate_words = tuple(duplicate_words)

    async def decide(self, access: Access, call: LiveCall, result: ModernBatch) -> dict[Address, Outcome]:
        """Return the verdicts; a row left out is one the batch is silent about and nothing else can tell of."""
        told = correlate(call.sent_rows, result)
        silent = [row for row in call.rows if row.address not in told.outcomes]
        decided = dict(told.outcomes)
        if silent:
            decided |= await self._look_up_unmentioned(access, [row for row in silent if can_be_looked_up(row)])
        return {outcome.address: outcome for outcome in await self.reconsider(access, call, decided.values())}

    async def reconsider(self, access: Access, call: LiveCall, outcomes: Iterable[Outcome]) -> list[Outcome]:
        """Return verdicts as they are after a look at the rows refused as duplicates: of themselves, perhaps."""
        told = {outcome.address: outcome for outcome in outcomes}
        suspects = [row for row in call.rows if row.unique_id and self._says_duplicate(told.get(row.address))]
        if suspects:
            told |= await self._look_up_duplicates(access, call, suspects)
        return list(told.values())

    async def _look_up_unmentioned(self, access: Access, rows: Sequence[PlannedRow]) -> dict[Address, Outcome]:
        """Judge invoices the finished batch does not mention by whether they exist."""
        found = await self._reconciler.look_out_for(access, rows)
        outcomes = {}
        for row in rows:
            invoice = found.get(row.address)
            if invoice is not None and is_same_claim(row, invoice):
                ids = {"invoiceId": invoice.id, "caseNumber": invoice.case_number}
                outcomes[row.address] = Outcome(row.address, Verdict.ACCEPTED, ids=ids)
            else:
                message = "the modern system finished without mentioning this row, and it was not found there"
                outcomes[row.address] = Outcome(row.address, Verdict.REFUSED, message)
        return outcomes

    async def _look_up_duplicates(
        self, access: Access, call: LiveCall, suspects: Sequence[PlannedRow]
    ) -> dict[Address, Outcome]:
        """Judge rows refused as duplicates: of themselves (accepted before), or of somebody else's claim (named)."""
        visible = [row for row in suspects if can_be_looked_up(row)]
        look = self._reconciler.look_out_for if call.tried else self._reconciler.look_up_patiently
        found = await look(access, visible)
        judged = await self._reconciler.judge(call, found)
        if call.tried:
            # a payment cannot be looked up, and an invoice that no list shows yet was made just now: with an earlier
            # attempt in the dark, the duplicate is our own
            own = [row.address for row in suspects if row.address not in judged]
            judged |= {address: Outcome(address, Verdict.ACCEPTED) for address in own}
        return judged

    def _says_duplicate(self, outcome: Outcome | None) -> bool:
        if outcome is None or outcome.verdict is not Verdict.REFUSED:
            return False
        text = outcome.message.casefold()
        return any(word in text for word in self._duplicate_words)
