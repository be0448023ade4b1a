"""Two bridges on one PostgreSQL, and one of them dies, freezes or leaves: the other finishes its work, once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

Invoice = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.parametrize("store", ["postgres"], indirect=True)

UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridges' own doing."""
TAKEOVER_SECONDS = 2.0
"""Until the first action on a killed replica's work."""
LEASE_SECONDS = 4.0
"""How long a frozen replica's work is left alone."""
TIMEOUT_SECONDS, SETTLE_SECONDS = 2.5, 0.8
QUICK = {
    "request_timeout_seconds": TIMEOUT_SECONDS,
    "settle_seconds": SETTLE_SECONDS,
    "hold_seconds": 40,
    "modern": "failures_to_break = 1000",  # the faults are meant, and come fast
}
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
"""What becomes of a batch, by the name of its invoice: taken, answer lost, answer lost and accepted later, under way."""


def batches_named(invoice: Invoice, *names: str, each: int = 6) -> list[dict[str, Any]]:
    return [{"batchid": f"{name}-{at}", "invoice": [invoice(f"{name}-{at}")]} for name in names for at in range(each)]


def requests_since(site: Any, moment: float) -> list[Any]:
    """Return what the modern side was asked after a moment (Unix seconds)."""
    return [entry for entry in site.asked("") if entry.at > moment]


async def hold_in_every_state(site: Any, invoice: Invoice, wait_until: Any) -> list[tuple[dict[str, Any], Any]]:
    """Send batches to the first replica and return them with their callers when some are in each state.

    SUBMITTED: WAIT; IN_DOUBT: LOST and LATE; SUBMITTING: as many SLOW as are sent side by side; PLANNED: the rest.
    """
    site.sandbox.play(PLAN)
    held: list[tuple[dict[str, Any], Any]] = []
    for names, reached in (
        (("WAIT",), lambda: len(site.accepted("invoices")) == 6),
        (("LOST", "LATE"), lambda: site.bridge.said.count("call_in_doubt") == 12),
        (("SLOW",), lambda: len(site.asked("invoices")) > 18 and site.bridge.said.count("batch_taken") == 24),
    ):
        held += [(sent, asyncio.create_task(site.post(sent))) for sent in batches_named(invoice, *names)]
        await wait_until(reached, f"{names} are where they should be")
    return held


async def test_a_killed_replica_is_replaced_within_seconds(
    open_site: Any, invoice: Invoice, breaks: Any, wait_until: Any
) -> None:
    """Whatever its calls were at, the other replica acts within two seconds, loses nothing and doubles nothing."""
    async with open_site(replicas=2, **QUICK) as site:
        _, other = site.bridges
        held = await hold_in_every_state(site, invoice, wait_until)
        killed_at = time.monotonic()
        site.bridge.kill()
        for _, caller in held:
            with pytest.raises(breaks):
                await caller
        await wait_until(lambda: "batch_resumed" in other.said, "the other replica acts")
        assert time.monotonic() - killed_at < TAKEOVER_SECONDS
        site.release()
        resent = await asyncio.gather(*(site.post(sent, other) for sent, _ in held))
        assert time.monotonic() - killed_at < 10 + TIMEOUT_SECONDS + 3 * SETTLE_SECONDS
        assert {state for reply in resent for state in reply.states.values()} == {"OK"}
        assert {reply.headers["x-bridge-replay"] for reply in resent} == {"true"}
        assert site.accepted("invoices") == {f"erp-{sent['batchid']}": 1 for sent, _ in held}
        site.check_identities()
        ledger = await site.ledger()
        assert (ledger["accepted"], ledger["final"]) == (len(held), len(held))
