"""The bridge and the sandbox in one process, on real sockets, with a real journal file."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import web

from bridge.app import Bridge, Environment, open_bridge
from bridge.journal import Books, Ledger
from bridge.listener import make_runner
from bridge.mapping import Profile, load_profiles
from bridge.sandbox import Running, SandboxOptions, running
from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"

CONFIG = """
[server]
drain_seconds = {drain_seconds}
max_open_batches = {max_open_batches}
max_open_batches_per_sender = {max_open_batches_per_sender}
max_open_rows = {max_open_rows}
max_reading_mb = {max_reading_mb}
max_body_mb = 4

[storage]
url = "{storage}"

[modern]
base_url = "{base_url}"
token_url = "{token_url}"
settle_seconds = {settle_seconds}
request_timeout_seconds = {request_timeout_seconds}
webhook_secrets = {webhook_secrets}
max_rows_per_call = {max_rows_per_call}
concurrency_per_organization = {concurrency_per_organization}
failures_to_break = {failures_to_break}
break_seconds = {break_seconds}

[mappings]
folder = "{mappings}"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
name = "Nordlys Energi AS"
creditors = ["984842252"]
client_id = "nordlys"
client_secret = "a"

[[organization]]
id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
name = "Fjellheim Vann AS"
creditors = ["971274190"]
client_id = "fjellheim"
client_secret = "b"

[[sender]]
id = "ERP-1"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
hold_seconds = {hold_seconds}
basic = {{ username = "erp1", password = "pass1" }}
bearer = "token1"

[[sender]]
id = "ERP-2"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"]
hold_seconds = {hold_seconds}
basic = {{ username = "erp2", password = "pass2" }}

[[sender]]
id = "LABEL"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
hold_seconds = {hold_seconds}
batchid = "label"
bearer = "token-label"

[[sender]]
id = "NOWINDOW"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
hold_seconds = {hold_seconds}
resend_window_hours = 0
bearer = "token-nowindow"

{more}
"""

DEFAULTS: dict[str, object] = {
    "drain_seconds": 2,
    "max_open_batches": 50,
    "max_open_batches_per_sender": 50,
    "max_open_rows": 250_000,
    "max_reading_mb": 256,
    "settle_seconds": 0.3,
    "request_timeout_seconds": 2,
    "max_rows_per_call": 500,
    "concurrency_per_organization": 4,
    "failures_to_break": 5,
    "break_seconds": 1,
    "webhook_secrets": '["hook-secret"]',
    "hold_seconds": 20,
    "more": "",
}


@dataclass(frozen=True)
class Reply:
    """One answer of the bridge, as a caller sees it."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def code(self) -> int:
        return int(self.body["statuscode"])

    @property
    def errors(self) -> dict[tuple[str, int], str]:
        """Message of each refused row."""
        return {(line["objectname"], line["objectindex"]): line["message"] for line in self.body["errors"]}

    @property
    def states(self) -> dict[tuple[str, int], str]:
        """`OK`, `PENDING` or `REFUSED` of each row."""
        states = {
            (line["objectname"], line["objectindex"]): line["status_statuscode"] for line in self.body["responses"]
        }
        return states | dict.fromkeys(self.errors, "REFUSED")


