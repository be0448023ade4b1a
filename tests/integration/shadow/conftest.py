"""A bridge in shadow mode before a legacy host that answers as a test says, and what it has seen."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bridge.journal import Sample

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

Say = Callable[[dict[str, Any]], web.Response]


def take(batch: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the answer that the bridge would give: every row accepted under its own reference."""
    rows = [
        {"objectname": name, "objectindex": index, "ledgerref": _ledgerref(row), "status_statuscode": "OK", **more}
        for name in ("creditor", "invoice", "payment", "action")
        for index, row in enumerate(batch.get(name) or ())
    ]
    return {"statuscode": 0, "errors": [], "responses": rows}


def _ledgerref(row: dict[str, Any]) -> str:
    names = ("ledgerref", "uniqueSourceInvoiceId", "uniqueSourcePaymentId", "invoiceNumber", "idnumber")
    return next((str(row[name]) for name in names if row.get(name)), "")


def tell(reply: Any, **more: Any) -> web.Response:
    """Return an answer of the legacy host."""
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return web.Response(body=body, content_type=more.pop("content_type", "application/json"), **more)


@dataclass
class Host:
    """A legacy host on a socket."""

    url: str = ""
    say: Say = field(default=lambda batch: tell(take(batch)))
    batches: list[dict[str, Any]] = field(default_factory=list)
    told: list[bytes] = field(default_factory=list)

    async def post(self, request: web.Request) -> web.StreamResponse:
        batch = json.loads(await request.read())
        self.batches.append(batch)
        answer = self.say(batch)
        assert isinstance(answer.body, bytes)
        self.told.append(answer.body)
        return answer


@dataclass
class Shadowed:
    """A bridge that watches, and what it has seen."""

    world: Any
    host: Host

    async def post(self, batch: dict[str, Any], bearer: str = "token1") -> tuple[int, bytes]:
        """Send one batch; return status and body of the answer as they came."""
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        if bearer == "ERP-2":
            headers["Authorization"] = "Basic ZXJwMjpwYXNzMg=="
        url = f"{self.world.url}/webapi/api/Batch?senderid={'ERP-2' if bearer == 'ERP-2' else 'ERP-1'}"
        async with self.world.session.post(url, data=io.BytesIO(json.dumps(batch).encode()), headers=headers) as answer:
            return answer.status, await answer.read()

    async def seen(self, topic: str, organization: str = ORG_A) -> Counter[tuple[str, ...]]:
        """Return what the journal says was observed, by subject."""
        await self.world.bridge.steering.observatory.flush()
        found: Counter[tuple[str, ...]] = Counter()
        for one in await self.world.books.observations(organization, 0.0, (topic,)):
            found[one.subject] += one.count
        return found

    async def samples(self, organization: str = ORG_A) -> list[Sample]:
        """Return the kept samples."""
        await self.world.bridge.steering.observatory.flush()
        found: list[Sample] = await self.world.books.samples(organization)
        return found

    async def watched(self, pairs: int, organization: str = ORG_A, seconds: float = 60.0) -> Counter[tuple[str, ...]]:
        """Wait until so many exchanges were compared, left out or found unreadable; return how many of each."""
        end = time.monotonic() + seconds
        while (found := await self.seen("pair", organization)).total() < pairs:
            assert time.monotonic() < end, f"only {found} of {pairs}"
            await asyncio.sleep(0.01)
        return found

    @property
    def modern_requests(self) -> list[Any]:
        """Return every request that the production modern API was sent, tokens included."""
        found: list[Any] = self.world.sandbox.requests.newest()
        return found


OpenShadow = Callable[..., AbstractAsyncContextManager[Shadowed]]


@pytest.fixture
def open_shadow(open_world: Any) -> OpenShadow:
    """Return a function that starts a bridge before a legacy host; every organization is shadowed."""

    @asynccontextmanager
    async def opened(
        *, host: Host | None = None, cutover: str = "", more: str = "", first_mode: str = "shadow", **options: Any
    ) -> AsyncIterator[Shadowed]:
        host = host or Host()
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/webapi/api/Batch", host.post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        lines = ["[legacy]", f'base_url = "{host.url}"', "[cutover]", f'first_mode = "{first_mode}"', cutover, more]
        try:
            async with open_world(more="\n".join(lines), **options) as world:
                yield Shadowed(world, host)
        finally:
            await runner.cleanup()

    return opened


@pytest.fixture
def make_host() -> type[Host]:
    """Make legacy hosts."""
    return Host


@pytest.fixture
def answer() -> Callable[..., web.Response]:
    """Make answers of the legacy host."""
    return tell


@pytest.fixture
def taken() -> Callable[..., dict[str, Any]]:
    """Make the answer that the bridge would give as well."""
    return take
