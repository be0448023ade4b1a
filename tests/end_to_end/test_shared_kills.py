"""Bridges are killed while the legacy host has its half of a batch, or is about to get it: never twice, never lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
STORES = pytest.mark.parametrize("store", ["sqlite", "postgres"], indirect=True)
CALLER = {"Authorization": "Bearer token2"}
MORE = """
[legacy]
base_url = "{url}"

[[organization]]
id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
name = "Fjellheim Vann AS"
creditors = ["971274190"]
client_id = "fjellheim"
client_secret = "b"

[[sender]]
id = "ERP-2"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"]
hold_seconds = 20
bearer = "token2"
"""


@dataclass
class Host:
    """A legacy host that may be held up, or busy."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Every batch that arrived."""
    busy: bool = False
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append(body)
        await self.go_on.wait()
        if self.busy:
            return web.json_response(None, status=503, headers={"Retry-After": "60"})
        rows = [(name, index) for name in ("invoice", "payment") for index, _ in enumerate(body.get(name) or ())]
        lines = [{"objectname": name, "objectindex": index, "ledgerref": f"L-{name}-{index}"} for name, index in rows]
        return web.json_response({"statuscode": 0, "errors": [], "responses": lines})


@asynccontextmanager
async def serving() -> AsyncIterator[Host]:
    host = Host()
    app = web.Application()
    app.router.add_post("/webapi/api/Batch", host.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield host
    finally:
        host.go_on.set()
        await runner.cleanup()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with serving() as one:
        yield one


@asynccontextmanager
async def opened(open_site: Any, host: Host, wait_until: Any, **settings: Any) -> AsyncIterator[Any]:
    """Open a site whose second organization is on the legacy host, at every replica."""
    async with open_site(modern=MORE.format(url=host.url), **settings) as site:
        await site.command("mode", "set", ORG_B, "legacy", "--by", "Kari", "--because", "a test")
        await wait_until(lambda: all("switched" in one.said for one in site.bridges), "the switch is obeyed")
        yield site


def mixed(invoice: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Return a batch of both organizations."""
    return {
        "batchid": "mixed",
        "invoice": [invoice("1", creditorid="984842252"), {"creditorid": "971274190", "invoiceNumber": "B"}],
        "payment": [
            {"creditorid": "971274190", "invoiceNumber": "B", "amount": 1},
            {"creditorid": "984842252", "invoiceNumber": "1", "amount": 1},
        ],
    }


OURS, THEIRS = {("invoice", 0), ("payment", 1)}, {("invoice", 1), ("payment", 0)}


async def die(site: Any, sent: dict[str, Any], breaks: Any, wait_until: Any, reached: Callable[[], object]) -> None:
    """Post a batch to the first bridge, and kill it when something is reached."""
    caller = asyncio.create_task(site.post(sent, **CALLER))
    await wait_until(reached, "the step is reached")
    site.bridge.kill()
    with contextlib.suppress(*breaks):
        await caller


@STORES
@pytest.mark.parametrize("restarts", [1, pytest.param(3, marks=pytest.mark.chaos)])
async def test_a_half_that_was_on_its_way_is_never_sent_again(
    open_site: Any, host: Host, invoice: Any, breaks: Any, wait_until: Any, restarts: int
) -> None:
    """Killed while the host has it: in doubt after each restart, until an operator says what became of it."""
    sent = mixed(invoice)
    async with opened(open_site, host, wait_until) as site:
        await die(site, sent, breaks, wait_until, lambda: host.bodies)
        host.go_on.set()
        for number in range(restarts):
            if number:
                await site.stop(15)
            await site.restart()
            reply = await site.post(sent, **CALLER)
            assert {place for place, state in reply.states.items() if state == "OK"} == OURS
            assert {place for place, state in reply.states.items() if state == "PENDING"} == THEIRS
        assert (await site.ledger())["in_doubt"] == 2
        words = ("--accepted", "--by", "Kari", "--because", "it is there", "--yes")
        await site.command("batches", "settle", reply.headers["x-bridge-batch"], *words)
        await wait_until(lambda: "batch_finished" in site.bridge.said, "the order is carried out")
        final = await site.post(sent, **CALLER)
        assert set(final.states.values()) == {"OK"}
        assert (await site.ledger())["in_doubt"] == 0
        assert len(host.bodies) == 1
        site.check_identities()


@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.chaos)], indirect=True)
async def test_a_half_that_never_left_is_sent_after_the_restart(
    open_site: Any, host: Host, invoice: Any, breaks: Any, wait_until: Any
) -> None:
    """Killed while the busy host was waited for: sent once more, under the sender's configured credentials."""
    host.busy = True
    host.go_on.set()
    sent = mixed(invoice)
    async with opened(open_site, host, wait_until) as site:
        await die(site, sent, breaks, wait_until, lambda: "call_not_taken" in site.bridge.said)
        host.busy = False
        await site.restart()
        reply = await site.post(sent, **CALLER)
        assert set(reply.states.values()) == {"OK"}
        references = {(one["objectname"], one["objectindex"]): one["ledgerref"] for one in reply.body["responses"]}
        assert references["invoice", 1] == "L-invoice-0"
        again = await site.post(sent, **CALLER)
        assert again.raw == reply.raw
        assert len(host.bodies) == 2
        assert (await site.ledger())["in_doubt"] == 0


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
@pytest.mark.parametrize("busy", [False, True], ids=["on its way", "not taken yet"])
async def test_another_replica_takes_the_legacy_half_over(
    open_site: Any, host: Host, invoice: Any, breaks: Any, wait_until: Any, busy: bool
) -> None:
    """A dead replica's half is sent by the other one where it never left, and in doubt there where it may have."""
    host.busy = busy
    sent = mixed(invoice)
    async with opened(open_site, host, wait_until, replicas=2) as site:
        if busy:
            host.go_on.set()
        sign = (lambda: "call_not_taken" in site.bridge.said) if busy else (lambda: host.bodies)
        await die(site, sent, breaks, wait_until, sign)
        host.busy = False
        host.go_on.set()
        await wait_until(lambda: "batch_resumed" in site.bridges[1].said, "the other replica has it")
        end = "batch_finished" if busy else "batch_parked"
        await wait_until(lambda: end in site.bridges[1].said, "the other replica is done with it")
        reply = await site.post(sent, at=site.bridges[1], **CALLER)
        expected = "OK" if busy else "PENDING"
        assert {reply.states[place] for place in THEIRS} == {expected}
        assert {reply.states[place] for place in OURS} == {"OK"}
        assert len(host.bodies) == (2 if busy else 1)
        assert (await site.ledger())["in_doubt"] == (0 if busy else 2)
