"""Many callers, a network that cannot be trusted, and a bridge that is killed at random: the books still agree."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Invoice = Callable[..., dict[str, Any]]
RECOVERY_SECONDS = 120.0
"""Longest the bridge may take to come to rest once nobody kills it any more; it needs 15, the machine may be busy."""

LATE = {"operation": "writes", "kind": "reset", "when": "late", "seconds": 0.7, "probability": 0.04}
SLOW = {"operation": "writes", "kind": "slow", "when": "after", "seconds": 0.4, "probability": 0.5}
"""Accepted, and the answer on its way for so long: a kill at any moment meets such a write."""
CUT_OFF = "cut-off"
"""An invoice, and the batch it comes in."""
UNDER_WAY = {
    "operation": "invoices",
    "kind": "slow",
    "when": "after",
    "seconds": 10,
    "where": {"invoiceNumber": CUT_OFF},
}
"""Accepted, and the answer on its way until the bridge gives up waiting for it."""
INTERRUPTED = "the bridge stopped while this call was being sent"
OWED = [{"type": "PRINCIPAL", "remainingAmount": 10**12}]
"""More than is paid in these tests: a claim that is paid in full can no longer be paused."""
UNPROTECTED = {"idempotency": "ignore", "duplicates": "accept"}
"""The modern side takes whatever comes, twice if need be: that nothing doubles is the bridge's own doing."""
BAD = {"operation": "invoices", "kind": "refuse", "where": {"invoiceNumber": "BAD-*"}, "text": "no such debtor"}


@dataclass
class Sent:
    """One batch of one caller, and the newest answer to it."""

    body: dict[str, Any]
    reply: Any = None
    batch_ids: set[str] = field(default_factory=set)

    def take(self, reply: Any) -> None:
        assert reply.status in (200, 503), reply.body
        if reply.status == 200:
            if self.reply is not None:
                self._compare(self.reply.states, reply.states)
            self.reply = reply
            self.batch_ids.add(reply.headers["x-bridge-batch"])

    def _compare(self, before: dict[Any, str], after: dict[Any, str]) -> None:
        changed = [row for row, state in before.items() if state not in ("PENDING", after[row])]
        assert changed == [], "a final answer was taken back"

    @property
    def final(self) -> bool:
        return self.reply is not None and "PENDING" not in self.reply.states.values()

    def expected(self) -> dict[tuple[str, int], str]:
        """Return what must become of each row, were it not for doubt."""
        states = {}
        for name in ("invoice", "payment", "action"):
            for index, row in enumerate(self.body[name]):
                claim = row.get("invoiceNumber") or row["ledgerref"]
                states[name, index] = "REFUSED" if claim.startswith("BAD") else "OK"
        return states


def compose(chance: random.Random, name: str, invoice: Invoice) -> dict[str, Any]:
    """Make a batch of a few rows of all kinds, every amount its own."""
    numbers = [f"{'BAD-' if chance.random() < 0.15 else ''}{name}-{index}" for index in range(chance.randint(1, 4))]
    payments = [
        {
            "invoiceNumber": number,
            "amount": chance.randint(1, 10**9),
            "type": "CREDIT" if chance.random() < 0.2 else "DIRECT_PAYMENT",
            "uniqueSourcePaymentId": chance.choice([f"pay-{number}", ""]),
        }
        for number in numbers
        if chance.random() < 0.6
    ]
    return {
        "batchid": name,
        "offline": chance.random() < 0.1,
        "invoice": [
            invoice(number, uniqueSourceInvoiceId=chance.choice([f"erp-{number}", None]), claims=OWED)
            for number in numbers
        ],
        "payment": payments,
        "action": [{"ledgerref": number, "actiontype": 1} for number in numbers if chance.random() < 0.3],
    }


