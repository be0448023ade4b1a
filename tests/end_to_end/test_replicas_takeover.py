"""Two bridges on one PostgreSQL, and one of them dies, freezes or leaves: the other finishes its work, once."""

from __future__ import annotations

import asyncio
import signal
import time
import tomllib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from bridge.journal.opening import open_journal

Invoice = Callable[..., dict[str, Any]]
Held = tuple[dict[str, Any], asyncio.Task[Any]]
"""A batch, and the caller who waits for its answer."""

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridges' own doing."""
TAKEOVER_SECONDS = 2.0
"""Until the first action on a killed replica's work."""
LEASE_SECONDS, RENEWAL_SECONDS = 4.0, 0.75
"""How long a frozen replica's work is left alone, and how old its lease may be when it freezes."""
INTERRUPTED = "the bridge stopped while this call was being sent"
TIMEOUT_SECONDS, SETTLE_SECONDS = 2.5, 0.8
QUICK = {
    "request_timeout_seconds": TIMEOUT_SECONDS,
    "settle_seconds": SETTLE_SECONDS,
    "hold_seconds": 40,
    "modern": "failures_to_break = 1000",  # the faults are meant, and come fast
}
SIDE_BY_SIDE = 4
"""How many writes of an organization are under way at a time (`concurrency_per_organization`)."""
SLOW_SECONDS = 2.0
"""How long a write may be under way before it is accepted; below time-out and settle time together."""
PLAN: dict[str, object] = {
    "behaviour": UNPROTECTED,
    "fault": [
        {"operation": "invoices", "kind": "finish", "where": {"invoiceNumber": "WAIT-*"}, "after_polls": 1_000_000},
        {"operation": "invoices", "kind": "reset", "when": "after", "where": {"invoiceNumber": "LOST-*"}, "times": 6},
        {"operation": "invoices", "kind": "lag", "seconds": SLOW_SECONDS, "where": {"invoiceNumber": "LOST-*"}},
        {"operation": "invoices", "kind": "reset", "when": "late", "seconds": SLOW_SECONDS}
        | {"where": {"invoiceNumber": "LATE-*"}, "times": 6},
        {"operation": "invoices", "kind": "slow", "seconds": SLOW_SECONDS, "where": {"invoiceNumber": "SLOW-*"}},
    ],
}
"""What becomes of a batch, by its invoice's name: taken, answer lost, answer lost and accepted later, under way."""


def batches_named(invoice: Invoice, *names: str, each: int = 6) -> list[dict[str, Any]]:
    return [{"batchid": f"{name}-{at}", "invoice": [invoice(f"{name}-{at}")]} for name in names for at in range(each)]


async def hold_in_every_state(site: Any, invoice: Invoice, wait_until: Any) -> list[Held]:
    """Send batches to the first replica and return them with their callers when some are in each state.

    SUBMITTED: WAIT; IN_DOUBT: LOST and LATE; SUBMITTING: as many SLOW as are sent side by side; PLANNED: the rest.
    """

    def count_taken() -> int:
        return len(site.bridge.events("batch_taken"))

    site.sandbox.play(PLAN)
    held: list[Held] = []
    for names, reached in (
        (("WAIT",), lambda: len(site.accepted("invoices")) == 6),
        (("LOST", "LATE"), lambda: len(site.bridge.events("call_in_doubt")) == 12),
        # all that leave side by side: what passed the last look at the lease, and has not left, leaves when it wakes
        (("SLOW",), lambda: len(site.asked("invoices")) - 18 == SIDE_BY_SIDE and count_taken() == 24),
    ):
        held += [(sent, asyncio.create_task(site.post(sent))) for sent in batches_named(invoice, *names)]
        await wait_until(reached, f"{names} are where they should be")
    return held


async def fail_with(breaks: tuple[type[Exception], ...], caller: asyncio.Task[Any]) -> None:
    """Check that a held caller sees its connection break."""
    with pytest.raises(breaks):
        await caller


def stop_politely(bridge: Any) -> None:
    bridge.send(signal.SIGTERM)
    assert bridge.wait(20) == 0


async def check_books(site: Any, held: Sequence[Held]) -> None:
    """Check that the modern side holds every invoice once, under one id, and that the ledger agrees."""
    assert site.accepted("invoices") == {f"erp-{sent['batchid']}": 1 for sent, _ in held}
    site.check_identities()
    ledger = await site.ledger()
    assert (ledger["accepted"], ledger["final"]) == (len(held), len(held))


