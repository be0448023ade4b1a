"""Read a webhook of the modern API (POST /hooks/amili). It is a hint: the result itself is always read from the API."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bridge.modern import reading


@dataclass(frozen=True, slots=True)
class Webhook:
    """What a webhook says; empty where it does not say."""

    event: str
    """In capitals: BATCH_COMPLETED, SETTLEMENT_CREATED, CASE, CASE_UPDATED, …"""
    organization: str = ""
    batch_id: str = ""
    idempotency_key: str = ""
    """Unique per delivery: the IdempotencyKey header, else the `id` of the body."""


def verify_signature(body: bytes, header: str, secrets: Iterable[str]) -> bool:
    """Tell whether a header is the hex HMAC-SHA256 of the raw body under one of the secrets (assumed scheme).

    A `sha256=` prefix is allowed. Compared in constant time; an empty secret never verifies anything.
    """
    claimed = header.strip().lower().removeprefix("sha256=").encode()
    verdicts = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), claimed)
        for secret in secrets
        if secret
    ]
    return any(verdicts)


def read_webhook(headers: Mapping[str, str], body: bytes) -> Webhook:
    """Return what a webhook says; a body that cannot be read (the vendor's own samples lack a comma) says nothing."""
    content = reading.lower_keys(reading.decode(body))
    data = reading.lower_keys(content.get("data"))
    event = reading.header(headers, "X-Amili-Event") or reading.first_text(content, "type", "eventtype")
    return Webhook(
        event=event.upper(),
        organization=reading.first_text(data, "organizationid", "orgid")
        or reading.first_text(content, "organizationid", "orgid"),
        batch_id=reading.text(data.get("batchid")),
        idempotency_key=reading.header(headers, "IdempotencyKey") or reading.text(content.get("id")),
    )
