"""The ERP of the demonstration: the batches it writes, and what it was told of every invoice and payment."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.batch import Address

Entity = tuple[str, str]
"""(objectname, unique id)."""

PEOPLE = (
    ("Kari", "Nordmann", "01017000027"),
    ("Ola", "Solbakken", "14028512345"),
    ("Ingrid", "Sørli", "30119945678"),
    ("Åse", "Haugen", "09126054321"),
)
PAYS_EVERY = 3
"""Which invoices are paid in the batch they come in: every third."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """One batch as the ERP sends it."""

    batchid: str
    body: bytes
    entities: Mapping[Address, Entity]
    """What its rows are about; rows without an id are left out."""


class Erp:
    """Writes batches, no invoice twice, and remembers what it was told."""

    def __init__(self) -> None:
        self._batches = 0
        self._invoices = 0
        self.accepted: set[Entity] = set()
        self.refused: set[Entity] = set()

    def write(self, creditors: Sequence[str], invoices: int, *faults: Mapping[str, Any]) -> Shipment:
        """Write a batch with invoices for creditors in turn; `faults` are what the first ones have instead."""
        self._batches += 1
        rows = [self._invoice(creditors[number % len(creditors)]) for number in range(invoices)]
        for row, fault in zip(rows, faults, strict=False):
            row.update(fault)
        payments = [_payment(row) for row in rows[len(faults) :: PAYS_EVERY]]
        batchid = f"2026-{self._batches:04}"
        # as old systems write it: lines that end in CR LF, letters beyond ASCII as they are
        text = json.dumps({"batchid": batchid, "invoice": rows, "payment": payments}, ensure_ascii=False, indent=1)
        entities = {Address("invoice", index): _invoice_id(row) for index, row in enumerate(rows)}
        entities |= {Address("payment", index): _payment_id(row) for index, row in enumerate(payments)}
        return Shipment(batchid, text.replace("\n", "\r\n").encode(), entities)

    def hear(self, shipment: Shipment, reply: bytes) -> bool:
        """Remember what an answer says; tell whether it says one thing of every row."""
        document = json.loads(reply)
        accepted, refused = (_addresses(document[part]) for part in ("responses", "errors"))
        self.accepted |= {shipment.entities[one] for one in accepted}
        self.refused |= {shipment.entities[one] for one in refused}
        is_final = all(entry["status_statuscode"] != "PENDING" for entry in document["responses"])
        return is_final and sorted(accepted + refused) == sorted(shipment.entities)

    def _invoice(self, creditor: str) -> dict[str, Any]:
        self._invoices += 1
        number = self._invoices
        firstname, lastname, national_id = PEOPLE[number % len(PEOPLE)]
        amount = f"{1 + number % 9} 250,00"
        return {
            "creditorid": creditor,
            "type": "PAYMENT_REMINDER",
            "invoiceNumber": str(20_000 + number),
            "uniqueSourceInvoiceId": f"erp-invoice-{number}",
            "originalInvoiceAmount": amount,
            "currency": "NOK",
            "dueDate": "2026-10-15",
            "debtors": [
                {
                    "type": "PRIVATE",
                    "firstname": firstname,
                    "lastname": lastname,
                    "customerNumber": f"C-{number}",
                    "identificationNumber": national_id,
                }
            ],
            "claims": [{"type": "PRINCIPAL", "remainingAmount": amount}],
        }


def _payment(invoice: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "creditorid": invoice["creditorid"],
        "uniqueSourceInvoiceId": invoice["uniqueSourceInvoiceId"],
        "uniqueSourcePaymentId": invoice["uniqueSourceInvoiceId"].replace("invoice", "payment"),
        "type": "DIRECT_PAYMENT",
        "amount": "250,00",
        "currency": "NOK",
        "date": "2026-11-02",
    }


def _invoice_id(row: Mapping[str, Any]) -> Entity:
    return "invoice", row["uniqueSourceInvoiceId"]


def _payment_id(row: Mapping[str, Any]) -> Entity:
    return "payment", row["uniqueSourcePaymentId"]


def _addresses(entries: Sequence[Mapping[str, Any]]) -> list[Address]:
    return [Address(entry["objectname"], entry["objectindex"]) for entry in entries]
