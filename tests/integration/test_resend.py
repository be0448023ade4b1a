"""The same batch again: replayed, joined, or refused because its content changed. Never submitted twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.app import Environment
from bridge.journal import IdentityTaken, OpenBatch

Invoice = Callable[..., dict[str, Any]]


async def post_raw(world: Any, body: bytes, bearer: str = "token1") -> tuple[int, bytes, dict[str, str]]:
    """Return status, the very bytes, and the headers of an answer."""
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    async with world.session.post(world.url + "/webapi/api/Batch", data=body, headers=headers) as response:
        return response.status, await response.read(), dict(response.headers)


class Clock:
    """A clock that runs with the real one, ahead of it by what a test adds."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        import time

        return time.time() + self.ahead


@pytest.mark.parametrize("batchid", ["b-1", "", None, 17])
async def test_a_finished_batch_is_answered_with_the_very_same_bytes(
    world: Any, invoice: Invoice, batchid: object
) -> None:
    """With or without a batchid: the stored answer, the same batch id, and a header that says so."""
    batch = {"batchid": batchid, "invoice": [invoice("1"), invoice("2", dueDate="never")]}
    body = json.dumps(batch).encode()
    _, first, headers = await post_raw(world, body)
    _, again, repeated = await post_raw(world, body)
    assert again == first
    assert repeated["X-Bridge-Batch"] == headers["X-Bridge-Batch"]
    assert ("X-Bridge-Replay" in headers, repeated["X-Bridge-Replay"]) == (False, "true")
    assert len(world.writes()) == 1
    assert (await world.ledger()).accepted == 2


async def test_spelling_order_and_white_space_do_not_make_another_batch(world: Any, invoice: Invoice) -> None:
    """Letter case and order of property names, blanks and line breaks are no content."""
    row = invoice("1")
    turned = {key.upper(): value for key, value in reversed(row.items())}
    bodies = [
        json.dumps({"batchid": "b", "invoice": [row]}),
        json.dumps({"Invoice": [turned], "BatchId": "b", "payment": None}, indent=3),
    ]
    answers = [await post_raw(world, body.encode()) for body in bodies]
    assert answers[0][:2] == answers[1][:2]
    assert answers[1][2]["X-Bridge-Replay"] == "true"
    assert len(world.writes()) == 1


async def test_changed_content_under_a_used_batchid_is_refused(world: Any, invoice: Invoice) -> None:
    """422 in the legacy shape; the message names both remedies, and nothing is submitted."""
    await world.post({"batchid": "b", "invoice": [invoice("1")]})
    reply = await world.post({"batchid": "b", "invoice": [invoice("1"), invoice("2")]})
    assert (reply.status, reply.code) == (422, 2)
    message = reply.errors["batch", 0]
    assert "new batchid" in message
    assert "label" in message
    assert world.accepted("invoices") == {"erp-1": 1}


async def test_changed_content_is_refused_while_the_batch_still_runs(open_world: Any, invoice: Invoice) -> None:
    """The first one is not disturbed."""
    async with open_world(hold_seconds=0.1) as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 0.4}})
        assert (await world.post({"batchid": "b", "invoice": [invoice("1")]})).code == 3
        assert (await world.post({"batchid": "b", "invoice": [invoice("2")]})).status == 422


async def test_batchids_of_different_senders_do_not_meet(world: Any, invoice: Invoice) -> None:
    """Two ERPs may count their batches alike."""
    await world.post({"batchid": "b", "invoice": [invoice("1")]})
    reply = await world.post({"batchid": "b", "invoice": [invoice("2")]}, bearer="token-label")
    assert reply.code == 0


async def test_a_repeated_caller_joins_the_running_batch(world: Any, invoice: Invoice) -> None:
    """Both callers get the same final bytes; the rows go out once."""
    world.sandbox.play({"behaviour": {"finish_after_seconds": 0.3}})
    body = json.dumps({"batchid": "b", "invoice": [invoice("1")]}).encode()
    first = asyncio.create_task(post_raw(world, body))
    await asyncio.sleep(0.1)
    second = await post_raw(world, body)
    assert (await first)[:2] == second[:2]
    assert second[2]["X-Bridge-Replay"] == "true"
    assert b'"statuscode":0' in second[1]
    assert len(world.writes()) == 1


@pytest.mark.parametrize("batchid", ["b", ""])
async def test_posts_at_the_same_instant_are_one_batch(world: Any, invoice: Invoice, batchid: str) -> None:
    """Ten callers at once: one batch, one submission, ten equal answers."""
    body = json.dumps({"batchid": batchid, "invoice": [invoice(str(index)) for index in range(5)]}).encode()
    answers = await asyncio.gather(*(post_raw(world, body) for _ in range(10)))
    assert len({answer[1] for answer in answers}) == 1
    assert len({answer[2]["X-Bridge-Batch"] for answer in answers}) == 1
    assert sum("X-Bridge-Replay" not in answer[2] for answer in answers) == 1
    assert len(world.writes()) == 1
    assert (await world.ledger()).accepted == 5


