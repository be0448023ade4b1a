"""What a write may carry."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from bridge.sandbox.strict import find_violations


@pytest.mark.parametrize(
    ("change", "index", "field"),
    [
        ({"shoeSize": 43}, 1, "shoeSize"),
        ({"debtors": [{"firstName": "Kari"}]}, 1, "debtors[0].firstName"),
        ({"debtors": [{"addresses": [{"zipcode": "0150"}]}]}, 1, "debtors[0].addresses[0].zipcode"),
    ],
)
async def test_an_unknown_field_refuses_the_whole_call_and_names_its_path(
    client: Any, invoice: Any, change: Any, index: Any, field: Any
) -> None:
    """An unknown field anywhere answers 400, and no row of the call is kept."""
    answer = await client.post("/invoices", {"invoices": [invoice("F-1"), invoice("F-2", **change)]})
    assert answer.status == 400
    (error,) = answer.errors
    assert (error["index"], error["field"], error["message"]) == (index, field, "unknown field")
    assert error["path"] == f"invoices[1].{field}"
    assert (await client.get("/invoices")).json["data"] == []


async def test_an_unknown_field_at_the_top_is_named_too(client: Any, invoice: Any) -> None:
    """A field beside the array answers 400 without an index."""
    answer = await client.post("/invoices", {"invoices": [invoice()], "dryRun": True})
    assert answer.status == 400
    assert answer.errors == [{"field": "dryRun", "message": "unknown field"}]


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"invoiceNumber": None}, "invoiceNumber", "is required"),
        ({"invoiceNumber": ""}, "invoiceNumber", "must not be empty"),
        ({"originalInvoiceAmount": "1250.00"}, "originalInvoiceAmount", "must be a number"),
        ({"originalInvoiceAmount": True}, "originalInvoiceAmount", "must be a number"),
        ({"originalInvoiceAmount": 10**70}, "originalInvoiceAmount", "must be a number of at most 60 digits"),
        ({"vat": "true"}, "vat", "must be true or false"),
        ({"currency": 578}, "currency", "must be a string"),
        ({"dueDate": "2024-02-15"}, "dueDate", "must be an RFC 3339 date-time such as 2024-02-15T00:00:00Z"),
        ({"dueDate": "2024-02-15T00:00:00"}, "dueDate", "must be an RFC 3339 date-time such as 2024-02-15T00:00:00Z"),
        ({"dueDate": "2024-02-30T00:00:00Z"}, "dueDate", "must be an RFC 3339 date-time such as 2024-02-15T00:00:00Z"),
        ({"debtors": {}}, "debtors", "must be an array"),
        ({"debtors": ["Kari"]}, "debtors[0]", "must be an object"),
        ({"debtors": [{"dateOfBirth": "31.12.1980"}]}, "debtors[0].dateOfBirth", "must be a date such as 1980-12-31"),
    ],
)
async def test_a_wrong_value_answers_422_and_says_where(
    client: Any, invoice: Any, change: Any, field: Any, message: Any
) -> None:
    """A wrong or missing value answers 422 with the row's index, the field, and what was expected."""
    answer = await client.post("/invoices", {"invoices": [invoice("F-1"), invoice("F-2", **change)]})
    assert answer.status == 422
    assert answer.json["summary"] == {"status": "ERROR"}
    (error,) = answer.errors
    assert (error["index"], error["field"], error["message"]) == (1, field, message)


@pytest.mark.parametrize("path", ["invoices", "payments", "corrections"])
async def test_an_empty_or_missing_array_is_refused(client: Any, path: Any) -> None:
    """A call without rows answers 422."""
    bodies: list[dict[str, Any]] = [{path: []}, {}, {path: None}, {path: {}}]
    for body in bodies:
        answer = await client.post(f"/{path}", body)
        assert (answer.status, answer.errors[0]["field"]) == (422, path)


@pytest.mark.parametrize("invoice_id", ["F-1", "", "4f163819178d470ca246d6768476a6ec", "urn:uuid:x"])
async def test_an_invoice_id_must_be_a_uuid(client: Any, invoice_id: Any) -> None:
    """Payments name their invoice by UUID and by nothing else."""
    answer = await client.post("/payments", {"payments": [{"invoiceId": invoice_id, "amount": 1}]})
    assert answer.status == 422
    assert answer.errors[0]["message"] == "must be a UUID"


