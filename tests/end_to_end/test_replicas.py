"""Two bridges on one PostgreSQL: it does not matter which of them a caller, a webhook or an operator meets."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

Invoice = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridges' own doing."""
NEVER = {"behaviour": UNPROTECTED | {"finish_after_polls": 1_000_000}}
PROMPTLY_SECONDS = 1.5
"""Half a second more than a second, for a busy machine."""


async def test_a_caller_joins_its_batch_on_the_other_replica(open_site: Any, invoice: Invoice, wait_until: Any) -> None:
    """A resend that meets the other replica waits for the same batch, and gets the same bytes, then and later."""
    async with open_site(replicas=2) as site:
        site.sandbox.play(NEVER)
        first, other = site.bridges
        sent = {"batchid": "b", "invoice": [invoice("1"), invoice("2", dueDate="never")]}
        caller = asyncio.create_task(site.post(sent, first))
        await wait_until(lambda: site.asked("batch"), "the first replica works it")
        joined = asyncio.create_task(site.post(sent, other))
        await wait_until(lambda: other.events("batch_joined"), "the resend waits at the other replica")
        site.release()
        replies = [await caller, await joined, await site.post(sent, other), await site.post(sent, first)]
        assert replies[0].states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED"}
        assert len({reply.raw for reply in replies}) == 1
        assert len({reply.headers["x-bridge-batch"] for reply in replies}) == 1
        assert [reply.headers.get("x-bridge-replay") for reply in replies] == [None, "true", "true", "true"]
        assert other.events("batch_replayed")
        changed = await site.post(sent | {"invoice": [invoice("3")]}, other)
        assert changed.status == 422
        assert site.accepted("invoices") == {"erp-1": 1}
        assert (await site.ledger())["final"] == 2


