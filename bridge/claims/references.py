"""Which claim a row belongs to: the bridge's own cross-reference first, then the modern system.

References to invoices of the same batch are the plan's business (`plan.BatchClaims`); what arrives here points
outside the batch. A claim that the cross-reference knows by its names alone (it was imported) is looked up by those in
the modern system. What was looked up is taught, so that it is looked up once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol

from bridge.batch import Reference, RowRefused
from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable
from bridge.journal import Books, Claim, Journal, LearnClaims
from bridge.journal.claims import covers, merge_claims
from bridge.logs import Event, get_log
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.tokens import Access

log = get_log()

DAY_SECONDS = 86_400.0
RETRY_FIRST_SECONDS = 1.0
RETRY_CEILING_SECONDS = 60.0
NOT_SHOWN = (
    "the bridge's cross-reference names a claim that the modern system does not show, or shows otherwise; have the "
    "operator of the bridge compare it (bridge xref find), and import it again as it should be"
)
TOO_LONG = "not submitted: its claim could not be looked up in time; send it again in a new batch"
MOST_NAMES = 10
"""How many claims known by names alone are looked up for one row; a name that more of them share says nothing."""
LIST_PAUSES = (0.02, 0.08, 0.2, 0.3, 0.4)
"""When to look again for a case that must be there, in shares of `settle_seconds`."""


class NoSuchClaim(RowRefused):
    """Nothing answers to the names a row gives; its invoice may still be on its way in another batch."""

    def __init__(self, reference: Reference) -> None:
        super().__init__(_not_found(reference))
        self.reference = reference


Teach = Callable[[Claim], Awaitable[None]]
"""Adds to the cross-reference."""


def teach_through(journal: Journal) -> Teach:
    """Return what teaches a journal; a row that waits for its claim need not wait for better days for that."""

    async def teach(claim: Claim) -> None:
        try:
            await journal.write(LearnClaims([claim]))
        except CannotTakeNow as reason:
            log.warning(Event.CLAIMS_NOT_KEPT, count=1, why=str(reason))

    return teach


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
        teach: Teach,
        settle_seconds: float = 0.0,
        patience_seconds: float = DAY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`patience_seconds` is how long a claim is looked for while the modern system cannot be asked."""
        self._books = books
        self._modern = modern
        self._access = access
        self._teach = teach
        self._settle_seconds = settle_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._sleep = sleep

    async def resolve_patiently(self, organization: str, reference: Reference, *, again: bool = False) -> Claim:
        """Resolve, and wait out a modern system that cannot be asked now: the row is pending meanwhile, not refused."""
        pause = RETRY_FIRST_SECONDS
        give_up_at = self._clock() + self._patience_seconds
        while True:
            try:
                return await self.resolve(self._access(organization), reference, again=again)
            except (ModernUnreachable, ModernRefused) as failure:
                if isinstance(failure, ModernRefused) and failure.status != 401:
                    raise
                # refused credentials are no fault of the row's, and the operator can mend them
                if self._clock() > give_up_at:
                    raise RowRefused(TOO_LONG) from failure
                log.warning(Event.LOOK_UP_FAILED, organization=organization, why=type(failure).__name__)
            await self._sleep(pause)
            pause = min(pause * 2, RETRY_CEILING_SECONDS)

    async def resolve(self, access: Access, reference: Reference, *, again: bool = False) -> Claim:
        """Return the claim with the id the reference asks for (`invoice_id`, or `case_id` for a case).

        `again`: the modern system was asked just now. Raises NoSuchClaim when nothing answers to the names, RowRefused
        when more than one claim does; ModernUnreachable when the modern system cannot be asked now.
        """
        claim = await self._in_books(access, reference) or (None if again else await self._in_modern(access, reference))
        if claim is None:
            raise NoSuchClaim(reference)
        if reference.target == "case" and not claim.case_id:
            claim = await self._with_case(access, claim)
            await self._teach(claim)
        return claim

    async def _in_books(self, access: Access, reference: Reference) -> Claim | None:
        for kind, value in reference.keys:
            found = await self._claims(access.organization, kind, value)
            known = [claim for claim in found if claim.invoice_id]
            names = [claim for claim in found if not any(covers(one, claim) for one in known)]
            if len(names) > MOST_NAMES:
                raise RowRefused(_ambiguous(kind, len(names)))
            looked_up = [await self._identify(access, kind, claim) for claim in names]
            if claim := _only_one(kind, [*filter(None, looked_up), *known]):
                return claim
            by_case = [one for one in names if one.case_id and not _is_listed_by(one)]
            if reference.target == "case" and len(by_case) == len(names) and (claim := _only_one(kind, by_case)):
                return claim
            if any(map(_is_listed_by, names)):
                raise RowRefused(f"{kind}: {NOT_SHOWN}")
        return None

    async def _identify(self, access: Access, kind: str, names: Claim) -> Claim | None:
        """Return a claim that is known by its names alone as the modern system has it; None when they lead nowhere.

        The first name it is listed by decides, and nothing it is listed with may differ from what we know.
        """
        for list_claims in (self._by_unique_id, self._by_number, self._by_case):
            if listed := await list_claims(access, names):
                claim = _only_one(kind, [one for one in listed if _agrees(one, names)])
                if claim is not None and names.case_id and not claim.case_id:
                    claim = await self._with_case_shown(access, claim)
                if claim is None or not _agrees(claim, names):
                    return None
                claim = merge_claims(claim, replace(names, case_id=""))
                await self._teach(claim)
                return claim
        return None

    async def _with_case_shown(self, access: Access, claim: Claim) -> Claim:
        """Add the id of the case the modern system shows now, if it shows one."""
        cases = await self._cases_of(access, claim)
        return replace(claim, case_id=cases[0].id) if len(cases) == 1 else claim

    async def _by_unique_id(self, access: Access, names: Claim) -> list[Claim]:
        if not names.unique_source_invoice_id:
            return []
        found = await self._modern.invoices(access, unique_source_invoice_id=names.unique_source_invoice_id)
        return [_told(access.organization, invoice) for invoice in found]

    async def _by_number(self, access: Access, names: Claim) -> list[Claim]:
        if not names.invoice_number:
            return []
        found = await self._modern.invoices(access, invoice_number=names.invoice_number)
        return [_told(access.organization, invoice) for invoice in found]

    async def _by_case(self, access: Access, names: Claim) -> list[Claim]:
        """Look into the case; one with several invoices names none of them."""
        if not names.case_number.strip("0"):
            return []
        cases = await self._modern.cases(access, case_number=names.case_number)
        return [
            replace(_told(access.organization, invoice), case_number=case.number, case_id=case.id)
            for case in cases
            for invoice in case.invoices
        ]

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
                    await self._teach(_told(access.organization, invoices[0]))
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
    distinct = {claim.invoice_id or claim.case_id: claim for claim in claims}
    if len(distinct) > 1:
        raise RowRefused(_ambiguous(kind, len(distinct)))
    return next(iter(distinct.values()), None)


