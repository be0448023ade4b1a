"""What an accepted call does to the books, row by row: one result a row, nothing else decided here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .books import Account
from .claims import ActionRefused, Invoice, act_on_case
from .events import CASE, CASE_UPDATED, tell_case, tell_change
from .ids import Ids, derived_uuid
from .lifecycle import Batch, Tidings
from .settlements import SETTLEMENT_CREATED, Settlement, day_of, tell_settlement


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not processed."""

    text: str
    field: str = ""
    code: str = "REFUSED"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one row."""

    index: int
    entry: dict[str, str]
    """What the entry in succeeded[] or failed[] says of it in any case."""
    source_ids: dict[str, str] = field(default_factory=dict)
    """What the entry repeats only if it is asked to."""
    subjects: tuple[str, ...] = ()
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """One call on its way into the books."""

    account: Account
    ids: Ids
    batch: Batch
    refusals: Mapping[int, Refusal]
    """Rows the fault script refuses."""
    refuses_duplicates: bool
    settles_payments: bool
    tells: Callable[[str], bool]
    """Whether an event of this name is told."""
    case: Invoice | None = None
    """The invoice of the case that a case action is about."""

    def tell(self, event: str, describe: Callable[[], Tidings]) -> None:
        """Have something told when the batch has finished, if anybody wants to hear of it."""
        if self.tells(event):
            self.batch.tidings.append(describe())


_Post = Callable[[Posting, int, Mapping[str, Any]], Result]


def post(operation: str, posting: Posting, rows: Sequence[Mapping[str, Any]]) -> list[Result]:
    """Process the rows in order and count them."""
    post_row = _POSTS.get(operation) or _case_action(operation)
    tally = posting.account.tallies[operation]
    results = []
    for index, row in enumerate(rows):
        result = post_row(posting, index, row)
        counted = row if posting.case is None else {**row, "caseId": posting.case.case.id}
        tally.count(counted, accepted=result.refusal is None)
        results.append(result)
    return results


def find_duplicates(account: Account, operation: str, rows: Sequence[Mapping[str, Any]]) -> dict[int, Refusal]:
    """Return the rows whose unique id is taken, by the books or by an earlier row of the same call."""
    checks = {"invoices": _duplicate_invoice, "payments": _duplicate_payment}
    check = checks.get(operation)
    if check is None:
        return {}
    name = "uniqueSourceInvoiceId" if operation == "invoices" else "uniqueSourcePaymentId"
    seen: set[str] = set()
    found = {}
    for index, row in enumerate(rows):
        ident = row.get(name, "")
        refusal = check(account, row)
        if refusal is None and ident and ident in seen:
            refusal = Refusal(f"{name} occurs twice in this call", name, "DUPLICATE")
        if refusal is not None:
            found[index] = refusal
        seen.add(ident)
    return found


def _post_invoice(posting: Posting, index: int, row: Mapping[str, Any]) -> Result:
    number, unique_id = row["invoiceNumber"], row.get("uniqueSourceInvoiceId", "")
    source_ids = {"uniqueSourceInvoiceId": unique_id} if unique_id else {}
    refusal = posting.refusals.get(index)
    if refusal is None and posting.refuses_duplicates:
        refusal = _duplicate_invoice(posting.account, row)
    if refusal is not None:
        return Result(index, {"invoiceNumber": number}, source_ids, refusal=refusal)
    invoice = posting.account.open_claim(posting.ids, row, posting.batch)
    posting.tell(CASE, lambda: tell_case(invoice))
    entry = {"invoiceId": invoice.id, "invoiceNumber": number, "caseNumber": str(invoice.case.number)}
    return Result(index, entry, source_ids, (invoice.id, invoice.case.id))


def _post_payment(posting: Posting, index: int, row: Mapping[str, Any]) -> Result:
    invoice_id, unique_id = row["invoiceId"], row.get("uniqueSourcePaymentId", "")
    entry = {"invoiceId": invoice_id} | ({"uniqueSourcePaymentId": unique_id} if unique_id else {})
    invoice = posting.account.invoice_by_id.get(invoice_id.lower())
    refusal = posting.refusals.get(index) or _unknown_invoice(invoice)
    if refusal is None and posting.refuses_duplicates:
        refusal = _duplicate_payment(posting.account, row)
    if refusal is not None or invoice is None:
        return Result(index, entry, refusal=refusal)
    _book(posting, invoice, invoice.pay, row)
    if unique_id:
        posting.account.payments_by_unique_id.setdefault(unique_id, invoice.id)
    if posting.settles_payments:
        _settle(posting, invoice, row)
    return Result(index, entry, subjects=(invoice.id, invoice.case.id))


def _post_correction(posting: Posting, index: int, row: Mapping[str, Any]) -> Result:
    entry = {"invoiceId": row["invoiceId"]}
    invoice = posting.account.invoice_by_id.get(row["invoiceId"].lower())
    refusal = posting.refusals.get(index) or _unknown_invoice(invoice)
    if refusal is not None or invoice is None:
        return Result(index, entry, refusal=refusal)
    _book(posting, invoice, invoice.credit, row)
    return Result(index, entry, subjects=(invoice.id, invoice.case.id))


def _book(posting: Posting, invoice: Invoice, book: Callable[[Decimal, float], None], row: Mapping[str, Any]) -> None:
    status_before = invoice.case.status
    book(Decimal(row["amount"]), posting.batch.created_at)
    fields = ("amounts",) if invoice.case.status == status_before else ("amounts", "status")
    posting.tell(CASE_UPDATED, lambda: tell_change(invoice, *fields))


def _settle(posting: Posting, invoice: Invoice, row: Mapping[str, Any]) -> None:
    """Enter the settlement of a payment, dated the day it was booked (assumed)."""
    account, batch = posting.account, posting.batch
    sequence = len(account.settlements)
    settlement = Settlement(
        sequence=sequence,
        id=derived_uuid("settlement", batch.id, str(sequence)),
        organization=account.organization,
        settled_on=day_of(batch.created_at),
        invoice=invoice,
        paid=row["amount"],
        currency=row.get("currency", ""),
        batch=batch,
    )
    account.enter_settlement(settlement)
    posting.tell(SETTLEMENT_CREATED, lambda: tell_settlement(settlement))


def _case_action(operation: str) -> _Post:
    def post_action(posting: Posting, index: int, _row: Mapping[str, Any]) -> Result:
        assert posting.case is not None, "a case action is posted with its case"  # noqa: S101 - for the type checker
        invoice, case = posting.case, posting.case.case
        entry = {"caseId": case.id, "caseNumber": str(case.number)}
        refusal = posting.refusals.get(index)
        try:
            if refusal is None:
                act_on_case(case, operation, posting.batch.created_at)
                posting.tell(CASE_UPDATED, lambda: tell_change(invoice, "status"))
        except ActionRefused as obstacle:
            refusal = Refusal(str(obstacle), "", "CASE_STATUS")
        return Result(index, entry, subjects=(posting.case.id, case.id), refusal=refusal)

    return post_action


_POSTS: dict[str, _Post] = {"invoices": _post_invoice, "payments": _post_payment, "corrections": _post_correction}


def _unknown_invoice(invoice: Invoice | None) -> Refusal | None:
    if invoice is None:
        return Refusal("no invoice with this invoiceId", "invoiceId", "NOT_FOUND")
    return None


def _duplicate_invoice(account: Account, row: Mapping[str, Any]) -> Refusal | None:
    holder = account.holder_of(row.get("uniqueSourceInvoiceId", ""))
    if holder is None:
        return None
    text = (
        "uniqueSourceInvoiceId is already in use by invoice "
        f"{holder.number} (invoiceId {holder.id}, case {holder.case.number})"
    )
    return Refusal(text, "uniqueSourceInvoiceId", "DUPLICATE")


def _duplicate_payment(account: Account, row: Mapping[str, Any]) -> Refusal | None:
    invoice_id = account.payments_by_unique_id.get(row.get("uniqueSourcePaymentId", ""))
    if invoice_id is None:
        return None
    text = f"uniqueSourcePaymentId was already booked on invoiceId {invoice_id}"
    return Refusal(text, "uniqueSourcePaymentId", "DUPLICATE")
