"""The endpoints by name: the words a fault script uses for what it wants to disturb."""

from __future__ import annotations

from dataclasses import dataclass

BASE_PATH = "/collection/v1"


@dataclass(frozen=True, slots=True)
class Write:
    """One kind of write."""

    name: str
    path: str
    """Below /orgs/{organizationId}."""
    batch_type: str
    """INVOICE is documented, the others are assumed."""
    collection: str = ""
    """Name of the array in the body; empty for a case action, whose body is the one row."""


WRITES = (
    Write("invoices", "/invoices", "INVOICE", "invoices"),
    Write("payments", "/payments", "PAYMENT", "payments"),
    Write("corrections", "/corrections", "CORRECTION", "corrections"),
    Write("pause", "/cases/{caseId}/pause", "PAUSE_CASE"),
    Write("resume", "/cases/{caseId}/resume", "RESUME_CASE"),
    Write("withdraw", "/cases/{caseId}/withdraw", "WITHDRAW_CASE"),
    Write("collection-list/accept", "/cases/{caseId}/collection-list/accept", "ACCEPT_DEBT_COLLECTION_LIST"),
    Write("collection-list/reject", "/cases/{caseId}/collection-list/reject", "REJECT_DEBT_COLLECTION_LIST"),
)

READS = {
    "batch": "/batches/{batchId}",
    "batches": "/batches",
    "invoice": "/invoices/{invoiceId}",
    "invoice-list": "/invoices",
    "cases": "/cases",
    "settlement": "/settlements/{settlementId}",
    "settlements": "/settlements",
}
"""Read operations and their paths below /orgs/{organizationId}."""

LISTS = frozenset({"batches", "invoice-list", "cases", "settlements"})
"""The reads that answer page by page."""

TOKEN = "token"  # noqa: S105 - the name of an operation

LEGACY_BATCH, LEGACY_READ = "legacy-batch", "legacy-read"
"""POST and GET of /webapi/api/Batch at the legacy host; `*` leaves them out, it means the modern API."""

GROUPS = {
    "legacy": frozenset({LEGACY_BATCH, LEGACY_READ}),
    "writes": frozenset(write.name for write in WRITES),
    "reads": frozenset(READS),
    "*": frozenset({TOKEN, *READS, *(write.name for write in WRITES)}),
}


def operations_named(names: tuple[str, ...]) -> frozenset[str]:
    """Resolve operation and group names; raise ValueError naming an unknown one and the choices."""
    known = GROUPS["*"] | GROUPS["legacy"]
    for name in names:
        if name not in known and name not in GROUPS:
            raise ValueError(f"unknown operation {name!r}; choose from {', '.join(sorted(known | GROUPS.keys()))}")
    return frozenset().union(*(GROUPS.get(name, {name}) for name in names))
