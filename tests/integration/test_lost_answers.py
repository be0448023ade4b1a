"""Writes whose answer was lost: what arrived is found, what never arrived is sent again, nothing is doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
PAYMENTS = [
    {"invoiceNumber": "1", "amount": 5, "uniqueSourcePaymentId": "p-1"},
    {"invoiceNumber": "2", "amount": 6},
]
CORRECTIONS = [
    {"invoiceNumber": "1", "amount": 5, "type": "CREDIT"},
    {"invoiceNumber": "2", "amount": 6, "type": "CREDIT"},
]

LOST: dict[str, dict[str, object]] = {
    "reset before": {"kind": "reset", "when": "before"},
    "reset after": {"kind": "reset", "when": "after"},
    "accepted late": {"kind": "reset", "when": "late", "seconds": 0.2},
    "500 before": {"kind": "fail", "status": 500},
    "500 after": {"kind": "garbage", "body": "text", "status": 500, "when": "after"},
    "html instead of 202": {"kind": "garbage", "body": "html", "when": "after"},
    "half of the 202": {"kind": "garbage", "body": "truncated", "when": "after"},
    "an empty 202": {"kind": "garbage", "body": "empty", "when": "after"},
    "a gateway's page": {"kind": "garbage", "body": "html", "when": "before"},
    "408": {"kind": "fail", "status": 408},
    "too slow, accepted": {"kind": "slow", "seconds": 0.35, "when": "after"},
    "too slow, then accepted": {"kind": "slow", "seconds": 0.35, "when": "before"},
}
QUICK = {"request_timeout_seconds": 0.25, "settle_seconds": 0.15}


def strike_once(operation: str, fault: str) -> dict[str, object]:
    return {"operation": operation, "times": 1} | LOST[fault]


@pytest.mark.parametrize(
    ("fault", "key"),
    [(fault, "honour") for fault in LOST] + [(f"reset {when}", "ignore") for when in ("before", "after")],
)
async def test_invoices_whose_answer_was_lost_are_accepted_once(
    open_world: Any, invoice: Invoice, fault: str, key: str
) -> None:
    """Whatever happened to the answer, and whether the API knows idempotency keys or not."""
    async with open_world(**QUICK) as world:
        world.sandbox.play({"behaviour": {"idempotency": key}, "fault": [strike_once("invoices", fault)]})
        reply = await world.post({"invoice": [invoice("1"), invoice("2", uniqueSourceInvoiceId=None)]})
        assert (reply.code, reply.errors) == (0, {})
        assert sorted(world.accepted("invoices").values()) == [1, 1]
        assert len({entry.key for entry in world.writes()}) == 1


@pytest.mark.parametrize(
    "fault", ["reset before", "reset after", "accepted late", "500 after", "half of the 202", "too slow, accepted"]
)
async def test_payments_whose_answer_was_lost_are_booked_once(open_world: Any, invoice: Invoice, fault: str) -> None:
    """Payments cannot be looked up; key, unique id and duplicate answer make up for it."""
    async with open_world(**QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("2")]})
        world.sandbox.play({"fault": [strike_once("payments", fault)]})
        reply = await world.post({"batchid": "b", "payment": PAYMENTS})
        assert (reply.code, reply.errors) == (0, {})
        assert [held.paid for held in world.sandbox.state.account(ORG_A).invoices] == [5, 6]


@pytest.mark.parametrize("fault", ["reset after", "accepted late", "500 after", "an empty 202", "too slow, accepted"])
async def test_corrections_that_arrived_are_found_by_their_key(open_world: Any, invoice: Invoice, fault: str) -> None:
    """The batch list shows the call under its idempotency key; it is never sent again."""
    async with open_world(**QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("2")]})
        world.sandbox.play({"fault": [strike_once("corrections", fault)]})
        reply = await world.post({"batchid": "b", "payment": CORRECTIONS})
        assert (reply.code, reply.errors) == (0, {})
        assert [held.credited for held in world.sandbox.state.account(ORG_A).invoices] == [5, 6]
        assert len(world.writes("corrections")) == 1


@pytest.mark.parametrize(
    ("fault", "key"), [("reset before", "honour"), ("500 before", "ignore"), ("reset after", "ignore")]
)
async def test_corrections_that_cannot_be_found_are_parked(
    open_world: Any, invoice: Invoice, wait_until: Any, fault: str, key: str
) -> None:
    """Nobody can tell whether they arrived: they stay pending, in doubt, and are never sent a second time."""
    async with open_world(**QUICK, hold_seconds=0.05) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("2")]})
        world.sandbox.play({"behaviour": {"idempotency": key}, "fault": [strike_once("corrections", fault)]})
        batch = {"batchid": "b", "payment": [*CORRECTIONS, {"invoiceNumber": "1", "amount": 1}]}
        await world.post(batch)
        await wait_until(lambda: not world.bridge.workshop._tasks)
        reply = await world.post(batch)
        assert reply.code == 3
        assert list(reply.states.values()) == ["PENDING", "PENDING", "OK"]
        ledger = await world.ledger()
        assert (ledger.in_doubt, [address for _, address in ledger.in_doubt_rows]) == (
            2,
            [("payment", 0), ("payment", 1)],
        )
        assert len(world.writes("corrections")) == 1


async def test_a_correction_that_provably_never_left_is_sent_again(open_world: Any, invoice: Invoice) -> None:
    """A 503 says that nothing was taken: there is no doubt to park it for."""
    async with open_world(**QUICK) as world:
        fault = {"operation": "corrections", "kind": "fail", "status": 503, "retry_after_seconds": 0, "times": 1}
        world.sandbox.play({"fault": [fault]})
        reply = await world.post({"invoice": [invoice("1"), invoice("2")], "payment": CORRECTIONS})
        assert reply.code == 0
        assert [entry.status for entry in world.writes("corrections")] == [503, 202]


async def test_lists_that_lag_behind_are_waited_for(open_world: Any, invoice: Invoice) -> None:
    """A write that is missing from the lists for a while is not sent again while it may still show up."""
    async with open_world(request_timeout_seconds=0.2, settle_seconds=0.3) as world:
        world.sandbox.play({"behaviour": {"lists_lag_seconds": 0.4}, "fault": [strike_once("invoices", "reset after")]})
        reply = await world.post({"invoice": [invoice("1")]})
        assert reply.code == 0
        assert len(world.writes("invoices")) == 1


async def test_a_duplicate_of_itself_is_a_success(open_world: Any, invoice: Invoice) -> None:
    """The first attempt arrived too late to be seen: the second is refused as a duplicate, and that is our own."""
    async with open_world(request_timeout_seconds=0.3, settle_seconds=0.2) as world:
        lag = {"operation": ["invoices", "payments"], "kind": "lag", "seconds": 1.2, "times": 1}
        lost = {"operation": ["invoices"], "kind": "reset", "when": "after", "times": 1}
        world.sandbox.play({"behaviour": {"idempotency": "ignore"}, "fault": [lost, lag]})
        reply = await world.post({"invoice": [invoice("1"), invoice("2")]})
        assert len(world.writes("invoices")) == 2, "it was sent again"
        assert (reply.code, reply.errors) == (0, {})
        assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1}


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("rows", [1, 2])
async def test_a_call_refused_as_a_duplicate_of_itself_is_a_success(
    open_world: Any, invoice: Invoice, status: int, rows: int
) -> None:
    """The second attempt is not even taken, because of rows that the first one left there unseen."""
    async with open_world(request_timeout_seconds=0.3, settle_seconds=0.2) as world:
        lag = {"operation": "invoices", "kind": "lag", "seconds": 1.2, "times": 1}
        again = {"operation": "invoices", "kind": "fail", "status": status, "text": "it already exists"}
        lost = strike_once("invoices", "reset after")
        world.sandbox.play({"behaviour": {"idempotency": "ignore"}, "fault": [lost, lag, again | {"skip": 1}]})
        reply = await world.post({"invoice": [invoice(str(number)) for number in range(rows)]})
        assert len(world.writes("invoices")) > 1, "it was sent again"
        assert (reply.code, reply.errors) == (0, {})
        assert set(world.accepted("invoices").values()) == {1}
        assert (await world.ledger()).unaccounted == ()


async def test_a_call_refused_as_a_duplicate_of_an_older_claim_names_it(open_world: Any, invoice: Invoice) -> None:
    """Whose claim it is, the message says; the bridge looks it up."""
    async with open_world(**QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        refused = {"operation": "invoices", "kind": "fail", "status": 422, "text": "duplicate"}
        world.sandbox.play({"fault": [refused]})
        reply = await world.post({"batchid": "b", "invoice": [invoice("1", description="again")]})
        assert reply.code == 2
        assert "already holds this claim as case" in reply.errors["invoice", 0]


async def test_the_parts_of_a_lost_call_are_still_its_own(open_world: Any, invoice: Invoice) -> None:
    """The second attempt is split, and its parts find what the first one left behind: a success, not a duplicate."""
    async with open_world(**QUICK) as world:
        lag = {"operation": "invoices", "kind": "lag", "seconds": 3600}
        refused = {"operation": "invoices", "kind": "fail", "status": 422, "skip": 1, "times": 1}
        behaviour = {"idempotency": "ignore"}
        world.sandbox.play({"behaviour": behaviour, "fault": [strike_once("invoices", "reset after"), refused, lag]})
        reply = await world.post({"invoice": [invoice("1"), invoice("2")]})
        assert (reply.code, reply.errors) == (0, {})
        assert [entry.rows for entry in world.writes()] == [2, 2, 1, 1]
        assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1}


async def test_a_lost_call_of_which_only_some_rows_exist_sends_the_others(open_world: Any, invoice: Invoice) -> None:
    """An API without keys shows two of three invoices: the third travels in a call of its own."""
    async with open_world(**QUICK) as world:
        refused = {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "2"}, "times": 1}
        world.sandbox.play(
            {"behaviour": {"idempotency": "ignore"}, "fault": [strike_once("invoices", "reset after"), refused]}
        )
        reply = await world.post({"invoice": [invoice("1"), invoice("2"), invoice("3")]})
        assert reply.code == 0
        assert [entry.rows for entry in world.writes()] == [3, 1]
        assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1, "erp-3": 1}


async def test_a_claim_from_elsewhere_is_not_mistaken_for_a_lost_call(open_world: Any, invoice: Invoice) -> None:
    """One row of the lost call came in an earlier batch, and its batch is not adopted: the other row is sent."""
    async with open_world(**QUICK) as world:
        await world.post({"batchid": "a", "invoice": [invoice("1")]})
        world.sandbox.play({"fault": [strike_once("invoices", "500 before")]})
        reply = await world.post({"batchid": "b", "invoice": [invoice("1", description="again"), invoice("2")]})
        assert reply.states["invoice", 1] == "OK"
        assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1}


async def test_an_action_whose_answer_was_lost_holds_back_what_follows_it(
    open_world: Any, invoice: Invoice, wait_until: Any
) -> None:
    """A pause in doubt is not overtaken by the resume of the same case; another case's action goes on."""
    async with open_world(**QUICK, hold_seconds=0.05) as world:
        world.sandbox.play({"fault": [strike_once("pause", "500 before")]})
        actions = [{"ledgerref": number, "actiontype": code} for number, code in [("1", 1), ("1", 2), ("2", 1)]]
        await world.post({"batchid": "a", "invoice": [invoice("1"), invoice("2")]})
        await wait_until(lambda: not world.bridge.workshop._tasks)
        batch = {"batchid": "b", "action": actions}
        await world.post(batch)
        await wait_until(lambda: not world.bridge.workshop._tasks)
        reply = await world.post(batch)
        assert list(reply.states.values()) in (["PENDING", "PENDING", "OK"], ["OK", "PENDING", "PENDING"])
        assert world.writes("resume") == []


async def test_reads_that_fail_never_decide_a_row(open_world: Any, invoice: Invoice) -> None:
    """Polls and look-ups that break off are made again until there is an answer."""
    async with open_world(**QUICK) as world:
        broken = [
            {"operation": "reads", "kind": "reset", "times": 2},
            {"operation": "reads", "kind": "fail", "status": 500, "times": 2},
            {"operation": "reads", "kind": "garbage", "body": "truncated", "times": 2},
            {"operation": "reads", "kind": "fail", "status": 404, "times": 2},
        ]
        world.sandbox.play({"fault": [strike_once("invoices", "reset after"), *broken]})
        reply = await asyncio.wait_for(
            world.post({"invoice": [invoice("1")], "payment": [{"invoiceNumber": "1", "amount": 1}]}), 20
        )
        assert (reply.code, reply.errors) == (0, {})
        assert world.accepted("invoices") == {"erp-1": 1}
