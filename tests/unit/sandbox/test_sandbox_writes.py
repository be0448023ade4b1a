"""What becomes of invoices, payments, corrections and case actions."""

from __future__ import annotations

import asyncio
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.sandbox import wire


async def test_an_invoice_call_answers_202_with_the_documented_envelope(client: Any, invoice: Any) -> None:
    """A write answers 202 with summary, batchId and the batchUrl that is documented but does not lead anywhere."""
    answer = await client.post("/invoices", {"invoices": [invoice()]})
    assert answer.status == 202
    assert answer.json["summary"] == {"status": "SUCCESS"}
    batch_id = answer.json["data"]["batchId"]
    assert str(uuid.UUID(batch_id)) == batch_id
    assert answer.json["data"]["batchUrl"] == f"{client.sandbox.base_url}/batches/{batch_id}"
    assert (await client.request("GET", answer.json["data"]["batchUrl"])).status == 404


async def test_a_batch_shows_the_documented_fields(client: Any, invoice: Any) -> None:
    """A finished batch has the documented fields, and its success entry no unique source id."""
    batch = await client.create(invoice())
    assert list(batch) == [
        "batchId", "type", "status", "createdAt", "finishedAt", "organizationId", "createdBy", "succeeded", "failed",
    ]  # fmt: skip
    assert (batch["type"], batch["status"], batch["failed"]) == ("INVOICE", "SUCCESS", [])
    (entry,) = batch["succeeded"]
    assert list(entry) == ["invoiceId", "invoiceNumber", "caseNumber"]
    assert entry["invoiceNumber"] == "F-1"
    assert isinstance(entry["caseNumber"], str)


async def test_a_duplicate_unique_id_fails_its_row_and_names_the_existing_invoice(client: Any, invoice: Any) -> None:
    """A unique id that is taken fails its own row only; the message names the existing claim."""
    first = (await client.create(invoice("F-1")))["succeeded"][0]
    batch = await client.create(invoice("F-2", uniqueSourceInvoiceId="erp-F-1"), invoice("F-3"))
    assert batch["status"] == "PARTIAL"
    (failed,) = batch["failed"]
    assert (failed["index"], failed["invoiceNumber"]) == (0, "F-2")
    assert first["invoiceId"] in failed["message"]
    assert "F-1" in failed["message"]
    assert first["caseNumber"] in failed["message"]
    assert [entry["invoiceNumber"] for entry in batch["succeeded"]] == ["F-3"]
    assert client.sandbox.state.doubled() == []


async def test_unique_ids_belong_to_one_organization(client: Any, invoice: Any) -> None:
    """The same unique id in another organization is another invoice."""
    await client.create(invoice())
    client.org = str(uuid.uuid4())
    assert (await client.create(invoice()))["status"] == "SUCCESS"


async def test_a_batch_of_refused_rows_only_is_failed(client: Any, invoice: Any) -> None:
    """A batch without any success is FAILED."""
    await client.create(invoice())
    assert (await client.create(invoice()))["status"] == "FAILED"


async def test_duplicates_can_answer_409_to_the_call(start: Any, invoice: Any) -> None:
    """With duplicates = "call" a taken unique id refuses the whole call, also within one call, and keeps nothing."""
    client = await start({"behaviour": {"duplicates": "call"}})
    await client.create(invoice("F-1"))
    answer = await client.post("/invoices", {"invoices": [invoice("F-2"), invoice("F-1")]})
    assert answer.status == 409
    assert [(error["index"], error["field"]) for error in answer.errors] == [(1, "uniqueSourceInvoiceId")]
    answer = await client.post("/invoices", {"invoices": [invoice("F-3"), invoice("F-3")]})
    assert answer.status == 409
    assert "twice" in answer.errors[0]["message"]
    assert (await client.create(invoice("F-2"), invoice("F-3")))["status"] == "SUCCESS"
    correction = {"corrections": [{"invoiceId": str(uuid.uuid4()), "amount": 1}]}
    assert (await client.post("/corrections", correction)).status == 202


async def test_duplicates_can_be_let_through_so_that_tests_notice_them(start: Any, invoice: Any) -> None:
    """With duplicates = "accept" nothing is held back, and every doubled id is listed."""
    client = await start({"behaviour": {"duplicates": "accept"}})
    await client.create(invoice("F-1"), invoice("F-2"))
    await client.create(invoice("F-1"))
    (doubled,) = (await client.admin("GET", "/state")).json["doubled"]
    assert (doubled["kind"], doubled["id"], doubled["times"]) == ("invoices", "erp-F-1", 2)


