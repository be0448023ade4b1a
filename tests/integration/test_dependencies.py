"""Payments, corrections and actions find the claim they belong to, or are refused for a stated reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]


def payment(**fields: object) -> dict[str, Any]:
    return {"type": "DIRECT_PAYMENT", "amount": 10, "date": "2024-03-01"} | fields


def action(ledgerref: str, code: int = 1, **fields: object) -> dict[str, Any]:
    return {"ledgerref": ledgerref, "actiontype": code} | fields


def hold_elsewhere(world: Any, *rows: dict[str, Any]) -> list[Any]:
    """Put invoices into the modern system as if somebody else had sent them; return them."""
    from bridge.sandbox.lifecycle import Batch, Pace

    account, ids = world.sandbox.state.account(ORG_A), world.sandbox.stand_in.ids
    batch = Batch(0, ids.new_uuid(), "INVOICE", ORG_A, world.sandbox.stand_in.now(), "", "", Pace(), 0.0)
    account.enter(batch)
    world.sandbox.stand_in.tick(batch)
    return [account.open_claim(ids, row, batch) for row in rows]


@pytest.mark.parametrize(
    "name", [{"uniqueSourceInvoiceId": "erp-1"}, {"invoiceNumber": "1"}, {"ledgerref": "L-1"}], ids=lambda name: [*name]
)
async def test_a_payment_names_its_invoice_of_the_same_batch(
    world: Any, invoice: Invoice, name: dict[str, str]
) -> None:
    """Each kind of name leads to the invoice, and the payment is booked on it."""
    reply = await world.post({"invoice": [invoice("1", ledgerref="L-1")], "payment": [payment(**name)]})
    assert reply.code == 0
    (held,) = world.sandbox.state.account(ORG_A).invoices
    assert held.paid == 10


@pytest.mark.parametrize("ledgerref", ["erp-1", "1"])
async def test_a_ledgerref_may_be_the_invoices_own_id_or_number(world: Any, invoice: Invoice, ledgerref: str) -> None:
    """An invoice without a ledgerref is known by its unique id and its number."""
    reply = await world.post({"invoice": [invoice("1")], "action": [action(ledgerref)]})
    assert reply.code == 0
    assert world.sandbox.state.account(ORG_A).invoices[0].case.status == "PAUSED"


@pytest.mark.parametrize("fields", [{"dueDate": "31.31.2024"}, {"originalInvoiceAmount": None}])
async def test_an_invoice_refused_at_reading_takes_its_dependents_with_it(
    world: Any, invoice: Invoice, fields: dict[str, Any]
) -> None:
    """The dependent rows are refused under the invoice's address, and nothing is looked up or submitted for them."""
    reply = await world.post(
        {"invoice": [invoice("1"), invoice("2", **fields)], "payment": [payment(invoiceNumber="2")]}
    )
    assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED", ("payment", 0): "REFUSED"}
    assert "invoice 1" in reply.errors["payment", 0]
    assert [entry.operation for entry in world.writes()] == ["invoices"]


async def test_an_invoice_refused_at_routing_takes_its_dependents_with_it(world: Any, invoice: Invoice) -> None:
    """An unknown creditor refuses the invoice; its payment and action learn of it."""
    reply = await world.post(
        {
            "invoice": [invoice("1", creditorid="000000000")],
            "payment": [payment(uniqueSourceInvoiceId="erp-1")],
            "action": [action("1")],
        }
    )
    assert reply.code == 2
    assert "creditorid" in reply.errors["invoice", 0]
    assert all("invoice 0" in reply.errors[row, 0] for row in ("payment", "action"))
    assert world.writes() == []


async def test_an_invoice_refused_by_the_modern_side_takes_its_dependents_with_it(world: Any, invoice: Invoice) -> None:
    """A refusal in failed[] reaches the rows that wait for the invoice; their neighbours go on."""
    world.sandbox.play(
        {
            "fault": [
                {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "2"}, "text": "no such debtor"}
            ]
        }
    )
    reply = await world.post(
        {
            "invoice": [invoice("1"), invoice("2")],
            "payment": [payment(invoiceNumber="2"), payment(invoiceNumber="1")],
            "action": [action("erp-2")],
        }
    )
    assert "no such debtor" in reply.errors["invoice", 1]
    assert "invoice 1" in reply.errors["payment", 0]
    assert "invoice 1" in reply.errors["action", 0]
    assert reply.states["payment", 1] == "OK"
    assert world.accepted("payments").total() == 1