async def test_a_killed_replica_is_replaced_within_seconds(
    open_site: Any, invoice: Invoice, breaks: Any, wait_until: Any
) -> None:
    """Whatever its calls were at, the other replica acts within two seconds, loses nothing and doubles nothing."""
    async with open_site(replicas=2, **QUICK) as site:
        dead, other = site.bridges
        held = await hold_in_every_state(site, invoice, wait_until)
        killed_at = time.monotonic()
        dead.kill()
        await asyncio.gather(*(fail_with(breaks, caller) for _, caller in held))
        await wait_until(lambda: other.events("batch_resumed"), "the other replica acts")
        assert time.monotonic() - killed_at < TAKEOVER_SECONDS
        site.release()
        resent = await asyncio.gather(*(site.post(sent, other) for sent, _ in held))
        assert time.monotonic() - killed_at < 10 + TIMEOUT_SECONDS + 3 * SETTLE_SECONDS
        assert {state for reply in resent for state in reply.states.values()} == {"OK"}
        assert {reply.headers["x-bridge-replay"] for reply in resent} == {"true"}
        assert {reply.headers["x-bridge-batch"] for reply in resent} == {
            event["batch"] for event in dead.events("batch_taken")
        }
        assert len(other.events("batch_resumed")) == len(held)
        assert INTERRUPTED in {event["why"] for event in other.events("call_in_doubt")}, "nothing was being sent"
        await check_books(site, held)


async def test_a_frozen_replica_cannot_write_when_it_wakes(open_site: Any, invoice: Invoice, wait_until: Any) -> None:
    """Its work was taken over and finished; woken, it changes nothing, sends nothing, and answers as the other did."""
    async with open_site(replicas=2, **QUICK) as site:
        frozen, other = site.bridges
        held = await hold_in_every_state(site, invoice, wait_until)
        frozen_at = time.monotonic()
        frozen.send(signal.SIGSTOP)
        await wait_until(lambda: other.events("batch_resumed"), "the other replica acts")
        assert LEASE_SECONDS - RENEWAL_SECONDS < time.monotonic() - frozen_at < LEASE_SECONDS + TAKEOVER_SECONDS
        site.release()
        resent = await asyncio.gather(*(site.post(sent, other) for sent, _ in held))
        assert {state for reply in resent for state in reply.states.values()} == {"OK"}
        before = await site.ledger()
        woken_at = time.time()
        frozen.send(signal.SIGCONT)
        late = await asyncio.gather(*(caller for _, caller in held))
        assert [reply.raw for reply in late] == [reply.raw for reply in resent]
        await wait_until(lambda: len(frozen.events("batch_lost")) == len(held), "it has learnt that it lost them")
        assert [entry for entry in site.asked("invoices") if entry.at > woken_at] == []
        assert await site.ledger() == before
        await check_books(site, held)
        sent = {"batchid": "new", "invoice": [invoice("new")]}
        assert (await site.post(sent, frozen)).states == {("invoice", 0): "OK"}, "it is of use again"


async def test_replicas_are_stopped_one_after_the_other_without_loss(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Told to stop, a replica answers whom it holds, ends with 0, and leaves what is open to the other at once."""
    async with open_site(replicas=2, drain_seconds=0.5, **QUICK) as site:
        first, second = site.bridges
        held = await hold_in_every_state(site, invoice, wait_until)
        for stopped, other in ((first, second), (second, first)):
            took = len(other.events("batch_resumed"))
            await asyncio.to_thread(stop_politely, stopped)
            stopped_at = time.monotonic()
            await wait_until(lambda: len(other.events("batch_resumed")) > took, "the other goes on")  # noqa: B023 - awaited here
            assert time.monotonic() - stopped_at < TAKEOVER_SECONDS
            await asyncio.to_thread(stopped.open)
        replies = [await caller for _, caller in held]
        assert {reply.status for reply in replies} == {200}
        assert {state for reply in replies for state in reply.states.values()} <= {"PENDING", "OK"}
        site.release()
        resent = await asyncio.gather(*(site.post(sent) for sent, _ in held))
        assert {state for reply in resent for state in reply.states.values()} == {"OK"}
        assert [reply.headers["x-bridge-batch"] for reply in resent] == [
            reply.headers["x-bridge-batch"] for reply in replies
        ]
        await check_books(site, held)


@pytest.mark.parametrize(("number", "left"), [(signal.SIGTERM, 1), (signal.SIGKILL, 0)], ids=["told to", "killed"])
async def test_only_a_replica_that_is_told_to_stop_leaves_its_work_to_others_at_once(
    open_site: Any, invoice: Invoice, wait_until: Any, number: signal.Signals, left: int
) -> None:
    """It has retired by the time it ends; a killed one is silent for a while before it is believed to be dead."""
    async with open_site(drain_seconds=0.2, **QUICK) as site:
        site.sandbox.play({"behaviour": {"finish_after_polls": 1_000_000}})
        caller = asyncio.create_task(site.post({"batchid": "b", "invoice": [invoice("1")]}))
        await wait_until(lambda: site.bridge.events("call_taken"), "the batch is at work")
        journal = await open_journal(tomllib.loads(site.config.read_text())["storage"]["url"], base=site.config.parent)
        await site.stop(number)
        taken = await journal.take_over()
        await journal.close()
        await asyncio.gather(caller, return_exceptions=True)
        assert len(taken) == left
