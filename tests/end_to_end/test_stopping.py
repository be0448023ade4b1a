"""SIGTERM lets held callers go with what is known, refuses new ones, and ends in time; nothing is lost by it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

Invoice = Callable[..., dict[str, Any]]
SLACK_SECONDS = 3.0
"""Beyond drain_seconds: two for answers to leave the sockets, one for a busy machine."""


def never_finish(site: Any) -> None:
    site.sandbox.play({"behaviour": {"finish_after_polls": 1_000_000}})


def finish_all(site: Any) -> None:
    from bridge.sandbox.lifecycle import Pace

    site.sandbox.play({})
    for account in site.sandbox.state.accounts.values():
        for held in account.batches:
            held.pace = Pace(after_polls=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_bridge_stops_at_once(site: Any, invoice: Invoice, number: signal.Signals) -> None:
    """Nobody waits: exit code 0 without waiting for drain_seconds, whatever idle connections are open."""
    assert (await site.post({"invoice": [invoice("1")]})).status == 200
    began = time.monotonic()
    site.bridge.send(number)
    assert await asyncio.to_thread(site.bridge.wait, 10) == 0
    assert time.monotonic() - began < 1.5
    assert "Traceback" not in site.bridge.said


async def test_a_draining_bridge_answers_those_it_holds_and_refuses_new_ones(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """The held caller gets PENDING at the end of drain_seconds, new ones 503; after a restart the batch is finished."""
    async with open_site(drain_seconds=1.5) as site:
        never_finish(site)
        sent = {"batchid": "b", "invoice": [invoice("1"), invoice("2", dueDate="never")]}
        held = asyncio.create_task(site.post(sent))
        await wait_until(lambda: site.asked("batch"), "the batch is waited for")
        began = time.monotonic()
        site.bridge.send(signal.SIGTERM)
        await wait_until(lambda: '"draining"' in site.bridge.said, "the bridge drains")
        other = await site.post({"batchid": "other", "invoice": [invoice("3")]})
        same = await site.post(sent)
        async with site.session.get(site.bridge.url + "/webapi/api/Ping") as ping:
            assert (ping.status, "Retry-After" in ping.headers) == (503, True)
        for refused in (other, same):
            assert refused.status == 503
            assert int(refused.headers["retry-after"]) > 0
            assert (refused.body["statuscode"], refused.body["errors"][0]["objectname"]) == (2, "batch")
        reply = await held
        assert reply.states == {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}
        assert await asyncio.to_thread(site.bridge.wait, 10) == 0
        assert 1.0 < time.monotonic() - began < 1.5 + SLACK_SECONDS
        assert "Traceback" not in site.bridge.said

        finish_all(site)
        await site.restart()
        final = await site.post(sent)
        assert final.states == {("invoice", 0): "OK", ("invoice", 1): "REFUSED"}
        assert final.headers["x-bridge-batch"] == reply.headers["x-bridge-batch"]
        assert site.accepted("invoices") == {"erp-1": 1}
        assert (await site.ledger())["final"] == 2


async def test_a_held_caller_whose_batch_finishes_while_draining_gets_the_final_answer(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """drain_seconds is the longest a stop takes, not the shortest: the process ends as soon as nobody waits."""
    async with open_site(drain_seconds=10) as site:
        never_finish(site)
        held = asyncio.create_task(site.post({"batchid": "b", "invoice": [invoice("1")]}))
        await wait_until(lambda: site.asked("batch"), "the batch is waited for")
        site.bridge.send(signal.SIGTERM)
        await wait_until(lambda: '"draining"' in site.bridge.said, "the bridge drains")
        began = time.monotonic()
        finish_all(site)
        assert (await held).states == {("invoice", 0): "OK"}
        assert await asyncio.to_thread(site.bridge.wait, 10) == 0
        assert time.monotonic() - began < 5


async def test_a_write_under_way_at_the_end_is_found_after_the_restart(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Stopped while a write waits for its answer: the caller hears PENDING, and the write is not sent twice."""
    async with open_site(drain_seconds=0.2) as site:
        site.sandbox.play({"fault": [{"operation": "invoices", "kind": "slow", "seconds": 1.0, "times": 1}]})
        sent = {"batchid": "b", "invoice": [invoice("1")]}
        held = asyncio.create_task(site.post(sent))
        await wait_until(lambda: site.asked("invoices"), "the write is under way")
        await site.stop(signal.SIGTERM)
        assert site.bridge.process.returncode == 0
        assert (await held).states == {("invoice", 0): "PENDING"}
        await site.restart()
        assert (await site.post(sent)).states == {("invoice", 0): "OK"}
        assert site.accepted("invoices") == {"erp-1": 1}
        site.check_identities()


async def test_a_half_sent_body_does_not_keep_the_bridge_from_stopping(site: Any) -> None:
    """A caller that never finishes its request is cut off; the exit code is 0 all the same."""
    _, writer = await asyncio.open_connection("127.0.0.1", site.bridge.port)
    head = "POST /webapi/api/Batch HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer token1\r\nContent-Length: 1000\r\n\r\n{"
    writer.write(head.encode())
    await writer.drain()
    async with aiohttp.ClientSession() as other, other.get(site.bridge.url + "/health/live") as answer:
        assert answer.status == 200  # so that the half request has been read too
    began = time.monotonic()
    site.bridge.send(signal.SIGTERM)
    assert await asyncio.to_thread(site.bridge.wait, 15) == 0
    assert time.monotonic() - began < 2 + SLACK_SECONDS
    writer.close()
