"""Replays of recordings by real processes that are killed: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.recording import Redactor, make_line, write_line
from bridge.sandbox import Running, SandboxOptions, running

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = "11111111-2222-4333-8444-555555555555"
BATCHES = 12

CONFIG = """
[modern]
base_url = "http://127.0.0.1:9/never/asked"
token_url = "http://127.0.0.1:9/token"

[mappings]
folder = "{mappings}"

[shadow]
base_url = "{base_url}"
token_url = "{token_url}"
storage_url = "sqlite:///shadow.db"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
creditors = ["984842252"]
client_id = "production"
client_secret = "production"
shadow = {{ id = "11111111-2222-4333-8444-555555555555", client_id = "there", client_secret = "there" }}

[[sender]]
id = "ERP-1"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
resend_window_hours = 0
bearer = "token"
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Batches without a batchid, of a sender whose resends are never recognized otherwise."""
    redactor = Redactor(b"key")
    path = tmp_path / "recording.jsonl"
    with path.open("wb") as file:
        for number in range(BATCHES):
            row = {"invoiceNumber": f"{number}", "originalInvoiceAmount": 10, "dueDate": "2024-02-15"}
            redacted = redactor.redact(json.dumps({"invoice": [row]}).encode(), 200, b"{}")
            line = make_line(
                redacted,
                id=f"id-{number}",
                at=float(number),
                sender="ERP-1",
                profile="autocollect",
                organizations=(),
                status=200,
                seconds=0.1,
            )
            file.write(write_line(line))
    return path


@asynccontextmanager
async def staging(folder: Path) -> AsyncIterator[tuple[Running, Path]]:
    async with running(SandboxOptions(port=0)) as sandbox:
        config = folder / "bridge.toml"
        config.write_text(
            CONFIG.format(mappings=ROOT / "mappings", base_url=sandbox.base_url, token_url=sandbox.token_url)
        )
        yield sandbox, config


def start(config: Path, recording: Path, out: Path, against: str, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bridge", "replay", str(recording), "--config", str(config)]
    command += ["--against", against, "--out", str(out), *more]
    return subprocess.Popen(command, cwd=config.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ids(out: Path) -> list[str]:
    if not out.exists():
        return []
    return [json.loads(line)["id"] for line in out.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


async def until_answered(count: int, out: Path, process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + 60
    while len(ids(out)) < count:
        assert process.poll() is None, await finish(process)
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def finish(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    out, err = await asyncio.to_thread(process.communicate)
    return process.returncode, (out + err).decode()


def writes(sandbox: Running) -> Counter[str]:
    """Count the invoices that staging was sent, by their number."""
    books = sandbox.state.account(STAND_IN)
    return Counter(invoice.number for invoice in books.invoices)


@pytest.mark.parametrize("against", ["translate", pytest.param("sandbox", marks=pytest.mark.chaos), "staging"])
async def test_a_killed_replay_goes_on(tmp_path: Path, recording: Path, against: str) -> None:
    """After kill -9 the same command with --resume answers the rest: every exchange once, staging is sent each once."""
    out = tmp_path / "out.jsonl"
    async with staging(tmp_path) as (sandbox, config):
        process = start(config, recording, out, against, "--rate", "20")
        await until_answered(3, out, process)
        os.kill(process.pid, signal.SIGKILL)
        await finish(process)
        answered = len(ids(out))
        assert 3 <= answered < BATCHES
        with out.open("ab") as file:
            file.write(b'{"v":1,"id":"id-99","request":{"invo')  # as a kill in the middle of a write leaves it

        code, told = await finish(start(config, recording, out, against, "--resume"))
        assert code == 0, told
        assert f"{BATCHES - answered} exchanges answered, {answered} were answered before" in told
        assert ids(out) == [f"id-{number}" for number in range(BATCHES)]
        assert {word for line in out.read_text().splitlines() for word in states(json.loads(line))} == {"OK"}
        if against == "staging":
            assert set(writes(sandbox).values()) == {1}
            assert len(writes(sandbox)) == BATCHES
        else:
            assert sandbox.requests.total == 0
        assert not sandbox.state.doubled()


def states(line: dict[str, Any]) -> list[str]:
    return [response["status_statuscode"] for response in line["bridge"]["body"]["responses"]]


async def test_staging_is_never_sent_a_line_twice(tmp_path: Path, recording: Path) -> None:
    """A second replay of the same recording gets the answers of the first; nothing is submitted again."""
    async with staging(tmp_path) as (sandbox, config):
        code, told = await finish(start(config, recording, tmp_path / "first.jsonl", "staging"))
        assert code == 0, told
        submitted = writes(sandbox)
        code, told = await finish(start(config, recording, tmp_path / "second.jsonl", "staging"))
        assert code == 0, told
        assert writes(sandbox) == submitted
    first, second = ((tmp_path / name).read_text().splitlines() for name in ("first.jsonl", "second.jsonl"))
    assert [json.loads(line)["bridge"] for line in first] == [json.loads(line)["bridge"] for line in second]


async def test_ctrl_c_ends_a_replay_in_order(tmp_path: Path, recording: Path) -> None:
    """SIGINT stops it between two exchanges, with a word about how to go on and no traceback."""
    out = tmp_path / "out.jsonl"
    async with staging(tmp_path) as (_, config):
        process = start(config, recording, out, "translate", "--rate", "5")
        await until_answered(2, out, process)
        process.send_signal(signal.SIGINT)
        code, told = await finish(process)
    assert code != 0
    assert "the same command with --resume goes on" in told
    assert "Traceback" not in told
