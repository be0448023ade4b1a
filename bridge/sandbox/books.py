"""The books: everything every organization has had accepted, and the indexes to find it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .claims import Case, Invoice
from .ids import Ids
from .lifecycle import Batch
from .operations import WRITES
from .settlements import Settlement
from .tally import Tally

_UNIQUE_IDS = {"invoices": "uniqueSourceInvoiceId", "payments": "uniqueSourcePaymentId"}


@dataclass(frozen=True, slots=True)
class Remembered:
    """What an idempotency key stands for."""

    digest: bytes
    """Of method, path and body."""
    batch_id: str
    """Empty when the call was accepted without a batch (204)."""


@dataclass(slots=True)
class Account:
    """The books of one organization. Lists only ever grow; an entry's `sequence` is its place."""

    organization: str
    batches: list[Batch] = field(default_factory=list)
    batch_by_id: dict[str, Batch] = field(default_factory=dict)
    batches_by_key: defaultdict[str, list[Batch]] = field(default_factory=lambda: defaultdict(list))
    queued: dict[str, Batch] = field(default_factory=dict)
    invoices: list[Invoice] = field(default_factory=list)
    invoice_by_id: dict[str, Invoice] = field(default_factory=dict)
    invoices_by_unique_id: defaultdict[str, list[Invoice]] = field(default_factory=lambda: defaultdict(list))
    invoices_by_number: defaultdict[str, list[Invoice]] = field(default_factory=lambda: defaultdict(list))
    invoice_by_case_id: dict[str, Invoice] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)
    settlement_by_id: dict[str, Settlement] = field(default_factory=dict)
    payments_by_unique_id: dict[str, str] = field(default_factory=dict)
    """uniqueSourcePaymentId → invoiceId."""
    keys: dict[str, Remembered] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(
        default_factory=lambda: {write.name: Tally(write.name, _UNIQUE_IDS.get(write.name, "")) for write in WRITES}
    )

    def enter(self, batch: Batch) -> None:
        """Enter a new batch."""
        self.batches.append(batch)
        self.batch_by_id[batch.id] = self.queued[batch.id] = batch
        if batch.key:
            self.batches_by_key[batch.key].append(batch)

    def open_claim(self, ids: Ids, row: Mapping[str, Any], batch: Batch) -> Invoice:
        """Enter an invoice with a case of its own."""
        sequence = len(self.invoices)
        case = Case(sequence, ids.new_uuid(), ids.new_case_number(), batch.created_at)
        invoice = Invoice.from_row(sequence, row, ids.new_uuid(), batch, case)
        self.invoices.append(invoice)
        self.invoice_by_id[invoice.id] = self.invoice_by_case_id[case.id] = invoice
        self.invoices_by_number[invoice.number].append(invoice)
        if invoice.unique_id:
            self.invoices_by_unique_id[invoice.unique_id].append(invoice)
        return invoice

    def enter_settlement(self, settlement: Settlement) -> None:
        """Enter a settlement: behind all others, whatever its date."""
        self.settlements.append(settlement)
        self.settlement_by_id[settlement.id.lower()] = settlement

    def holder_of(self, unique_id: str) -> Invoice | None:
        """Return the first invoice accepted under this uniqueSourceInvoiceId."""
        held = self.invoices_by_unique_id.get(unique_id)
        return held[0] if held else None

    def describe(self, *, ids: bool) -> dict[str, Any]:
        """Return the counts, and with `ids` how often each unique id was accepted."""
        counts: dict[str, Any] = {
            "batches": len(self.batches),
            "queued": len(self.queued),
            "invoices": len(self.invoices),
            "cases": len(self.invoices),
            "settlements": len(self.settlements),
            "accepted": {kind: tally.total for kind, tally in self.tallies.items()},
        }
        if ids:
            counts["acceptedIds"] = {
                tally.unique_id: dict(tally.accepted) for tally in self.tallies.values() if tally.unique_id
            }
        return counts


class Books:
    """The accounts of all organizations; one is opened when it is first addressed."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}

    def account(self, organization: str) -> Account:
        """Return an organization's account. UUIDs compare without letter case."""
        organization = organization.lower()
        if organization not in self.accounts:
            self.accounts[organization] = Account(organization)
        return self.accounts[organization]

    def doubled(self) -> list[dict[str, Any]]:
        """Return every unique id that was accepted more than once; empty when nothing doubled."""
        return [
            {"organization": account.organization, "kind": tally.kind, "id": ident, "times": tally.accepted[ident]}
            for account in self.accounts.values()
            for tally in account.tallies.values()
            for ident in tally.doubled()
        ]

    def describe(self, *, ids: bool = True) -> dict[str, Any]:
        """Return what GET /sandbox/state shows: `doubled` is a fault, `resent` and `repeated` are hints."""
        tallies = [tally for account in self.accounts.values() for tally in account.tallies.values()]
        return {
            "organizations": {name: account.describe(ids=ids) for name, account in self.accounts.items()},
            "doubled": self.doubled(),
            "resent": [ident for tally in tallies for ident in tally.resent()],
            "repeated": {tally.kind: len(found) for tally in tallies if (found := tally.repeated())},
        }