async def test_callers_who_meet_at_two_replicas_at_the_same_instant_are_all_answered(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """Two wait here for the journal, which has just taken the batch from another replica: both get its answer."""
    store = world.bridge.workshop._store
    write, go_on, reached = store.write, asyncio.Event(), asyncio.Event()

    async def write_second(*changes: Any) -> None:
        if isinstance(changes[0], OpenBatch) and not go_on.is_set():
            reached.set()
            await go_on.wait()
            raise IdentityTaken
        await write(*changes)

    monkeypatch.setattr(store, "write", write_second)
    body = json.dumps({"batchid": "b", "invoice": [invoice("1")]}).encode()
    callers = [asyncio.create_task(post_raw(world, body))]
    await reached.wait()
    (work,) = world.bridge.workshop.works
    joined = asyncio.Event()
    wait = type(work).wait_until_open

    async def wait_and_tell(of: Any) -> None:
        joined.set()
        await wait(of)

    monkeypatch.setattr(type(work), "wait_until_open", wait_and_tell)
    callers.append(asyncio.create_task(post_raw(world, body)))
    await joined.wait()
    go_on.set()
    answers = await asyncio.gather(*callers)
    assert [answer[0] for answer in answers] == [200, 200]
    assert answers[0][1] == answers[1][1]
    assert len(world.writes()) == 1


async def test_a_sender_may_use_its_batchid_as_a_label(world: Any, invoice: Invoice) -> None:
    """One batchid for ever: new content is a new batch, the same content the same one, whatever it is called."""
    first = await world.post({"batchid": "nightly", "invoice": [invoice("1")]}, bearer="token-label")
    second = await world.post({"batchid": "nightly", "invoice": [invoice("2")]}, bearer="token-label")
    again = await world.post({"batchid": "other name", "invoice": [invoice("1")]}, bearer="token-label")
    assert (first.code, second.code) == (0, 0)
    assert again.headers["x-bridge-batch"] == first.headers["x-bridge-batch"] != second.headers["x-bridge-batch"]
    assert world.accepted("invoices") == {"erp-1": 1, "erp-2": 1}


async def test_content_counts_within_the_resend_window_only(open_world: Any, invoice: Invoice) -> None:
    """After 24 hours equal content without a batchid is a new batch, whose rows get unique ids of their own."""
    clock = Clock()
    async with open_world(environment=Environment(clock=clock)) as world:
        batch = {"invoice": [invoice("1", uniqueSourceInvoiceId=None)]}
        first = await world.post(batch)
        clock.ahead = 23.9 * 3600
        assert "x-bridge-replay" in (await world.post(batch)).headers
        clock.ahead = 24.1 * 3600
        later = await world.post(batch)
        assert later.code == 0
        assert "x-bridge-replay" not in later.headers
        assert later.headers["x-bridge-batch"] != first.headers["x-bridge-batch"]
        assert list(world.accepted("invoices").values()) == [1, 1]
        assert "x-bridge-replay" in (await world.post(batch)).headers, "the newer one holds the identity now"


async def test_a_batchid_never_lapses(open_world: Any, invoice: Invoice) -> None:
    """A batch that has a name is the same batch a year later."""
    clock = Clock()
    async with open_world(environment=Environment(clock=clock)) as world:
        batch = {"batchid": "b", "invoice": [invoice("1")]}
        await world.post(batch)
        clock.ahead = 365 * 86_400
        assert "x-bridge-replay" in (await world.post(batch)).headers


async def test_an_open_batch_does_not_lapse(open_world: Any, invoice: Invoice) -> None:
    """As long as a batch runs, its content is the same batch, however old it is."""
    clock = Clock()
    async with open_world(environment=Environment(clock=clock), hold_seconds=0.1) as world:
        world.sandbox.play({"behaviour": {"finish_after_polls": 10_000}})
        batch = {"invoice": [invoice("1")]}
        first = await world.post(batch)
        clock.ahead = 25 * 3600
        again = await world.post(batch)
        assert again.headers["x-bridge-batch"] == first.headers["x-bridge-batch"]


async def test_a_window_of_zero_makes_every_post_a_new_batch(world: Any, invoice: Invoice) -> None:
    """Without a window equal content is never the same; with a batchid it still is."""
    batch = {"payment": [{"invoiceNumber": "1", "amount": 1, "type": "CREDIT"}]}
    await world.post({"batchid": "a", "invoice": [invoice("1")]}, bearer="token-nowindow")
    ids = {(await world.post(batch, bearer="token-nowindow")).headers["x-bridge-batch"] for _ in range(3)}
    assert len(ids) == 3
    assert len(world.writes("corrections")) == 3
    named = [await world.post({"batchid": "c"} | batch, bearer="token-nowindow") for _ in range(2)]
    assert "x-bridge-replay" in named[1].headers


async def test_rows_without_unique_ids_get_the_same_ones_for_the_same_batch(open_world: Any, invoice: Invoice) -> None:
    """The ids stand in the journal, and no two rows of a batch share one; were the journal lost, they are the same."""
    rows = [invoice(str(index), uniqueSourceInvoiceId=None) for index in range(4)]
    batch = {"batchid": "b", "invoice": rows, "payment": [{"invoiceNumber": "1", "amount": 2}]}
    async with open_world() as world:
        reply = await world.post(batch)
        stored = await world.books.load(reply.headers["x-bridge-batch"])
        ids = [row.unique_id for row in stored.rows]
        assert len(set(ids)) == 5
        assert all(unique_id.startswith("bridge-") for unique_id in ids)
        assert set(world.accepted("invoices")) | set(world.accepted("payments")) == set(ids)
        assert [line["ledgerref"] for line in reply.body["responses"]] == ["0", "1", "2", "3", "1"]
    for file in world.folder.glob("bridge.db*"):
        file.unlink()
    async with open_world() as world:
        await world.post(batch)
        assert set(world.accepted("invoices")) | set(world.accepted("payments")) == set(ids)
        await world.post(batch | {"batchid": "another"})
        assert len(set(world.accepted("payments"))) == 2