async def test_a_name_that_fits_two_invoices_of_the_batch_is_refused(world: Any, invoice: Invoice) -> None:
    """Which of two invoices with one number a payment means, nobody can tell; by its unique id it can."""
    reply = await world.post(
        {
            "invoice": [invoice("1"), invoice("1", uniqueSourceInvoiceId="other")],
            "payment": [payment(invoiceNumber="1"), payment(uniqueSourceInvoiceId="other")],
        }
    )
    assert reply.states["payment", 0] == "REFUSED"
    assert "invoice 0, invoice 1" in reply.errors["payment", 0]
    assert reply.states["payment", 1] == "OK"
    assert len(world.writes("invoices")) == 2, "two invoices of one number travel in different calls"


async def test_a_name_that_fits_two_claims_of_earlier_batches_is_refused(world: Any, invoice: Invoice) -> None:
    """The cross-reference holds two claims of one number: the message says so, and nothing is booked."""
    await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("1", uniqueSourceInvoiceId="other")]})
    reply = await world.post({"batchid": "b", "payment": [payment(invoiceNumber="1")]})
    assert "fits 2 claims" in reply.errors["payment", 0]
    assert world.writes("payments") == []


@pytest.mark.parametrize(
    "name", [{"uniqueSourceInvoiceId": "erp-1"}, {"invoiceNumber": "1"}, {"ledgerref": "L-1"}], ids=lambda name: [*name]
)
async def test_the_cross_reference_knows_invoices_of_earlier_batches(
    world: Any, invoice: Invoice, name: dict[str, str]
) -> None:
    """Nothing is asked of the modern system for a claim that came through the bridge."""
    await world.post({"batchid": "a", "invoice": [invoice("1", ledgerref="L-1")]})
    reply = await world.post({"batchid": "b", "payment": [payment(**name)]})
    assert reply.code == 0
    assert world.sandbox.requests.newest(operation="invoice-list") == []
    assert world.sandbox.state.account(ORG_A).invoices[0].paid == 10


@pytest.mark.parametrize("name", [{"uniqueSourceInvoiceId": "old"}, {"invoiceNumber": "77"}, {"ledgerref": "77"}])
async def test_a_claim_that_never_came_through_the_bridge_is_found(world: Any, name: dict[str, str]) -> None:
    """Claims of the time before the bridge are looked up in the modern system."""
    (held,) = hold_elsewhere(
        world, {"invoiceNumber": "77", "uniqueSourceInvoiceId": "old", "originalInvoiceAmount": 500}
    )
    reply = await world.post({"payment": [payment(**name)]})
    assert reply.code == 0
    assert held.paid == 10


async def test_an_action_finds_the_case_of_an_older_claim(world: Any) -> None:
    """The case is looked up by the number the invoice carries."""
    (held,) = hold_elsewhere(
        world, {"invoiceNumber": "77", "uniqueSourceInvoiceId": "old", "originalInvoiceAmount": 500}
    )
    reply = await world.post({"action": [action("77", 3, message="betalt direkte")]})
    assert reply.code == 0
    assert held.case.status == "WITHDRAWN"


async def test_a_number_the_modern_system_holds_twice_is_refused(world: Any) -> None:
    """Two older claims under one number: the row is refused rather than booked on either."""
    rows = [{"invoiceNumber": "77", "uniqueSourceInvoiceId": uid, "originalInvoiceAmount": 5} for uid in ("x", "y")]
    hold_elsewhere(world, *rows)
    reply = await world.post({"payment": [payment(invoiceNumber="77")]})
    assert "fits 2 claims" in reply.errors["payment", 0]


async def test_a_claim_that_is_nowhere_refuses_the_row(world: Any) -> None:
    """The message says where it was looked for."""
    reply = await world.post({"payment": [payment(invoiceNumber="nowhere")], "action": [action("nowhere")]})
    assert reply.code == 2
    for message in reply.errors.values():
        assert "no such claim in this batch, in the bridge's cross-reference or in the modern system" in message
    assert world.writes() == []