async def test_every_faulty_row_is_named(client: Any, invoice: Any) -> None:
    """All faults of a call are told at once."""
    rows = [invoice("F-1", dueDate="soon"), invoice("F-2"), invoice("F-3", originalInvoiceAmount="x", vat=1)]
    answer = await client.post("/invoices", {"invoices": rows})
    assert [(error["index"], error["field"]) for error in answer.errors] == [
        (0, "dueDate"), (2, "vat"), (2, "originalInvoiceAmount"),
    ]  # fmt: skip


async def test_an_error_body_can_say_nothing(start: Any, invoice: Any) -> None:
    """With error_body = "silent" a 4xx has its status, and no word about rows and fields."""
    client = await start({"behaviour": {"error_body": "silent"}})
    answer = await client.post("/invoices", {"invoices": [invoice(dueDate="soon")]})
    assert (answer.status, answer.errors) == (422, [{"message": "the request is not valid"}])


@pytest.mark.parametrize("body", ["", "{", "null", "[]", '"text"', "\ufeff{}", '{"invoices":[1e99999999999999999999]}'])
async def test_a_body_that_is_no_json_object_is_400(client: Any, body: Any) -> None:
    """Whatever is not one JSON object answers 400."""
    assert (await client.post_raw("/invoices", body)).status == 400


@pytest.mark.parametrize("amount", ["1E+61", "1E-61", "0." + "1" * 61])
async def test_an_amount_no_sum_could_hold_is_refused(client: Any, amount: str) -> None:
    """Amounts have at most 60 digits, before and after the point."""
    body = f'{{"invoices":[{{"invoiceNumber":"F-1","originalInvoiceAmount":{amount}}}]}}'
    answer = await client.post_raw("/invoices", body)
    assert (answer.status, answer.errors[0]["message"]) == (422, "must be a number of at most 60 digits")


@pytest.mark.parametrize("row", ["null", "1", "[]", '"x"'])
async def test_a_row_that_is_no_object_is_refused(client: Any, row: Any) -> None:
    """A row must be an object."""
    answer = await client.post_raw("/invoices", f'{{"invoices":[{row}]}}')
    assert (answer.status, answer.errors[0]["message"]) == (422, "must be an object")


async def test_a_body_must_be_declared_as_json(client: Any) -> None:
    """Another content type answers 415."""
    assert (await client.post_raw("/invoices", "{}", "text/plain")).status == 415


async def test_case_action_bodies_are_checked_too(client: Any) -> None:
    """Case actions allow their own fields only."""
    url = f"/cases/{uuid.uuid4()}"
    assert (await client.post(f"{url}/pause", {"until": "tomorrow"})).status == 422
    assert (await client.post(f"{url}/withdraw", {"until": "2026-01-01T00:00:00Z"})).status == 400
    assert (await client.post(f"{url}/collection-list/accept", {"comment": "x"})).status == 400


def test_the_documented_samples_pass() -> None:
    """Each documented request sample is without violation."""
    moment = "2019-08-24T14:15:22.123Z"
    invoice = {
        "type": "PAYMENT_REMINDER", "invoiceNumber": "string", "vat": True, "fees": True, "originalInvoiceAmount": 0,
        "currency": "string", "invoiceDate": moment, "dueDate": moment, "collectionNoticeDate": moment,
        "ocrReferenceNumber": "string", "uniqueSourceInvoiceId": "string", "description": "string",
        "debtors": [{
            "type": "PRIVATE", "firstname": "string", "lastname": "string", "name": "string",
            "customerNumber": "string", "identificationNumber": "string", "organizationNumber": "string",
            "dateOfBirth": "2019-08-24", "emails": [{"value": "string"}],
            "phoneNumbers": [{"countryCode": "string", "originalValue": "string", "value": "string"}],
            "addresses": [{"street": "string", "city": "string", "zipCode": "string", "countryCode": "string"}],
        }],
        "claims": [{"type": "PRINCIPAL", "remainingAmount": Decimal("0.5"), "description": "string"}],
    }  # fmt: skip
    correction = {
        "invoiceId": "4f163819-178d-470c-a246-d6768476a6ec",
        "amount": 0,
        "currency": "string",
        "date": moment,
        "description": "string",
    }
    payment = correction | {"type": "DIRECT_PAYMENT", "uniqueSourcePaymentId": "string"}
    assert find_violations("invoices", {"invoices": [invoice]}) == []
    assert find_violations("payments", {"payments": [payment]}) == []
    assert find_violations("corrections", {"corrections": [correction]}) == []