class Callers:
    """ERP installations that send their batches one after the other, to any replica, and each until it is answered."""

    def __init__(self, site: Any, breaks: tuple[type[Exception], ...], chance: random.Random) -> None:
        self.site = site
        self.chance = chance
        self.breaks = breaks
        self.broken = 0

    async def send(self, sent: Sent) -> None:
        """Send one batch until it has an answer."""
        before = sent.reply
        while sent.reply is before:
            try:
                sent.take(await self.site.post(sent.body, self.chance.choice(self.site.bridges)))
            except self.breaks:
                self.broken += 1
                await asyncio.sleep(0.05)  # the bridge is down: an ERP waits much longer before it tries again

    async def send_all(self, batches: list[Sent]) -> None:
        for sent in batches:
            await self.send(sent)

    async def come_to_rest(self, batches: list[Sent]) -> None:
        """Ask again until every batch is final or parked for an operator."""
        end = time.monotonic() + RECOVERY_SECONDS
        while open_batches := [one for one in batches if not one.final and not one.batch_ids & self._parked()]:
            assert time.monotonic() < end, f"{len(open_batches)} batches came to no end"
            await asyncio.gather(*(self.send(one) for one in open_batches))
            await asyncio.sleep(0.1)
        await asyncio.gather(*(self.send(one) for one in batches if not one.final))

    def _parked(self) -> set[str]:
        """Return the batches that a replica gave up on since its last start: some rows need an operator."""
        return set().union(*(self._parked_at(bridge) for bridge in self.site.bridges))

    def _parked_at(self, bridge: Any) -> set[str]:
        started = bridge.events("bridge_started")[-1]["at"]
        return {event["batch"] for event in bridge.events("batch_parked") if event["at"] >= started}


async def kill_at_random(site: Any, chance: random.Random, times: int) -> None:
    """Kill a replica and start it again, also while it is still starting, and now and then politely."""
    for _ in range(times):
        await asyncio.sleep(chance.uniform(0.05, 1.2))
        bridge = chance.choice(site.bridges)
        if chance.random() < 0.2:
            bridge.send(signal.SIGTERM)
            assert await asyncio.to_thread(bridge.wait, 20) == 0
        bridge.kill()
        if chance.random() < 0.3:
            await asyncio.to_thread(bridge.start)
            await asyncio.sleep(chance.uniform(0.1, 0.8))
            bridge.kill()
        await asyncio.to_thread(bridge.open)


async def cut_power_amid_a_write(site: Any, erps: Callers, sent: Sent, behaviour: Any, wait_until: Any) -> None:
    """Kill every replica while a write is surely under way, and start them again: chance may have missed them all."""
    site.sandbox.play({"behaviour": behaviour, "fault": [UNDER_WAY, BAD]})  # no other fault may end the write before
    caller = asyncio.create_task(erps.send(sent))
    held = site.sandbox.state.account(ORG_A).invoices_by_number
    await wait_until(lambda: CUT_OFF in held, "a write is under way", RECOVERY_SECONDS)
    for bridge in site.bridges:
        bridge.kill()
    site.sandbox.play(unreliable(behaviour))
    await asyncio.gather(*(asyncio.to_thread(bridge.open) for bridge in site.bridges))
    await caller


def compare_books(site: Any, batches: list[Sent]) -> None:
    """Hold every reply against what the modern side holds."""
    account = site.sandbox.state.account(ORG_A)
    for sent in batches:
        states = sent.reply.states
        wanted = sent.expected()
        doubtful = {row for row, state in states.items() if state == "PENDING"}
        wrong = {row: state for row, state in states.items() if row not in doubtful and state != wanted[row]}
        assert (wrong, states.keys()) == ({}, wanted.keys()), sent.reply.body
        for index, row in enumerate(sent.body["invoice"]):
            held = account.invoices_by_number.get(row["invoiceNumber"], [])
            assert len(held) == (states["invoice", index] == "OK"), row["invoiceNumber"]
            if held:
                check_claim(held[0], sent)


def check_claim(held: Any, sent: Sent) -> None:
    """Compare what was paid, credited and paused on one claim with the rows that named it."""
    booked = {
        "OK": {"paid": Decimal(0), "credited": Decimal(0)},
        "PENDING": {"paid": Decimal(0), "credited": Decimal(0)},
    }
    for index, row in enumerate(sent.body["payment"]):
        if row["invoiceNumber"] == held.number:
            kind = "credited" if row["type"] == "CREDIT" else "paid"
            booked[sent.reply.states["payment", index]][kind] += row["amount"]
    assert held.paid == booked["OK"]["paid"], "payments carry unique ids: none may stay in doubt"
    assert held.credited in (booked["OK"]["credited"], booked["OK"]["credited"] + booked["PENDING"]["credited"])
    for index, row in enumerate(sent.body["action"]):
        if row["ledgerref"] == held.number and sent.reply.states["action", index] == "OK":
            assert held.case.status == "PAUSED"


