"""Events beside BATCH_COMPLETED: when they are told, and how they are spelt."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

ALL = {"behaviour": {"events": ["*"]}}


def told(receiver: Any, event: str) -> list[Any]:
    """Return the bodies of this event that have arrived."""
    return [json.loads(body) for headers, body in receiver.got if headers["X-Amili-Event"] == event]


async def test_only_finished_batches_are_told_unless_the_script_says_more(
    start: Any, receiver: Any, invoice: Any
) -> None:
    """By default BATCH_COMPLETED is all there is; a script may name the events, or ask for none."""
    client = await start(webhook_url=receiver.url)
    await client.create(invoice("F-1"))
    client.sandbox.play({"behaviour": {"events": []}})
    await client.create(invoice("F-2"))
    client.sandbox.play({"behaviour": {"events": ["CASE"]}})
    await client.create(invoice("F-3"))
    await receiver.wait_for(2)
    assert sorted(headers["X-Amili-Event"] for headers, _ in receiver.got) == ["BATCH_COMPLETED", "CASE"]


async def test_nobody_is_told_without_an_address(start: Any, invoice: Any) -> None:
    """Without a webhook address nothing is written down to be told."""
    client = await start(ALL)
    await client.create(invoice())
    assert (await client.admin("GET", "/webhooks")).json["webhooks"] == []
    assert client.sandbox.state.account(client.org).batches[0].tidings == []


async def test_a_new_case_is_told(start: Any, receiver: Any, invoice: Any) -> None:
    """CASE in its own spelling: eventType, orgId, caseNumber as a string, invoices as ids; signed like all."""
    client = await start(ALL, webhook_url=receiver.url, webhook_secret="s3cret")
    entry = (await client.create(invoice()))["succeeded"][0]
    await receiver.wait_for(2)
    (event,) = told(receiver, "CASE")
    assert list(event) == ["id", "eventType", "source", "timeStamp", "data"]
    (case,) = (await client.get("/cases")).json["data"]
    assert event["data"] == {
        "orgId": client.org,
        "caseId": case["caseId"],
        "caseNumber": entry["caseNumber"],
        "type": "PAYMENT_REMINDER",
        "status": "OPEN",
        "invoices": [entry["invoiceId"]],
    }
    for headers, body in receiver.got:
        assert headers["X-Webhook-Signature"] == hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    assert len({headers["IdempotencyKey"] for headers, _ in receiver.got}) == 2


async def test_changes_of_a_case_are_told(start: Any, receiver: Any, invoice: Any) -> None:
    """CASE_UPDATED names the new status and what changed: amounts, status, or both when a payment closes the case."""
    client = await start({"behaviour": {"events": ["CASE_UPDATED"]}}, webhook_url=receiver.url)
    entry = (await client.create(invoice()))["succeeded"][0]
    (case,) = (await client.get("/cases")).json["data"]
    amount = {"invoiceId": entry["invoiceId"], "amount": 250}
    await client.post("/corrections", {"corrections": [amount]})
    await receiver.wait_for(1)
    await client.post(f"/cases/{case['caseId']}/pause", {})
    await receiver.wait_for(2)
    await client.post("/payments", {"payments": [amount | {"amount": 1000}]})
    await receiver.wait_for(3)
    changes = [event["data"] for event in told(receiver, "CASE_UPDATED")]
    assert [(change["status"], change["fields"]) for change in changes] == [
        ("OPEN", ["amounts"]),
        ("PAUSED", ["status"]),
        ("CLOSED", ["amounts", "status"]),
    ]


async def test_refused_changes_are_not_told(start: Any, receiver: Any, invoice: Any) -> None:
    """A case action that is not possible changes nothing."""
    client = await start({"behaviour": {"events": ["BATCH_COMPLETED", "CASE_UPDATED"]}}, webhook_url=receiver.url)
    await client.create(invoice())
    (case,) = (await client.get("/cases")).json["data"]
    await client.post(f"/cases/{case['caseId']}/resume", {})
    await receiver.wait_for(2)
    assert told(receiver, "CASE_UPDATED") == []


async def test_a_case_action_without_a_batch_is_told_too(start: Any, receiver: Any, invoice: Any) -> None:
    """Where actions answer 204 the change is told at once."""
    script = {"behaviour": {"events": ["CASE_UPDATED"], "case_actions": "no-content"}}
    client = await start(script, webhook_url=receiver.url)
    await client.create(invoice())
    (case,) = (await client.get("/cases")).json["data"]
    assert (await client.post(f"/cases/{case['caseId']}/pause", {})).status == 204
    await receiver.wait_for(1)
    assert told(receiver, "CASE_UPDATED")[0]["data"]["status"] == "PAUSED"


async def test_settlements_are_told(start: Any, receiver: Any, invoice: Any) -> None:
    """SETTLEMENT_CREATED in the other spelling (type, organizationId), for payments and for planted ones."""
    client = await start({"behaviour": {"events": ["SETTLEMENT_CREATED"]}}, webhook_url=receiver.url)
    entry = (await client.create(invoice()))["succeeded"][0]
    await client.post("/payments", {"payments": [{"invoiceId": entry["invoiceId"], "amount": 1}]})
    await receiver.wait_for(1)
    (event,) = told(receiver, "SETTLEMENT_CREATED")
    (settlement,) = (await client.get("/settlements")).json["data"]
    assert list(event) == ["id", "type", "source", "timeStamp", "data"]
    assert list(event["data"]) == [
        "settlementId", "organizationId", "settlementDate", "invoiceId", "invoiceNumber", "caseNumber",
    ]  # fmt: skip
    assert event["data"] == {name: settlement[name] for name in event["data"]}
    client.sandbox.plant_settlements(client.org, {"settlementDate": "2020-01-01"})
    await receiver.wait_for(2)
    assert told(receiver, "SETTLEMENT_CREATED")[1]["data"]["settlementDate"] == "2020-01-01"


async def test_nothing_is_told_before_its_batch_has_finished(start: Any, receiver: Any, invoice: Any) -> None:
    """A case whose batch is queued is not told of; faults of webhooks hold for all events of the batch."""
    script = {
        "behaviour": {"events": ["CASE"], "finish_after_polls": 1},
        "fault": [{"kind": "webhook", "operation": "invoices", "copies": 2}],
    }
    client = await start(script, webhook_url=receiver.url)
    accepted = await client.post("/invoices", {"invoices": [invoice()]})
    await client.batch(accepted)
    assert receiver.got == []
    await client.batch(accepted)
    await receiver.wait_for(2)
    assert len({body for _, body in receiver.got}) == 1


@pytest.mark.parametrize("event", ["CASE", "CASE_UPDATED"])
async def test_case_events_can_be_as_broken_as_on_the_page(start: Any, receiver: Any, invoice: Any, event: str) -> None:
    """With case_event_comma = false the comma after caseNumber is missing, and nothing else."""
    script = {"behaviour": {"events": [event, "SETTLEMENT_CREATED"], "case_event_comma": False}}
    client = await start(script, webhook_url=receiver.url)
    entry = (await client.create(invoice()))["succeeded"][0]
    await client.post("/payments", {"payments": [{"invoiceId": entry["invoiceId"], "amount": 1}]})
    await receiver.wait_for(2)
    (broken,) = (body for headers, body in receiver.got if headers["X-Amili-Event"] == event)
    with pytest.raises(json.JSONDecodeError):
        json.loads(broken)
    number = f'"caseNumber": "{entry["caseNumber"]}"'.encode()
    assert json.loads(broken.replace(number, number + b","))["data"]["caseNumber"] == entry["caseNumber"]
    assert told(receiver, "SETTLEMENT_CREATED")


async def test_deliveries_name_their_event(start: Any, receiver: Any, invoice: Any) -> None:
    """GET /sandbox/webhooks tells which event each was, and of which batch where it was about one."""
    client = await start(ALL, webhook_url=receiver.url)
    batch = await client.create(invoice())
    shown: list[Any] = []
    while len(shown) < 2:
        shown = (await client.admin("GET", "/webhooks")).json["webhooks"]
    assert {(one["event"], one["batchId"]) for one in shown} == {("BATCH_COMPLETED", batch["batchId"]), ("CASE", "")}
