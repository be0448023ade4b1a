"""What was said of a row once is not taken back: by no replica, and at no moment of a batch's life."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

Invoice = Callable[..., dict[str, Any]]

NEVER = {"finish_after_polls": 1_000_000}
PATIENCE_SECONDS = 30.0
"""Longest a state may take to be reached; far more than it needs, the machine may be busy."""


def poison(*, tells_rows: bool) -> dict[str, object]:
    """Script: a call with this invoice is refused as a whole, with or without a word about which row it is."""
    where = {"invoiceNumber": "POISON"}
    return {"operation": "invoices", "kind": "fail", "status": 422, "where": where, "tells_rows": tells_rows}


async def ask_until(site: Any, sent: dict[str, Any], bridge: Any, wanted: dict[Any, str]) -> None:
    """Send a batch to one replica, again and again, until it answers so."""
    end = time.monotonic() + PATIENCE_SECONDS
    while (states := (await site.post(sent, bridge)).states) != wanted:
        assert time.monotonic() < end, states
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("store", "replicas", "tells_rows"),
    [
        ("sqlite", 1, True),
        ("sqlite", 1, False),
        ("postgres", 2, False),
        pytest.param("postgres", 2, True, marks=pytest.mark.chaos),
    ],
    indirect=["store"],
)
async def test_a_row_is_final_for_every_replica_while_its_neighbours_go_on(
    open_site: Any, invoice: Invoice, replicas: int, tells_rows: bool
) -> None:
    """A call was taken apart: the part that has ended is told at once, also by the replica that carries the other."""
    async with open_site(replicas=replicas) as site:
        site.sandbox.play({"behaviour": NEVER, "fault": [poison(tells_rows=tells_rows)]})
        sent = {"batchid": "b", "offline": True, "invoice": [invoice("1"), invoice("POISON")]}
        worker, other = site.bridges[0], site.bridges[-1]
        await site.post(sent, worker)
        known = {("invoice", 0): "PENDING", ("invoice", 1): "REFUSED"}
        await ask_until(site, sent, other, known)
        for bridge in (worker, other):
            assert (await site.post(sent, bridge)).states == known, "a final answer was taken back"
        site.release()
        await ask_until(site, sent, worker, known | {("invoice", 0): "OK"})


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
async def test_a_replica_that_was_frozen_does_not_take_back_what_another_one_said(
    open_site: Any, invoice: Invoice, wait_until: Any
) -> None:
    """Woken, it believes for a moment that the batch is its own and undecided; what it says is what the journal has."""
    async with open_site(replicas=2) as site:
        site.sandbox.play({"behaviour": NEVER})
        frozen, other = site.bridges
        batches = [{"batchid": f"b-{at}", "offline": True, "invoice": [invoice(f"{at}")]} for at in range(20)]
        await asyncio.gather(*(site.post(sent, frozen) for sent in batches))
        await wait_until(lambda: len(site.accepted("invoices")) == len(batches), "all are taken", PATIENCE_SECONDS)
        frozen.send(signal.SIGSTOP)
        everything = len(batches)
        await wait_until(lambda: len(other.events("batch_resumed")) == everything, "it goes on there", PATIENCE_SECONDS)
        site.release()
        final = {("invoice", 0): "OK"}
        for sent in batches:
            await ask_until(site, sent, other, final)
        asking = [asyncio.create_task(site.post(sent, frozen)) for sent in batches]
        await asyncio.sleep(0.2)  # the questions are in its sockets when it wakes, before what it lost
        frozen.send(signal.SIGCONT)
        assert [(await asked).states for asked in asking] == [final] * len(batches)
