"""What the stand-in for the legacy host holds: claims by the ERP's own references, settlements, every row counted.

One batch in, one answer out, at once. The rules are simple ones of our own: nobody outside the vendor knows the real
host's; they are worded unlike the bridge's, so that a comparison has something to find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from .script import LegacyBehaviour
from .wire import EXACT, timestamp

OBJECTNAMES = ("creditor", "invoice", "payment", "action")
ALL_ACCEPTED, SOME_REFUSED, ALL_REFUSED = 0, 1, 2
FIRST_CASE_NUMBER, FIRST_SETTLEMENT = 700_001, 1
NEEDED = {
    "creditor": ("idnumber",),
    "invoice": ("invoiceNumber", "originalInvoiceAmount", "dueDate"),
    "payment": ("amount",),
    "action": ("actiontype",),
}
IDENTS = {"invoice": "uniqueSourceInvoiceId", "payment": "uniqueSourcePaymentId"}

Row = Mapping[str, Any]
"""A row with its property names in lower case."""


@dataclass(slots=True)
class LegacyCase:
    """One claim at the legacy host."""

    number: int
    row: Row
    ledgerref: str
    creditor: str
    opened_at: float
    paid: Decimal = Decimal(0)
    actions: list[str] = field(default_factory=list)

    @property
    def original(self) -> Decimal:
        """What was claimed."""
        return _read_amount(self.row["originalinvoiceamount"]) or Decimal(0)

    @property
    def remaining(self) -> Decimal:
        """What is left to pay."""
        return EXACT.subtract(self.original, self.paid)


@dataclass(frozen=True, slots=True)
class LegacySettlement:
    """One payment settled with the creditor."""

    number: int
    case: LegacyCase
    amount: Decimal
    settled_at: float


class LegacyBooks:
    """Everything the legacy host has accepted."""

    def __init__(self) -> None:
        self.cases: list[LegacyCase] = []
        self.settlements: list[LegacySettlement] = []
        self.accepted: Counter[tuple[str, str]] = Counter()
        """(objectname, id) → how often a row with it was accepted."""
        self._by_name: dict[str, LegacyCase] = {}

    def doubled(self) -> list[dict[str, Any]]:
        """Return every id that was accepted more than once."""
        return [
            {"objectname": name, "id": ident, "times": times}
            for (name, ident), times in self.accepted.items()
            if times > 1 and name in IDENTS
        ]

    def find(self, name: str) -> LegacyCase | None:
        """Return a claim by any name the ERP knows it by."""
        return self._by_name.get(name)

    def work(
        self,
        rows: Sequence[tuple[str, int, Row]],
        refused: Mapping[int, str],
        behaviour: LegacyBehaviour,
        now: float,
    ) -> dict[str, Any]:
        """Take a batch's (objectname, objectindex, row)s in order; `refused` says by position what a script refuses."""
        creditors = [str(row.get("idnumber", "")) for name, _, row in rows if name == "creditor"]
        creditor = creditors[0] if len(creditors) == 1 else ""
        errors: list[dict[str, Any]] = []
        responses: list[dict[str, Any]] = []
        for position, (name, index, row) in enumerate(rows):
            place = {"objectname": name, "objectindex": index}
            fault = refused.get(position) or self._take(name, row, creditor, behaviour, now)
            if fault:
                errors.append(place | {"message": fault})
            else:
                responses.append(place | self._respond(row, behaviour, now))
        code = ALL_ACCEPTED if not errors else SOME_REFUSED if responses else ALL_REFUSED
        return {"statuscode": code, "errors": errors, "responses": responses}

    def _take(self, name: str, row: Row, creditor: str, behaviour: LegacyBehaviour, now: float) -> str:
        """Enter one row, or say why not."""
        missing = [needed for needed in NEEDED[name] if row.get(needed.lower()) in (None, "")]
        if missing:
            return f"{missing[0]} mangler"
        ident = str(row.get(IDENTS.get(name, "").lower()) or row.get("invoicenumber") or row.get("idnumber") or "")
        if name in IDENTS and ident and self.accepted[name, ident] and behaviour.duplicates == "refuse":
            return f"{ident} er allerede registrert"
        amount = {"invoice": "originalinvoiceamount", "payment": "amount"}.get(name)
        if amount and _read_amount(row[amount]) is None:
            return "beløpet er ugyldig"
        if name == "invoice":
            self._open(row, creditor, now)
        elif name in {"payment", "action"} and (fault := self._book(name, row, now)):
            return fault
        if ident:
            self.accepted[name, ident] += 1
        return ""

    def _open(self, row: Row, creditor: str, now: float) -> None:
        names = [str(row[key]) for key in ("ledgerref", "uniquesourceinvoiceid", "invoicenumber") if row.get(key)]
        creditor = str(row.get("creditorid") or creditor)
        case = LegacyCase(FIRST_CASE_NUMBER + len(self.cases), row, names[0], creditor, now)
        self.cases.append(case)
        for name in names:
            self._by_name.setdefault(name, case)

    def _book(self, name: str, row: Row, now: float) -> str:
        keys = ("ledgerref", "uniquesourceinvoiceid", "invoicenumber", "invoiceid")
        case = next((found for key in keys if (found := self._by_name.get(str(row.get(key) or "")))), None)
        if case is None:
            return "finner ikke saken"
        if name == "action":
            case.actions.append(str(row["actiontype"]))
            return ""
        amount = _read_amount(row["amount"]) or Decimal(0)
        case.paid = EXACT.add(case.paid, amount)
        self.settlements.append(LegacySettlement(FIRST_SETTLEMENT + len(self.settlements), case, amount, now))
        return ""

    def _respond(self, row: Row, behaviour: LegacyBehaviour, now: float) -> dict[str, Any]:
        keys = ("ledgerref", "uniquesourcepaymentid", "uniquesourceinvoiceid", "invoicenumber", "invoiceid", "idnumber")
        ledgerref = next((str(row[key]) for key in keys if row.get(key)), "")
        answer: dict[str, Any] = {"ledgerref": ledgerref, "status_statuscode": behaviour.accepted_text}
        case = self._by_name.get(ledgerref)
        if "caseNumber" in behaviour.extra_fields and case is not None:
            answer["caseNumber"] = str(case.number)
        if "processedAt" in behaviour.extra_fields:
            answer["processedAt"] = timestamp(now)
        return answer

    def describe(self) -> dict[str, Any]:
        """Return what GET /sandbox/legacy shows."""
        counts = Counter(name for name, _ in self.accepted.elements())
        return {
            "cases": len(self.cases),
            "settlements": len(self.settlements),
            "accepted": {name: counts[name] for name in OBJECTNAMES},
            "doubled": self.doubled(),
        }


def _read_amount(value: Any) -> Decimal | None:
    """Return an amount as old ERPs write it (1250.00, "1250.00", "1 250,00"); None when it is none."""
    try:
        amount = Decimal(str(value).replace(" ", "").replace("\xa0", "").replace(",", "."))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
