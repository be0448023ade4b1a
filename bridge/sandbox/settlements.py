"""Settlements: what the agency has paid out to the creditor. The page shows five fields; the others are assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from .claims import Invoice
from .lifecycle import Batch, Tidings

SETTLEMENT_CREATED = "SETTLEMENT_CREATED"


@dataclass(frozen=True, slots=True)
class Settlement:
    """One settlement, of one payment (assumed)."""

    sequence: int
    id: str
    organization: str
    settled_on: str
    """A date: YYYY-MM-DD."""
    invoice: Invoice | None = None
    """The claim it is about, where that is in the books."""
    paid: Decimal | int | None = None
    currency: str = ""
    """Of the payment; empty: that of the invoice."""
    batch: Batch | None = None
    """The batch of the payment: the settlement shows once that has finished. None: it shows at once."""
    stated: Mapping[str, Any] = field(default_factory=dict)
    """Fields that were planted, whatever the claim says."""

    @property
    def is_readable(self) -> bool:
        """Whether it can be read by its id."""
        return self.batch is None or self.batch.finished_at is not None

    def is_listed(self, now: float) -> bool:
        """Tell whether the list shows it."""
        return self.is_readable and (self.batch is None or self.batch.is_listed(now))


def day_of(unix_seconds: float) -> str:
    """Return the date of an instant (UTC)."""
    return datetime.fromtimestamp(unix_seconds, UTC).date().isoformat()


def render_settlement(settlement: Settlement) -> dict[str, Any]:
    """Show a settlement: the fields of the page in its order, then those that are assumed."""
    invoice = settlement.invoice
    row = {} if invoice is None else invoice.row
    debtor: Mapping[str, Any] = next(iter(row.get("debtors", ())), {})
    known = {
        "caseNumber": invoice and str(invoice.case.number),
        "collectionType": "REMINDER",
        "currency": settlement.currency or row.get("currency"),
        "customerReference": debtor.get("customerNumber"),
        "exchangeRate": 1,
        "amount": settlement.paid,
        "invoiceId": invoice and invoice.id,
        "invoiceNumber": invoice and invoice.number,
        "organizationId": settlement.organization,
        "settlementDate": settlement.settled_on,
        "settlementId": settlement.id,
    }
    return known | dict(settlement.stated)


def tell_settlement(settlement: Settlement) -> Tidings:
    """Return what SETTLEMENT_CREATED tells."""
    shown = render_settlement(settlement)
    names = ("settlementId", "organizationId", "settlementDate", "invoiceId", "invoiceNumber", "caseNumber")
    return Tidings(SETTLEMENT_CREATED, {name: shown[name] for name in names})
