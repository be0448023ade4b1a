"""An organization that is switched to and fro under traffic: nobody notices but the two systems."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.batch import OBJECTNAMES
from bridge.journal import SetSwitch
from bridge.journal.opening import open_office
from bridge.modes import Mode, Switch

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"
ERP2 = {"Authorization": "Basic ZXJwMjpwYXNzMg=="}
WAYS = (
    Switch(ORG_A, Mode.LEGACY),
    Switch(ORG_A, Mode.MODERN),
    Switch(ORG_A, Mode.SHADOW),
    Switch(ORG_A, Mode.LEGACY, Mode.MODERN, 99.99),
    Switch(ORG_A, Mode.SHADOW, Mode.MODERN, 0.01),
)
BATCHES, BATCHES_PER_SECOND = 150, 50
FLIP_SECONDS = 0.06

Invoice = Callable[..., dict[str, Any]]


@dataclass
class Host:
    """A legacy host that takes every row."""

    url: str = ""
    taken: Counter[str] = field(default_factory=Counter)
    """Unique ids."""

    async def answer(self, request: web.Request) -> web.Response:
        batch = await request.json()
        self.taken.update(row["uniqueSourceInvoiceId"] for row in batch.get("invoice") or ())
        lines = [
            {"objectname": name, "objectindex": index, "ledgerref": "L", "status_statuscode": "OK"}
            for name in OBJECTNAMES
            for index, _ in enumerate(batch.get(name) or ())
        ]
        return web.json_response({"statuscode": 0, "errors": [], "responses": lines})


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    legacy = Host()
    app = web.Application()
    app.router.add_post("/webapi/api/Batch", legacy.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    legacy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield legacy
    await runner.cleanup()


async def flip(url: str) -> None:
    """Switch one organization again and again, as an operator who cannot make up his mind."""
    office = open_office(url, base=Path("/"))
    number = 0
    try:
        for way in itertools.cycle(WAYS):
            wanted = Switch(way.organization, way.mode, way.other, way.percent, at=time.time(), actor="Kari")
            await office.write(SetSwitch(wanted, number))
            (newest,) = await office.switches()
            number = newest.number
            await asyncio.sleep(FLIP_SECONDS)
    finally:
        await office.close()


@pytest.mark.no_cover  # to count so many steps takes longer than to take them
async def test_nobody_notices_that_modes_are_flipped(open_world: Any, host: Host, invoice: Invoice) -> None:
    """At 50 requests a second none fails, every row is answered and taken once, and only that organization moves."""
    cutover = f'[legacy]\nbase_url = "{host.url}"\n[cutover]\nfirst_mode = "modern"\n'
    async with open_world(more=cutover, max_open_batches=500, max_open_batches_per_sender=500) as world:

        async def send(number: int) -> Any:
            await asyncio.sleep(number / BATCHES_PER_SECOND)
            rows = [invoice(f"a{number}", creditorid=CREDITOR_A), invoice(f"b{number}", creditorid=CREDITOR_B)]
            batch = {"batchid": str(number), "invoice": rows[: 1 + number % 2]}
            replies = [await world.post(batch, **ERP2) for _ in range(1 + (number % 5 == 0))]  # some are sent again
            return rows[: 1 + number % 2], replies

        flipping = asyncio.create_task(flip(f"sqlite:///{world.folder}/bridge.db"))
        sent = await asyncio.gather(*map(send, range(BATCHES)))
        flipping.cancel()
        await asyncio.gather(flipping, return_exceptions=True)

        for rows, replies in sent:
            for reply in replies:
                assert (reply.status, reply.code) == (200, 0)
                assert reply.states == {("invoice", index): "OK" for index in range(len(rows))}
        switched = await world.books.switch_history()
        modern_a, modern_b = world.accepted("invoices"), world.accepted("invoices", ORG_B)
    first = {row["uniqueSourceInvoiceId"] for rows, _ in sent for row in rows[:1]}
    second = {row["uniqueSourceInvoiceId"] for rows, _ in sent for row in rows[1:]}
    assert {one.organization for one in switched} == {ORG_A}
    assert len(switched) > 10
    assert set(modern_b) == second
    assert set(modern_a) | set(host.taken) == first
    assert min(len(modern_a), len(host.taken)) > 10
    again = {f"erp-a{number}" for number in range(0, BATCHES, 5)}
    assert not set(modern_a) & set(host.taken), "a batch that is sent again goes where it went first"
    assert set((modern_a + modern_b).values()) == {1}
    assert {unique for unique, count in host.taken.items() if count > 1} <= again
