"""Rows wait for an invoice that is still on its way in another batch, instead of being refused for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.sandbox import Running, SandboxOptions, running

Invoice = Callable[..., dict[str, Any]]
LATE = {"behaviour": {"finish_after_seconds": 0.5, "lists_lag_seconds": 0.5}}
"""For half a second an invoice is neither decided nor listed."""


def payment(**fields: object) -> dict[str, Any]:
    return {"type": "DIRECT_PAYMENT", "amount": 10, "date": "2024-03-01"} | fields


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    async with running(SandboxOptions(port=0)) as stand_in:
        yield stand_in


def refuse_invoices(world: Any, text: str) -> None:
    world.sandbox.play(LATE | {"fault": [{"operation": "invoices", "kind": "refuse", "text": text}]})


@pytest.mark.parametrize(
    "name", [{"uniqueSourceInvoiceId": "erp-1"}, {"invoiceNumber": "1"}, {"ledgerref": "L-1"}], ids=lambda name: [*name]
)
async def test_a_payment_waits_for_its_invoice_in_an_earlier_batch(
    world: Any, invoice: Invoice, name: dict[str, str]
) -> None:
    """Whatever the invoice is called by, it is paid as soon as it exists, and the caller hears of that."""
    world.sandbox.play(LATE)
    await world.post({"batchid": "a", "offline": True, "invoice": [invoice("1", ledgerref="L-1")]})
    reply = await world.post({"batchid": "b", "payment": [payment(**name)]})
    assert (reply.code, reply.errors) == (0, {})
    assert world.sandbox.state.account("3fa85f64-5717-4562-b3fc-2c963f66afa6").invoices[0].paid == 10


async def test_actions_wait_in_their_order(world: Any, invoice: Invoice) -> None:
    """A pause and a resume of one case, which name it differently, follow each other."""
    world.sandbox.play(LATE)
    await world.post({"batchid": "a", "offline": True, "invoice": [invoice("1")]})
    actions = [{"ledgerref": "1", "actiontype": 1}, {"ledgerref": "erp-1", "actiontype": 2}]
    reply = await world.post({"batchid": "b", "action": actions})
    assert (reply.code, reply.errors) == (0, {})
    assert [entry.operation for entry in world.writes()] == ["invoices", "pause", "resume"]


async def test_the_other_rows_of_the_batch_do_not_wait(open_world: Any, sandbox: Running, invoice: Invoice) -> None:
    """At the deadline the waiting row alone is pending; the batch stays open, and its answer is final later."""
    async with open_world(sandbox=sandbox, hold_seconds=0.4) as world:
        await world.post({"batchid": "old", "invoice": [invoice("1")]})
        sandbox.play({"behaviour": {"finish_after_seconds": 1.2, "lists_lag_seconds": 1.2}})
        await world.post({"batchid": "a", "offline": True, "invoice": [invoice("2")]})
        await asyncio.sleep(0.05)
        sandbox.play({})
        rows = [payment(invoiceNumber=number) for number in ("2", "1", "nowhere")]
        reply = await world.post({"batchid": "b", "payment": rows})
        assert reply.states == {("payment", 0): "PENDING", ("payment", 1): "OK", ("payment", 2): "REFUSED"}
        assert "no such claim" in reply.errors["payment", 2]
        async with asyncio.timeout(10):
            while reply.states["payment", 0] == "PENDING":
                reply = await world.post({"batchid": "b", "payment": rows})
        assert reply.states == {("payment", 0): "OK", ("payment", 1): "OK", ("payment", 2): "REFUSED"}
        assert world.accepted("payments").total() == 2


async def test_a_row_whose_invoice_is_refused_meanwhile_is_refused_with_it(world: Any, invoice: Invoice) -> None:
    """The message names the batch and the row the ERP has to look at."""
    refuse_invoices(world, "no such debtor")
    await world.post({"batchid": "a", "offline": True, "invoice": [invoice("1")]})
    reply = await world.post(
        {"batchid": "b", "payment": [payment(invoiceNumber="1")], "action": [{"ledgerref": "1", "actiontype": 1}]}
    )
    told = "not submitted: it belongs to invoice 0 of batch a, which was refused"
    assert reply.errors == {("payment", 0): told, ("action", 0): told}
    assert [entry.operation for entry in world.writes()] == ["invoices"]


async def test_an_invoice_of_another_organization_is_not_waited_for(world: Any, invoice: Invoice) -> None:
    """The same number, on its way under another creditor, says nothing about this one: the row is refused at once."""
    world.sandbox.play({"behaviour": {"finish_after_seconds": 60, "lists_lag_seconds": 60}})
    await world.post(
        {"batchid": "a", "offline": True, "invoice": [invoice("1", creditorid="971274190")]},
        senderid="ERP-2",
        Authorization="Basic ZXJwMjpwYXNzMg==",
    )
    async with asyncio.timeout(10):
        reply = await world.post({"batchid": "b", "payment": [payment(invoiceNumber="1")]})
    assert "no such claim" in reply.errors["payment", 0]


async def test_a_restart_does_not_end_the_waiting(open_world: Any, sandbox: Running, invoice: Invoice) -> None:
    """Nothing about it is kept: the next start looks again, and finds the invoice still on its way, or there."""
    sandbox.play({"behaviour": {"finish_after_seconds": 1.5, "lists_lag_seconds": 1.5}})
    batch = {"batchid": "b", "payment": [payment(invoiceNumber="1")]}
    async with open_world(sandbox=sandbox, hold_seconds=0.2) as world:
        await world.post({"batchid": "a", "offline": True, "invoice": [invoice("1")]})
        assert (await world.post(batch)).code == 3
    sandbox.play({})
    async with open_world(sandbox=sandbox, hold_seconds=0.2) as world:
        assert (await world.post(batch)).code == 3
        async with asyncio.timeout(10):
            while (reply := await world.post(batch)).code == 3:
                pass
        assert (reply.code, world.accepted("payments").total()) == (0, 1)
