"""Rows and the claims they belong to: from the same batch, from wherever one can be found, or from a batch under way.

What comes out is a row that can go, the refusal of one that belongs to nothing, or a row that must wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from bridge.batch import Address, Outcome, Reference, RowRefused, Verdict
from bridge.calls.live import Outcomes, together
from bridge.claims.expecting import Arrivals, Expecting, Waiting
from bridge.claims.references import NoSuchClaim, References
from bridge.errors import ModernRefused
from bridge.journal import Claim
from bridge.modern.requests import with_field
from bridge.plan import BatchClaims, PlannedRow, refuse_with

LOOK_UPS_AT_ONCE = 8
"""References of one wave that are looked up side by side."""


class OpenRows(Protocol):
    """What is known of the batch that the rows come in."""

    claims: BatchClaims

    @property
    def outcomes(self) -> Outcomes:
        """The verdicts so far."""
        ...

    @property
    def unique_ids(self) -> Mapping[Address, str]:
        """The unique id of every row that was planned."""
        ...


@dataclass(frozen=True, slots=True)
class Completed:
    """The rows of a wave; ones that wait for a row in doubt of their own batch are left out."""

    ready: list[PlannedRow]
    refused: list[Outcome]
    waiting: list[Waiting]
    """Rows that wait for invoices of other batches."""


@dataclass(frozen=True, slots=True)
class _Missing:
    """A row whose claim is nowhere to be found."""

    row: PlannedRow
    refusal: NoSuchClaim


_Found = PlannedRow | Outcome | None
"""A row with its claim, its refusal, or nothing for one that waits for a row in doubt."""


class Completer:
    """Find the claims of rows."""

    def __init__(self, references: References, expecting: Expecting) -> None:
        self._references = references
        self._expecting = expecting

    async def wait(self, waiting: Sequence[Waiting]) -> Arrivals:
        """Wait until at least one of these rows need not wait for other batches any longer."""
        return await self._expecting.wait(waiting)

    async def complete(self, batch: OpenRows, wave: Sequence[PlannedRow], refusals: Mapping[Address, str]) -> Completed:
        """Complete the rows of one wave and organization; `refusals`: what to say of those without a claim."""
        slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        tried = [partial(self._complete, batch, row) for row in wave]
        looked_up = await together(_attempt(row, slots, one) for row, one in zip(wave, tried, strict=True))
        missing = [one for one in looked_up if isinstance(one, _Missing)]
        results = [one for one in looked_up if isinstance(one, PlannedRow | Outcome)]
        waiting: list[Waiting] = []
        if missing:
            found, waiting = await self._wait_or_refuse(missing, refusals, slots)
            results = sorted([*results, *found], key=lambda one: one.address)
        ready = [one for one in results if isinstance(one, PlannedRow)]
        return Completed(ready, [one for one in results if isinstance(one, Outcome)], waiting)

    async def _wait_or_refuse(
        self, missing: Sequence[_Missing], refusals: Mapping[Address, str], slots: asyncio.Semaphore
    ) -> tuple[list[PlannedRow | Outcome], list[Waiting]]:
        """Tell rows whose invoice is on its way in another batch from those that belong to nothing.

        It is asked after every look-up of the wave, so that of two actions on one case neither overtakes the other.
        """
        asked = [(one.row, one.refusal.reference) for one in missing]
        waiting = await self._expecting.find(missing[0].row.organization, asked)
        held = {one.row.address for one in waiting}
        gone = [one for one in missing if one.row.address not in held]
        # an invoice may have been decided between the look-up and this question
        tried = [partial(self._find_claim, one.row, one.refusal.reference, again=True) for one in gone]
        looked_up = await together(_attempt(one.row, slots, again) for one, again in zip(gone, tried, strict=True))
        return [one for one in (_refuse_missing(one, refusals) for one in looked_up) if one is not None], waiting

    async def _complete(self, batch: OpenRows, row: PlannedRow) -> _Found:
        """Give a row the id of its claim: from the same batch first, then from wherever it can be found."""
        reference = row.reference
        if reference is None:
            return row
        depends = batch.claims.depend(row.organization, reference)
        if depends is not None:
            outcome = batch.outcomes.get(depends.invoice)
            if outcome is None:
                return None
            if outcome.verdict is Verdict.REFUSED:
                return refuse_with(outcome, row.address)
            if reference.target == "invoice" and outcome.ids.get("invoiceId"):
                return _complete_with(row, Claim(row.organization, invoice_id=outcome.ids["invoiceId"]))
            reference = replace(reference, keys=_own_keys(batch, depends.invoice))
        return await self._find_claim(row, reference)

    async def _find_claim(self, row: PlannedRow, reference: Reference, *, again: bool = False) -> PlannedRow:
        return _complete_with(row, await self._references.resolve_patiently(row.organization, reference, again=again))


async def _attempt(
    row: PlannedRow, slots: asyncio.Semaphore, complete: Callable[[], Awaitable[_Found]]
) -> _Found | _Missing:
    """Complete a row, or return why it cannot be."""
    if row.reference is None:
        return row
    try:
        async with slots:
            return await complete()
    except NoSuchClaim as refusal:
        return _Missing(row, refusal)
    except RowRefused as refusal:
        return Outcome(row.address, Verdict.REFUSED, str(refusal))
    except ModernRefused as refusal:
        message = f"its claim could not be looked up: the modern system answered HTTP {refusal.status}"
        return Outcome(row.address, Verdict.REFUSED, message)


def _refuse_missing(result: _Found | _Missing, refusals: Mapping[Address, str]) -> _Found:
    """Refuse a row that belongs to nothing, with the better reason if there is one."""
    if not isinstance(result, _Missing):
        return result
    address = result.row.address
    return Outcome(address, Verdict.REFUSED, refusals.get(address) or str(result.refusal))


def _own_keys(batch: OpenRows, invoice: Address) -> tuple[tuple[str, str], ...]:
    """Return the names of an invoice of the batch by which it can be looked up."""
    return (("uniqueSourceInvoiceId", batch.unique_ids[invoice]),)


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
