"""A running bridge records what it hands on: nothing personal of it, and nothing of headers, query or credentials."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from bridge.__main__ import main
from bridge.app import open_bridge
from bridge.listener import make_runner
from bridge.recording import read_recordings
from bridge.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
NAME, NATIONAL_ID, TOKEN, PASSWORD = "Sigvald Tjønnås", "15108695088", "tok-7Kx92Lm41Qp", "hemmelig-passord"
REPLY = {
    "statuscode": 1,
    "errors": [{"objectname": "invoice", "objectindex": 0, "message": f"{NAME} ({NATIONAL_ID}) er død"}],
    "responses": [],
}
CONFIG = """
[storage]
url = "sqlite:///journal.db"

[mappings]
folder = "{mappings}"

[legacy]
base_url = "{legacy}"

[cutover]
first_mode = "legacy"

[recording]
folder = "recordings"
key = "a key of this test"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
creditors = ["984842252"]
client_id = "nordlys"
client_secret = "a"

[[sender]]
id = "ERP-1"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
basic = {{ username = "erp1", password = "hemmelig-passord" }}
"""


@pytest.fixture
async def legacy_host() -> AsyncIterator[str]:
    """A legacy host that tells names in its answers and headers."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(REPLY, headers={"X-Debtor": NATIONAL_ID, "Set-Cookie": f"session={TOKEN}"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async for address in _listen(app):
        yield address


async def _listen(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def write_config(folder: Path, legacy: str) -> Path:
    path = folder / "bridge.toml"
    path.write_text(CONFIG.format(mappings=ROOT / "mappings", legacy=legacy), encoding="utf-8")
    return path


async def send(url: str) -> None:
    """Send one batch three ways and one that is none, with personal data wherever a caller can put it."""
    row = {"invoiceNumber": "7", "debtors": [{"name": NAME, "identificationNumber": NATIONAL_ID}], NAME: TOKEN}
    text = json.dumps({"batchid": NATIONAL_ID, "invoice": [row]}, ensure_ascii=False)
    credentials = base64.b64encode(f"erp1:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "X-User": NATIONAL_ID, "Cookie": f"session={TOKEN}"}
    query = {"senderid": "ERP-1", "debtor": NATIONAL_ID, "token": TOKEN}
    latin = {"Content-Type": "application/json; charset=iso-8859-1"}
    bodies = [
        (text.encode(), {"Content-Type": "application/json"}),
        (gzip.compress(text.encode("iso-8859-1")), latin | {"Content-Encoding": "gzip"}),
        (text.encode("iso-8859-1"), latin),
        (f"<batch>{NAME} {NATIONAL_ID}</batch>".encode(), {"Content-Type": "application/xml"}),
    ]
    async with aiohttp.ClientSession() as session:
        for body, more in bodies:
            call = session.post(f"{url}/webapi/api/Batch", params=query, data=body, headers=headers | more)
            async with call as response:
                assert (response.status, await response.json()) == (200, REPLY)


async def test_nothing_personal_is_recorded(tmp_path: Path, legacy_host: str) -> None:
    """The caller gets the host's own answer; the file holds four exchanges, and nothing of whom they are about."""
    config = write_config(tmp_path, legacy_host)
    async with open_bridge(load_settings(config, {})):
        pass  # makes the journal
    start = ["record", "start", ORG, "--config", str(config), "--actor", "Kari", "--reason", "test"]
    assert await asyncio.to_thread(main, start) == 0
    async with open_bridge(load_settings(config, {})) as bridge:
        runner = make_runner(bridge, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()
    found = list(read_recordings([tmp_path / "recordings"]))
    assert [one.line is not None and one.line.sender for one in found] == ["ERP-1"] * 4
    requests = [one.line.body for one in found if one.line]
    assert requests[0] == requests[1] == requests[2] != b""  # however a batch was packed, it is recorded alike
    assert requests[3] == b""
    assert found[3].line
    assert found[3].line.unreadable.startswith("request not stored: not JSON (")
    stored = b"".join(path.read_bytes() for path in (tmp_path / "recordings").iterdir())
    for planted in ("Sigvald", "Tjønnås", NATIONAL_ID, TOKEN, PASSWORD, "erp1"):
        for spelled in (planted, json.dumps(planted)[1:-1], base64.b64encode(planted.encode()).decode()[:-4]):
            assert spelled.casefold().encode() not in stored.decode().casefold().encode()
    assert stored.count(b"finnes ikke") == 0
    assert stored.count(b" er ") == 3
