"""A bridge that cannot start says why, where and what to do, and ends with 1; one that can guards its journal."""

from __future__ import annotations

import asyncio
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ORG = 'id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"'
SECRET = 'client_secret = "a"'

FAULTS = {
    "an unknown key": ("drain_seconds = 2", "drain_secs = 2", "server.drain_secs"),
    "a value of another type": ("drain_seconds = 2", 'drain_seconds = "soon"', "server.drain_seconds"),
    "a missing secret in the environment": (SECRET, 'client_secret = { env = "NO_SUCH_NAME" }', "NO_SUCH_NAME"),
    "a missing secret file": (SECRET, 'client_secret = { file = "no-such-file" }', "client_secret"),
    "an organization that is no UUID": (ORG, 'id = "nordlys"', "organization[0].id"),
    "an organization nobody declared": (
        'organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]',
        'organizations = ["7c9e6679-7425-40de-944b-e07fc1f90ae7"]',
        "sender[0].organizations",
    ),
    "a sender without credentials": (
        'basic = { username = "erp1", password = "pass1" }\nbearer = "token1"',
        "",
        "sender[0]",
    ),
    "a profile that is not there": ('id = "ERP-1"', 'id = "ERP-1"\nprofile = "elsewhere"', "elsewhere"),
    "something that is not TOML": ("[server]", "[server", "bridge.toml"),
}


async def _refused(launch: Callable[..., Any], config: Path, *, forked: bool = False) -> str:
    """Start a bridge that must refuse to; return what it says."""
    bridge = launch("serve", "--config", str(config), forked=forked)
    assert await asyncio.to_thread(bridge.wait, 30) == 1
    assert "Traceback" not in bridge.said
    said: str = bridge.said
    return said


@pytest.mark.parametrize(("found", "put", "named"), FAULTS.values(), ids=FAULTS)
async def test_a_faulty_configuration_stops_the_start(
    launch: Any, write_config: Any, tmp_path: Path, found: str, put: str, named: str
) -> None:
    """Exit code 1, and a message that names the key; never a stack trace."""
    config = write_config(tmp_path)
    text = config.read_text()
    assert found in text
    config.write_text(text.replace(found, put, 1))
    said = await _refused(launch, config, forked=True)
    assert named in said
    if named != "elsewhere":
        assert "bridge.toml" in said


async def test_a_port_in_use_stops_the_start(site: Any, launch: Any, write_config: Any, tmp_path: Path) -> None:
    """The message names the keys and the address."""
    other = tmp_path / "other"
    other.mkdir()
    said = await _refused(launch, write_config(other, port=site.bridge.port))
    assert "server.port" in said
    assert f"127.0.0.1:{site.bridge.port}" in said


async def test_a_second_process_on_the_same_journal_is_refused(
    site: Any, launch: Any, write_config: Any, free_port: Any, tmp_path: Path, invoice: Any
) -> None:
    """It ends with 1 and says who is in the way and what to do; the first goes on, and its death frees the journal."""
    other = tmp_path / "other"
    other.mkdir()
    port = free_port()
    config = write_config(other, port=port, sandbox=site.sandbox.url, storage="../bridge.db")
    said = await _refused(launch, config)
    assert f"process {site.bridge.process.pid} holds the journal" in said
    assert "storage.url" in said
    assert (await site.post({"batchid": "b", "invoice": [invoice("1")]})).states == {("invoice", 0): "OK"}
    site.bridge.kill()
    successor = await asyncio.to_thread(launch, "serve", "--config", str(config), port=port)
    successor.send(signal.SIGTERM)
    assert await asyncio.to_thread(successor.wait, 10) == 0


async def test_the_journal_is_its_owners_alone(site: Any, tmp_path: Path, invoice: Any) -> None:
    """It holds payloads: every file of it has mode 0600, also beside a permissive umask."""
    await site.post({"invoice": [invoice("1")]})
    modes = await asyncio.to_thread(_modes, tmp_path)
    assert modes.keys() >= {"bridge.db", "bridge.db-wal"}
    assert set(modes.values()) == {"-rw-------"}, modes


def _modes(folder: Path) -> dict[str, str]:
    """Return the mode of every file of the journal."""
    return {
        path.name: stat.filemode(path.stat().st_mode) for path in folder.iterdir() if path.name.startswith("bridge.db")
    }
