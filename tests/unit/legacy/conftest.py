"""The row kinds of the seed pages, and rows that need no coercion."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from bridge.legacy.reader import RowReader
from bridge.shape import Field, FieldType, Shape


def _fields(kind: FieldType, names: str) -> tuple[Field, ...]:
    return tuple(Field(name, kind) for name in names.split())


TEXT, DECIMAL, INTEGER = FieldType.TEXT, FieldType.DECIMAL, FieldType.INTEGER
BOOLEAN, DATE, DATETIME = FieldType.BOOLEAN, FieldType.DATE, FieldType.DATETIME

DEBTOR = (
    *_fields(TEXT, "type firstname lastname name customerNumber identificationNumber organizationNumber"),
    Field("dateOfBirth", DATE),
    Field("emails", fields=_fields(TEXT, "value"), many=True),
    Field("phoneNumbers", fields=_fields(TEXT, "countryCode originalValue value"), many=True),
    Field("addresses", fields=_fields(TEXT, "street city zipCode countryCode"), many=True),
)
CLAIM = (Field("type", TEXT), Field("remainingAmount", DECIMAL), Field("description", TEXT))
INVOICE = Shape(
    "invoice",
    (
        Field("type", TEXT, required=True),
        Field("invoiceNumber", TEXT, required=True),
        *_fields(BOOLEAN, "vat fees"),
        Field("originalInvoiceAmount", DECIMAL, required=True),
        Field("currency", TEXT),
        Field("invoiceDate", DATETIME),
        Field("dueDate", DATETIME, required=True),
        Field("collectionNoticeDate", DATETIME),
        *_fields(TEXT, "ocrReferenceNumber uniqueSourceInvoiceId description ledgerref creditorid"),
        Field("debtors", fields=DEBTOR, many=True, required=True),
        Field("claims", fields=CLAIM, many=True),
    ),
)
PAYMENT = Shape(
    "payment",
    (
        *_fields(TEXT, "invoiceId type"),
        Field("amount", DECIMAL, required=True),
        Field("currency", TEXT),
        Field("date", DATETIME),
        *_fields(TEXT, "description uniqueSourcePaymentId uniqueSourceInvoiceId invoiceNumber ledgerref creditorid"),
    ),
)
ACTION = Shape(
    "action",
    (
        *_fields(TEXT, "creditorid ledgerref"),
        Field("actiontype", INTEGER, required=True),
        Field("duedate", DATETIME),
        *_fields(TEXT, "subject conversationid message"),
    ),
)
CONTACT = (
    *_fields(TEXT, "fullname workphone email"),
    *_fields(BOOLEAN, "isinvoicequery isremittancereport isorderconfirmation iscollectionlist isweb"),
)
CREDITOR = Shape(
    "creditor",
    (
        Field("idnumber", TEXT, required=True),
        Field("parentidnumber", TEXT),
        Field("onlydebtcollection", BOOLEAN),
        Field("vattype", INTEGER),
        *_fields(TEXT, "fullname street city zipcode countrycode emailinvoice bankaccountno swift iban message"),
        Field("contact", fields=CONTACT),
        Field("contact2", fields=CONTACT),
        *_fields(TEXT, "password erpsettingid"),
        Field("sourceid", INTEGER),
        *_fields(TEXT, "erpclientid vismanetcompanyid"),
        *_fields(INTEGER, "reminderflow debtcollectiontransfer invoicearchive"),
        *_fields(BOOLEAN, "hasforeigndebtors hasforeigncurrency disabled"),
        Field("tags", TEXT, many=True),
        Field("rates", DECIMAL, many=True),
        Field("codes", INTEGER, many=True),
    ),
)
SHAPES = {shape.objectname: shape for shape in (CREDITOR, INVOICE, PAYMENT, ACTION)}

ADDRESS = {"street": "Storgata 1", "city": "Tromsø", "zipCode": "0155", "countryCode": "NO"}
INVOICE_ROW: dict[str, Any] = {
    "type": "PAYMENT_REMINDER",
    "invoiceNumber": "INV-2025-000001",
    "vat": True,
    "fees": False,
    "originalInvoiceAmount": 4500.25,
    "currency": "NOK",
    "invoiceDate": "2024-01-15T00:00:00Z",
    "dueDate": "2024-02-15T00:00:00",
    "collectionNoticeDate": "2019-08-24T14:15:22.123Z",
    "ocrReferenceNumber": "0012345678901",
    "uniqueSourceInvoiceId": "erp-order-9981",
    "description": "Strøm januar 2024",
    "debtors": [
        {
            "type": "PRIVATE",
            "firstname": "Kari",
            "lastname": "Nordmann",
            "name": "Kari Nordmann",
            "customerNumber": "10045",
            "identificationNumber": "01019012345",
            "organizationNumber": "987654321",
            "dateOfBirth": "1990-01-01",
            "emails": [{"value": "kari@example.no"}, {"value": "kari.nordmann@example.org"}],
            "phoneNumbers": [
                {"countryCode": "47", "originalValue": "+47 400 00 000", "value": "40000000"},
                {"countryCode": "47", "originalValue": "+47 400 00 001", "value": "40000001"},
            ],
            "addresses": [ADDRESS, ADDRESS],
        }
    ],
    "claims": [
        {"type": "PRINCIPAL", "remainingAmount": 4500.25, "description": "Hovedstol"},
        {"type": "FEE", "remainingAmount": 35, "description": "Purregebyr"},
    ],
}
CONTACT_ROW = {"fullname": "Per", "email": "per@example.no", "isweb": True}
ROWS: dict[str, dict[str, Any]] = {
    "creditor": {
        "idnumber": "984842252",
        "onlydebtcollection": False,
        "vattype": 1,
        "fullname": "Nordlys Energi AS",
        "contact": CONTACT_ROW,
        "reminderflow": 60,
        "disabled": False,
        "tags": ["a", "b"],
        "rates": [0.5, 12],
        "codes": [1, 2],
    },
    "invoice": INVOICE_ROW,
    "payment": {
        "invoiceId": "4f163819-178d-470c-a246-d6768476a6ec",
        "type": "DIRECT_PAYMENT",
        "amount": 1250.5,
        "currency": "NOK",
        "date": "2024-02-15T00:00:00Z",
        "uniqueSourcePaymentId": "pay-1",
    },
    "action": {
        "creditorid": "984842252",
        "ledgerref": "erp-order-9981",
        "actiontype": 1,
        "duedate": "2024-02-15T00:00:00Z",
        "subject": "Pause",
    },
}


@pytest.fixture(scope="session")
def shapes() -> dict[str, Shape]:
    return SHAPES


@pytest.fixture
def rows() -> dict[str, dict[str, Any]]:
    return copy.deepcopy(ROWS)


@pytest.fixture(scope="session")
def reader() -> RowReader:
    return RowReader(SHAPES)


@pytest.fixture(scope="session")
def leaves() -> Callable[[Any], Iterator[tuple[tuple[str | int, ...], Any]]]:
    """Walk every place of a JSON value: (path, value), containers included, the root not."""

    def walk(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
        if path:
            yield path, value
        members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, inner in members:
            yield from walk(inner, (*path, key))

    return walk


@pytest.fixture(scope="session")
def raw() -> Callable[[Any], bytes]:
    return msgspec.json.Encoder(decimal_format="number").encode
