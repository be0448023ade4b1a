"""A batch whose rows two systems decide: split, sent, folded into one answer as if it were one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.batch import LEGACY, Address, CallState

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"


async def test_each_half_is_decided_by_its_system_and_told_in_one_answer(
    shared: Any, host: Any, post: Any, mixed: dict[str, Any], of_b: Any
) -> None:
    """Every row is answered once, in the caller's order, the legacy host's in its own words and with its references."""
    told = await post(shared, mixed, of_b)
    assert told.body["statuscode"] == 1
    assert list(told.errors) == [("invoice", 3)]
    assert told.errors["invoice", 3] == "legacy says: no such debtor"
    assert told.references == {
        ("creditor", 0): "L-creditor-0",
        ("creditor", 1): "984842252",
        ("invoice", 0): "erp-1",
        ("invoice", 1): "L-invoice-0",
        ("invoice", 2): "erp-2",
        ("payment", 0): "L-payment-0",
        ("payment", 1): "1",
        ("action", 0): "L-action-0",
    }
    assert set(told.states.values()) == {"OK", "REFUSED"}
    assert sum(shared.accepted("invoices").values()) == 2
    assert sum(shared.accepted("invoices", ORG_B).values()) == 0
    ledger = await shared.ledger()
    by_organization = {one.organization: one.final for one in ledger.organizations}
    assert by_organization == {ORG_A: 3, ORG_B: 5, "": 1}


async def test_the_host_is_sent_its_rows_as_they_came(
    shared: Any, host: Any, post: Any, mixed: dict[str, Any], of_b: Any
) -> None:
    """It gets one batch under the caller's batchid, sender and credentials, with its rows alone, in their order."""
    await post(shared, mixed, of_b, authorization="Basic b3duOnNlY3JldA==")
    assert host.bodies == [
        {
            "batchid": "mixed",
            "offline": False,
            **{
                name: [mixed[name][index] for kind, index in of_b if kind == name]
                for name in mixed
                if name != "batchid"
            },
        }
    ]
    assert b'{"creditorid": "971274190", "invoiceNumber": "B1", "odd": [1.5, {"x": "\\u00f8"}]}' in host.raw[0]
    assert (host.senders, host.credentials) == (["ERP-2"], ["Basic b3duOnNlY3JldA=="])


async def test_the_same_batch_again_is_told_the_same(
    shared: Any, host: Any, post: Any, mixed: dict[str, Any], of_b: Any
) -> None:
    """Two callers at once join one batch; later the stored bytes come back, whatever modes are in force by then."""
    first, second = await asyncio.gather(post(shared, mixed, of_b), post(shared, mixed, of_b))
    third = await post(shared, mixed, {})
    assert first.raw == second.raw == third.raw
    assert sorted([first.replayed, second.replayed]) == [False, True]
    assert len(host.bodies) == 1
    assert max(host.taken.values()) == 1
    assert not shared.bridge.pipeline._keyring._brought, "credentials are forgotten with their batch"


async def test_a_call_of_both_halves_is_journalled_before_anything_leaves(
    shared: Any, host: Any, post: Any, mixed: dict[str, Any], of_b: Any, wait_until: Any
) -> None:
    """While the host has the batch its call is SUBMITTING; then DONE, and no claim was learnt of its rows."""
    let_go = asyncio.Event()

    async def dwell(_: Any, body: dict[str, Any]) -> Any:
        await let_go.wait()
        return host.accept(body)

    host.script.append(dwell)
    caller = asyncio.create_task(post(shared, mixed, of_b))
    await wait_until(lambda: host.bodies)
    (summary,) = await shared.books.summaries()
    stored = await shared.books.load(summary.id)
    (call,) = [one for one in stored.calls if one.operation == LEGACY.name]
    assert (call.state, call.organization) == (CallState.SUBMITTING, "")
    assert call.path == "/webapi/api/Batch?senderid=ERP-2"
    assert call.rows == tuple(Address(*place) for place in of_b)
    first = {one.call_id: one.state for one in reversed(await shared.books.attempts(summary.id))}
    assert first.pop(call.id) is CallState.PLANNED, "the host's turn comes when the batch is safe"
    assert CallState.SUBMITTING in first.values(), "a small call of the modern half has its slot all the same"
    let_go.set()
    await caller
    stored = await shared.books.load(summary.id)
    assert {one.state for one in stored.calls} == {CallState.DONE}
    assert await shared.books.find_claims("B1") == []


async def test_a_modern_row_never_belongs_to_an_invoice_of_the_legacy_half(
    shared: Any, host: Any, post: Any, invoice: Any
) -> None:
    """A payment that names one, within one organization, is refused and says why; nothing of it is sent."""
    batch = {
        "invoice": [{"creditorid": "984842252", "invoiceNumber": "7"}, invoice("8", creditorid="984842252")],
        "payment": [{"creditorid": "984842252", "invoiceNumber": number, "amount": 5} for number in ("7", "8")],
    }
    told = await post(shared, batch, {("invoice", 0): ORG_A})
    assert told.states["payment", 1] == "OK"
    assert told.errors["payment", 0].startswith(
        "invoiceNumber: not submitted: it names invoice 0 of this batch, which the"
    )
    assert len(shared.writes("payments")) == 1


async def test_the_same_number_of_another_organization_is_another_invoice(
    shared: Any, host: Any, post: Any, invoice: Any
) -> None:
    """A payment finds its own organization's claim, though an invoice of the legacy half has the same number."""
    await post(shared, {"batchid": "before", "invoice": [invoice("9", creditorid="984842252")]}, {})
    batch = {
        "invoice": [{"creditorid": "971274190", "invoiceNumber": "9"}],
        "payment": [{"creditorid": "984842252", "invoiceNumber": "9", "amount": 5}],
    }
    told = await post(shared, batch, {("invoice", 0): ORG_B})
    assert set(told.states.values()) == {"OK"}


async def test_an_offline_batch_is_answered_at_once_and_worked_all_the_same(
    shared: Any, host: Any, post: Any, mixed: dict[str, Any], of_b: Any, wait_until: Any
) -> None:
    """The host is asked to answer now: the bridge waits for it in the background."""
    told = await post(shared, mixed | {"offline": True}, of_b)
    assert set(told.states.values()) <= {"OK", "PENDING"}
    assert told.states["invoice", 1] == "PENDING"
    await wait_until(lambda: not shared.bridge.workshop.works)
    assert host.bodies[0]["offline"] is False
    again = await post(shared, mixed | {"offline": True}, {})
    assert again.states["invoice", 1] == "OK"


@pytest.mark.parametrize("rows", [3000, pytest.param(20_000, marks=pytest.mark.chaos)])
async def test_a_large_half_goes_in_one_batch(shared: Any, host: Any, post: Any, invoice: Any, rows: int) -> None:
    """The rows keep their order and their own indexes in the answer, however many there are."""
    lines = [{"creditorid": "971274190", "n": number} for number in range(rows)]
    batch = {"invoice": [*lines[: rows // 2], invoice("1", creditorid="984842252"), *lines[rows // 2 :]]}
    places = [("invoice", index) for index in range(rows + 1) if index != rows // 2]
    told = await post(shared, batch, dict.fromkeys(places, ORG_B))
    assert [row["n"] for row in host.bodies[0]["invoice"]] == list(range(rows))
    references = told.references
    assert [references[place] for place in places] == [f"L-invoice-{number}" for number in range(rows)]
    assert told.body["statuscode"] == 0