async def test_payments_and_corrections_lower_what_remains_to_the_last_digit(client: Any, invoice: Any) -> None:
    """Amounts are added up exactly and shown with their digits."""
    body = '{"invoices":[{"invoiceNumber":"BIG","originalInvoiceAmount":9007199254740993.010}]}'
    batch = await client.batch(await client.post_raw("/invoices", body))
    invoice_id = batch["succeeded"][0]["invoiceId"]
    paid = '{"payments":[{"invoiceId":"ID","amount":0.01,"uniqueSourcePaymentId":"p1"}]}'
    paid = paid.replace('"ID"', f'"{invoice_id.upper()}"')
    entry = (await client.batch(await client.post_raw("/payments", paid)))["succeeded"][0]
    assert entry == {"index": 0, "invoiceId": invoice_id.upper(), "uniqueSourcePaymentId": "p1"}
    credited = '{"corrections":[{"invoiceId":"ID","amount":1}]}'.replace('"ID"', f'"{invoice_id}"')
    assert (await client.batch(await client.post_raw("/corrections", credited)))["type"] == "CORRECTION"
    shown = await client.get(f"/invoices/{invoice_id}")
    assert '"originalInvoiceAmount":9007199254740993.010' in shown.text
    assert '"remainingAmount":9007199254740992.000' in shown.text
    (case,) = (await client.get("/cases")).json["data"]
    assert case["invoices"][0]["paidAmount"] == Decimal("0.01")
    assert case["invoices"][0]["creditedAmount"] == 1


async def test_amounts_are_never_rounded(client: Any) -> None:
    """Sums keep all their digits, however far apart they are."""
    body = '{"invoices":[{"invoiceNumber":"BIG","originalInvoiceAmount":1E+50}]}'
    invoice_id = (await client.batch(await client.post_raw("/invoices", body)))["succeeded"][0]["invoiceId"]
    for path in ("payments", "payments", "corrections", "corrections"):
        await client.post_raw(f"/{path}", f'{{"{path}":[{{"invoiceId":"{invoice_id}","amount":1E-50}}]}}')
    expected = "9" * 50 + "." + "9" * 49 + "6"
    assert f'"remainingAmount":{expected}}}' in (await client.get(f"/invoices/{invoice_id}")).text


async def test_a_correction_of_the_rest_closes_the_case(client: Any, invoice: Any) -> None:
    """A claim credited in full is paid; a closed case keeps its closing time."""
    invoice_id = (await client.create(invoice()))["succeeded"][0]["invoiceId"]
    await client.post("/corrections", {"corrections": [{"invoiceId": invoice_id, "amount": 1250}]})
    assert (await client.get(f"/invoices/{invoice_id}")).json["data"]["status"] == "PAID"
    (case,) = (await client.get("/cases")).json["data"]
    assert case["status"] == "CLOSED"


async def test_like_actions_on_two_cases_are_no_repetition(client: Any, invoice: Any) -> None:
    """Pausing two cases is not pausing one twice."""
    await client.create(invoice("F-1"), invoice("F-2"))
    cases = (await client.get("/cases")).json["data"]
    for case in cases:
        await client.post(f"/cases/{case['caseId']}/pause", {})
    assert (await client.admin("GET", "/state")).json["repeated"] == {}
    await client.post(f"/cases/{cases[0]['caseId']}/pause", {})
    assert (await client.admin("GET", "/state")).json["repeated"] == {"pause": 1}


async def test_organizations_compare_without_letter_case(client: Any, invoice: Any) -> None:
    """An organization's UUID means the same in capitals."""
    await client.create(invoice())
    client.org = client.org.upper()
    assert (await client.create(invoice()))["status"] == "FAILED"


async def test_a_payment_for_an_unknown_invoice_fails_its_row(client: Any) -> None:
    """Payments and corrections of an unknown invoiceId end in failed[]."""
    row = {"invoiceId": str(uuid.uuid4()), "amount": 5}
    for path in ("payments", "corrections"):
        batch = await client.batch(await client.post(f"/{path}", {path: [row]}))
        assert batch["failed"][0]["invoiceId"] == row["invoiceId"]
        assert "no invoice" in batch["failed"][0]["message"]


async def test_a_payment_sent_twice_is_booked_once(client: Any, invoice: Any) -> None:
    """A uniqueSourcePaymentId that was booked before fails its row and changes no amount."""
    invoice_id = (await client.create(invoice()))["succeeded"][0]["invoiceId"]
    body = {"payments": [{"invoiceId": invoice_id, "amount": 100, "uniqueSourcePaymentId": "p-1"}]}
    assert (await client.batch(await client.post("/payments", body)))["status"] == "SUCCESS"
    assert (await client.batch(await client.post("/payments", body)))["status"] == "FAILED"
    assert (await client.get(f"/invoices/{invoice_id}")).json["data"]["remainingAmount"] == 1150
    state = (await client.admin("GET", "/state")).json
    assert state["doubled"] == []
    assert state["resent"] == ["p-1"]


