"""GET /webapi/api/Batch, from the modern system's lists to what a connector reads; and an earlier batch's state."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.sandbox import Running, SandboxOptions, running

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
Invoice = Callable[..., dict[str, Any]]
NOT_KEPT = "[reading]\ncache_seconds = 0"
NEVER = {"behaviour": {"finish_after_seconds": 86_000}}


async def figure(world: Any, name: str, *labels: str) -> float:
    """Return one figure of /metrics."""
    async with world.session.get(world.url + "/metrics") as response:
        lines = (await response.text()).splitlines()
    found = [line for line in lines if line.startswith(name + "{") and all(label in line for label in labels)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


# --- the round trip ------------------------------------------------------------------------------------------------


async def test_what_was_posted_can_be_read_back(world: Any, invoice: Invoice) -> None:
    """Every field of the shape, the ERP's own references, amounts digit for digit."""
    row = invoice("77", originalInvoiceAmount=1250.5, debtors=[{"type": "PRIVATE", "customerNumber": "C-1"}])
    row["claims"] = [{"type": "PRINCIPAL", "remainingAmount": "9007199254740993.01"}]
    row["originalInvoiceAmount"] = "9007199254740993.01"
    assert (await world.post({"invoice": [row]})).code == 0

    answer = await world.get("senderid=ERP-1")

    assert answer.status == 200
    assert (answer.body["batchid"], answer.body["offline"]) == (None, False)
    (case,) = answer.body["case"]
    assert (case["ledgerref"], case["referencenumber"], case["customerref"]) == ("erp-77", "77", "C-1")
    assert case["originalsum"] == Decimal("9007199254740993.01")
    assert case["casenumber"]
    (creditor,) = answer.body["creditor"]
    assert (creditor["idnumber"], creditor["lastsettlementid"]) == ("984842252", None)
    profile = world.bridge.readback._readings["autocollect"]
    assert tuple(case) == profile.case.fields
    assert tuple(creditor) == profile.creditor.fields


async def test_a_payment_is_settled_and_read_once(world: Any, invoice: Invoice) -> None:
    """A connector that keeps the highest id and asks again gets each settlement once."""
    world.sandbox.play({"behaviour": {"settle_payments": True}})
    payment = {"ledgerref": "erp-1", "amount": 5, "currency": "NOK", "uniqueSourcePaymentId": "p-1"}
    await world.post({"invoice": [invoice("1")], "payment": [payment]})

    first = (await world.get()).body
    (settlement,) = first["settlement"]
    mark = first["creditor"][0]["lastsettlementid"]
    assert settlement["settlementId"] == mark == "000000000001"
    assert (await world.get(f"lastsettlementid={mark}")).body["settlement"] == []
    world.sandbox.plant_settlements(ORG_A, {"invoiceNumber": "1", "settlementDate": "2020-01-01"})
    world.bridge.readback.forget(ORG_A)
    (late,) = (await world.get(f"lastsettlementid={mark}")).body["settlement"]
    assert (late["settlementId"], late["settlementDate"]) == ("000000000002", "2020-01-01")


async def test_filters_reach_through(world: Any) -> None:
    """By customer, by reference, by creditor; an unknown one of any kind is an empty list."""
    world.sandbox.plant_claims(ORG_A, 5)

    async def references(query: str) -> list[str]:
        answer = await world.get(query)
        assert answer.status == 200, answer.body
        return [case["ledgerref"] for case in answer.body["case"]]

    assert await references("customerref=C-P-2") == ["P-2"]
    assert await references("LedgerRef=P-3&ledgerref=P-4") == ["P-4"]
    assert len(await references("creditorid=984842252&customerref=&unknown=x")) == 5
    for query in ("customerref=nobody", "ledgerref=nothing", "creditorid=1", "creditorid=971274190"):
        assert await references(query) == []


