"""Which claim a row belongs to: the bridge's own cross-reference first, then the modern system.

References to invoices of the same batch are the plan's business (`plan.BatchClaims`); what arrives here points
outside the batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from bridge.batch import Reference, RowRefused
from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable
from bridge.journal import Books, Claim
from bridge.logs import Event, get_log
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.tokens import Access

log = get_log()

DAY_SECONDS = 86_400.0
RETRY_FIRST_SECONDS = 1.0
RETRY_CEILING_SECONDS = 60.0
TOO_LONG = "not submitted: its claim could not be looked up in time; send it again in a new batch"
LIST_PAUSES = (0.02, 0.08, 0.2, 0.3, 0.4)
"""When to look again for a case that must be there, in shares of `settle_seconds`."""


class ModernReads(Protocol):
    """The questions asked of the modern system."""

    async def invoices(
        self, access: Access, *, unique_source_invoice_id: str | None = None, invoice_number: str | None = None
    ) -> Sequence[ModernInvoice]:
        """List invoices by one filter."""
        ...

    async def cases(
        self, access: Access, *, unique_source_invoice_id: str | None = None, case_number: str | None = None
    ) -> Sequence[ModernCase]:
        """List cases by one filter."""
        ...


class References:
    """Find claims by the names an ERP uses for them."""

    def __init__(
        self,
        books: Books,
        modern: ModernReads,
        access: Callable[[str], Access],
        *,
        settle_seconds: float = 0.0,
        patience_seconds: float = DAY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`patience_seconds` is how long a claim is looked for while the modern system cannot be asked."""
        self._books = books
        self._modern = modern
        self._access = access
        self._settle_seconds = settle_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._sleep = sleep

    async def resolve_patiently(self, organization: str, reference: Reference) -> Claim:
        """Resolve, and wait out a modern system that cannot be asked now: the row is pending meanwhile, not refused."""
        pause = RETRY_FIRST_SECONDS
        give_up_at = self._clock() + self._patience_seconds
        while True:
            try:
                return await self.resolve(self._access(organization), reference)
            except (ModernUnreachable, ModernRefused) as failure:
                if isinstance(failure, ModernRefused) and failure.status != 401:
                    raise
                # refused credentials are no fault of the row's, and the operator can mend them
                if self._clock() > give_up_at:
                    raise RowRefused(TOO_LONG) from failure
                log.warning(Event.LOOK_UP_FAILED, organization=organization, why=type(failure).__name__)
            await self._sleep(pause)
            pause = min(pause * 2, RETRY_CEILING_SECONDS)

    async def resolve(self, access: Access, reference: Reference) -> Claim:
        """Return the claim with the id the reference asks for (`invoice_id`, or `case_id` for a case).

        Raises RowRefused when nothing or more than one claim answers to the names; ModernUnreachable when the
        modern system cannot be asked now.
        """
        claim = await self._in_books(access, reference) or await self._in_modern(access, reference)
        if claim is None:
            raise RowRefused(_not_found(reference))
        if reference.target == "case" and not claim.case_id:
            claim = await self._with_case(access, claim)
        return claim

    async def _in_books(self, access: Access, reference: Reference) -> Claim | None:
        for kind, value in reference.keys:
            found = await self._claims(access.organization, kind, value)
            if claim := _only_one(kind, [claim for claim in found if claim.invoice_id]):
                return claim
        return None

    async def _claims(self, organization: str, kind: str, value: str) -> Sequence[Claim]:
        """Ask the books, and wait out a store that is away: the batch is ours, and its other rows go on."""
        while True:
            try:
                return await self._books.claims(organization, kind, value)
            except CannotTakeNow as reason:
                log.warning(Event.LOOK_UP_FAILED, organization=organization, why=type(reason).__name__)
            await self._sleep(RETRY_FIRST_SECONDS)

    async def _in_modern(self, access: Access, reference: Reference) -> Claim | None:
        for kind, value in reference.keys:
            for filter_kind in _filters(kind):
                invoices = await self._ask(access, filter_kind, value)
                claims = [_claim(access.organization, invoice, filter_kind, value) for invoice in invoices]
                if claim := _only_one(kind, claims):
                    return claim
        return None

    async def _ask(self, access: Access, kind: str, value: str) -> Sequence[ModernInvoice]:
        if kind == "invoiceNumber":
            return await self._modern.invoices(access, invoice_number=value)
        return await self._modern.invoices(access, unique_source_invoice_id=value)

    async def _with_case(self, access: Access, claim: Claim) -> Claim:
        """Add the case's id, which the invoice results do not carry; lists may need a while to show a new case."""
        cases = await self._cases_of(access, claim)
        for share in LIST_PAUSES:
            if cases:
                break
            await self._sleep(self._settle_seconds * share)
            cases = await self._cases_of(access, claim)
        if len(cases) != 1 or not cases[0].id.strip("."):  # a dot would bend the path it is put into
            raise RowRefused("ledgerref: the modern system shows no case for this claim; check it there")
        return replace(claim, case_number=cases[0].number, case_id=cases[0].id)

    async def _cases_of(self, access: Access, claim: Claim) -> Sequence[ModernCase]:
        if claim.case_number:
            return await self._modern.cases(access, case_number=claim.case_number)
        if not claim.unique_source_invoice_id:
            return ()
        found = await self._modern.cases(access, unique_source_invoice_id=claim.unique_source_invoice_id)
        return [case for case in found if _holds(case, claim.invoice_id)]


def _holds(case: ModernCase, invoice_id: str) -> bool:
    return not case.invoices or any(invoice.id == invoice_id for invoice in case.invoices)


def _filters(kind: str) -> tuple[str, ...]:
    """Return the filters of the invoice list that can find a name; a ledgerref may be either."""
    return ("uniqueSourceInvoiceId", "invoiceNumber") if kind == "ledgerref" else (kind,)


def _only_one(kind: str, claims: Sequence[Claim]) -> Claim | None:
    distinct = {claim.invoice_id: claim for claim in claims}
    if len(distinct) > 1:
        raise RowRefused(f"{kind}: fits {len(distinct)} claims; use a reference that names one, such as invoiceId")
    return next(iter(distinct.values()), None)


def _claim(organization: str, invoice: ModernInvoice, kind: str, value: str) -> Claim:
    return Claim(
        organization=organization,
        invoice_id=invoice.id,
        invoice_number=invoice.invoice_number or (value if kind == "invoiceNumber" else ""),
        unique_source_invoice_id=invoice.unique_source_invoice_id or (value if kind != "invoiceNumber" else ""),
        case_number=invoice.case_number,
    )


def _not_found(reference: Reference) -> str:
    if not reference.keys:
        return "no reference to an invoice: send its invoiceId, uniqueSourceInvoiceId, invoiceNumber or ledgerref"
    names = ", ".join(kind for kind, _ in reference.keys)
    return f"{names}: no such claim in this batch, in the bridge's cross-reference or in the modern system"
