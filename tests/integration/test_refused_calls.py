"""Calls that the modern system refuses as a whole, asks to send later, or answers without the right token."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]


def poison(status: int = 422, **fields: object) -> dict[str, object]:
    """Script: any call with a POISON invoice is refused as a whole."""
    return {
        "operation": "invoices",
        "kind": "fail",
        "status": status,
        "where": {"invoiceNumber": "POISON-*"},
        "text": "the request is not valid",
    } | fields


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422])
@pytest.mark.parametrize(("count", "faulty"), [(1, {0}), (8, {3}), (40, {0, 17, 39}), (5, {0, 1, 2, 3, 4})])
async def test_faulty_rows_of_a_silent_refusal_are_isolated(
    world: Any, invoice: Invoice, status: int, count: int, faulty: set[int]
) -> None:
    """A 4xx that names no row costs at most 2·k·log2(n) + 1 calls; all other rows are accepted once."""
    world.sandbox.play({"fault": [poison(status, tells_rows=False)]})
    rows = [invoice(f"POISON-{index}" if index in faulty else str(index)) for index in range(count)]
    reply = await world.post({"invoice": rows})
    assert {index for _, index in reply.errors} == faulty
    assert all("the request is not valid" in message for message in reply.errors.values())
    assert world.accepted("invoices") == {f"erp-{index}": 1 for index in range(count) if index not in faulty}
    assert len(world.writes()) <= 2 * len(faulty) * math.ceil(math.log2(max(count, 2))) + 1


async def test_a_refusal_without_any_text_is_isolated_too(world: Any, invoice: Invoice) -> None:
    """An empty error body leaves a message that names the status."""
    fault = {"operation": "invoices", "kind": "garbage", "body": "empty", "status": 422, "when": "before"}
    world.sandbox.play({"fault": [fault | {"where": {"invoiceNumber": "POISON-*"}}]})
    reply = await world.post({"invoice": [invoice("1"), invoice("POISON-1"), invoice("3")]})
    assert reply.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED", ("invoice", 2): "OK"}
    assert "HTTP 422" in reply.errors["invoice", 1]


async def test_rows_that_a_refusal_names_cost_one_more_call(world: Any, invoice: Invoice) -> None:
    """The named rows are refused with their own text, all others sent again together."""
    world.sandbox.play({"fault": [poison()]})
    numbers = ["1", "POISON-1", "3", "POISON-2", "5"]
    reply = await world.post({"invoice": [invoice(number) for number in numbers]})
    assert set(reply.errors) == {("invoice", 1), ("invoice", 3)}
    assert [entry.rows for entry in world.writes()] == [5, 3]


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_an_organization_that_is_turned_away_is_asked_once(world: Any, invoice: Invoice, status: int) -> None:
    """Its batches cannot be listed either: every row is refused, nothing is split, and the operator learns why."""
    fault = {"operation": ["invoices", "batches"], "kind": "fail", "status": status, "text": "not yours"}
    world.sandbox.play({"fault": [fault]})
    reply = await world.post({"invoice": [invoice(str(index)) for index in range(40)]})
    assert reply.code == 2
    for message in reply.errors.values():
        assert f"turns this organization away altogether (HTTP {status}, saying: not yours)" in message
        assert "its id and its credentials" in message
    assert len(world.writes()) == 1
    assert len(world.sandbox.requests.newest(operation="batches")) == 1


async def test_a_kind_of_request_nobody_takes_is_sent_once(world: Any, invoice: Invoice) -> None:
    """No row can be at fault for a method or an address: nothing is asked, and nothing is split."""
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "fail", "status": 405}]})
    reply = await world.post({"invoice": [invoice(str(index)) for index in range(40)]})
    assert all("takes no such requests (HTTP 405" in message for message in reply.errors.values())
    assert len(world.writes()) == 1


async def test_forbidden_writes_of_an_organization_that_may_be_read_cost_few_calls(
    world: Any, invoice: Invoice
) -> None:
    """Its credentials may read and not write: after some parts, of which none was taken, the rest is not tried."""
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "fail", "status": 403, "text": "no scope"}]})
    reply = await world.post({"invoice": [invoice(str(index)) for index in range(300)]})
    assert (reply.code, len(reply.errors)) == (2, 300)
    assert all("forbids every write of this kind" in message for message in reply.errors.values())
    assert len(world.writes()) <= 40
    assert len(world.sandbox.requests.newest(operation="batches")) == 1


async def test_a_part_that_is_taken_shows_that_not_all_is_forbidden(world: Any, invoice: Invoice) -> None:
    """However many rows are forbidden: the others are not refused for them."""
    world.sandbox.play({"fault": [poison(403, tells_rows=False)]})
    rows = [invoice(f"POISON-{index}" if index < 40 else str(index)) for index in range(80)]
    reply = await world.post({"invoice": rows})
    assert len(reply.errors) == 40
    assert len(world.accepted("invoices")) == 40
    assert not any("every write" in message for message in reply.errors.values())


async def test_an_organization_that_cannot_be_asked_has_its_rows_isolated(world: Any, invoice: Invoice) -> None:
    """Nobody is refused for what is only suspected."""
    gone = {"operation": "batches", "kind": "fail", "status": 400}
    world.sandbox.play({"fault": [poison(404, tells_rows=False), gone]})
    reply = await world.post({"invoice": [invoice("1"), invoice("POISON-1"), invoice("3")]})
    assert list(reply.states.values()).count("OK") == 2


async def test_an_expired_token_is_replaced(world: Any, invoice: Invoice) -> None:
    """One 401 drops the token and sends the call again with a fresh one, at once."""
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "fail", "status": 401, "times": 1}]})
    reply = await world.post({"invoice": [invoice("1")]})
    assert reply.code == 0
    assert [entry.status for entry in world.writes()] == [401, 202]
    assert len(world.sandbox.requests.newest(operation="token")) == 2
    assert len({entry.key for entry in world.writes()}) == 1


async def test_credentials_that_stay_refused_leave_rows_pending(open_world: Any, invoice: Invoice) -> None:
    """What never reached the modern system for want of a token is pending, and goes out once the token is right."""
    async with open_world(hold_seconds=0.3) as world:
        world.sandbox.play({"fault": [{"operation": "writes", "kind": "fail", "status": 401}]})
        batch = {"batchid": "b", "invoice": [invoice("1")]}
        assert (await world.post(batch)).code == 3
        world.sandbox.play({})
        replies = [await world.post(batch) for _ in range(8)]
        assert replies[-1].code == 0
        assert world.accepted("invoices") == {"erp-1": 1}


@pytest.mark.parametrize("status", [429, 503])
async def test_a_call_that_was_not_taken_is_sent_again_after_retry_after(
    world: Any, invoice: Invoice, status: int
) -> None:
    """The same call with the same key goes out again, not before the time asked for."""
    fault = {"operation": "invoices", "kind": "fail", "status": status, "retry_after_seconds": 1, "times": 1}
    world.sandbox.play({"fault": [fault]})
    reply = await world.post({"invoice": [invoice("1")]})
    assert reply.code == 0
    first, second = world.writes()
    assert second.at - first.at >= 1.0
    assert first.key == second.key
    assert first.body == second.body


async def test_a_call_that_was_not_taken_backs_off_without_retry_after(world: Any, invoice: Invoice) -> None:
    """Without a hint the bridge chooses a pause of its own."""
    world.sandbox.play({"fault": [{"operation": "invoices", "kind": "fail", "status": 503, "times": 2}]})
    reply = await world.post({"invoice": [invoice("1")]})
    assert reply.code == 0
    times = [entry.at for entry in world.writes()]
    assert [status.status for status in world.writes()] == [503, 503, 202]
    assert times[1] - times[0] >= 0.25
    assert times[2] - times[1] >= 0.5


async def test_a_modern_system_that_is_down_leaves_rows_pending(open_world: Any, invoice: Invoice) -> None:
    """Nobody answers at the address: the rows are pending, never refused, and the books call them so."""
    from bridge.sandbox import Running, SandboxOptions, running

    async with running(SandboxOptions(port=0)) as gone:
        url = gone.url
    nobody = Running(url, gone.stand_in)
    async with open_world(sandbox=nobody, hold_seconds=0.3) as world:
        reply = await world.post({"invoice": [invoice("1")], "payment": [{"invoiceNumber": "old", "amount": 1}]})
        assert set(reply.states.values()) == {"PENDING"}
        ledger = await world.ledger()
        assert (ledger.pending, ledger.in_doubt) == (2, 0)


STYLES = ["message", "error", "reason", "description", "detail", "errors-text", "errors-object"]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("entry_index", [True, False])
async def test_the_reason_of_a_failed_row_is_passed_on(
    world: Any, invoice: Invoice, style: str, entry_index: bool
) -> None:
    """Wherever an entry of failed[] says why, the row's message says it too."""
    refusal = {
        "operation": "invoices",
        "kind": "refuse",
        "where": {"invoiceNumber": "2"},
        "text": "debtor is under guardianship",
        "field": "debtors[0]",
        "code": "DEBTOR",
    }
    world.sandbox.play({"behaviour": {"failed_entry": style, "entry_index": entry_index}, "fault": [refusal]})
    reply = await world.post({"invoice": [invoice("1"), invoice("2"), invoice("3")]})
    assert reply.code == 1
    assert "debtor is under guardianship" in reply.errors["invoice", 1]
    if style == "errors-object":
        assert "debtors[0]" in reply.errors["invoice", 1]


@pytest.mark.parametrize("entry_index", [True, False])
async def test_results_in_another_order_reach_their_own_rows(world: Any, invoice: Invoice, entry_index: bool) -> None:
    """Entries are told apart by what they name, not by where they stand."""
    world.sandbox.play(
        {
            "behaviour": {"entry_index": entry_index, "echo_source_ids": True},
            "fault": [
                {"operation": "writes", "kind": "reorder"},
                {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "re:^[13]$"}, "text": "no"},
            ],
        }
    )
    rows = [invoice(str(index)) for index in range(5)]
    payments = [{"invoiceNumber": str(index), "amount": index + 1, "type": "CREDIT"} for index in (0, 2, 4)]
    reply = await world.post({"invoice": rows, "payment": payments})
    assert set(reply.errors) == {("invoice", 1), ("invoice", 3)}
    held = {claim.number: claim.credited for claim in world.sandbox.state.account(ORG_A).invoices}
    assert held == {"0": 1, "2": 3, "4": 5}
