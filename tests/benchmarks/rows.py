"""The rows that are measured: invoices of 40 leaf fields and 1.2 kB, as a well-behaved ERP writes them."""

from __future__ import annotations

from typing import Any

import msgspec

LEAVES = 40

Json = dict[str, Any]


def invoice(number: int, mark: str = "") -> Json:
    """Return one canonical invoice row; `mark` sets the ids of one run apart from those of another."""
    amount = 1250.25 + number * 7 % 9000
    day, month = number % 28 + 1, number % 12 + 1
    return {
        "type": "PAYMENT_REMINDER",
        "invoiceNumber": f"INV-2025-{mark}{number:06}",
        "vat": True,
        "fees": number % 3 == 0,
        "originalInvoiceAmount": amount,
        "currency": "NOK",
        "invoiceDate": f"2025-{month:02}-{day:02}T00:00:00Z",
        "dueDate": f"2026-{month:02}-{day:02}T00:00:00Z",
        "collectionNoticeDate": f"2026-{month:02}-{day:02}T08:30:00Z",
        "ocrReferenceNumber": f"{10_000_000_000 + number}",
        "uniqueSourceInvoiceId": f"erp-order-{mark}{number:07}",
        "description": "Strøm og nettleie, avregnet etter målt forbruk",
        "debtors": [_debtor(number)],
        "claims": [
            {"type": "PRINCIPAL", "remainingAmount": amount, "description": "Hovedstol"},
            {"type": "FEE", "remainingAmount": 35, "description": "Purregebyr"},
            {"type": "INTEREST", "remainingAmount": number % 500 / 4 + 0.25, "description": "Forsinkelsesrenter"},
        ],
    }


def _debtor(number: int) -> Json:
    return {
        "type": "PRIVATE",
        "firstname": "Kari",
        "lastname": "Nordmann",
        "name": "Kari Nordmann",
        "customerNumber": f"{100_000 + number}",
        "identificationNumber": "01019012345",
        "dateOfBirth": f"19{60 + number % 40}-01-{number % 28 + 1:02}",
        "emails": [{"value": f"kari.nordmann{number}@example.no"}, {"value": "kari@example.org"}],
        "phoneNumbers": [
            {"countryCode": "47", "originalValue": "+47 400 00 000", "value": "40000000"},
            {"countryCode": "47", "originalValue": "+47 400 00 001", "value": "40000001"},
        ],
        "addresses": [{"street": "Storgata 1", "city": "Tromsø", "zipCode": "9008", "countryCode": "NO"}],
    }


def needs_marshmallow(row: Json) -> Json:
    """Return the row as an older ERP writes it: an amount as text with a comma, a date in a notation of its own."""
    amount = f"{row['originalInvoiceAmount']:.2f}".replace(".", ",")
    return row | {"originalInvoiceAmount": amount, "vat": "true", "dueDate": row["dueDate"][:10]}


def invoices(count: int, *, doubtful_share: float = 0.0, mark: str = "") -> list[Json]:
    """Return rows of which this share, evenly spread, needs marshmallow."""
    every = round(1 / doubtful_share) if doubtful_share else 0
    rows = (invoice(number, mark) for number in range(count))
    return [needs_marshmallow(row) if every and number % every == 0 else row for number, row in enumerate(rows)]


def body(rows: list[Json], batchid: str = "", *, offline: bool = False) -> bytes:
    """Return a legacy batch of invoices as UTF-8 JSON."""
    return msgspec.json.encode({"batchid": batchid, "offline": offline, "invoice": rows})


def count_leaves(value: Any) -> int:
    """Count the values that are no containers."""
    if isinstance(value, dict):
        return sum(map(count_leaves, value.values()))
    return sum(map(count_leaves, value)) if isinstance(value, list) else 1
