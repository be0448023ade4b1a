"""Read a webhook of the modern API (POST /hooks/amili). It is a hint: the result itself is always read from the API.

The events are spelt in two ways: `type` and `organizationId` (batches, settlements), `eventType` and `orgId` (cases).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from bridge.modern import lists, reading

_MISSING_COMMA = re.compile(rb'("caseNumber"\s*:\s*"[^"\\]*")(\s*")')
"""What both case samples on the vendor's page look like: no comma between caseNumber and the next property."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a webhook says; empty where it does not say."""

    event: str
    """In capitals: BATCH_COMPLETED, SETTLEMENT_CREATED, CASE, CASE_UPDATED, or one nobody knows yet."""
    organization: str = ""
    batch_id: str = ""
    idempotency_key: str = ""
    """Unique per delivery: the IdempotencyKey header, else the `id` of the body."""
    case_id: str = ""
    case_number: str = ""
    status: str = ""
    """Of the batch or case, in capitals."""
    invoice_ids: tuple[str, ...] = ()
    """All invoices of the case, or the one that was settled."""
    invoice_number: str = ""
    settlement_id: str = ""
    settlement_date: str = ""
    """YYYY-MM-DD."""
    fields: tuple[str, ...] = ()
    """Names of what changed: `amounts`, `status`, `type`, `description`, …"""
    at: float | None = None
    """When it happened, by the event itself; Unix seconds."""


def verify_signature(body: bytes, header: str, secrets: Iterable[str]) -> bool:
    """Tell whether a header is the hex HMAC-SHA256 of the raw body under one of the secrets (assumed scheme).

    A `sha256=` prefix is allowed. Compared in constant time; an empty secret never verifies anything.
    """
    claimed = header.strip().lower().removeprefix("sha256=").encode("utf-8", "surrogateescape")
    verdicts = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), claimed)
        for secret in secrets
        if secret
    ]
    return any(verdicts)


def read_webhook(headers: Mapping[str, str], body: bytes) -> Webhook:
    """Return what a webhook says; of a body that cannot be read, what the headers say."""
    content = _read_content(body)
    data = reading.lower_keys(content.get("data"))
    event = reading.header(headers, "X-Amili-Event") or reading.first_text(content, "type", "eventtype")
    return Webhook(
        event=event.upper(),
        organization=reading.first_text(data, "organizationid", "orgid")
        or reading.first_text(content, "organizationid", "orgid"),
        batch_id=reading.text(data.get("batchid")),
        idempotency_key=reading.header(headers, "IdempotencyKey") or reading.text(content.get("id")),
        case_id=reading.text(data.get("caseid")),
        case_number=reading.text(data.get("casenumber")),
        status=reading.text(data.get("status")).upper(),
        invoice_ids=_read_invoice_ids(data),
        invoice_number=reading.text(data.get("invoicenumber")),
        settlement_id=reading.text(data.get("settlementid")),
        settlement_date=_read_day(data.get("settlementdate")),
        fields=_texts(data.get("fields")),
        at=lists.read_moment(reading.text(content.get("timestamp"))),
    )


def _read_content(body: bytes) -> dict[str, Any]:
    """Read the envelope; one that is not JSON gets the comma the vendor's own samples lack, and nothing else."""
    content = reading.decode(body)
    if content is None:
        content = reading.decode(_MISSING_COMMA.sub(rb"\1,\2", body))
    return reading.lower_keys(content)


def _read_invoice_ids(data: Mapping[str, Any]) -> tuple[str, ...]:
    told = data.get("invoices")
    listed = [reading.first_text(invoice, "invoiceid", "id") for invoice in reading.objects(told)]
    ids = [reading.text(data.get("invoiceid")), *_texts(told), *listed]
    return tuple(dict.fromkeys(ident for ident in ids if ident))


def _texts(value: Any) -> tuple[str, ...]:
    listed = value if isinstance(value, list) else ()
    return tuple(told for told in map(reading.text, listed) if told)


def _read_day(value: Any) -> str:
    try:
        return date.fromisoformat(reading.text(value)[:10]).isoformat()
    except ValueError:
        return ""
