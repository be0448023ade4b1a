"""Settlements: how they come about, and how they are read."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

DOCUMENTED = ["caseNumber", "collectionType", "currency", "customerReference", "exchangeRate"]


async def pay(client: Any, invoice: Any, number: str = "F-1", amount: Any = 500) -> dict[str, Any]:
    """Create a claim and pay on it; return the entry of the claim."""
    entry: dict[str, Any] = (await client.create(invoice(number)))["succeeded"][0]
    await client.post("/payments", {"payments": [{"invoiceId": entry["invoiceId"], "amount": amount}]})
    return entry


async def listed(client: Any, **params: str) -> list[Any]:
    found: list[Any] = (await client.get("/settlements", **params)).json["data"]
    return found


async def test_a_payment_is_settled(client: Any, invoice: Any) -> None:
    """Each payment makes a settlement: the documented fields first, in the page's order; caseNumber is a string."""
    claim = await pay(client, invoice)
    (settlement,) = await listed(client)
    assert list(settlement)[:5] == DOCUMENTED
    assert settlement["caseNumber"] == claim["caseNumber"]
    assert (settlement["collectionType"], settlement["currency"], settlement["exchangeRate"]) == ("REMINDER", "NOK", 1)
    assert (settlement["customerReference"], settlement["amount"]) == ("C-1", 500)
    assert (settlement["invoiceId"], settlement["invoiceNumber"]) == (claim["invoiceId"], "F-1")
    assert settlement["organizationId"] == client.org
    assert (await client.admin("GET", "/state")).json["organizations"][client.org]["settlements"] == 1


async def test_the_payment_says_in_which_currency(client: Any, invoice: Any) -> None:
    """A payment's own currency is the settlement's; a claim without debtors has no customer."""
    entry = (await client.create(invoice(debtors=None)))["succeeded"][0]
    await client.post("/payments", {"payments": [{"invoiceId": entry["invoiceId"], "amount": 1, "currency": "SEK"}]})
    (settlement,) = await listed(client)
    assert (settlement["currency"], settlement["customerReference"]) == ("SEK", None)


async def test_payments_need_not_be_settled(start: Any, invoice: Any) -> None:
    """With settle_payments = false, and for corrections and refused payments, there is none."""
    client = await start({"behaviour": {"settle_payments": False}})
    claim = await pay(client, invoice)
    client.sandbox.play({})
    await client.post("/corrections", {"corrections": [{"invoiceId": claim["invoiceId"], "amount": 1}]})
    await client.post("/payments", {"payments": [{"invoiceId": str(uuid.uuid4()), "amount": 1}]})
    assert await listed(client) == []


async def test_a_settlement_shows_when_the_payment_has_finished(start: Any, invoice: Any, fake_time: Any) -> None:
    """Neither list nor id show it before; lists may lag behind as ever."""

    async def never(_seconds: float) -> None:
        await asyncio.Event().wait()

    client = await start(clock=fake_time, sleep=never)
    claim = (await client.create(invoice()))["succeeded"][0]
    client.sandbox.play({"behaviour": {"finish_after_seconds": 5, "lists_lag_seconds": 8}})
    await client.post("/payments", {"payments": [{"invoiceId": claim["invoiceId"], "amount": 1}]})
    (hidden,) = client.sandbox.state.account(client.org).settlements
    assert (await client.get(f"/settlements/{hidden.id}")).status == 404
    assert await listed(client) == []
    fake_time.seconds += 5
    assert (await client.get(f"/settlements/{hidden.id.upper()}")).json["data"]["settlementDate"] == "2023-11-14"
    assert await listed(client) == []
    fake_time.seconds += 3
    assert [settlement["settlementId"] for settlement in await listed(client)] == [hidden.id]


async def test_an_unknown_settlement_is_404(client: Any) -> None:
    """As any other id nobody knows."""
    assert (await client.get(f"/settlements/{uuid.uuid4()}")).status == 404


async def test_settlements_are_filtered_by_date(client: Any) -> None:
    """fromDate and toDate are inclusive; the order is that of arrival, not of the dates."""
    days = ["2025-03-09", "2025-03-07", "2025-03-08", "2025-03-09"]
    client.sandbox.plant_settlements(client.org, *({"settlementDate": day} for day in days))

    async def found(**params: str) -> list[str]:
        return [settlement["settlementDate"] for settlement in await listed(client, **params)]

    assert await found() == days
    assert await found(fromDate="2025-03-08") == ["2025-03-09", "2025-03-08", "2025-03-09"]
    assert await found(toDate="2025-03-08") == ["2025-03-07", "2025-03-08"]
    assert await found(fromDate="2025-03-08", toDate="2025-03-08") == ["2025-03-08"]
    assert await found(fromDate="2025-04-01") == []


async def test_settlements_come_page_by_page(client: Any) -> None:
    """pageSize and pageToken in camel case, and a late one shifts nothing."""
    days = [f"2025-03-0{day}" for day in range(1, 6)]
    client.sandbox.plant_settlements(client.org, *({"settlementDate": day} for day in days))
    page = (await client.get("/settlements", pageSize="2")).json
    client.sandbox.plant_settlements(client.org, {"settlementDate": "2025-01-01"})
    shown = page["data"]
    while token := page["summary"]["nextPageToken"]:
        page = (await client.get("/settlements", pageSize="2", pageToken=token)).json
        shown += page["data"]
    assert [settlement["settlementDate"] for settlement in shown] == [*days, "2025-01-01"]


@pytest.mark.parametrize(
    "params",
    [{"fromDate": "yesterday"}, {"toDate": "2025-02-30"}, {"pageSize": "0"}, {"pageToken": "x"}, {"Type": "X"}],
)
async def test_a_query_that_cannot_be_read_is_refused(client: Any, params: dict[str, str]) -> None:
    """400, naming the parameter as the page spells it."""
    answer = await client.get("/settlements", **params)
    assert (answer.status, answer.errors[0]["field"]) == (400, next(iter(params)))
