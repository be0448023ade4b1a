"""Put claims and settlements into the books at once, as if they had been there for long: for tests and measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from .books import Account
from .claims import Invoice
from .ids import derived_uuid
from .lifecycle import Announcement, Batch, Pace
from .settlements import SETTLEMENT_CREATED, Settlement, day_of, tell_settlement
from .stand_in import StandIn
from .strict import Amount, Date, Uuid, find_violations

_CLAIM: Mapping[str, Any] = {
    "type": "PAYMENT_REMINDER",
    "originalInvoiceAmount": 1250,
    "currency": "NOK",
    "invoiceDate": "2024-01-15T00:00:00Z",
    "dueDate": "2024-02-15T00:00:00Z",
    "description": "Strøm, januar",
    "claims": [{"type": "PRINCIPAL", "remainingAmount": 1250}],
}
_DEBTOR: Mapping[str, Any] = {"type": "PRIVATE", "firstname": "Kari", "lastname": "Nordmann"}


class PlantingFault(ValueError):
    """This cannot be planted; the message names field and what was expected."""


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


_Shape = TypeVar("_Shape", bound=_Order)


class ClaimOrder(_Order):
    """Body of POST /sandbox/claims: open claims that differ in nothing but their names."""

    organization: Uuid
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    prefix: str = "P-"
    """Begins invoiceNumber, uniqueSourceInvoiceId and customerNumber; a number that goes on counting follows."""
    invoice: dict[str, Any] = {}
    """Fields of the invoices that are to be other than usual, by their documented names."""


class _PlannedSettlement(_Order):
    settlement_id: Uuid | None = None
    settlement_date: Date | None = None
    invoice_id: Uuid | None = None
    invoice_number: str | None = None
    case_number: str | None = None
    collection_type: str | None = None
    currency: str | None = None
    customer_reference: str | None = None
    exchange_rate: Amount = None
    amount: Amount = None


class SettlementOrder(_Order):
    """Body of POST /sandbox/settlements: any fields of each; a claim in the books gives those that are left out."""

    organization: Uuid
    settlements: Annotated[list[_PlannedSettlement], Field(min_length=1)]


def plant_claims(stand_in: StandIn, document: Any) -> list[Invoice]:
    """Enter the open claims of a ClaimOrder, each with its case; nobody is told of them. Raises PlantingFault."""
    order = _read(ClaimOrder, document)
    account = stand_in.books.account(order.organization)
    first = len(account.invoices) + 1
    rows = [_make_row(order, number) for number in range(first, first + order.count)]
    violations = find_violations("invoices", {"invoices": rows[:1]})
    if violations:
        raise PlantingFault("; ".join(f"invoice.{violation.field}: {violation.message}" for violation in violations))
    if any(row["uniqueSourceInvoiceId"] in account.invoices_by_unique_id for row in rows):
        raise PlantingFault("prefix: such a uniqueSourceInvoiceId is in the books already; use another one")
    batch = _make_batch(stand_in, account, f"{order.prefix}{first}")
    return [account.open_claim(stand_in.ids, row, batch) for row in rows]


def plant_settlements(stand_in: StandIn, document: Any) -> list[Settlement]:
    """Enter the settlements of a SettlementOrder in this order, whatever their dates. Raises PlantingFault."""
    order = _read(SettlementOrder, document)
    account = stand_in.books.account(order.organization)
    first = len(account.settlements)
    today = day_of(stand_in.now())
    settlements = [
        _make_settlement(account, plan, first + place, today) for place, plan in enumerate(order.settlements)
    ]
    counts = Counter([*account.settlement_by_id, *(settlement.id.lower() for settlement in settlements)])
    if twice := [ident for ident, times in counts.items() if times > 1]:
        raise PlantingFault(f"settlementId: in the books already, or given twice: {', '.join(twice)}")
    for settlement in settlements:
        account.enter_settlement(settlement)
    if stand_in.tells(SETTLEMENT_CREATED):
        stand_in.tell(map(tell_settlement, settlements), Announcement())
    return settlements


def _read(shape: type[_Shape], document: Any) -> _Shape:
    try:
        return shape.model_validate(document)
    except ValidationError as refusal:
        faults = refusal.errors(include_url=False, include_context=False, include_input=False)
        told = (f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg']}" for fault in faults)
        raise PlantingFault("; ".join(told)) from refusal


def _make_row(order: ClaimOrder, number: int) -> dict[str, Any]:
    name = f"{order.prefix}{number}"
    debtors = [{**_DEBTOR, "customerNumber": f"C-{name}"}]
    return {**_CLAIM, "debtors": debtors, **order.invoice, "invoiceNumber": name, "uniqueSourceInvoiceId": name}


def _make_batch(stand_in: StandIn, account: Account, name: str) -> Batch:
    """Return the batch planted claims came by, long finished; no list shows it."""
    now = stand_in.now()
    return Batch(
        sequence=-1,
        id=derived_uuid("planted", account.organization, name),
        type="INVOICE",
        organization=account.organization,
        created_at=now,
        created_by=derived_uuid("client", "planted"),
        key="",
        pace=Pace(),
        listed_at=now,
        finished_at=now,
    )


def _make_settlement(account: Account, plan: _PlannedSettlement, sequence: int, today: str) -> Settlement:
    return Settlement(
        sequence=sequence,
        id=plan.settlement_id or derived_uuid("settlement", account.organization, str(sequence)),
        organization=account.organization,
        settled_on=plan.settlement_date or today,
        invoice=_find_invoice(account, plan),
        stated=plan.model_dump(by_alias=True, exclude_none=True),
    )


def _find_invoice(account: Account, plan: _PlannedSettlement) -> Invoice | None:
    numbered: Sequence[Invoice] = account.invoices_by_number.get(plan.invoice_number or "", ())
    return account.invoice_by_id.get((plan.invoice_id or "").lower()) or next(iter(numbered), None)
