"""What the stand-in for the legacy host holds: claims by the ERP's own references, settlements, every row counted.

One batch in, one answer out, at once. The rules are simple ones of our own: nobody outside the vendor knows the real
host's; they are worded unlike the bridge's, so that a comparison has something to find.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from .legacy_reading import OBJECTNAMES, LegacyBatch, LegacyRow, Row, write_text
from .script import LegacyBehaviour
from .wire import EXACT, timestamp

ALL_ACCEPTED, SOME_REFUSED, ALL_REFUSED = 0, 1, 2
FIRST_CASE_NUMBER, FIRST_SETTLEMENT = 700_001, 1
NEEDED = {
    "creditor": ("idnumber",),
    "invoice": ("invoiceNumber", "originalInvoiceAmount", "dueDate"),
    "payment": ("amount",),
    "action": ("actiontype",),
}
AMOUNTS = {"invoice": "originalinvoiceamount", "payment": "amount"}
IDENTS = {
    "creditor": ("idnumber",),
    "invoice": ("uniquesourceinvoiceid", "invoicenumber"),
    "payment": ("uniquesourcepaymentid",),
    "action": (),
}
"""What tells that a row was there before: the first of these that it carries. Two payments may well be alike."""
ONCE = frozenset({"invoice", "payment"})
CLAIM_NAMES = ("ledgerref", "uniquesourceinvoiceid", "invoicenumber")
REFERENCES = (*CLAIM_NAMES, "invoiceid")
LEDGERREFS = ("ledgerref", "uniquesourcepaymentid", "uniquesourceinvoiceid", "invoicenumber", "invoiceid", "idnumber")
MOST_DIGITS, MOST_DECIMALS = 18, 6
"""Of an amount. Sums of such amounts are exact, however many there are."""


@dataclass(slots=True, eq=False)
class LegacyCase:
    """One claim at the legacy host."""

    number: int
    row: Row
    ledgerref: str
    creditor: str
    original: Decimal
    """What was claimed."""
    opened_at: float
    paid: Decimal = Decimal(0)
    actions: list[str] = field(default_factory=list)

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
        self.rows: Counter[str] = Counter()
        """objectname → how many rows were accepted."""
        self.accepted: Counter[tuple[str, str]] = Counter()
        """(objectname, id) → how often a row with it was accepted."""
        self._by_name: dict[str, LegacyCase] = {}

    def doubled(self) -> list[dict[str, Any]]:
        """Return every id that was accepted more than once."""
        return [
            {"objectname": name, "id": ident, "times": times}
            for (name, ident), times in self.accepted.items()
            if times > 1 and name in ONCE
        ]

    def find(self, name: str) -> LegacyCase | None:
        """Return a claim by any name the ERP knows it by."""
        return self._by_name.get(name)

    def work(
        self, batch: LegacyBatch, refused: Mapping[int, str], behaviour: LegacyBehaviour, now: float
    ) -> dict[str, Any]:
        """Take a batch's rows in order; `refused` says by position which ones a script refuses, and why."""
        creditor = _find_creditor(batch)
        errors: list[dict[str, Any]] = []
        responses: list[dict[str, Any]] = []
        for position, row in enumerate(batch.rows):
            place = {"objectname": row.objectname, "objectindex": row.index}
            fault = refused[position] if position in refused else self._take(row, creditor, behaviour, now)
            if fault is None:
                responses.append(place | self._respond(row.fields, behaviour, now))
            else:
                errors.append(place | {"message": fault})
        code = ALL_ACCEPTED if not errors else SOME_REFUSED if responses else ALL_REFUSED
        return {"statuscode": code, "errors": errors, "responses": responses}

    def _take(self, row: LegacyRow, creditor: str, behaviour: LegacyBehaviour, now: float) -> str | None:
        """Enter one row, or say why not."""
        name, fields = row.objectname, row.fields
        missing = next((needed for needed in NEEDED[name] if not write_text(fields.get(needed.lower()))), None)
        if missing:
            return f"{missing} mangler"
        ident = _first(fields, IDENTS[name])
        if name in ONCE and self.accepted[name, ident] and behaviour.duplicates == "refuse":
            return f"{ident} er allerede registrert"
        amount = _read_amount(fields[AMOUNTS[name]]) if name in AMOUNTS else Decimal(0)
        if amount is None:
            return "beløpet er ugyldig"
        if name == "invoice":
            self._open(fields, creditor, amount, now)
        elif name != "creditor" and not self._book(name, fields, amount, now):
            return "finner ikke saken"
        self.rows[name] += 1
        if ident:
            self.accepted[name, ident] += 1
        return None

    def _open(self, fields: Row, creditor: str, amount: Decimal, now: float) -> None:
        names = [name for key in CLAIM_NAMES if (name := write_text(fields.get(key)))]
        creditor = write_text(fields.get("creditorid")) or creditor
        case = LegacyCase(FIRST_CASE_NUMBER + len(self.cases), fields, names[0], creditor, amount, now)
        self.cases.append(case)
        for name in names:
            self._by_name.setdefault(name, case)

    def _book(self, name: str, fields: Row, amount: Decimal, now: float) -> bool:
        """Enter a payment or an action on its claim; tell whether there is one."""
        case = next((one for key in REFERENCES if (one := self._by_name.get(write_text(fields.get(key))))), None)
        if case is None:
            return False
        if name == "action":
            case.actions.append(write_text(fields["actiontype"]))
        else:
            case.paid = EXACT.add(case.paid, amount)
            self.settlements.append(LegacySettlement(FIRST_SETTLEMENT + len(self.settlements), case, amount, now))
        return True

    def _respond(self, fields: Row, behaviour: LegacyBehaviour, now: float) -> dict[str, Any]:
        ledgerref = _first(fields, LEDGERREFS)
        answer: dict[str, Any] = {"ledgerref": ledgerref, "status_statuscode": behaviour.accepted_text}
        case = self._by_name.get(ledgerref)
        if "caseNumber" in behaviour.extra_fields and case is not None:
            answer["caseNumber"] = str(case.number)
        if "processedAt" in behaviour.extra_fields:
            answer["processedAt"] = timestamp(now)
        return answer

    def describe(self) -> dict[str, Any]:
        """Return what GET /sandbox/legacy shows."""
        return {
            "cases": len(self.cases),
            "settlements": len(self.settlements),
            "accepted": {name: self.rows[name] for name in OBJECTNAMES},
            "doubled": self.doubled(),
        }


def _find_creditor(batch: LegacyBatch) -> str:
    """Return whose rows those are that do not say it: the only creditor row's."""
    creditors = [write_text(row.fields.get("idnumber")) for row in batch.rows if row.objectname == "creditor"]
    return creditors[0] if len(creditors) == 1 else ""


def _first(fields: Row, keys: tuple[str, ...]) -> str:
    return next((text for key in keys if (text := write_text(fields.get(key)))), "")


def _read_amount(value: Any) -> Decimal | None:
    """Return an amount as old ERPs write it (1250.00, "1250.00", "1 250,00"); None when it is none."""
    try:
        amount = Decimal(str(value).replace(" ", "").replace("\xa0", "").replace(",", "."))
    except InvalidOperation:
        return None
    exponent = amount.as_tuple().exponent
    is_sane = isinstance(exponent, int) and amount.adjusted() < MOST_DIGITS and exponent >= -MOST_DECIMALS
    return amount if is_sane else None
