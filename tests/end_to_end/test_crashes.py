"""The bridge is killed at one step after the other, and started again: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

Invoice = Callable[..., dict[str, Any]]
CHAOS = pytest.mark.chaos
STORES = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)

FINAL = {
    ("invoice", 0): "OK",
    ("invoice", 1): "OK",
    ("invoice", 2): "REFUSED",
    ("invoice", 3): "REFUSED",
    ("payment", 0): "OK",
    ("payment", 1): "REFUSED",
    ("action", 0): "OK",
}
REFUSAL = {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "BAD"}, "text": "no such debtor"}

UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridge's own doing."""


def batch(invoice: Invoice) -> dict[str, Any]:
    """Rows of every kind that cannot end in doubt; one refused by the bridge, one by the modern side."""
    return {
        "batchid": "b-1",
        "invoice": [
            invoice("1"),
            invoice("2", uniqueSourceInvoiceId=None),
            invoice("BAD"),
            invoice("4", dueDate="31.31.2024"),
        ],
        "payment": [
            {"uniqueSourceInvoiceId": "erp-1", "amount": 10, "date": "2024-03-01"},
            {"invoiceNumber": "BAD", "amount": 10},
        ],
        "action": [{"ledgerref": "2", "actiontype": 1}],
    }


@dataclass(frozen=True)
class Step:
    """Where the bridge is killed: the fault that makes it dwell there, and the sign that it is there."""

    operation: str
    kind: str
    sign: str = "asked"
    """`asked`: the request arrived; `accepted`: it opened a batch; `reading`: its batch was asked for;
    `broken`: the connection is gone."""
    strikes: int = 1
    kills: int = 1
    fault: tuple[tuple[str, object], ...] = ()

    def reached(self, site: Any, kills: int) -> bool:
        """Tell whether the bridge is there, for the so-manieth time."""
        asked = site.asked(self.operation)
        if self.sign == "asked":
            return len(asked) > kills
        if self.sign == "broken":
            return any(entry.faults and entry.status is None for entry in asked)
        accepted = [entry.batch_id for entry in asked if entry.batch_id]
        if self.sign == "reading":
            return any(entry.path.endswith(tuple(accepted)) for entry in site.asked("batch")) if accepted else False
        return bool(accepted)

    def script(self) -> dict[str, object]:
        struck = {"operation": self.operation, "kind": self.kind, "times": self.strikes, **dict(self.fault)}
        protection = {} if self.operation == "pause" else UNPROTECTED  # an action can be found by its key alone
        return {"behaviour": protection, "fault": [struck, REFUSAL]}


def _fault(**fields: object) -> tuple[tuple[str, object], ...]:
    return tuple(fields.items())


LATE = _fault(seconds=1.6)
"""After the restarted bridge has looked twice without patience, and before its real patience ends (1.5 + 0.4 s)."""
LATER, NEVER = _fault(seconds=1.0), _fault(after_polls=1_000_000)
STEPS = {
    "fetching the token": Step("token", "slow", fault=LATER),
    "sending invoices, accepted after the death": Step("invoices", "slow", fault=LATE),
    "sending invoices, never accepted": Step("invoices", "reset", "broken"),
    "sending invoices, accepted without an answer": Step(
        "invoices", "slow", "accepted", fault=_fault(seconds=1.0, when="after")
    ),
    "invoices accepted, the connection broken": Step("invoices", "reset", "broken", fault=_fault(when="after")),
    "invoices accepted by nobody knows whom": Step("invoices", "garbage", "accepted", fault=_fault(body="html")),
    "waiting for the result of the invoices": Step("invoices", "finish", "reading", fault=NEVER),
    "isolating a faulty invoice": Step(
        "invoices",
        "fail",
        strikes=3,
        kills=2,
        fault=_fault(status=422, tells_rows=False, where={"invoiceNumber": "BAD"}),
    ),
    "backing off before the invoices are taken": Step(
        "invoices", "fail", fault=_fault(status=503, retry_after_seconds=1)
    ),
    "between the invoices and the payment": Step(
        "payments", "fail", strikes=2, fault=_fault(status=503, retry_after_seconds=1)
    ),
    "sending the payment, accepted after the death": Step("payments", "slow", fault=LATE),
    "sending the payment, never accepted": Step("payments", "reset", "broken"),
    "payment accepted, the connection broken": Step("payments", "reset", "broken", fault=_fault(when="after")),
    "waiting for the result of the payment": Step("payments", "finish", "reading", fault=NEVER),
    "looking up the case": Step("cases", "slow", fault=LATER),
    "action accepted, the connection broken": Step("pause", "reset", "broken", fault=_fault(when="after")),
    "reconciling": Step("batches", "slow", strikes=3, kills=3, fault=_fault(seconds=0.8)),
}
TELLING = {
    "sending invoices, accepted after the death",
    "waiting for the result of the invoices",
    "isolating a faulty invoice",
    "sending the payment, accepted after the death",
    "action accepted, the connection broken",
    "reconciling",
}
"""Steps that end in different ways, for the gate: on PostgreSQL the others are run by `make test-chaos`."""
DEATHS = [
    pytest.param(store, step, id=f"{name}-{store}", marks=() if store == "sqlite" or name in TELLING else (CHAOS,))
    for name, step in STEPS.items()
    for store in ("sqlite", "postgres")
]


