"""Nothing personal leaves by a log line, a metric, or a message about another row."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from bridge.journal.interface import ERASED
from bridge.legacy.rendering import redact
from bridge.logs import Log, configure_logs

Invoice = Callable[..., dict[str, Any]]
PLANTED = {
    "name": "Zebulon Hemmelig",
    "street": "Gåtegata 777",
    "email": "zebulon@hemmelig.example",
    "phone": "48889999",
    "national id": "01017099999",
    "amount": "87654.32",
    "payment": "4321.09",
    "comment": "hun ligger på sykehus",
    "description": "Varmtvannsbereder 9000",
    "ocr": "000777888999",
    "password": "pass1",
    "token": "token1",
    "client secret": "hook-secret",
}


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """Everything the bridge logs, as in production: JSON lines."""
    stream, handlers = io.StringIO(), logging.getLogger().handlers[:]
    configure_logs(stream, pretty=False, strict=True)
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers[:] = handlers
    Log.strict = True


def planted_invoice(invoice: Invoice, number: str, **fields: object) -> dict[str, Any]:
    debtor = {
        "type": "PRIVATE",
        "name": PLANTED["name"],
        "identificationNumber": PLANTED["national id"],
        "emails": [{"value": PLANTED["email"]}],
        "phoneNumbers": [{"value": PLANTED["phone"]}],
        "addresses": [{"street": PLANTED["street"]}],
    }
    amount = PLANTED["amount"]
    planted = {
        "creditorid": "984842252",
        "originalInvoiceAmount": amount,
        "debtors": [debtor],
        "description": PLANTED["description"],
        "ocrReferenceNumber": PLANTED["ocr"],
        "claims": [{"remainingAmount": amount}],
    }
    return invoice(number, **planted | fields)


async def test_no_log_line_and_no_metric_holds_anything_personal(
    open_world: Any, invoice: Invoice, log_stream: io.StringIO
) -> None:
    """A batch with everything going wrong: refusals that quote values, lost answers, resends, broken callers."""
    async with open_world(request_timeout_seconds=0.3, settle_seconds=0.2) as world:
        quoting = f"{PLANTED['name']} with {PLANTED['national id']} owes {PLANTED['amount']}"
        world.sandbox.play(
            {
                "fault": [
                    {
                        "operation": "invoices",
                        "kind": "fail",
                        "status": 422,
                        "text": quoting,
                        "where": {"invoiceNumber": "POISON"},
                    },
                    {"operation": "invoices", "kind": "refuse", "text": quoting, "where": {"invoiceNumber": "BAD"}},
                    {"operation": "payments", "kind": "fail", "status": 500, "text": quoting, "times": 1},
                    {"operation": "pause", "kind": "fail", "status": 400, "text": quoting},
                    {"operation": "reads", "kind": "fail", "status": 500, "text": quoting, "times": 2},
                ]
            }
        )
        batch = {
            "batchid": "b",
            "creditor": [{"idnumber": "unknown", "fullname": PLANTED["name"]}],
            "invoice": [
                planted_invoice(invoice, "1"),
                planted_invoice(invoice, "BAD"),
                planted_invoice(invoice, "POISON"),
                planted_invoice(invoice, "4", dueDate=PLANTED["name"], vat=PLANTED["phone"]),
                planted_invoice(invoice, "5", shoeSize=PLANTED["phone"]),
            ],
            "payment": [
                {
                    "creditorid": "984842252",
                    "invoiceNumber": "1",
                    "amount": PLANTED["payment"],
                    "description": PLANTED["comment"],
                }
            ],
            "action": [{"creditorid": "984842252", "ledgerref": "1", "actiontype": 1, "message": PLANTED["comment"]}],
        }
        reply = await world.post(batch)
        assert reply.code == 1
        await world.post(batch)
        await world.post(b'{"invoice": "' + PLANTED["name"].encode() + b'"}')
        await world.post({}, Authorization="Basic cGFzczE6cGFzczE=")
        async with world.session.get(world.url + "/" + PLANTED["phone"] + "?name=" + PLANTED["email"]) as response:
            assert response.status == 404
        async with world.session.get(world.url + "/metrics") as response:
            metrics = await response.text()
    lines = [json.loads(line) for line in log_stream.getvalue().splitlines()]
    assert {"call_split", "call_in_doubt", "batch_finished", "batch_replayed"} <= {line["event"] for line in lines}
    shown = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert [kind for kind, value in PLANTED.items() if value in shown] == []
    assert [kind for kind, value in PLANTED.items() if value in metrics] == []
    batches = {reply.headers["x-bridge-batch"]}
    assert all(line["batch"] in batches for line in lines if line["event"].startswith(("batch_", "call_")))


async def test_after_retention_an_answer_given_again_and_the_file_hold_nothing_personal(
    open_world: Any, invoice: Invoice
) -> None:
    """The modern system's words about a row go with the payload; the answer still has every row, with its verdict."""
    async with open_world() as world:
        quoting = f"{PLANTED['name']} with {PLANTED['national id']} owes {PLANTED['amount']}"
        fault = {"operation": "invoices", "kind": "refuse", "text": quoting, "where": {"invoiceNumber": "BAD"}}
        world.sandbox.play({"fault": [fault]})
        rows = [planted_invoice(invoice, number) for number in ("1", "BAD")]
        batch = {"batchid": "b", "invoice": [*rows, planted_invoice(invoice, "3", dueDate="31.31.2024")]}
        before = await world.post(batch)
        assert PLANTED["name"] in before.errors["invoice", 1]
        assert await world.books.erase(time.time() + 1, redact) == 1
        after = await world.post(batch)
        assert after.headers["x-bridge-replay"] == "true"
        assert after.body["responses"] == before.body["responses"]
        assert after.errors == before.errors | {("invoice", 1): ERASED}
        assert len(world.writes("invoices")) == 1
    kept = b"".join(file.read_bytes() for file in world.folder.glob("bridge.db*"))
    assert [kind for kind in ("name", "national id", "amount", "email") if PLANTED[kind].encode() in kept] == []


async def test_messages_of_the_bridge_never_repeat_a_personal_value(world: Any, invoice: Invoice) -> None:
    """Unreadable values are named by their field and by what was expected."""
    rows = [
        planted_invoice(invoice, "1", dueDate=PLANTED["name"]),
        planted_invoice(invoice, "2", originalInvoiceAmount=f"{PLANTED['amount']},1"),
        planted_invoice(invoice, "3", debtors=PLANTED["name"]),
        planted_invoice(invoice, "4", vat=PLANTED["phone"]),
        planted_invoice(invoice, "5", claims=[{"remainingAmount": PLANTED["email"]}]),
        PLANTED["name"],
    ]
    reply = await world.post({"invoice": rows, PLANTED["email"]: 1})
    assert len(reply.errors) == len(rows)
    text = json.dumps(reply.body, ensure_ascii=False)
    assert [kind for kind, value in PLANTED.items() if value in text] == []
