"""Claims and settlements that are put into the books at once."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from bridge.sandbox.planting import PlantingFault


async def test_planted_claims_are_claims_like_all_others(client: Any) -> None:
    """They are listed with their cases, found by every name, can be paid, and are the first's successors in number."""
    answer = await client.admin("POST", "/claims", json={"organization": client.org, "count": 3, "prefix": "X"})
    assert (answer.status, answer.json["planted"]) == (201, 3)
    first, last = answer.json["first"], answer.json["last"]
    assert (first["invoiceNumber"], last["uniqueSourceInvoiceId"]) == ("X1", "X3")
    (case,) = (await client.get("/cases", UniqueSourceInvoiceId="X3")).json["data"]
    assert (case["caseId"], case["caseNumber"], case["status"]) == (last["caseId"], last["caseNumber"], "OPEN")
    assert len((await client.get("/invoices")).json["data"]) == 3
    (found,) = (await client.get("/cases", CustomerNumber="C-X2")).json["data"]
    assert found["invoices"][0]["invoiceNumber"] == "X2"
    payment = {"invoiceId": first["invoiceId"], "amount": 1250}
    assert (await client.batch(await client.post("/payments", {"payments": [payment]})))["status"] == "SUCCESS"
    assert (await client.get("/cases", CaseNumber=str(first["caseNumber"]))).json["data"][0]["status"] == "CLOSED"


async def test_planted_claims_prove_nothing_about_callers(client: Any, invoice: Any) -> None:
    """They count as held, so that their ids are taken, but as accepted from nobody; no list of batches shows them."""
    client.sandbox.plant_claims(client.org, 2)
    state = (await client.admin("GET", "/state")).json["organizations"][client.org]
    assert (state["invoices"], state["batches"], state["accepted"]["invoices"]) == (2, 0, 0)
    assert (await client.create(invoice(uniqueSourceInvoiceId="P-1")))["status"] == "FAILED"


async def test_planted_claims_go_on_counting(client: Any) -> None:
    """Planting again makes other claims, with other fields where they are given."""
    client.sandbox.plant_claims(client.org, 2)
    (claim,) = client.sandbox.plant_claims(client.org, invoice={"currency": "SEK", "debtors": []})
    assert claim.number == "P-3"
    assert (await client.get("/cases", UniqueSourceInvoiceId="P-3")).json["data"][0]["debtors"] == []
    assert (await client.get("/invoices", InvoiceNumber="P-3")).json["data"][0]["currency"] == "SEK"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "JSON"),
        (b"[]", "body"),
        (b'{"count": 1}', "organization"),
        (b'{"organization": "x"}', "organization: must be a UUID"),
        (b'{"organization": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "count": 0}', "count"),
        (b'{"organization": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "number": 1}', "number"),
        (
            b'{"organization": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "invoice": {"vat": 1}}',
            "invoice.vat: must be true",
        ),
    ],
)
async def test_claims_that_cannot_be_planted_are_refused(client: Any, body: bytes, told: str) -> None:
    """400 naming what is wrong; nothing is entered."""
    answer = await client.admin("POST", "/claims", data=body)
    assert answer.status == 400
    assert told in answer.json["error"]
    assert (await client.admin("GET", "/state")).json["organizations"].get(client.org, {}).get("invoices", 0) == 0


async def test_a_claim_is_planted_once(client: Any, invoice: Any) -> None:
    """An id that is taken is not taken twice."""
    await client.create(invoice(uniqueSourceInvoiceId="P-2"))
    with pytest.raises(PlantingFault, match="prefix"):
        client.sandbox.plant_claims(client.org)


async def test_planted_settlements_say_what_they_are_told_to(client: Any) -> None:
    """Every field may be given; the others come from the claim, where it is known, or are empty."""
    (claim,) = client.sandbox.plant_claims(client.org)
    ident = str(uuid.uuid4())
    order = [
        {"settlementId": ident, "settlementDate": "2025-03-09", "invoiceNumber": "P-1", "amount": 12.5},
        {"invoiceId": claim.id, "customerReference": "other"},
        {"settlementDate": "2024-01-01", "caseNumber": "1", "currency": "EUR", "exchangeRate": 11.25},
    ]
    answer = await client.admin("POST", "/settlements", json={"organization": client.org, "settlements": order})
    assert answer.status == 201
    first, second, third = (await client.get("/settlements")).json["data"]
    assert answer.json["settlements"] == [first, second, third]
    assert (first["settlementId"], first["settlementDate"], str(first["amount"])) == (ident, "2025-03-09", "12.5")
    assert (first["invoiceId"], first["caseNumber"], first["currency"]) == (claim.id, str(claim.case.number), "NOK")
    assert (second["invoiceNumber"], second["customerReference"], second["amount"]) == ("P-1", "other", None)
    assert (third["caseNumber"], third["invoiceId"], str(third["exchangeRate"])) == ("1", None, "11.25")
    assert (await client.get(f"/settlements/{ident}")).json["data"] == first


@pytest.mark.parametrize(
    ("settlements", "told"),
    [
        ([], "settlements"),
        ([{"settlementDate": "soon"}], "settlements.0.settlementDate"),
        ([{"amount": "1"}], "settlements.0.amount: must be a number"),
        ([{"paid": 1}], "settlements.0.paid"),
        ([{"settlementId": "5e2d9a44-1c07-4d0b-8d55-2f1f6f0f7a11"}] * 2, "given twice"),
    ],
)
async def test_settlements_that_cannot_be_planted_are_refused(client: Any, settlements: Any, told: str) -> None:
    """400 naming what is wrong; none of them is entered."""
    order = {"organization": client.org, "settlements": settlements}
    answer = await client.admin("POST", "/settlements", json=order)
    assert answer.status == 400
    assert told in answer.json["error"]
    assert (await client.get("/settlements")).json["data"] == []


async def test_an_id_of_a_settlement_is_taken_once(client: Any) -> None:
    """Neither letter case nor another call makes it another id."""
    ident = str(uuid.uuid4())
    client.sandbox.plant_settlements(client.org, {"settlementId": ident})
    with pytest.raises(PlantingFault, match=ident):
        client.sandbox.plant_settlements(client.org, {"settlementId": ident.upper()})
