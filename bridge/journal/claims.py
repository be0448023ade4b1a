"""What makes two records one claim: the same in every store.

Two records speak of one claim when they share, within an organization, the invoiceId; or the unique id, unless their
invoiceIds differ. A shared invoice number is not enough: two creditors of one organization may both have an invoice
1001, and a wrongly joined claim would withdraw the wrong case. Such records stay apart, and a reader sees both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.journal.records import Claim

KINDS = {
    "invoiceId": "invoice_id",
    "invoiceNumber": "invoice_number",
    "uniqueSourceInvoiceId": "unique_source_invoice_id",
    "caseNumber": "case_number",
}
"""The names a claim goes by, and their columns; `ledgerref` is found in more than one."""


def bind_claim(claim: Claim) -> tuple[Any, ...]:
    """Return the columns of a claim."""
    return (
        *(claim.organization, claim.invoice_id, claim.invoice_number, claim.unique_source_invoice_id),
        *(claim.ledgerref, claim.case_number, claim.case_id, claim.batch_id, claim.objectindex),
    )


def merge_claims(newer: Iterable[Any], older: Iterable[Any]) -> tuple[Any, ...]:
    """Return the columns of two records as one: what the newer does not know, the older tells."""
    return tuple(old if new in {"", -1} else new for new, old in zip(newer, older, strict=True))


def split_at_repetitions(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Cut the list so that no part names one claim twice: within a part, look-ups do not see its own inserts."""
    parts: list[list[Claim]] = [[]]
    seen: set[tuple[str, str, str]] = set()
    for claim in claims:
        keys = {
            (claim.organization, kind, value)
            for kind, value in (("id", claim.invoice_id), ("unique", claim.unique_source_invoice_id))
            if value
        }
        if keys & seen:
            parts.append([])
            seen = set()
        seen |= keys
        parts[-1].append(claim)
    return parts