@dataclass(frozen=True)
class World:
    """A running bridge, its sandbox, and a caller."""

    bridge: Bridge
    sandbox: Running
    session: aiohttp.ClientSession
    url: str
    folder: Path

    async def post(
        self, batch: dict[str, Any] | bytes, *, bearer: str = "token1", senderid: str = "", **headers: str
    ) -> Reply:
        """Send one legacy batch."""
        sent = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json", **headers}
        query = {"senderid": senderid} if senderid else {}
        options: dict[str, Any] = {"data": io.BytesIO(batch)} if isinstance(batch, bytes) else {"json": batch}
        address = self.url + "/webapi/api/Batch"
        async with self.session.post(address, params=query, headers=sent, **options) as response:
            body = await response.json(content_type=None)
            return Reply(response.status, {key.lower(): value for key, value in response.headers.items()}, body)

    async def get(self, query: str = "", *, bearer: str = "token1", path: str = "/webapi/api/Batch") -> Reply:
        """Ask the legacy surface something."""
        sent = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with self.session.get(yarl.URL(f"{self.url}{path}?{query}", encoded=True), headers=sent) as response:
            body = await response.json(content_type=None, loads=partial(json.loads, parse_float=Decimal))
            return Reply(response.status, {key.lower(): value for key, value in response.headers.items()}, body)

    @property
    def books(self) -> Books:
        """The journal, for reading."""
        return self.bridge.pipeline._books

    async def ledger(self) -> Ledger:
        """Return the books after checking that they balance."""
        ledger = await self.books.ledger()
        assert ledger.unaccounted == ()
        assert ledger.accepted == ledger.final + ledger.pending + ledger.in_doubt
        return ledger

    def accepted(self, kind: str, organization: str = ORG_A) -> Counter[str]:
        """Return how often each row of a kind was accepted by the modern side: by unique id, else by a digest."""
        tally = self.sandbox.state.account(organization).tallies[kind]
        return tally.accepted + tally.accepted_without_id

    def writes(self, operation: str = "") -> list[Any]:
        """Return the writes the sandbox was asked for, oldest first (entries of its request log)."""
        return [
            entry
            for entry in self.sandbox.requests.newest()
            if entry.method == "POST" and entry.operation != "token" and operation in ("", entry.operation)
        ]


Open = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture(scope="session")
def shipped_profiles() -> Mapping[str, Profile]:
    """The profiles in `mappings/`; they never change, and to compile them takes longer than most of these tests."""
    return load_profiles(ROOT / "mappings")


@pytest.fixture(autouse=True)
def compile_shipped_profiles_once(shipped_profiles: Mapping[str, Profile], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give bridges on the shipped folder what was loaded before; any other folder is read anew at every start."""

    def load(folder: Path) -> Mapping[str, Profile]:
        return shipped_profiles if folder == ROOT / "mappings" else load_profiles(folder)

    monkeypatch.setattr("bridge.app.load_profiles", load)


@pytest.fixture
def open_world(tmp_path: Path) -> Open:
    """Return a function that starts a bridge and, unless one is given, a sandbox; settings by keyword."""

    @asynccontextmanager
    async def opened(
        *, sandbox: Running | None = None, environment: Environment | None = None, **settings: object
    ) -> AsyncIterator[World]:
        async with AsyncExitStack() as stack:
            modern = sandbox
            if modern is None:
                modern = await stack.enter_async_context(running(SandboxOptions(port=0)))
            places = {"mappings": ROOT / "mappings", "storage": f"sqlite:///{tmp_path}/bridge.db"}
            values = DEFAULTS | places | settings
            config = tmp_path / "bridge.toml"
            config.write_text(CONFIG.format(base_url=modern.base_url, token_url=modern.token_url, **values))
            bridge = await stack.enter_async_context(open_bridge(load_settings(config, {}), environment))
            runner = make_runner(bridge)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            session = await stack.enter_async_context(aiohttp.ClientSession())
            world = World(bridge, modern, session, url, tmp_path)
            yield world
            await world.ledger()
            assert modern.state.doubled() == []

    return opened


@pytest.fixture
async def world(open_world: Open) -> AsyncIterator[World]:
    """A bridge and a sandbox with quick settings."""
    async with open_world() as opened:
        yield opened


async def _wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as a condition holds; fail after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        await asyncio.sleep(0.002)


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """Wait for a condition."""
    return _wait_until


def _invoice(number: str, **fields: object) -> dict[str, Any]:
    """Return one invoice row as an ERP writes it; None leaves a field out."""
    row = {
        "type": "PAYMENT_REMINDER",
        "invoiceNumber": number,
        "originalInvoiceAmount": 1250.50,
        "currency": "NOK",
        "invoiceDate": "2024-01-15",
        "dueDate": "2024-02-15",
        "uniqueSourceInvoiceId": f"erp-{number}",
        "debtors": [{"type": "PRIVATE", "name": "Kari Nordmann", "emails": [{"value": "kari@example.no"}]}],
        "claims": [{"type": "PRINCIPAL", "remainingAmount": 1250.50}],
    }
    return {key: value for key, value in (row | fields).items() if value is not None}


@pytest.fixture
def invoice() -> Callable[..., dict[str, Any]]:
    """Make invoice rows."""
    return _invoice
