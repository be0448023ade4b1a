"""Modern objects as the reads show them. Field names up to the documentation's cut are its own; see LIMITS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Raw

from .claims import Invoice
from .ids import derived_uuid
from .lifecycle import QUEUED, Batch
from .postings import Refusal, Result
from .script import Behaviour
from .wire import encode, timestamp


def render_batch(batch: Batch) -> dict[str, Any]:
    """Show a batch; results appear when it has finished."""
    finished = batch.status != QUEUED
    return {
        "batchId": batch.id,
        "type": batch.type,
        "status": batch.status,
        "createdAt": timestamp(batch.created_at),
        "finishedAt": timestamp(batch.finished_at),
        "organizationId": batch.organization,
        "createdBy": batch.created_by,
        "succeeded": batch.succeeded if finished else [],
        "failed": batch.failed if finished else [],
    }


def render_entry(result: Result, operation: str, behaviour: Behaviour) -> dict[str, Any]:
    """Show one row's result as the behaviour wants it."""
    entry: dict[str, Any] = {}
    if behaviour.entry_index and (result.refusal is not None or operation != "invoices"):
        entry["index"] = result.index
    entry |= result.entry
    if behaviour.echo_source_ids:
        entry |= result.source_ids
    if result.refusal is not None:
        entry |= _render_refusal(result.refusal, behaviour.failed_entry)
    return entry


def _render_refusal(refusal: Refusal, style: str) -> dict[str, Any]:
    if style == "errors-text":
        return {"errors": [refusal.text]}
    if style == "errors-object":
        return {"errors": [{"field": refusal.field, "code": refusal.code, "message": refusal.text}]}
    return {style: refusal.text}


def show(invoice: Invoice, render: Callable[[Invoice], dict[str, Any]]) -> Raw:
    """Return what `render` makes of an invoice, as JSON: made once for each state it is in, since lists are long."""
    case = invoice.case
    state = (case.status, case.sub_status, case.closed_at, invoice.paid, invoice.credited)
    known = invoice.shown.get(render.__name__)
    if known is None or known[0] != state:
        known = invoice.shown[render.__name__] = (state, Raw(encode(render(invoice))))
    return known[1]


def render_invoice_summary(invoice: Invoice) -> dict[str, Any]:
    """Show an invoice as a list does; what follows `createdAt` is assumed."""
    batch, row = invoice.batch, invoice.row
    return {
        "id": invoice.id,
        "organization": {"id": batch.organization, "organizationNumber": None, "name": None},
        "invoiceNumber": invoice.number,
        "collectionCaseNumber": str(invoice.case.number),
        "type": invoice.type,
        "status": invoice.status,
        "createdAt": timestamp(batch.created_at),
        "uniqueSourceInvoiceId": invoice.unique_id or None,
        "currency": row.get("currency"),
        "originalInvoiceAmount": invoice.original,
        "remainingAmount": invoice.remaining,
    }


def render_invoice(invoice: Invoice) -> dict[str, Any]:
    """Show one invoice in full: the summary, and everything it was created with (assumed)."""
    return invoice.row | render_invoice_summary(invoice)


def render_case(invoice: Invoice) -> dict[str, Any]:
    """Show the case of an invoice; here, unlike elsewhere, `caseNumber` is a number."""
    case, organization, row = invoice.case, invoice.batch.organization, invoice.row
    return {
        "caseId": case.id,
        "caseNumber": case.number,
        "organizationId": organization,
        "creditorId": derived_uuid("creditor", organization),
        "creditorNumber": None,
        "status": case.status,
        "subStatus": case.sub_status,
        "type": invoice.type,
        "description": row.get("description"),
        "registeredAt": timestamp(case.opened_at),
        "closedAt": timestamp(case.closed_at),
        "caseToken": derived_uuid("case token", case.id),
        "invoices": [_render_case_invoice(invoice, row)],
        "debtors": [_render_debtor(invoice, place, debtor) for place, debtor in enumerate(row.get("debtors", []))],
    }


def _render_case_invoice(invoice: Invoice, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "invoiceId": invoice.id,
        "invoiceNumber": invoice.number,
        "caseId": invoice.case.id,
        "invoiceDate": row.get("invoiceDate"),
        "dueDate": row.get("dueDate"),
        "batchId": invoice.batch.id,
        "registeredAt": timestamp(invoice.batch.created_at),
        "originalAmount": invoice.original,
        "remainingAmount": invoice.remaining,
        "remainingPrincipal": invoice.remaining,
        "uniqueSourceInvoiceId": invoice.unique_id or None,
        "paidAmount": invoice.paid,
        "creditedAmount": invoice.credited,
        "currency": {},
    }


def _render_debtor(invoice: Invoice, place: int, debtor: Mapping[str, Any]) -> dict[str, Any]:
    names = (debtor.get("firstname"), debtor.get("lastname"))
    return {
        "debtorId": derived_uuid("debtor", invoice.case.id, str(place)),
        "type": debtor.get("type"),
        "debtorNumber": str(place + 1),
        "customerNumber": debtor.get("customerNumber"),
        "firstName": names[0],
        "lastName": names[1],
        "fullName": debtor.get("name") or " ".join(name for name in names if name),
    }
