"""PostgreSQL goes away under load and comes back: callers wait or come again, nothing is lost, and nobody is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

Invoice = Callable[..., dict[str, Any]]

FINAL = {("invoice", 0): "OK", ("invoice", 1): "REFUSED", ("payment", 0): "OK", ("action", 0): "OK"}
SCRIPT = {
    # the modern side takes whatever comes, twice if need be: that nothing doubles is the bridges' own doing
    "behaviour": {"idempotency": "ignore", "duplicates": "accept", "finish_after_seconds": 0.05},
    "fault": [
        {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "BAD-*"}},
        {"operation": ["invoices", "payments"], "kind": "reset", "when": "after", "probability": 0.03},
    ],
}
CALLERS = 12
RECOVERY_SECONDS = 15.0
"""Longest until new batches are taken again, on a busy machine."""


@dataclass
class Crowd:
    """Callers who send one batch after the other, each to any replica, until it is answered for good."""

    site: Any
    invoice: Invoice
    answers: dict[str, Any] = field(default_factory=dict)
    """Final answers by batchid."""
    ids: dict[str, set[str]] = field(default_factory=dict)

    def compose(self, name: str) -> dict[str, Any]:
        return {
            "batchid": name,
            "invoice": [self.invoice(name), self.invoice(f"BAD-{name}")],
            "payment": [{"invoiceNumber": name, "amount": 10, "uniqueSourcePaymentId": f"pay-{name}"}],
            "action": [{"ledgerref": name, "actiontype": 1}],
        }

    async def send(self, name: str, at: int) -> None:
        """Send one batch, to one replica after the other, until every row is decided."""
        while name not in self.answers:
            reply = await self.site.post(self.compose(name), self.site.bridges[at % len(self.site.bridges)])
            at += 1
            if reply.status == 200:
                self.ids.setdefault(name, set()).add(reply.headers["x-bridge-batch"])
                if "PENDING" not in reply.states.values():
                    self.answers[name] = reply
            else:
                assert (reply.status, "retry-after" in reply.headers) == (503, True)
                await asyncio.sleep(0.1)  # an ERP waits much longer before it tries again

    async def call(self, caller: int, enough: asyncio.Event) -> None:
        number = 0
        while not enough.is_set():
            await self.send(f"c{caller}-{number}", caller + number)
            number += 1

    def has_answered_more_than(self, batches: int) -> bool:
        return len(self.answers) > batches

    @contextmanager
    def at_work(self) -> Iterator[list[asyncio.Task[None]]]:
        """Keep all callers busy inside; what they have begun is finished after it."""
        enough = asyncio.Event()
        tasks = [asyncio.create_task(self.call(caller, enough)) for caller in range(CALLERS)]
        try:
            yield tasks
        except BaseException:
            for task in tasks:
                task.cancel()
            raise
        enough.set()


async def check_books(site: Any, crowd: Crowd) -> None:
    """Hold the answers against what the modern side accepted, row by row."""
    assert {name: reply.states for name, reply in crowd.answers.items()} == dict.fromkeys(crowd.answers, FINAL)
    assert {len(ids) for ids in crowd.ids.values()} == {1}
    assert site.accepted("invoices") == {f"erp-{name}": 1 for name in crowd.answers}
    assert site.accepted("payments") == {f"pay-{name}": 1 for name in crowd.answers}
    site.check_identities()
    ledger = await site.ledger()
    assert (ledger["accepted"], ledger["final"]) == (4 * len(crowd.answers), 4 * len(crowd.answers))


def check_health(site: Any) -> None:
    """Check that every replica is still the process it was, and took nothing for a fault of its own."""
    assert all(bridge.alive for bridge in site.bridges)
    assert [bridge.events("unexpected") for bridge in site.bridges] == [[]] * len(site.bridges)


async def wait_for_ping(site: Any, status: int) -> None:
    """Wait until a load balancer sees this status at every replica."""
    async with asyncio.timeout(RECOVERY_SECONDS):
        while {await site.ping(bridge) for bridge in site.bridges} != {status}:  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.05)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("replicas", "outages"),
    [pytest.param(2, 2, id="two"), pytest.param(1, 4, id="one", marks=pytest.mark.chaos)],
)
async def test_a_crash_of_the_server_under_load_needs_nobody(
    open_site: Any, invoice: Invoice, postgres_server: Any, wait_until: Any, replicas: int, outages: int
) -> None:
    """Callers see 503 or wait; every batch is answered in the end, and is in the modern system once."""
    async with open_site(replicas=replicas, storage_url=postgres_server.create(), hold_seconds=3) as site:
        site.sandbox.play(SCRIPT)
        crowd = Crowd(site, invoice)
        with crowd.at_work() as tasks:
            for outage in range(outages):
                answered = len(crowd.answers)
                await wait_until(partial(crowd.has_answered_more_than, answered + CALLERS), "batches are answered", 30)
                await asyncio.to_thread(postgres_server.stop, "immediate")
                await wait_for_ping(site, 503)
                newcomer = f"newcomer-{outage}"
                for bridge in site.bridges:
                    assert (await site.post(crowd.compose(newcomer), bridge)).status == 503
                await asyncio.to_thread(postgres_server.start)
                await wait_for_ping(site, 200)
                await crowd.send(newcomer, at=outage)
        await asyncio.gather(*tasks)
        check_health(site)
        await check_books(site, crowd)


@pytest.mark.timeout(240)
@pytest.mark.chaos
async def test_a_frozen_server_under_load_needs_nobody(open_site: Any, invoice: Invoice, postgres_server: Any) -> None:
    """A server that neither answers nor hangs up, for longer than leases and statements last, is an outage as well."""
    async with open_site(replicas=2, storage_url=postgres_server.create(), hold_seconds=3) as site:
        site.sandbox.play(SCRIPT)
        crowd = Crowd(site, invoice)
        with crowd.at_work() as tasks:
            for seconds in (1.5, 6.0, 15.0):
                await asyncio.sleep(1.0)
                postgres_server.freeze()
                await asyncio.sleep(seconds)
                postgres_server.thaw()
                await wait_for_ping(site, 200)
        await asyncio.gather(*tasks)
        check_health(site)
        await check_books(site, crowd)