async def test_references_do_not_cross_organizations(world: Any, invoice: Invoice) -> None:
    """A payment for one creditor is not booked on another creditor's invoice of the same number."""
    reply = await world.post(
        {
            "invoice": [invoice("1", creditorid="971274190")],
            "payment": [payment(invoiceNumber="1", creditorid="984842252")],
        },
        senderid="ERP-2",
        Authorization="Basic ZXJwMjpwYXNzMg==",
    )
    assert reply.states == {("invoice", 0): "OK", ("payment", 0): "REFUSED"}
    assert world.writes("payments") == []


async def test_two_actions_on_one_case_keep_their_order(world: Any, invoice: Invoice) -> None:
    """A pause and a resume of one case follow each other, however slow the first one is, and by whatever name."""
    world.sandbox.play({"fault": [{"operation": "pause", "kind": "slow", "seconds": 0.2}]})
    reply = await world.post(
        {
            "invoice": [invoice("1"), invoice("2")],
            "action": [action("erp-1", 1), action("1", 2), action("erp-2", 1)],
        }
    )
    assert reply.code == 0
    order = [entry.path.rsplit("/", 2)[1:] for entry in world.writes() if entry.operation in ("pause", "resume")]
    case = world.sandbox.state.account(ORG_A).invoices[0].case
    assert [operation for case_id, operation in order if case_id == case.id] == ["pause", "resume"]
    assert case.status == "OPEN"


async def test_an_action_waits_for_its_case_to_be_listed(open_world: Any, invoice: Invoice) -> None:
    """The case of an invoice that was accepted a moment ago may be missing from the lists for a while."""
    async with open_world(settle_seconds=0.6) as world:
        world.sandbox.play({"behaviour": {"lists_lag_seconds": 0.2}})
        reply = await world.post({"invoice": [invoice("1")], "action": [action("1")]})
        assert (reply.code, reply.errors) == (0, {})


async def test_an_action_the_case_does_not_allow_is_refused_with_the_vendors_reason(
    world: Any, invoice: Invoice
) -> None:
    """A resume of a case that rests not at all fails on the modern side; the row says why."""
    reply = await world.post({"invoice": [invoice("1")], "action": [action("1", 2)]})
    assert "the case is OPEN" in reply.errors["action", 0]


@pytest.mark.parametrize("code", [4, 99])
async def test_an_action_without_a_modern_counterpart_is_refused(world: Any, invoice: Invoice, code: int) -> None:
    """Messages to the case handler and unknown codes are refused before anything is sent."""
    reply = await world.post({"invoice": [invoice("1")], "action": [action("1", code)]})
    assert reply.states == {("invoice", 0): "OK", ("action", 0): "REFUSED"}
    assert [entry.operation for entry in world.writes()] == ["invoices"]


@pytest.mark.parametrize(
    ("kind", "operation"),
    [("DIRECT_PAYMENT", "payments"), ("credit_note", "corrections"), ("CREDIT", "corrections"), (None, "payments")],
)
async def test_credits_become_corrections(world: Any, invoice: Invoice, kind: str | None, operation: str) -> None:
    """A credit lowers the claim, everything else is money received."""
    row = {key: value for key, value in payment(invoiceNumber="1", type=kind).items() if value is not None}
    reply = await world.post({"invoice": [invoice("1")], "payment": [row]})
    assert reply.code == 0
    assert [entry.operation for entry in world.writes()] == ["invoices", operation]


async def test_a_second_row_with_the_same_unique_id_is_refused(world: Any, invoice: Invoice) -> None:
    """One claim in two rows is sent once; a payment that names it goes to the first."""
    reply = await world.post(
        {"invoice": [invoice("1"), invoice("1")], "payment": [payment(uniqueSourceInvoiceId="erp-1")]}
    )
    assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED", ("payment", 0): "OK"}
    assert "invoice 0" in reply.errors["invoice", 1]
    assert world.accepted("invoices") == {"erp-1": 1}