def _ambiguous(kind: str, count: int) -> str:
    return f"{kind}: fits {count} claims; use a reference that names one, such as invoiceId"


def _is_listed_by(names: Claim) -> str:
    """Return one of the names that the modern system lists claims by; empty when there is none among them."""
    return names.unique_source_invoice_id or names.invoice_number or names.case_number.strip("0")


def _agrees(told: Claim, known: Claim) -> bool:
    """Tell whether two records name nothing differently."""
    return covers(merge_claims(told, known), known)


def _told(organization: str, invoice: ModernInvoice) -> Claim:
    """Return what the modern system says of an invoice, and nothing else."""
    return Claim(
        organization,
        invoice_id=invoice.id,
        invoice_number=invoice.invoice_number,
        unique_source_invoice_id=invoice.unique_source_invoice_id,
        case_number=invoice.case_number,
        case_id=invoice.case_id,
    )


def _claim(organization: str, invoice: ModernInvoice, kind: str, value: str) -> Claim:
    """Return the same with the name it was listed by, which the list need not repeat."""
    number, unique_id = (value, "") if kind == "invoiceNumber" else ("", value)
    asked = Claim(organization, invoice_number=number, unique_source_invoice_id=unique_id)
    return merge_claims(_told(organization, invoice), asked)


def _not_found(reference: Reference) -> str:
    if not reference.keys:
        return "no reference to an invoice: send its invoiceId, uniqueSourceInvoiceId, invoiceNumber or ledgerref"
    names = ", ".join(kind for kind, _ in reference.keys)
    return f"{names}: no such claim in this batch, in the bridge's cross-reference or in the modern system"