async def test_the_answer_reaches_the_other_replica_without_delay(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """A waiter at the replica that does not work the batch is told of its end; to look every second would be slower."""
    delays = []
    async with open_site(replicas=2) as site:
        worker, other = site.bridges
        for number in range(7):
            site.sandbox.play(NEVER)
            sent = {"batchid": f"b-{number}", "invoice": [invoice(f"{number}")]}
            caller = asyncio.create_task(site.post(sent, worker))
            await wait_until(lambda: len(worker.events("call_taken")) > number, "the batch is worked")  # noqa: B023 - awaited here
            waiter = asyncio.create_task(site.post(sent, other))
            await wait_until(lambda: len(other.events("batch_joined")) > number, "the other replica waits")  # noqa: B023 - awaited here
            site.release()
            await caller
            began = time.monotonic()
            await waiter
            delays.append(time.monotonic() - began)
    assert statistics.median(delays) < 0.2


async def test_the_same_batch_at_both_replicas_at_once_is_one_batch(open_site: Any, invoice: Invoice) -> None:
    """Whoever comes second joins: each batch has one id, one answer, and goes out once."""
    async with open_site(replicas=2) as site:
        site.sandbox.play({"behaviour": UNPROTECTED})
        batches = [{"batchid": f"b-{number}", "invoice": [invoice(f"{number}")]} for number in range(20)]
        pairs = [[site.post(sent, bridge) for bridge in site.bridges] for sent in batches]
        for replies in await asyncio.gather(*(asyncio.gather(*pair) for pair in pairs)):
            assert {reply.raw for reply in replies} == {replies[0].raw}
            assert {reply.headers["x-bridge-batch"] for reply in replies} == {replies[0].headers["x-bridge-batch"]}
            assert sum("x-bridge-replay" in reply.headers for reply in replies) == 1
        assert site.accepted("invoices") == {f"erp-{number}": 1 for number in range(20)}
        site.check_identities()
        assert (await site.ledger())["final"] == 20


async def test_a_webhook_at_the_replica_that_does_not_wait_wakes_the_one_that_does(
    open_site: Any, invoice: Invoice
) -> None:
    """The reply follows the webhook at once, though the waiting replica would not have asked for a long time."""
    async with open_site(replicas=2, hooks_to=1, poll_ceiling_seconds=60, hold_seconds=50) as site:
        put_off = {"operation": "batch", "kind": "fail", "status": 503, "retry_after_seconds": 60, "times": 1}
        site.sandbox.play({"behaviour": {"finish_after_seconds": 1.0}, "fault": [put_off]})
        began = time.monotonic()
        reply = await site.post({"invoice": [invoice("1")]}, site.bridges[0])
        assert reply.states == {("invoice", 0): "OK"}
        assert time.monotonic() - began < 1.0 + PROMPTLY_SECONDS
        assert site.bridges[1].events("webhook_received")
        assert not site.bridges[0].events("webhook_received")


async def test_a_payment_waits_for_an_invoice_at_the_other_replica(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """It goes out when the invoice's batch has ended there, not up to half a minute later."""
    async with open_site(replicas=2) as site:
        site.sandbox.play({"behaviour": {"finish_after_polls": 1_000_000, "lists_lag_seconds": 3}})
        first, other = site.bridges
        await site.post({"batchid": "a", "offline": True, "invoice": [invoice("1")]}, first)
        paying = asyncio.create_task(site.post({"payment": [{"invoiceNumber": "1", "amount": 5}]}, other))
        await wait_until(lambda: other.events("rows_waiting"), "the payment waits")
        await asyncio.sleep(1.7)  # the first looks are over, the next one is two seconds away
        assert not paying.done()
        site.sandbox.play({})
        site.release()
        reply = await asyncio.wait_for(paying, PROMPTLY_SECONDS)
        assert reply.states == {("payment", 0): "OK"}


@pytest.mark.parametrize("owner", [0, 1])
async def test_an_operator_settles_a_row_whichever_replica_works_it(
    open_site: Any, invoice: Invoice, owner: int
) -> None:
    """The command finds the owner through the journal; callers at both replicas get the settled answer."""
    async with open_site(replicas=2, hold_seconds=4, settle_seconds=0.2, request_timeout_seconds=0.5) as site:
        await site.post({"batchid": "a", "invoice": [invoice("1")]})
        site.sandbox.play({"fault": [{"operation": "corrections", "kind": "reset", "times": 1}]})
        sent = {"batchid": "b", "payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]}
        pending = await site.post(sent, site.bridges[owner])
        assert pending.states == {("payment", 0): "PENDING"}
        assert (await site.ledger())["in_doubt"] == 1
        await site.command(
            "batches", "settle", pending.headers["x-bridge-batch"], "--accepted", "--by", "Kari", "--because", "seen",
            "--yes",
        )  # fmt: skip
        for bridge in site.bridges:
            assert (await site.post(sent, bridge)).states == {("payment", 0): "OK"}
        assert site.bridges[owner].events("order_carried_out")
        ledger = await site.ledger()
        assert (ledger["in_doubt"], ledger["final"]) == (0, 2)
        assert len(site.asked("corrections")) == 1


async def test_an_operator_resends_a_row_after_its_owner_died(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """The replica that took the batch over carries the order out; the row goes out once more, and no more."""
    async with open_site(replicas=2, hold_seconds=4, settle_seconds=0.2, request_timeout_seconds=0.5) as site:
        await site.post({"batchid": "a", "invoice": [invoice("1")]})
        site.sandbox.play(
            {"behaviour": UNPROTECTED, "fault": [{"operation": "corrections", "kind": "reset", "times": 1}]}
        )
        sent = {"batchid": "b", "payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]}
        pending = await site.post(sent)
        site.bridge.kill()
        await wait_until(lambda: site.bridges[1].events("batch_parked"), "the other replica is at the same point")
        await site.command(
            "batches", "settle", pending.headers["x-bridge-batch"], "--resend", "--by", "Kari", "--because", "lost",
            "--yes",
        )  # fmt: skip
        assert (await site.post(sent, site.bridges[1])).states == {("payment", 0): "OK"}
        assert list(site.accepted("corrections").values()) == [1]
        assert len(site.asked("corrections")) == 2
        assert (await site.ledger())["in_doubt"] == 0


async def test_nobody_is_held_for_a_batch_that_waits_for_an_operator_at_the_other_replica(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Neither who waits there while it comes to that, nor who asks there afterwards."""
    async with open_site(replicas=2, hold_seconds=40, settle_seconds=0.2, request_timeout_seconds=0.5) as site:
        worker, other = site.bridges
        await site.post({"batchid": "a", "invoice": [invoice("1")]}, worker)
        site.sandbox.play({"fault": [{"operation": "corrections", "kind": "reset", "times": 1}]})
        sent = {"batchid": "b", "payment": [{"invoiceNumber": "1", "amount": 5, "type": "CREDIT"}]}
        caller = asyncio.create_task(site.post(sent, worker))
        await wait_until(lambda: worker.events("call_in_doubt"), "the answer is lost")
        waiter = asyncio.create_task(site.post(sent, other))
        await wait_until(lambda: other.events("batch_joined"), "the resend waits at the other replica")
        async with asyncio.timeout(20):
            assert (await caller).states == (await waiter).states == {("payment", 0): "PENDING"}
        began = time.monotonic()
        assert (await site.post(sent, other)).states == {("payment", 0): "PENDING"}
        assert time.monotonic() - began < PROMPTLY_SECONDS
