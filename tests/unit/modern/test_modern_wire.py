from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.modern.wire import OPERATIONS_SCHEMAS, CorrectionItem, InvoiceItem, PaymentItem

INVOICE_ON_THE_PAGE: dict[str, Any] = {
    "type": "PAYMENT_REMINDER",
    "invoiceNumber": "string",
    "vat": True,
    "fees": True,
    "originalInvoiceAmount": 0,
    "currency": "string",
    "invoiceDate": "2019-08-24T14:15:22.123Z",
    "dueDate": "2019-08-24T14:15:22.123Z",
    "collectionNoticeDate": "2019-08-24T14:15:22.123Z",
    "ocrReferenceNumber": "string",
    "uniqueSourceInvoiceId": "string",
    "description": "string",
    "debtors": [
        {
            "type": "PRIVATE",
            "firstname": "string",
            "lastname": "string",
            "name": "string",
            "customerNumber": "string",
            "identificationNumber": "string",
            "organizationNumber": "string",
            "dateOfBirth": "2019-08-24",
            "emails": [{"value": "string"}],
            "phoneNumbers": [{"countryCode": "string", "originalValue": "string", "value": "string"}],
            "addresses": [{"street": "string", "city": "string", "zipCode": "string", "countryCode": "string"}],
        }
    ],
    "claims": [{"type": "PRINCIPAL", "remainingAmount": 0, "description": "string"}],
}
PAYMENT_ON_THE_PAGE: dict[str, Any] = {
    "invoiceId": "4f163819-178d-470c-a246-d6768476a6ec",
    "type": "DIRECT_PAYMENT",
    "amount": 0,
    "currency": "string",
    "date": "2019-08-24T14:15:22.123Z",
    "description": "string",
    "uniqueSourcePaymentId": "string",
}
CORRECTION_ON_THE_PAGE: dict[str, Any] = {
    name: value for name, value in PAYMENT_ON_THE_PAGE.items() if name not in {"type", "uniqueSourcePaymentId"}
}
PAGES = [
    (InvoiceItem, INVOICE_ON_THE_PAGE),
    (PaymentItem, PAYMENT_ON_THE_PAGE),
    (CorrectionItem, CORRECTION_ON_THE_PAGE),
]


def leaves(value: Any) -> Any:
    """Reduce a sample to the names in it, in their order."""
    if isinstance(value, dict):
        return {name: leaves(inner) for name, inner in value.items()}
    return [leaves(value[0])] if isinstance(value, list | tuple) else None


@pytest.mark.parametrize(("model", "sample"), PAGES)
def test_the_sample_on_the_page_is_valid_and_complete(model: Any, sample: dict[str, Any]) -> None:
    """The documented sample is valid, and the model has no field beside it."""
    read = model.model_validate_json(json.dumps(sample))
    assert leaves(read.model_dump()) == leaves(sample)
    assert list(model.model_fields) == list(sample)


@pytest.mark.parametrize(("model", "sample"), PAGES)
def test_an_unknown_field_is_refused(model: Any, sample: dict[str, Any]) -> None:
    """A field that is not on the page does not pass."""
    with pytest.raises(ValidationError, match="shoeSize"):
        model.model_validate_json(json.dumps(sample | {"shoeSize": 44}))


@pytest.mark.parametrize(
    ("model", "sample", "required"),
    [
        (InvoiceItem, INVOICE_ON_THE_PAGE, {"invoiceNumber", "originalInvoiceAmount", "dueDate"}),
        (PaymentItem, PAYMENT_ON_THE_PAGE, {"invoiceId", "amount"}),
        (CorrectionItem, CORRECTION_ON_THE_PAGE, {"invoiceId", "amount"}),
    ],
)
def test_only_what_has_no_meaning_otherwise_is_required(model: Any, sample: dict[str, Any], required: set[str]) -> None:
    """A row may leave out everything but the fields that make it a claim or a payment."""
    model.model_validate_json(json.dumps({name: sample[name] for name in required}))
    for name in required:
        with pytest.raises(ValidationError, match=name):
            model.model_validate_json(json.dumps({other: sample[other] for other in required - {name}}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"originalInvoiceAmount": "1250.00"},
        {"originalInvoiceAmount": 1250.5},
        {"vat": "true"},
        {"invoiceNumber": 17},
        {"dueDate": "2024-02-15T00:00:00"},
        {"debtors": [{"dateOfBirth": "2024-02-15T10:00:00Z"}]},
    ],
)
def test_a_value_of_another_type_is_refused(wrong: dict[str, Any]) -> None:
    """A mapping that gives text for an amount, a float, or a date without a zone does not fit the model."""
    good = {"invoiceNumber": "17", "originalInvoiceAmount": Decimal("1250.00"), "dueDate": "2024-02-15T00:00:00Z"}
    InvoiceItem.model_validate(good)
    with pytest.raises(ValidationError):
        InvoiceItem.model_validate(good | wrong)


def test_every_operation_has_a_schema() -> None:
    """The eight operations of the contract have a shape, and each shape can be made from its sample."""
    assert set(OPERATIONS_SCHEMAS) == {
        "create_invoices", "create_payments", "create_corrections", "pause", "withdraw", "resume",
        "accept_collection_list", "reject_collection_list",
    }  # fmt: skip
    OPERATIONS_SCHEMAS["pause"].model_validate({"until": "2024-02-15T00:00:00Z", "comment": "x"})
    with pytest.raises(ValidationError):
        OPERATIONS_SCHEMAS["accept_collection_list"].model_validate({"comment": "x"})
