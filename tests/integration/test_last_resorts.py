"""What is left when nothing else helps: giving up, parking for an operator, and faults of the program itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from bridge.app import Environment

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
QUICK = {"request_timeout_seconds": 0.25, "settle_seconds": 0.15, "hold_seconds": 0.05}


async def settle(world: Any, wait_until: Any, batch: dict[str, Any]) -> Any:
    """Post a batch, wait until nobody works on it any more, and return what is known then."""
    await world.post(batch)
    await wait_until(lambda: not world.bridge.workshop._tasks)
    return await world.post(batch)


@pytest.mark.parametrize("status", [503, 500])
async def test_a_call_that_nobody_takes_for_a_day_is_given_up(
    open_world: Any, invoice: Invoice, wait_until: Any, status: int
) -> None:
    """Never taken, or never arrived: its rows are refused, to be sent again, with those that wait for them."""
    ahead = 0.0
    clock = lambda: time.time() + ahead  # noqa: E731 - reads the variable anew
    async with open_world(environment=Environment(clock=clock), **QUICK) as world:
        busy = {"operation": "invoices", "kind": "fail", "status": status}
        world.sandbox.play({"fault": [busy]})
        batch = {"batchid": "b", "invoice": [invoice("1")], "payment": [{"invoiceNumber": "1", "amount": 1}]}
        assert (await world.post(batch)).code == 3
        ahead = 25 * 3600
        await wait_until(lambda: len(world.bridge.workshop.works) == 0)
        reply = await world.post(batch)
        assert reply.code == 2
        assert "send it again in a new batch" in reply.errors["invoice", 0]
        assert "invoice 0" in reply.errors["payment", 0]
        assert world.accepted("invoices") == {}


async def test_a_claim_that_may_not_be_looked_up_refuses_the_row(world: Any) -> None:
    """The modern system forbids the question: waiting would not help."""
    world.sandbox.play({"fault": [{"operation": "invoice-list", "kind": "fail", "status": 403}]})
    reply = await world.post({"payment": [{"invoiceNumber": "old", "amount": 1}]})
    assert "HTTP 403" in reply.errors["payment", 0]


@pytest.mark.parametrize("kind", ["DIRECT_PAYMENT", "CREDIT"])
async def test_a_payment_the_result_does_not_mention_is_parked(
    open_world: Any, invoice: Invoice, wait_until: Any, kind: str
) -> None:
    """It cannot be looked up: refusing it might have it booked twice, so an operator decides."""
    async with open_world(**QUICK) as world:
        silent = {"operation": ["payments", "corrections"], "kind": "unmention", "rows": [1]}
        world.sandbox.play({"fault": [silent]})
        payments = [{"invoiceNumber": number, "amount": 1, "type": kind} for number in ("1", "2", "3")]
        await settle(world, wait_until, {"batchid": "a", "invoice": [invoice(number) for number in ("1", "2", "3")]})
        reply = await settle(world, wait_until, {"batchid": "b", "payment": payments})
        assert list(reply.states.values()) == ["OK", "PENDING", "OK"]
        ledger = await world.ledger()
        assert [address for _, address in ledger.in_doubt_rows] == [("payment", 1)]


async def test_a_success_that_mentions_no_payment_at_all_accepts_them(world: Any, invoice: Invoice) -> None:
    """The entries of payment batches are undocumented, and may well be empty."""
    world.sandbox.play({"fault": [{"operation": "payments", "kind": "unmention"}]})
    payments = [{"invoiceNumber": number, "amount": 1} for number in ("1", "2")]
    assert (await world.post({"invoice": [invoice("1"), invoice("2")], "payment": payments})).code == 0


async def test_a_conflict_after_a_lost_answer_is_parked_with_what_waits_for_it(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Probably our own echo, but no list shows it: neither the invoice nor its payment is decided or sent again."""
    async with open_world(**QUICK) as world:
        lost = {"operation": "invoices", "kind": "reset", "when": "after", "times": 1}
        lag = {"operation": "invoices", "kind": "lag", "seconds": 3600}
        behaviour = {"duplicates": "call", "idempotency": "ignore"}
        world.sandbox.play({"behaviour": behaviour, "fault": [lost, lag]})
        batch = {"batchid": "b", "invoice": [invoice("1")], "payment": [{"invoiceNumber": "1", "amount": 1}]}
        reply = await settle(world, wait_until, batch)
        assert set(reply.states.values()) == {"PENDING"}
        assert [entry.operation for entry in world.writes()] == ["invoices", "invoices"]
        assert world.accepted("invoices") == {"erp-1": 1}
        ledger = await world.ledger()
        assert (ledger.in_doubt, ledger.pending) == (1, 1)


async def test_a_fault_of_the_program_in_one_batch_leaves_the_others_alone(
    open_world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows stay pending and in the books; it is taken up again at the next start."""
    async with open_world(hold_seconds=0.2) as world:
        worker = world.bridge.workshop._worker
        run = worker.run

        async def fail_on_b(work: Any) -> None:
            if work.record.batchid == "b":
                raise RuntimeError("a fault of the program")
            await run(work)

        monkeypatch.setattr(worker, "run", fail_on_b)
        broken = {"batchid": "b", "invoice": [invoice("1")]}
        assert (await world.post(broken)).code == 3
        assert (await world.post({"batchid": "c", "invoice": [invoice("2")]})).code == 0
        sandbox = world.sandbox
        async with world.session.get(world.url + "/webapi/api/Ping") as ping:
            assert ping.status == 200
    assert sandbox.state.account(ORG_A).tallies["invoices"].accepted == {"erp-2": 1}


async def test_a_fault_of_the_program_in_a_request_is_answered_in_the_legacy_shape(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 without a stack trace, and the advice to send the same again."""

    async def fail(*_: object) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr(world.bridge.pipeline, "take", fail)
    reply = await world.post({})
    assert (reply.status, reply.code) == (500, 2)
    assert "send the same again" in reply.errors["batch", 0]
    assert "secret" not in str(reply.body)


async def test_the_journal_decides_between_two_that_are_first(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The identity was taken by another process in between: the caller joins the other one's batch."""
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    first = await world.post(batch)
    books = world.bridge.pipeline._books
    find, blind = books.find, [True]

    async def find_late(*names: str) -> Any:
        return None if blind and blind.pop() else await find(*names)

    monkeypatch.setattr(books, "find", find_late)
    again = await world.post(batch)
    assert again.headers["x-bridge-batch"] == first.headers["x-bridge-batch"]
    assert again.headers["x-bridge-replay"] == "true"
    assert len(world.writes()) == 1


async def test_a_batch_too_large_for_one_call_travels_in_several(open_world: Any, invoice: Invoice) -> None:
    """No call carries more rows than allowed; every row arrives once, in a reply in request order."""
    async with open_world(max_rows_per_call=7) as world:
        reply = await world.post({"invoice": [invoice(str(index)) for index in range(1200)]})
        assert reply.code == 0
        assert [line["objectindex"] for line in reply.body["responses"]] == list(range(1200))
        assert max(entry.rows for entry in world.writes()) == 7
        assert set(world.accepted("invoices").values()) == {1}


async def test_a_body_that_breaks_off_takes_nothing(world: Any) -> None:
    """A caller that dies in the middle of its body leaves no trace."""
    import asyncio

    host, _, port = world.url.removeprefix("http://").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /webapi/api/Batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token1\r\n")
    writer.write(b'Content-Length: 100\r\n\r\n{"invoice": [')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await world.post({})).status == 200
    assert (await world.ledger()).accepted == 0