async def test_a_claim_paid_in_full_closes_its_case(client: Any, invoice: Any) -> None:
    """A payment of the rest closes the case; actions on it are refused from then on."""
    invoice_id = (await client.create(invoice()))["succeeded"][0]["invoiceId"]
    await client.post("/payments", {"payments": [{"invoiceId": invoice_id, "amount": 1250}]})
    (case,) = (await client.get("/cases", Status="CLOSED")).json["data"]
    assert case["closedAt"]
    batch = await client.batch(await client.post(f"/cases/{case['caseId']}/pause", {}))
    assert "CLOSED" in batch["failed"][0]["message"]


async def create_case(client: Any, row: dict[str, Any]) -> str:
    await client.create(row)
    case_id: str = (await client.get("/cases")).json["data"][0]["caseId"]
    return case_id


@pytest.mark.parametrize(
    ("actions", "last_status", "case_status", "sub_status"),
    [
        ("pause", "SUCCESS", "PAUSED", "DEBT_COLLECTION_LIST_MANUAL"),
        ("pause pause", "SUCCESS", "PAUSED", "DEBT_COLLECTION_LIST_MANUAL"),
        ("pause resume", "SUCCESS", "OPEN", "DEBT_COLLECTION_LIST_MANUAL"),
        ("resume", "FAILED", "OPEN", "DEBT_COLLECTION_LIST_MANUAL"),
        ("withdraw", "SUCCESS", "WITHDRAWN", "DEBT_COLLECTION_LIST_MANUAL"),
        ("withdraw withdraw", "FAILED", "WITHDRAWN", "DEBT_COLLECTION_LIST_MANUAL"),
        ("withdraw pause", "FAILED", "WITHDRAWN", "DEBT_COLLECTION_LIST_MANUAL"),
        ("collection-list/accept", "SUCCESS", "OPEN", "DEBT_COLLECTION"),
        ("collection-list/accept pause", "FAILED", "OPEN", "DEBT_COLLECTION"),
        ("collection-list/accept withdraw", "SUCCESS", "WITHDRAWN", "DEBT_COLLECTION"),
        ("collection-list/reject", "SUCCESS", "OPEN", "DEBT_COLLECTION_LIST_REJECTED"),
        ("collection-list/reject collection-list/accept", "FAILED", "OPEN", "DEBT_COLLECTION_LIST_REJECTED"),
    ],
)
async def test_case_actions_follow_the_rules_of_a_case(
    client: Any, invoice: Any, actions: Any, last_status: Any, case_status: Any, sub_status: Any
) -> None:
    """An action the case's state does not allow fails its row and leaves the case as it is."""
    case_id = await create_case(client, invoice())
    for action in actions.split():
        batch = await client.batch(await client.post(f"/cases/{case_id}/{action}", {}))
    assert batch["status"] == last_status
    (case,) = (await client.get("/cases")).json["data"]
    assert (case["status"], case["subStatus"]) == (case_status, sub_status)
    assert (case["closedAt"] is not None) == (case_status == "WITHDRAWN")


async def test_a_case_action_needs_no_body_and_a_known_case(client: Any, invoice: Any) -> None:
    """A case action without body is one with an empty object; an unknown case is 404."""
    case_id = await create_case(client, invoice())
    assert (await client.call("POST", f"/cases/{case_id}/pause")).status == 202
    assert (await client.call("POST", f"/cases/{uuid.uuid4()}/pause")).status == 404
    pause = {"until": "2026-12-01T00:00:00Z", "comment": "agreed by phone"}
    assert (await client.post(f"/cases/{case_id}/pause", pause)).status == 202


async def test_case_actions_can_answer_204(start: Any, invoice: Any) -> None:
    """With case_actions = "no-content" an action answers 204 and opens no batch; one not allowed answers 422."""
    client = await start({"behaviour": {"case_actions": "no-content"}})
    case_id = await create_case(client, invoice())
    for _ in range(2):
        answer = await client.call("POST", f"/cases/{case_id}/pause", key="k-1")
        assert (answer.status, answer.text) == (204, "")
    assert (await client.post(f"/cases/{case_id}/collection-list/accept", {})).status == 422
    assert len((await client.get("/batches")).json["data"]) == 1
    assert (await client.admin("GET", "/state")).json["organizations"][client.org]["accepted"]["pause"] == 1


