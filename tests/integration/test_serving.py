"""From start to SIGTERM in one process, and what happens by itself in between."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.app import Environment, load_desks
from bridge.errors import UnknownProfile
from bridge.organizations import Directory
from bridge.sandbox import SandboxOptions, running
from bridge.server import serve
from bridge.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
Invoice = Callable[..., dict[str, Any]]

CONFIG = """
[server]
port = {port}
drain_seconds = 0.3

[modern]
base_url = "{base_url}"
token_url = "{token_url}"

[storage]
url = "sqlite:///{folder}/bridge.db"

[mappings]
folder = "{mappings}"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
creditors = ["984842252"]
client_id = "nordlys"
client_secret = "a"

[[sender]]
id = "ERP-1"
profile = "{profile}"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
anonymous = true
"""


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """Return a function that makes settings for a free port."""

    def make(**values: object) -> Settings:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        defaults = {"base_url": "http://127.0.0.1:9/v1", "token_url": "http://127.0.0.1:9/token"}
        all_values = defaults | {"port": port, "folder": tmp_path, "mappings": ROOT / "mappings"} | values
        config = tmp_path / "bridge.toml"
        config.write_text(CONFIG.format(**{"profile": "autocollect"} | all_values))
        return load_settings(config, {})

    return make


@pytest.fixture
def interpreter() -> Iterator[None]:
    """Undo what `serve` tunes for the whole process."""
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


async def until_it_answers(session: aiohttp.ClientSession, address: str) -> None:
    """Ask until somebody listens."""
    async with asyncio.timeout(10):
        while True:
            try:
                async with session.get(address) as response:
                    assert response.status == 200
                    return
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)


async def test_sigterm_answers_held_callers_and_ends(
    make_settings: Callable[..., Settings], invoice: Invoice, interpreter: None, wait_until: Any
) -> None:
    """The held caller gets PENDING, the port is closed, and the same batch is final after the next start."""
    async with running(SandboxOptions(port=0)) as sandbox, aiohttp.ClientSession() as session:
        sandbox.play({"behaviour": {"finish_after_seconds": 1.0}})
        settings = make_settings(base_url=sandbox.base_url, token_url=sandbox.token_url)
        address = f"http://127.0.0.1:{settings.server.port}/webapi/api/Batch"
        batch = {"batchid": "b", "invoice": [invoice("1")]}

        async def post() -> dict[str, Any]:
            async with session.post(address, json=batch) as response:
                answer: dict[str, Any] = await response.json()
                return answer

        for expected in (3, 0):
            serving = asyncio.create_task(serve(settings))
            await until_it_answers(session, address.replace("Batch", "Ping"))
            caller = asyncio.create_task(post())
            if expected == 3:
                await wait_until(lambda: sandbox.requests.newest(operation="batch"))
            else:
                await caller
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(serving, 10)
            assert (await caller)["statuscode"] == expected
        with pytest.raises(aiohttp.ClientConnectorError):
            await post()


def test_a_profile_that_is_not_there_stops_the_start(make_settings: Callable[..., Settings]) -> None:
    """The message names the key, the sender, the profile, the folder with what it holds, and both remedies."""
    settings = make_settings(profile="klingon")
    told = (
        r"sender\[0\]\.profile \(ERP-1\): there is no profile klingon in .*/mappings, only autocollect, .*; correct it"
    )
    with pytest.raises(UnknownProfile, match=told):
        load_desks(settings, Directory(settings))


async def test_payloads_are_erased_after_their_time(open_world: Any, invoice: Invoice, wait_until: Any) -> None:
    """Bodies and items go; the answer, the ledger and the cross-reference stay."""
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    async with open_world() as world:
        first = await world.post(batch)
        batch_id = first.headers["x-bridge-batch"]
        assert (await world.books.load(batch_id)).batch.payload is not None
        sandbox = world.sandbox.stand_in
    environment = Environment(clock=lambda: time.time() + 91 * 86_400)
    async with open_world(environment=environment) as world:
        async with asyncio.timeout(5):
            while (await world.books.load(batch_id)).batch.payload is not None:  # noqa: ASYNC110 - no bell
                await asyncio.sleep(0.005)
        stored = await world.books.load(batch_id)
        assert [row.item for row in stored.rows] == [None]
        assert (await world.post(batch)).body == first.body
        organization = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
        (claim,) = await world.books.claims(organization, "uniqueSourceInvoiceId", "erp-1")
        assert claim.invoice_id == sandbox.books.account(organization).invoices[0].id
        assert (await world.ledger()).final == 1
