"""What became of a write whose answer was lost (docs: durability, section 2, rule 5).

Evidence that it arrived is taken whenever it shows up. That it did *not* arrive is concluded only after the HTTP
time-out plus `settle_seconds`, and only when two looks a settle interval apart saw nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from bridge.batch import Address, Outcome, Verdict
from bridge.calls.live import LiveCall, Outcomes
from bridge.claims.references import ModernReads
from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable
from bridge.journal import Claim
from bridge.logs import Event, get_log
from bridge.modern.correlation import mentions_all
from bridge.modern.lists import ModernInvoice, read_moment
from bridge.modern.results import ModernBatch
from bridge.modern.schedule import next_delay
from bridge.modern.tokens import Access
from bridge.plan import PlannedRow

log = get_log()

CLOCK_SKEW_SECONDS = 120.0
"""How far the vendor's clock may be behind ours before one of our batches looks older than its call."""
LOOK_UP_BY = "uniqueSourceInvoiceId"
"""The unique id the modern API can look rows up by."""
LOOK_UPS_AT_ONCE = 8
"""Rows of one call that are looked up side by side."""
LOOK_CEILING_SECONDS = 10.0
"""The longest pause between two looks for a sign of arrival."""
RETRY_CEILING_SECONDS = 60.0
"""The longest pause before a failed look-up is tried again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Adopted:
    """The write arrived and opened this modern batch."""

    modern_batch: str


@dataclass(frozen=True, slots=True)
class Found:
    """Some or all invoices of the call exist; `missing` ones never arrived and may be sent in a call of their own."""

    outcomes: Outcomes
    missing: tuple[PlannedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class NeverArrived:
    """Nothing of it arrived, and its rows carry unique ids: the same call may be sent again."""


@dataclass(frozen=True, slots=True)
class Parked:
    """Nothing of it was seen, and a second sending could double it: an operator must decide."""


Finding = Adopted | Found | NeverArrived | Parked


class Lookups(ModernReads, Protocol):
    """The questions a reconciliation asks."""

    async def batches(
        self, access: Access, *, idempotency_key: str | None = None, created_since: float | None = None
    ) -> Sequence[ModernBatch]:
        """List batches by one filter."""
        ...


class CrossReference(Protocol):
    """What the bridge itself knows of claims."""

    async def claims(self, organization: str, kind: str, value: str) -> Sequence[Claim]:
        """Find claims by one of their names."""
        ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a write may stay invisible, in seconds."""

    request_timeout_seconds: float
    settle_seconds: float

    def horizon(self, call: LiveCall) -> float:
        """Return the Unix time before which the absence of a write proves nothing."""
        began = call.record.submitted_at or call.record.planned_at
        return began + self.request_timeout_seconds + self.settle_seconds