async def test_the_same_key_and_body_answer_with_the_same_batch(client: Any, invoice: Any) -> None:
    """A repeated key with the same content, however it is spelt, opens no second batch."""
    first = await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")
    reversed_row = dict(reversed(invoice().items()))
    again = await client.post("/invoices", {"invoices": [reversed_row]}, key="k-1")
    assert again.json == first.json
    state = (await client.admin("GET", "/state")).json
    assert state["organizations"][client.org]["acceptedIds"]["uniqueSourceInvoiceId"] == {"erp-F-1": 1}
    assert state["resent"] == []
    assert [exchange.replayed for exchange in client.sandbox.requests.newest()[1:3]] == [False, True]


async def test_the_same_key_with_another_request_is_409(client: Any, invoice: Any) -> None:
    """A key belongs to one body and one path; it says nothing in another organization."""
    await client.post("/invoices", {"invoices": [invoice("F-1")]}, key="k-1")
    assert (await client.post("/invoices", {"invoices": [invoice("F-2")]}, key="k-1")).status == 409
    payment = {"payments": [{"invoiceId": str(uuid.uuid4()), "amount": 1}]}
    assert (await client.post("/payments", payment, key="k-1")).status == 409
    (case,) = (await client.get("/cases")).json["data"]
    assert (await client.post(f"/cases/{case['caseId']}/pause", {}, key="k-2")).status == 202
    assert (await client.post(f"/cases/{case['caseId']}/resume", {}, key="k-2")).status == 409
    client.org = str(uuid.uuid4())
    assert (await client.post("/invoices", {"invoices": [invoice("F-2")]}, key="k-1")).status == 202


async def test_keys_can_mean_nothing(start: Any, invoice: Any) -> None:
    """With idempotency = "ignore" a key neither replays nor finds a batch, and corrections double."""
    client = await start({"behaviour": {"idempotency": "ignore"}})
    invoice_id = (await client.create(invoice()))["succeeded"][0]["invoiceId"]
    body = {"corrections": [{"invoiceId": invoice_id, "amount": 1}]}
    ids = {(await client.post("/corrections", body, key="k")).json["data"]["batchId"] for _ in range(2)}
    assert len(ids) == 2
    assert (await client.get("/batches", IdempotencyKey="k")).json["data"] == []
    assert (await client.admin("GET", "/state")).json["repeated"] == {"corrections": 1}
    client.sandbox.play({})
    assert (await client.post("/corrections", body, key="k")).json["data"]["batchId"] not in ids


async def test_the_idempotency_header_has_a_configurable_name(start: Any, invoice: Any) -> None:
    """Only the configured header counts."""
    client = await start(idempotency_header="X-Request-Key")
    client.headers = {"X-Request-Key": "k-1"}
    first = await client.post("/invoices", {"invoices": [invoice()]}, key="other")
    again = await client.post("/invoices", {"invoices": [invoice()]}, key="another")
    assert first.json == again.json


async def test_a_refused_call_does_not_use_up_its_key(client: Any, invoice: Any) -> None:
    """A key whose call was refused may be used for the corrected call."""
    assert (await client.post("/invoices", {"invoices": []}, key="k")).status == 422
    assert (await client.post("/invoices", {"invoices": [invoice()]}, key="k")).status == 202


async def test_many_writers_at_once_lose_and_double_nothing(client: Any, invoice: Any) -> None:
    """Concurrent calls, each sent twice with one key, leave every unique id accepted once."""
    calls = [
        client.post("/invoices", {"invoices": [invoice(f"F-{number}")]}, key=f"k-{number}")
        for number in range(50)
        for _ in range(2)
    ]
    await client.get("/batches")
    answers = await asyncio.gather(*calls)
    assert {answer.status for answer in answers} == {202}
    state = (await client.admin("GET", "/state")).json["organizations"][client.org]
    assert state["acceptedIds"]["uniqueSourceInvoiceId"] == {f"erp-F-{number}": 1 for number in range(50)}


async def test_a_call_of_500_rows_is_taken_in_one(client: Any, invoice: Any) -> None:
    """Large calls are accepted whole, and every row has a result."""
    batch = await client.create(*(invoice(f"F-{number}") for number in range(500)))
    assert [entry["invoiceNumber"] for entry in batch["succeeded"]] == [f"F-{number}" for number in range(500)]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
@settings(max_examples=200)
def test_numbers_come_back_with_their_digits(amount: Any) -> None:
    """Any decimal survives the way in and out, digit for digit."""
    text = str(amount)
    assert wire.encode(wire.decode(text.encode())).decode() == text or "E" in text
    assert Decimal(wire.encode(wire.decode(text.encode())).decode()) == amount
