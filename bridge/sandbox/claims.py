"""Invoices and cases: what the stand-in remembers of a claim, and which case action may follow which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import reduce
from typing import Any

from msgspec import Raw

from .lifecycle import Batch
from .wire import EXACT, decode, encode

OPEN, PAUSED, WITHDRAWN, CLOSED = "OPEN", "PAUSED", "WITHDRAWN", "CLOSED"
"""Case statuses. OPEN and PAUSED are documented, the other names are assumed."""

ON_LIST, IN_COLLECTION, OFF_LIST = "DEBT_COLLECTION_LIST_MANUAL", "DEBT_COLLECTION", "DEBT_COLLECTION_LIST_REJECTED"
"""Case sub-statuses. The first is documented and where every case starts; the other names are assumed."""


@dataclass(slots=True)
class Case:
    """One case; here every invoice opens one of its own."""

    sequence: int
    id: str
    number: int
    opened_at: float
    status: str = OPEN
    sub_status: str = ON_LIST
    closed_at: float | None = None


@dataclass(slots=True)
class Invoice:
    """One accepted invoice, with what has been paid and credited since."""

    sequence: int
    id: str
    number: str
    unique_id: str
    type: str
    batch: Batch
    case: Case
    raw: bytes = field(repr=False)
    """The row as it was accepted, as JSON: a fifth of what the same thing takes as Python objects."""
    original: Decimal
    claimed: Decimal
    """What was outstanding when it was accepted."""
    paid: Decimal = Decimal(0)
    credited: Decimal = Decimal(0)
    shown: dict[str, tuple[object, Raw]] = field(default_factory=dict, repr=False)
    """What lists have shown of it, and in which state it was then (`rendering.show`)."""

    @classmethod
    def from_row(cls, sequence: int, row: Mapping[str, Any], ident: str, batch: Batch, case: Case) -> Invoice:
        """Take a row that passed the strict checks."""
        return cls(
            sequence=sequence,
            id=ident,
            number=row["invoiceNumber"],
            unique_id=row.get("uniqueSourceInvoiceId", ""),
            type=row.get("type", ""),
            batch=batch,
            case=case,
            raw=encode(row),
            original=Decimal(row["originalInvoiceAmount"]),
            claimed=_claimed(row),
        )

    @property
    def remaining(self) -> Decimal:
        """What is still outstanding; below zero when too much was paid."""
        return EXACT.subtract(EXACT.subtract(self.claimed, self.paid), self.credited)

    @property
    def status(self) -> str:
        """OPEN is documented; PAID is assumed."""
        return "PAID" if self.claimed > 0 and self.remaining <= 0 else "OPEN"

    @property
    def row(self) -> dict[str, Any]:
        """The row as it was accepted."""
        row: dict[str, Any] = decode(self.raw)
        return row

    def pay(self, amount: Decimal, at: float) -> None:
        """Book a payment; a claim that is paid in full closes its case."""
        self.paid = EXACT.add(self.paid, amount)
        self._close_if_settled(at)

    def credit(self, amount: Decimal, at: float) -> None:
        """Book a correction: a positive amount lowers the claim (assumed)."""
        self.credited = EXACT.add(self.credited, amount)
        self._close_if_settled(at)

    def _close_if_settled(self, at: float) -> None:
        if self.status == "PAID" and self.case.status in {OPEN, PAUSED}:
            self.case.status, self.case.closed_at = CLOSED, at


def _claimed(row: Mapping[str, Any]) -> Decimal:
    """Add up the claims; an invoice without any is outstanding in full."""
    claims = row.get("claims") or [{"remainingAmount": row["originalInvoiceAmount"]}]
    return reduce(EXACT.add, (Decimal(claim.get("remainingAmount", 0)) for claim in claims))


class ActionRefused(Exception):
    """The case is not in a state that allows the action."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """When a case action is allowed, and what it makes of the case."""

    statuses: frozenset[str]
    becomes: str = ""
    sub_statuses: frozenset[str] = frozenset({ON_LIST, OFF_LIST, IN_COLLECTION})
    sub_becomes: str = ""


_BEFORE_COLLECTION = frozenset({ON_LIST, OFF_LIST})
"""A claim in debt collection can only be withdrawn, not paused (from the vendor's help pages for ERP users)."""

_RULES = {
    "pause": _Rule(frozenset({OPEN, PAUSED}), PAUSED, _BEFORE_COLLECTION),
    "resume": _Rule(frozenset({PAUSED}), OPEN, _BEFORE_COLLECTION),
    "withdraw": _Rule(frozenset({OPEN, PAUSED}), WITHDRAWN),
    "collection-list/accept": _Rule(frozenset({OPEN}), "", frozenset({ON_LIST}), IN_COLLECTION),
    "collection-list/reject": _Rule(frozenset({OPEN}), "", frozenset({ON_LIST}), OFF_LIST),
}


def act_on_case(case: Case, action: str, at: float) -> None:
    """Carry out a case action, or raise ActionRefused saying which state stands in the way."""
    rule = _RULES[action]
    if case.status not in rule.statuses:
        raise ActionRefused(f"{action} is not possible: the case is {case.status}")
    if case.sub_status not in rule.sub_statuses:
        raise ActionRefused(f"{action} is not possible: the case is {case.sub_status}")
    case.status = rule.becomes or case.status
    case.sub_status = rule.sub_becomes or case.sub_status
    case.closed_at = at if case.status == WITHDRAWN else None