async def test_a_sender_reads_only_its_own_organizations(world: Any) -> None:
    """Whatever it asks for; one of two organizations has both."""
    world.sandbox.plant_claims(ORG_A, 2, prefix="A-")
    world.sandbox.plant_claims(ORG_B, 2, prefix="B-")

    own = (await world.get()).body
    assert sorted(case["ledgerref"] for case in own["case"]) == ["A-1", "A-2"]
    assert [one["idnumber"] for one in own["creditor"]] == ["984842252"]
    for query in ("creditorid=971274190", "ledgerref=B-1", "customerref=C-B-1"):
        assert (await world.get(query)).body["case"] == []


async def test_all_pages_are_read(open_world: Any) -> None:
    """Of three lists, in a page size the operator chose."""
    async with open_world(more="[reading]\npage_size = 7") as world:
        world.sandbox.plant_claims(ORG_A, 123)
        answer = await world.get()
        assert len(answer.body["case"]) == 123
        pages = [entry for entry in world.sandbox.requests.newest() if entry.operation == "cases"]
        assert len(pages) == 18


async def test_too_many_cases_answer_413(open_world: Any) -> None:
    """And say how to ask for less."""
    async with open_world(more="[reading]\nmax_cases = 10") as world:
        world.sandbox.plant_claims(ORG_A, 11)
        answer = await world.get()
        assert answer.status == 413
        assert "customerref" in answer.errors["batch", 0]
        assert len((await world.get("customerref=C-P-3")).body["case"]) == 1


