"""The legacy seed page: its request is taken as it stands, with its own header lines, and answered as it shows."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.app import open_bridge
from bridge.listener import make_runner
from bridge.mapping.library import load_profiles
from bridge.sandbox import SandboxOptions, running
from bridge.settings import load_settings
from bridge.shape import Field, FieldType

ROOT = Path(__file__).resolve().parents[2]
HEADERS = {"Authorization": "Bearer <token>", "Content-Type": "application/json-patch+json"}
"""Letter by letter those of the page's curl call."""
ROWS = [("creditor", 0), ("invoice", 0), ("payment", 0), ("action", 0)]

Post = Callable[..., Any]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """Send a batch to the bridge of config/local.toml, as it stands but for its addresses and its journal."""
    async with running(SandboxOptions(port=0)) as sandbox:
        text = (ROOT / "config" / "local.toml").read_text(encoding="utf-8")
        text = text.replace("http://127.0.0.1:8090", sandbox.url).replace("../mappings", str(ROOT / "mappings"))
        text = text.replace('"differences.toml"', f'"{ROOT / "config" / "differences.toml"}"')
        config = tmp_path / "local.toml"
        config.write_text(text.replace("../var/bridge.db", "bridge.db"), encoding="utf-8")
        async with open_bridge(load_settings(config, {})) as bridge:
            runner = make_runner(bridge)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/webapi/api/Batch?senderid"

            async def send(body: bytes) -> tuple[int, Any]:
                async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=HEADERS) as answer:
                    return answer.status, await answer.json()

            try:
                yield send
            finally:
                await runner.cleanup()


def places(reply: Any) -> list[tuple[str, int]]:
    return [(line["objectname"], line["objectindex"]) for line in (*reply["errors"], *reply["responses"])]


async def test_the_seed_pages_request_is_taken_as_it_stands(post: Post, sample_bytes: Callable[[str], bytes]) -> None:
    """Generator values and all: HTTP 200, and each row refused once, for its only creditor is nobody's."""
    status, reply = await post(sample_bytes("legacy_batch.request"))
    assert (status, reply["statuscode"], reply["responses"]) == (200, 2, [])
    assert places(reply) == ROWS


async def test_the_seed_pages_request_with_a_real_creditor_is_carried_through(
    post: Post, sample: Callable[[str], Any], outline: Any
) -> None:
    """Only the creditor's number changed: creditor and invoice are accepted, and the answer has the page's shape."""
    body = sample("legacy_batch.request")
    body["creditor"][0]["idnumber"] = "984842252"
    end = time.monotonic() + 20
    states = ["PENDING"]
    while "PENDING" in states:  # the page's batch is offline: it is answered before it is carried out
        assert time.monotonic() < end, "a row stays pending"
        status, reply = await post(json.dumps(body).encode())
        assert (status, sorted(places(reply))) == (200, sorted(ROWS))
        states = [line["status_statuscode"] for line in reply["responses"]]
    assert [line["objectname"] for line in reply["responses"]] == ["creditor", "invoice"]
    documented = sample("legacy_batch.response")
    assert outline(reply) == outline(documented)
    assert list(reply) == list(documented)
    for part in ("errors", "responses"):
        assert {tuple(line) for line in reply[part]} == {tuple(documented[part][0])}


@pytest.mark.parametrize("objectname", ["creditor", "invoice", "payment", "action"])
def test_the_autocollect_profile_declares_every_documented_field(sample: Callable[[str], Any], objectname: str) -> None:
    """No field of the page is unknown to the dialect that is named after it, at any depth, and each has its type."""
    shape = load_profiles(ROOT / "mappings")["autocollect"].objects[objectname].shape
    check_declared(sample("legacy_batch.request")[objectname][0], {each.name: each for each in shape.fields})


KINDS = {
    bool: {FieldType.BOOLEAN},
    int: {FieldType.INTEGER, FieldType.DECIMAL},
    str: {FieldType.TEXT, FieldType.DATE, FieldType.DATETIME},
}


def check_declared(row: dict[str, Any], declared: dict[str, Field]) -> None:
    for name, value in row.items():
        assert name in declared, name
        field = declared[name]
        single = value[0] if isinstance(value, list) else value
        assert field.many == isinstance(value, list), name
        if isinstance(single, dict):
            check_declared(single, {each.name: each for each in field.fields})
        else:
            assert field.type in KINDS[type(single)], name