async def _die_while_held(
    site: Any, sent: dict[str, Any], breaks: Any, reached: Callable[[], object], wait_until: Any
) -> None:
    """Post a batch, and kill the bridge when a step is reached."""
    caller = asyncio.create_task(site.post(sent))
    try:
        await wait_until(reached, "the step is reached")
        site.bridge.kill()
        with pytest.raises(breaks):
            await caller
    finally:
        caller.cancel()
        with contextlib.suppress(*breaks, asyncio.CancelledError):
            await caller


@pytest.mark.parametrize(("store", "step"), DEATHS, indirect=["store"])
async def test_a_killed_bridge_finishes_its_batch_after_the_restart(
    site: Any, invoice: Invoice, breaks: Any, wait_until: Any, step: Step
) -> None:
    """Sent again, each row is answered once and finally; the modern side holds it once, under unchanged ids."""
    script = step.script()
    if step.operation == "batches":
        script["fault"].append({"operation": "invoices", "kind": "reset", "when": "after", "times": 1})  # type: ignore[attr-defined]  # a list, see script()
    site.sandbox.play(script)
    sent = batch(invoice)
    for kill in range(step.kills):
        if kill:
            await site.restart()
        await _die_while_held(site, sent, breaks, partial(step.reached, site, kill), wait_until)
    site.release()
    await site.restart()
    reply = await site.post(sent)
    assert (reply.status, reply.states) == (200, FINAL)
    again = await site.post(sent)
    assert again.body == reply.body
    assert (again.headers["x-bridge-batch"], again.headers["x-bridge-replay"]) == (
        reply.headers["x-bridge-batch"],
        "true",
    )
    if step.kind == "slow":
        await wait_until(lambda: all(one.status for one in site.asked(step.operation)), "what was under way came in")
    assert sorted(site.accepted("invoices").values()) == [1, 1]
    assert list(site.accepted("payments").values()) == [1]
    assert list(site.accepted("pause").values()) == [1]
    site.check_identities()
    ledger = await site.ledger()
    assert (ledger["accepted"], ledger["final"]) == (len(FINAL), len(FINAL))


@STORES
@pytest.mark.parametrize(
    ("operation", "when", "settled"),
    [("corrections", "before", False), ("corrections", "after", True), ("pause", "before", False)],
)
async def test_a_row_without_an_id_of_its_own_is_never_sent_twice(
    open_site: Any, invoice: Invoice, breaks: Any, wait_until: Any, operation: str, when: str, settled: bool
) -> None:
    """Killed while it was sent, a correction or action is found by its key, or stays in doubt for an operator."""
    async with open_site(hold_seconds=4) as site:
        await site.post({"batchid": "a", "invoice": [invoice("1")]})
        site.sandbox.play({"fault": [{"operation": operation, "kind": "reset", "when": when, "times": 1}]})
        rows = {
            "corrections": {"payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]},
            "pause": {"action": [{"ledgerref": "1", "actiontype": 1}]},
        }
        sent = {"batchid": "b", **rows[operation]}
        await _die_while_held(site, sent, breaks, lambda: site.asked(operation), wait_until)
        await site.restart()
        reply = await site.post(sent)
        assert set(reply.states.values()) == {"OK" if settled else "PENDING"}
        assert list(site.accepted(operation).values()) == ([1] if settled else [])
        assert len(site.asked(operation)) == 1
        ledger = await site.ledger()
        assert ledger["in_doubt"] == (0 if settled else 1)
        site.check_identities()


@STORES
async def test_an_offline_batch_survives_a_kill_right_after_its_answer(
    site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """The answer goes out only when the batch is safe: killed in the next instant, it is finished after the restart."""
    site.sandbox.play({"fault": [REFUSAL]})
    sent = batch(invoice) | {"offline": True}
    reply = await site.post(sent)
    site.bridge.kill()
    assert reply.status == 200
    assert reply.states["invoice", 0] == "PENDING"
    assert reply.states["invoice", 3] == "REFUSED"
    await site.restart()
    finished = lambda: "batch_finished" in site.bridge.said  # noqa: E731 - a condition to wait for
    await wait_until(finished, "the batch is finished without anybody asking")
    assert (await site.post(sent)).states == FINAL
    site.check_identities()
    await site.ledger()


@STORES
async def test_a_batch_whose_body_broke_off_was_never_taken(site: Any, invoice: Invoice) -> None:
    """Killed before the whole body had arrived, nothing is journalled and nothing submitted; a resend is a first."""
    body = json.dumps(batch(invoice)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.bridge.port)
    head = (
        b"POST /webapi/api/Batch HTTP/1.1\r\nHost: bridge\r\nAuthorization: Bearer token1\r\nContent-Length: %d\r\n\r\n"
    )
    writer.write(head % len(body) + body[: len(body) // 2])
    await writer.drain()
    site.bridge.kill()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
    await site.restart()
    assert (await site.ledger())["accepted"] == 0
    site.sandbox.play({"fault": [REFUSAL]})
    reply = await site.post(batch(invoice))
    assert reply.states == FINAL
    assert "x-bridge-replay" not in reply.headers
