"""A configuration in a temporary folder, commands run in this process, and a journal to read."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge.__main__ import main
from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import BatchRecord, CallRecord, DecideRows, MoveCall, OpenBatch, PlanCall, RowRecord
from bridge.journal.opening import open_journal
from bridge.logs import Log

ROOT = Path(__file__).resolve().parents[3]
ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SECRET = "Kari Nordmann 01017000027"

CONFIG = """
[server]
port = {port}

[storage]
url = "sqlite:///journal.db"

[mappings]
folder = "{mappings}"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
creditors = ["984842252"]
client_id = "nordlys"
client_secret = "demo"

[[sender]]
id = "ERP-1"
profile = "autocollect"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
bearer = "demo"
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run one command line in this process, piped, and undo what it configures."""
    monkeypatch.delenv("BRIDGE_CONFIG", raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def execute(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield execute
    structlog.reset_defaults()
    Log.strict = True
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration with one sender and return its path; keywords replace parts, `more` is added."""

    def write(*, mappings: Path = ROOT / "mappings", port: int = 8080, more: str = "") -> Path:
        path = tmp_path / "bridge.toml"
        path.write_text(CONFIG.format(mappings=mappings, port=port) + more, encoding="utf-8")
        return path

    return write


@pytest.fixture
def config(configure: Callable[..., Path]) -> Path:
    return configure()


@pytest.fixture
def taken(config: Path, tmp_path: Path) -> Path:
    """A configuration whose journal holds one batch: an accepted row, a refused one, one pending, one in doubt."""
    asyncio.run(_fill(tmp_path))
    return config


async def _fill(folder: Path) -> None:
    journal = await open_journal("sqlite:///journal.db", base=folder)
    rows = [
        RowRecord(Address("invoice", index), Verdict.PENDING, "", f"L-{index}", ORG, "create_invoices", f"u-{index}")
        for index in range(4)
    ]
    rows = [replace(row, item=SECRET.encode()) for row in rows]
    batch = BatchRecord(
        "b-1", "ERP-1", "autocollect", "2024-1", "batchid:2024-1", "c0ffee", 1_700_000_000.25, False, 4, SECRET.encode()
    )
    await journal.write(OpenBatch(batch, rows), _call("c-1", 0, 1), _call("c-2", 2), _call("c-3", 3))
    for call_id in ("c-1", "c-3"):
        await journal.write(
            MoveCall(call_id, CallState.PLANNED, CallState.SUBMITTING, 1_700_000_001.0, "first attempt")
        )
    await journal.write(
        MoveCall("c-1", CallState.SUBMITTING, CallState.SUBMITTED, 1_700_000_002.0, modern_batch="m-1"),
        MoveCall("c-3", CallState.SUBMITTING, CallState.IN_DOUBT, 1_700_000_003.0, "the answer was lost"),
    )
    await journal.write(
        MoveCall("c-1", CallState.SUBMITTED, CallState.DONE, 1_700_000_004.0),
        DecideRows(
            "b-1",
            [
                Outcome(Address("invoice", 0), Verdict.ACCEPTED),
                Outcome(Address("invoice", 1), Verdict.REFUSED, "debtor is under guardianship"),
            ],
        ),
    )
    await journal.close()


def _call(call_id: str, *indexes: int) -> PlanCall:
    addresses = tuple(Address("invoice", index) for index in indexes)
    path = f"/orgs/{ORG}/invoices"
    return PlanCall(
        CallRecord(
            call_id, "b-1", ORG, "create_invoices", path, addresses, CallState.PLANNED, planned_at=1_700_000_000.5
        )
    )
