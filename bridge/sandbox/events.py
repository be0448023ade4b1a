"""Events as webhooks tell them, spelt as on the page: `type` and `organizationId`; of cases `eventType` and `orgId`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .claims import Invoice
from .lifecycle import Batch, Tidings
from .wire import encode, timestamp

BATCH_COMPLETED, CASE, CASE_UPDATED = "BATCH_COMPLETED", "CASE", "CASE_UPDATED"

_COMMA_AFTER_CASE_NUMBER = re.compile(rb'("caseNumber": "[^"]*"),')


def tell_batch(batch: Batch) -> Tidings:
    """Return what BATCH_COMPLETED tells."""
    data = {"batchId": batch.id, "organizationId": batch.organization, "status": batch.status}
    return Tidings(BATCH_COMPLETED, data, batch.id)


def tell_case(invoice: Invoice) -> Tidings:
    """Return what CASE tells: a case has been opened."""
    return Tidings(CASE, _describe_case(invoice))


def tell_change(invoice: Invoice, *fields: str) -> Tidings:
    """Return what CASE_UPDATED tells; `fields` are names such as `amounts` and `status`."""
    return Tidings(CASE_UPDATED, _describe_case(invoice) | {"fields": list(fields)})


def write_event(tidings: Tidings, key: str, now: float, *, with_comma: bool = True) -> bytes:
    """Return the body of a webhook; without the comma, that of a case is as broken as the samples on the page."""
    is_case = tidings.event in {CASE, CASE_UPDATED}
    body = encode(
        {
            "id": key,
            "eventType" if is_case else "type": tidings.event,
            "source": "COLLECTION",
            "timeStamp": timestamp(now),
            "data": tidings.data,
        }
    )
    if with_comma or not is_case:
        return body
    return _COMMA_AFTER_CASE_NUMBER.sub(rb"\1", msgspec.json.format(body, indent=2))


def _describe_case(invoice: Invoice) -> dict[str, Any]:
    case = invoice.case
    return {
        "orgId": invoice.batch.organization,
        "caseId": case.id,
        "caseNumber": str(case.number),
        "type": invoice.type,
        "status": case.status,
        "invoices": [invoice.id],
    }
