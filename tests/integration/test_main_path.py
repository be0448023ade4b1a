"""A batch in, the folded reply out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


async def test_a_full_batch_is_answered_row_by_row(world: Any, invoice: Callable[..., dict[str, Any]]) -> None:
    """Creditor, invoice, payment, correction and action of one batch are carried in the order of dependency."""
    reply = await world.post(
        {
            "batchid": "b1",
            "creditor": [{"idnumber": "984842252"}],
            "invoice": [invoice("1")],
            "payment": [
                {"uniqueSourceInvoiceId": "erp-1", "type": "DIRECT_PAYMENT", "amount": "100,00", "date": "2024-03-01"},
                {"invoiceNumber": "1", "type": "CREDIT_NOTE", "amount": 5, "date": "2024-03-01"},
            ],
            "action": [{"ledgerref": "erp-1", "actiontype": 1, "duedate": "2024-05-01", "message": "ferie"}],
        }
    )
    assert reply.status == 200
    assert reply.body == {
        "statuscode": 0,
        "errors": [],
        "responses": [
            {"objectname": name, "objectindex": index, "ledgerref": ledgerref, "status_statuscode": "OK"}
            for name, index, ledgerref in [
                ("creditor", 0, "984842252"),
                ("invoice", 0, "erp-1"),
                ("payment", 0, "erp-1"),
                ("payment", 1, "1"),
                ("action", 0, "erp-1"),
            ]
        ],
    }
    first, *second, last = [entry.operation for entry in world.writes()]
    assert (first, set(second), last) == ("invoices", {"payments", "corrections"}, "pause")


async def test_an_empty_batch_is_accepted(world: Any) -> None:
    """No rows: statuscode 0 and two empty lists."""
    reply = await world.post({})
    assert (reply.status, reply.body) == (200, {"statuscode": 0, "errors": [], "responses": []})
