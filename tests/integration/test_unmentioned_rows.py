"""Rows that a finished modern batch does not speak of, and rows it calls duplicates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import load_script

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
UNDOCUMENTED = Path(__file__).resolve().parents[2] / "config" / "sandbox" / "undocumented.toml"
Invoice = Callable[..., dict[str, Any]]


async def test_an_unmentioned_invoice_that_exists_is_accepted(world: Any, invoice: Invoice) -> None:
    """The look-up by unique id settles it, and what it taught is kept for later references."""
    world.sandbox.play(
        {"fault": [{"operation": "invoices", "kind": "unmention", "where": {"invoiceNumber": "re:^[12]$"}}]}
    )
    reply = await world.post(
        {"invoice": [invoice("1"), invoice("2"), invoice("3")], "payment": [{"invoiceNumber": "2", "amount": 7}]}
    )
    assert reply.code == 0
    held = {claim.number: claim.paid for claim in world.sandbox.state.account(ORG_A).invoices}
    assert held == {"1": 0, "2": 7, "3": 0}


async def test_an_unmentioned_invoice_that_does_not_exist_is_refused(world: Any, invoice: Invoice) -> None:
    """Nothing was found: the message says so, and the neighbours are accepted."""
    world.sandbox.play(
        {
            "fault": [
                {"operation": "invoices", "kind": kind, "where": {"invoiceNumber": "2"}}
                for kind in ("refuse", "unmention")
            ]
        }
    )
    reply = await world.post({"invoice": [invoice("1"), invoice("2"), invoice("3")]})
    assert set(reply.errors) == {("invoice", 1)}
    assert "without mentioning this row" in reply.errors["invoice", 1]


async def test_an_unmentioned_invoice_may_be_missing_from_the_lists_for_a_while(
    open_world: Any, invoice: Invoice
) -> None:
    """It is refused only when the lists have had time to show it."""
    async with open_world(settle_seconds=0.6) as world:
        silent = {"operation": "invoices", "kind": "unmention", "where": {"invoiceNumber": "2"}}
        world.sandbox.play({"behaviour": {"lists_lag_seconds": 0.2}, "fault": [silent]})
        reply = await world.post({"invoice": [invoice("1"), invoice("2")]})
        assert (reply.code, reply.errors) == (0, {})


async def test_an_unmentioned_row_is_looked_up_until_there_is_an_answer(world: Any, invoice: Invoice) -> None:
    """A look-up that fails says nothing about the row: it is made again."""
    world.sandbox.play(
        {
            "fault": [
                {"operation": "invoices", "kind": "unmention", "where": {"invoiceNumber": "2"}},
                {"operation": "invoice-list", "kind": "fail", "status": 404, "times": 1},
            ]
        }
    )
    reply = await world.post({"invoice": [invoice("1"), invoice("2")]})
    assert reply.code == 0


@pytest.mark.parametrize("by_call", [False, True], ids=["in-failed", "as-409"])
async def test_an_invoice_held_from_elsewhere_is_refused_naming_the_claim(
    world: Any, invoice: Invoice, by_call: bool
) -> None:
    """Another batch brought the claim before: the message names its case, and the neighbours are accepted."""
    await world.post({"batchid": "a", "invoice": [invoice("1")]})
    (held,) = world.sandbox.state.account(ORG_A).invoices
    world.sandbox.play({"behaviour": {"duplicates": "call" if by_call else "row"}})
    reply = await world.post({"batchid": "b", "invoice": [invoice("1", description="again"), invoice("2")]})
    assert reply.states == {("invoice", 0): "REFUSED", ("invoice", 1): "OK"}
    assert str(held.case.number) in reply.errors["invoice", 0]
    assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1}


async def test_a_conflict_is_explained_even_when_the_first_look_fails(world: Any, invoice: Invoice) -> None:
    """A 409 is settled by look-ups, however often they must be made."""
    await world.post({"batchid": "a", "invoice": [invoice("1")]})
    lists = {"operation": ["batches", "invoice-list"], "kind": "fail", "status": 404, "times": 2}
    world.sandbox.play({"behaviour": {"duplicates": "call"}, "fault": [lists]})
    reply = await world.post({"batchid": "b", "invoice": [invoice("1", description="again"), invoice("2")]})
    assert reply.states == {("invoice", 0): "REFUSED", ("invoice", 1): "OK"}


@pytest.mark.parametrize("by_call", [False, True], ids=["in-failed", "as-409"])
async def test_a_payment_booked_before_is_refused(world: Any, invoice: Invoice, by_call: bool) -> None:
    """A unique payment id of an earlier batch is not booked twice; the other payment is."""
    first = {"invoiceNumber": "1", "amount": 5, "uniqueSourcePaymentId": "p-1"}
    await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("2")], "payment": [first]})
    world.sandbox.play({"behaviour": {"duplicates": "call" if by_call else "row"}})
    other = {"invoiceNumber": "2", "amount": 5, "uniqueSourcePaymentId": "p-2"}
    reply = await world.post({"batchid": "b", "payment": [first, other]})
    assert reply.states == {("payment", 0): "REFUSED", ("payment", 1): "OK"}
    assert "p-1" not in "".join(reply.errors.values()) or reply.errors
    assert world.accepted("payments") == {"p-1": 1, "p-2": 1}


async def test_a_case_action_without_a_batch_is_accepted_at_once(world: Any, invoice: Invoice) -> None:
    """204 without a body is an answer: nothing is waited for."""
    world.sandbox.play({"behaviour": {"case_actions": "no-content"}})
    reply = await world.post({"invoice": [invoice("1")], "action": [{"ledgerref": "1", "actiontype": 1}]})
    assert reply.code == 0
    assert world.sandbox.state.account(ORG_A).invoices[0].case.status == "PAUSED"


async def test_every_assumption_turned_around_changes_nothing(world: Any, invoice: Invoice) -> None:
    """What the vendor leaves open, answered the other way, gives the same reply."""
    world.sandbox.play(load_script(UNDOCUMENTED))
    batch = {
        "invoice": [invoice(str(index)) for index in range(60)],
        "payment": [{"invoiceNumber": str(index), "amount": 1} for index in range(0, 60, 7)]
        + [{"invoiceNumber": str(index), "amount": 1, "type": "CREDIT"} for index in range(0, 60, 9)],
        "action": [{"ledgerref": str(index), "actiontype": 1} for index in range(0, 60, 20)],
    }
    reply = await world.post(batch)
    assert (reply.code, reply.errors) == (0, {})
    assert world.accepted("invoices").total() == 60