class Reconciler:
    """Find out what became of calls in doubt."""

    def __init__(
        self,
        modern: Lookups,
        books: CrossReference,
        patience: Patience,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._modern = modern
        self._books = books
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    async def settle(self, access: Access, call: LiveCall) -> Finding:
        """Look until the call's fate is known, or until it is known that nobody but an operator can tell."""
        horizon = self._patience.horizon(call)
        if batch := await self._watch(access, call, until=horizon):
            return Adopted(batch.id)
        if found := await self._invoices_of(access, call):
            return found
        # counted from this look, not from the horizon: after a long stop both looks would fall together
        if batch := await self._watch(access, call, until=self._clock() + self._patience.settle_seconds):
            return Adopted(batch.id)
        if found := await self._invoices_of(access, call):
            return found
        if not call.draft.operation.unique_id:
            return Parked()
        return NeverArrived() if await self._can_tell(access, call) else Parked()

    async def _can_tell(self, access: Access, call: LiveCall) -> bool:
        """Tell whether having seen nothing proves anything: invoices can be looked up, other rows only by key."""
        if call.draft.operation.unique_id == LOOK_UP_BY:
            return True
        return await self._answered(lambda: self.filters_by_key(access, call))

    async def explain_conflict(self, access: Access, call: LiveCall) -> Finding | None:
        """Explain a 409 to a call that was never tried before: it is ours already, or others hold its invoices.

        None: the look-ups show nothing that explains it. Only its key can make a batch this call's own: one that merely
        names the same rows was sent by somebody before.
        """
        if batch := await self._answered(lambda: self._batch_by_key(access, call)):
            return Adopted(batch.id)
        return await self._invoices_of(access, call)

    async def look_up_patiently(self, access: Access, rows: Sequence[PlannedRow]) -> Mapping[Address, ModernInvoice]:
        """Look invoices up, however often it takes to get an answer."""
        return await self._answered(lambda: self.look_up(access, rows)) if rows else {}

    async def look_out_for(self, access: Access, rows: Sequence[PlannedRow]) -> Mapping[Address, ModernInvoice]:
        """Look invoices up that the modern system should have, until its lists show them all or had time to."""
        end = self._clock() + self._patience.settle_seconds
        found = dict(await self.look_up_patiently(access, rows))
        while len(found) < len(rows) and self._clock() < end:
            await self._sleep(max(min(LOOK_CEILING_SECONDS, (end - self._clock()) / 4), 0.01))
            found |= await self.look_up_patiently(access, [row for row in rows if row.address not in found])
        return found

    async def look_up(self, access: Access, rows: Sequence[PlannedRow]) -> dict[Address, ModernInvoice]:
        """Return the invoices the modern system holds under the rows' unique ids."""
        slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)

        async def ask(row: PlannedRow) -> Sequence[ModernInvoice]:
            async with slots:
                return await self._modern.invoices(access, unique_source_invoice_id=row.unique_id)

        visible = [row for row in rows if can_be_looked_up(row)]
        answers = await asyncio.gather(*map(ask, visible))
        return {row.address: invoices[0] for row, invoices in zip(visible, answers, strict=True) if invoices}

    async def _watch(self, access: Access, call: LiveCall, *, until: float) -> ModernBatch | None:
        """Look for the call's batch, ever less often, until the given time; the last look is after it."""
        began = self._clock()
        while True:
            now = self._clock()
            if batch := await self._answered(lambda: self._batch_of(access, call)):
                return batch
            if now >= until:
                return None
            pause = min(next_delay(now - began) * 10, LOOK_CEILING_SECONDS, until - now)
            await self._sleep(max(pause, 0.001))

    async def _batch_of(self, access: Access, call: LiveCall) -> ModernBatch | None:
        """Return the oldest batch that is the call's: by its idempotency key, else by the rows it mentions."""
        return await self._batch_by_key(access, call) or await self._batch_by_rows(access, call)

    async def _batch_by_key(self, access: Access, call: LiveCall) -> ModernBatch | None:
        listed = await self._modern.batches(access, idempotency_key=call.id)
        own = [batch for batch in listed if not _is_older(call, batch.created_at)]
        if any(batch.idempotency_key != call.id for batch in own) and not await self.filters_by_key(access, call):
            own = [batch for batch in own if batch.idempotency_key == call.id]
        return _oldest(call, own)

    async def _batch_by_rows(self, access: Access, call: LiveCall) -> ModernBatch | None:
        if all(can_be_looked_up(row) for row in call.rows):
            return None  # invoices speak for themselves, and tell an earlier claim from one of this call
        since = call.record.planned_at - CLOCK_SKEW_SECONDS
        recent = await self._modern.batches(access, created_since=since)
        return _oldest(call, [batch for batch in recent if mentions_all(call.sent_rows, batch)])

    async def filters_by_key(self, access: Access, call: LiveCall) -> bool:
        """Tell whether the batch list can be searched by key at all: a key that was never used must find nothing.

        The header that carries the key is assumed; a server that ignores it would show us anybody's batches.
        """
        return not await self._modern.batches(access, idempotency_key=f"never-used-{call.id}")

    async def _invoices_of(self, access: Access, call: LiveCall) -> Found | None:
        """Conclude from the invoices themselves; None when no row of the call can be seen there."""
        found = await self.look_up_patiently(access, call.rows)
        if not found:
            return None
        missing = tuple(row for row in call.rows if row.address not in found)
        return Found(await self.judge(call, found), missing)

    async def judge(self, call: LiveCall, found: Mapping[Address, ModernInvoice]) -> dict[Address, Outcome]:
        """Judge the rows of a call whose invoices exist."""
        outcomes = {}
        for row in call.rows:
            if (invoice := found.get(row.address)) is not None:
                known = await self._answered(partial(self._books.claims, row.organization, "invoiceId", invoice.id))
                others = {claim.batch_id for claim in known} - {"", call.record.batch_id}
                outcomes[row.address] = verdict_on(call, row, invoice, is_anothers=bool(others))
        return outcomes

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: a question that failed says nothing about the write."""
        began = self._clock()
        while True:
            try:
                return await ask()
            except (ModernUnreachable, ModernRefused, CannotTakeNow) as failure:
                log.warning(Event.LOOK_UP_FAILED, why=type(failure).__name__)
            await self._sleep(min(max(next_delay(self._clock() - began) * 10, 0.1), RETRY_CEILING_SECONDS))


def _oldest(call: LiveCall, own: Sequence[ModernBatch]) -> ModernBatch | None:
    """Return the first of the batches a call has opened; a second one is for an operator to look at."""
    if len(own) > 1:
        log.error(Event.DOUBLED_BATCH, call=call.id, batch=call.record.batch_id, modern_batch=own[0].id)
    return min(own, key=lambda batch: read_moment(batch.created_at) or math.inf, default=None)


def can_be_looked_up(row: PlannedRow) -> bool:
    """Tell whether the modern API can be asked for this row."""
    return bool(row.unique_id) and row.operation.unique_id == LOOK_UP_BY


def is_same_claim(row: PlannedRow, invoice: ModernInvoice) -> bool:
    """Tell whether the invoice that holds a row's unique id goes by its number as well; one of them may be unknown."""
    return "" in (row.invoice_number, invoice.invoice_number) or row.invoice_number == invoice.invoice_number


def verdict_on(call: LiveCall, row: PlannedRow, invoice: ModernInvoice, *, is_anothers: bool = False) -> Outcome:
    """Judge a row whose invoice exists: ours if an attempt of this call may have made it, else somebody's before us.

    `is_anothers`: another batch of the bridge is known to have made it, so the allowance for clocks is not needed.
    """
    ids = {"invoiceId": invoice.id, "caseNumber": invoice.case_number, "invoiceNumber": invoice.invoice_number}
    if call.tried and not is_anothers and is_same_claim(row, invoice) and not _is_older(call, invoice.created_at):
        return Outcome(row.address, Verdict.ACCEPTED, ids=ids)
    holder = f"case {invoice.case_number}" if invoice.case_number else f"invoice {invoice.id}"
    message = (
        f"{row.operation.unique_id}: the modern system already holds this claim as {holder}; nothing was sent twice"
    )
    return Outcome(row.address, Verdict.REFUSED, message)


def _is_older(call: LiveCall, created_at: str) -> bool:
    """Tell whether something was made before the call was even planned; without a date it may not have been."""
    moment = read_moment(created_at)
    return moment is not None and moment < call.record.planned_at - CLOCK_SKEW_SECONDS
