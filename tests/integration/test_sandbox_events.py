"""Every event the sandbox tells reaches the bridge, and what it teaches is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("with_comma", [True, False], ids=["json", "as on the page"])
async def test_every_event_is_taken(world: Any, invoice: Invoice, wait_until: Any, with_comma: bool) -> None:
    """Cases, changes of cases and settlements are acknowledged, also where they are as broken as the page's samples."""
    stand_in = world.sandbox.stand_in
    options = replace(stand_in.options, webhook_url=world.url + "/hooks/amili", webhook_secret="hook-secret")
    stand_in.options = stand_in.webhooks.options = options
    world.sandbox.play({"behaviour": {"events": ["*"], "case_event_comma": with_comma}})
    payment = {"ledgerref": "erp-1", "amount": 5, "currency": "NOK", "uniqueSourcePaymentId": "p-1"}
    row = invoice("1", uniqueSourceInvoiceId="erp-1")
    reply = await world.post({"invoice": [row], "payment": [payment]})
    assert reply.code == 0, reply.body
    await wait_until(lambda: len(stand_in.webhooks.deliveries) == 5)
    assert {delivery.status for delivery in stand_in.webhooks.deliveries} == {200}
    (claim,) = world.sandbox.state.account(ORG_A).invoices
    history = await world.books.case_history(ORG_A, [claim.case.id])
    assert sorted(event.kind for event in history[claim.case.id]) == ["CASE", "CASE_UPDATED"]
    (known,) = await world.books.find_claims(claim.case.id)
    assert (known.invoice_id, known.case_number) == (claim.id, str(claim.case.number))
