"""A stand-in on a real socket, a client that speaks to it, and rows to send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.sandbox import Running, SandboxOptions, running

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
OTHER_ORG = "11111111-2222-4333-8444-555555555555"


class FakeTime:
    """A clock that stands still until somebody sleeps by it."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@dataclass
class Answer:
    status: int
    text: str
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.text, parse_float=Decimal)

    @property
    def errors(self) -> Any:
        return self.json["errors"]


@dataclass
class Client:
    """Speaks to one stand-in as the organization ORG; fetches a token when it has none."""

    sandbox: Running
    session: aiohttp.ClientSession
    org: str = ORG
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def org_url(self) -> str:
        return f"{self.sandbox.base_url}/orgs/{self.org}"

    async def request(self, method: str, url: str, **more: Any) -> Answer:
        async with self.session.request(method, url, **more) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)

    async def fetch_token(self, **form: str) -> Answer:
        usual = {"grant_type": "client_credentials", "client_id": "bridge", "client_secret": "secret"}
        return await self.request("POST", self.sandbox.token_url, data=usual | form)

    async def call(self, method: str, path: str, *, key: str = "", **more: Any) -> Answer:
        if not self.token:
            self.token = (await self.fetch_token()).json["access_token"]
        headers = {"Authorization": f"Bearer {self.token}"} | self.headers | ({"Idempotency-Key": key} if key else {})
        return await self.request(method, self.org_url + path, headers=headers, **more)

    async def post(self, path: str, body: Any, *, key: str = "") -> Answer:
        return await self.call("POST", path, key=key, json=body)

    async def post_raw(self, path: str, body: str, content_type: str = "application/json") -> Answer:
        self.headers = {"Content-Type": content_type}
        try:
            return await self.call("POST", path, data=body.encode())
        finally:
            self.headers = {}

    async def get(self, path: str, **params: str) -> Answer:
        return await self.call("GET", path, params=params)

    async def batch(self, accepted: Answer) -> Any:
        """Return the batch that this write opened."""
        assert accepted.status == 202, accepted.text
        return (await self.get(f"/batches/{accepted.json['data']['batchId']}")).json["data"]

    async def create(self, *rows: dict[str, Any], key: str = "") -> Any:
        """Create invoices and return the batch."""
        return await self.batch(await self.post("/invoices", {"invoices": list(rows)}, key=key))

    async def admin(self, method: str, path: str, **more: Any) -> Answer:
        return await self.request(method, self.sandbox.admin_url + path, **more)


def make_invoice(number: str = "F-1", **more: Any) -> dict[str, Any]:
    """Return an invoice row; its unique id is derived from the number."""
    row = {
        "type": "PAYMENT_REMINDER",
        "invoiceNumber": number,
        "vat": True,
        "originalInvoiceAmount": 1250,
        "currency": "NOK",
        "dueDate": "2024-02-15T00:00:00Z",
        "uniqueSourceInvoiceId": f"erp-{number}",
        "debtors": [{"type": "PRIVATE", "firstname": "Kari", "lastname": "Nordmann", "customerNumber": "C-1"}],
        "claims": [{"type": "PRINCIPAL", "remainingAmount": 1250}],
    }
    return {name: value for name, value in (row | more).items() if value is not None}


@pytest.fixture
def invoice() -> Callable[..., dict[str, Any]]:
    return make_invoice


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


StartClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def start() -> AsyncIterator[StartClient]:
    """Start stand-ins on free ports; `script` is put in force at once."""
    async with AsyncExitStack() as stack:

        async def start_one(script: dict[str, Any] | None = None, **options: Any) -> Client:
            sandbox = await stack.enter_async_context(running(SandboxOptions(port=0, **options)))
            sandbox.play(script or {})
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Client(sandbox, session)

        yield start_one


@pytest.fixture
async def client(start: StartClient) -> Client:
    return await start()


class Receiver:
    """Takes webhooks, and can be waited on."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.arrived = asyncio.Condition()
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        async with self.arrived:
            self.arrived.notify_all()
        return web.Response()

    async def wait_for(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.got) >= count)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    taker = Receiver()
    app = web.Application()
    app.router.add_post("/hooks/amili", taker.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taker.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/amili"
    yield taker
    await runner.cleanup()