# --- refusals and bad days -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("includeclosed=maybe", "includeclosed: not true or false"),
        ("remittancedate=31.12.2024", "remittancedate: not a valid date"),
        ("lastsettlementid=unheard-of", "lastsettlementid: neither"),
        ("ledgerref=%00", "ledgerref: contains a NUL"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_name(world: Any, query: str, message: str) -> None:
    """400, in the legacy shape."""
    answer = await world.get(query)
    assert (answer.status, answer.body["statuscode"], answer.body["responses"]) == (400, 2, [])
    assert answer.errors["batch", 0].startswith(message)
    assert await figure(world, "bridge_reads_total", 'result="refused"') == 1


async def test_credentials_are_asked_for(world: Any) -> None:
    """As for a batch that is sent."""
    assert (await world.get(bearer="")).status == 401
    assert (await world.get(bearer="wrong")).status == 401
    assert (await world.get("senderid=ERP-2")).status == 403
    assert "www-authenticate" in (await world.get(bearer="")).headers


@pytest.mark.parametrize("operation", ["cases", "invoice-list", "settlements"])
async def test_a_list_that_breaks_off_is_no_answer(open_world: Any, operation: str) -> None:
    """503 with Retry-After after the second page fails for good; nothing of it is kept."""
    async with open_world(more="[reading]\npage_size = 2", request_timeout_seconds=0.5) as world:
        world.sandbox.plant_claims(ORG_A, 120)
        world.sandbox.plant_settlements(ORG_A, *({"invoiceNumber": "P-1"} for _ in range(5)))
        world.sandbox.play({"fault": [{"operation": operation, "kind": "circle", "page": 2}]})
        answer = await world.get()
        assert (answer.status, answer.headers["retry-after"], answer.body["statuscode"]) == (503, "10", 2)
        assert await figure(world, "bridge_reads_total", 'result="failed"') == 1
        world.sandbox.play({})
        assert len((await world.get()).body["case"]) == 120


async def test_refused_credentials_answer_502(open_world: Any) -> None:
    """The operator must act, the connector need not hurry."""
    options = SandboxOptions(port=0, clients={"nordlys": "another secret"})
    async with running(options) as sandbox, open_world(sandbox=sandbox) as world:
        answer = await world.get()
        assert (answer.status, "retry-after" in answer.headers) == (502, False)
        assert "operator" in answer.errors["batch", 0]


# --- cache and events ----------------------------------------------------------------------------------------------


async def test_the_same_question_again_asks_nobody(world: Any) -> None:
    """And says so in the metrics."""
    world.sandbox.plant_claims(ORG_A, 3)
    first = (await world.get()).body
    asked = len(world.sandbox.requests.newest())

    assert (await world.get()).body == first
    assert len(world.sandbox.requests.newest()) == asked
    assert await figure(world, "bridge_reading_cache_total", 'kind="cases"', 'result="hit"') == 1


async def test_a_finished_batch_makes_the_next_call_read_anew(world: Any, invoice: Invoice) -> None:
    """What was just posted is there at once."""
    assert (await world.get()).body["case"] == []
    await world.post({"invoice": [invoice("1")]})
    assert len((await world.get()).body["case"]) == 1


async def hook(world: Any, event: str, data: dict[str, Any], key: str, *, spelling: str = "type") -> int:
    """Send an event as the vendor does."""
    body = json.dumps({spelling: event, "timeStamp": "2024-03-01T10:00:00Z", "data": data}).encode()
    headers = {
        "X-Amili-Event": event,
        "IdempotencyKey": key,
        "X-Webhook-Signature": hmac.new(b"hook-secret", body, hashlib.sha256).hexdigest(),
    }
    async with world.session.post(world.url + "/hooks/amili", data=body, headers=headers) as response:
        return int(response.status)


async def test_a_case_event_is_told_in_the_history(world: Any) -> None:
    """It drops what was read, teaches the cross-reference, and stands in the history in our words."""
    (claim,) = world.sandbox.plant_claims(ORG_A, 1)
    assert (await world.get()).body["case"][0]["history"] in ([], None)
    data = {
        "orgId": ORG_A, "caseId": claim.case.id, "caseNumber": str(claim.case.number), "type": "PAYMENT_REMINDER",
        "status": "PAUSED", "invoices": [claim.id], "fields": ["status"],
    }  # fmt: skip

    assert await hook(world, "CASE_UPDATED", data, "k1", spelling="eventType") == 200

    (case,) = (await world.get()).body["case"]
    (line,) = case["history"]
    assert line["loggedat"].startswith("2024-03-01T10:00:00")
    (known,) = await world.books.find_claims(claim.id)
    assert (known.case_id, known.case_number) == (claim.case.id, str(claim.case.number))
    assert await figure(world, "bridge_webhooks_total", 'event="CASE_UPDATED"', 'result="taken"') == 1


async def test_a_new_settlement_is_read_at_once(world: Any) -> None:
    """The event drops what was kept."""
    world.sandbox.plant_claims(ORG_A, 1)
    assert (await world.get()).body["settlement"] == []
    (settlement,) = world.sandbox.plant_settlements(ORG_A, {"invoiceNumber": "P-1"})
    data = {"organizationId": ORG_A, "settlementId": settlement.id, "settlementDate": settlement.settled_on}

    assert await hook(world, "SETTLEMENT_CREATED", data, "k1") == 200

    assert len((await world.get()).body["settlement"]) == 1


async def test_events_that_mean_nothing_here_are_kept(world: Any) -> None:
    """One nobody knows, and one of an organization that is not configured: 200, and nothing else happens."""
    world.sandbox.plant_claims(ORG_A, 1)
    await world.get()
    asked = len(world.sandbox.requests.newest())
    stranger = "00000000-0000-4000-8000-000000000000"

    assert await hook(world, "SOMETHING_NEW", {"orgId": ORG_A}, "k1") == 200
    assert await hook(world, "CASE", {"orgId": stranger, "caseId": "c", "invoices": ["i"]}, "k2") == 200
    assert await hook(world, "CASE", {"orgId": stranger, "caseId": "c", "invoices": ["i"]}, "k2") == 200

    assert await figure(world, "bridge_webhooks_total", 'event="OTHER"', 'result="taken"') == 1
    assert await figure(world, "bridge_webhooks_total", 'result="duplicate"') == 1
    assert await world.books.find_claims("i") == []
    await world.get()
    assert len(world.sandbox.requests.newest()) == asked


# --- an earlier batch ----------------------------------------------------------------------------------------------


async def test_a_finished_batch_can_be_fetched(world: Any, invoice: Invoice) -> None:
    """By the ERP's batchid or the bridge's: the very reply of the POST."""
    posted = await world.post({"batchid": "b-1", "invoice": [invoice("1"), {"invoiceNumber": "x"}]})

    for name in ("b-1", posted.headers["x-bridge-batch"]):
        fetched = await world.get(f"batchid={name}")
        assert (fetched.status, fetched.body) == (200, posted.body)
        assert fetched.headers["x-bridge-batch"] == posted.headers["x-bridge-batch"]


async def test_a_pending_batch_is_told_without_waiting(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """What is known at the moment; later the final answer, without sending the rows again."""
    async with open_world() as world:
        world.sandbox.play(NEVER)
        posted = await world.post(
            {"batchid": "b-1", "offline": True, "invoice": [invoice("1"), {"invoiceNumber": "x"}]}
        )
        await wait_until(lambda: world.writes("invoices"))

        fetched = await asyncio.wait_for(world.get("batchid=b-1"), 5)
        assert (fetched.code, fetched.states) == (posted.code, posted.states)
        assert fetched.states == {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}

        world.sandbox.play({"behaviour": {"finish_after_seconds": 0}})
        for batch in world.sandbox.state.account(ORG_A).batches:
            world.sandbox.stand_in.tick(batch, at_least=1e12)
        await wait_until(lambda: len(world.bridge.workshop.works) == 0)
        assert (await world.get("batchid=b-1")).states[("invoice", 0)] == "OK"


async def test_of_batches_with_one_label_the_newest_is_fetched(world: Any, invoice: Invoice) -> None:
    """For a sender whose batchid is a label."""
    await world.post({"batchid": "daily", "invoice": [invoice("1")]}, bearer="token-label")
    newest = await world.post({"batchid": "daily", "invoice": [invoice("2")]}, bearer="token-label")

    fetched = await world.get("batchid=daily", bearer="token-label")

    assert fetched.headers["x-bridge-batch"] == newest.headers["x-bridge-batch"]


async def test_only_the_senders_own_batches_are_fetched(world: Any, invoice: Invoice) -> None:
    """404 for anything else, in the legacy shape."""
    posted = await world.post({"batchid": "b-1", "invoice": [invoice("1")]})

    for query in ("batchid=nothing", "batchid=b-1", f"batchid={posted.headers['x-bridge-batch']}"):
        bearer = "token1" if query == "batchid=nothing" else "token-label"
        answer = await world.get(query, bearer=bearer)
        assert (answer.status, answer.body["statuscode"]) == (404, 2)
        assert "batchid" in answer.errors["batch", 0]


async def test_a_batch_of_before_a_restart_is_fetched(open_world: Any, invoice: Invoice) -> None:
    """The journal remembers."""
    async with running(SandboxOptions(port=0)) as sandbox:
        sandbox_kept: Running = sandbox
        async with open_world(sandbox=sandbox_kept) as world:
            posted = await world.post({"batchid": "b-1", "invoice": [invoice("1")]})
        async with open_world(sandbox=sandbox_kept, more=NOT_KEPT) as world:
            assert (await world.get("batchid=b-1")).body == posted.body
            assert len((await world.get()).body["case"]) == 1
            assert len((await world.get()).body["case"]) == 1


async def test_other_methods_are_not_answered(world: Any) -> None:
    """Neither HEAD nor DELETE; both say so."""
    async with world.session.delete(world.url + "/webapi/api/Batch") as response:
        assert response.status == 405
        assert set(response.headers["Allow"].split(",")) == {"GET", "POST"}
    async with world.session.head(world.url + "/webapi/api/Batch") as response:
        assert response.status == 405