def unreliable(behaviour: dict[str, str]) -> Any:
    """Return the script of a sandbox that breaks something all the time."""
    from bridge.sandbox import load_script, read_script

    script = load_script(ROOT / "config" / "sandbox" / "flaky.toml")
    return script.extended_by(read_script({"behaviour": behaviour, "fault": [LATE, SLOW, BAD]}, source="test"))


@contextlib.asynccontextmanager
async def flaky(open_site: Any, behaviour: dict[str, str], replicas: int) -> AsyncIterator[Any]:
    """A site whose sandbox breaks something all the time."""
    async with open_site(replicas=replicas, settle_seconds=1.0, hold_seconds=1.5, drain_seconds=0.5) as site:
        site.sandbox.play(unreliable(behaviour))
        yield site


CHAOS = pytest.mark.chaos


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "store", "replicas", "callers", "each", "kills", "behaviour"),
    [
        pytest.param(1, "sqlite", 1, 4, 4, 2, UNPROTECTED, id="briefly"),
        pytest.param(4, "postgres", 2, 4, 4, 3, UNPROTECTED, id="briefly-two-replicas"),
        pytest.param(2, "sqlite", 1, 12, 10, 8, {}, id="protected", marks=CHAOS),
        pytest.param(3, "sqlite", 1, 12, 10, 8, UNPROTECTED, id="unprotected", marks=CHAOS),
        pytest.param(5, "postgres", 1, 12, 10, 8, UNPROTECTED, id="postgres", marks=CHAOS),
        pytest.param(6, "postgres", 2, 12, 10, 12, UNPROTECTED, id="two-replicas", marks=CHAOS),
        pytest.param(7, "postgres", 3, 16, 10, 16, UNPROTECTED, id="three-replicas", marks=CHAOS),
    ],
    indirect=["store"],
)
async def test_random_kills_lose_nothing_and_double_nothing(
    open_site: Any,
    invoice: Invoice,
    breaks: Any,
    wait_until: Any,
    seed: int,
    replicas: int,
    callers: int,
    each: int,
    kills: int,
    behaviour: Any,
) -> None:
    """Every row has the answer it must have, the modern side holds exactly the accepted ones, the ledger balances."""
    chance = random.Random(seed)
    batches = [
        [Sent(compose(chance, f"c{caller}-b{number}", invoice)) for number in range(each)] for caller in range(callers)
    ]
    everything = [sent for own in batches for sent in own]
    async with flaky(open_site, behaviour, replicas) as site:
        erps = Callers(site, breaks, random.Random(seed))
        async with asyncio.TaskGroup() as group:
            group.create_task(kill_at_random(site, random.Random(seed), kills))
            for own in batches:
                group.create_task(erps.send_all(own))
        everything.append(Sent({"batchid": CUT_OFF, "invoice": [invoice(CUT_OFF)], "payment": [], "action": []}))
        await cut_power_amid_a_write(site, erps, everything[-1], behaviour, wait_until)
        assert erps.broken, "no caller noticed anything: the kills prove nothing"
        await erps.come_to_rest(everything)
        doubts = [event["why"] for bridge in site.bridges for event in bridge.events("call_in_doubt")]
        assert INTERRUPTED in doubts, "no kill met a write: they prove nothing"
        assert all(len(sent.batch_ids) == 1 for sent in everything)
        site.check_identities()
        compare_books(site, everything)
        tallies = site.sandbox.state.account(ORG_A).tallies
        assert not [row for kind in ("corrections", "pause") for row in tallies[kind].repeated()]
        ledger = await site.ledger()
        pending = sum(list(sent.reply.states.values()).count("PENDING") for sent in everything)
        assert ledger["accepted"] == sum(len(sent.expected()) for sent in everything)
        assert (ledger["pending"], ledger["in_doubt"]) == (0, pending)
        assert "every row is accounted for" in await site.command("ledger")
