"""The call of the vendor's page, word for word, by the real curl, against `bridge serve` and `bridge sandbox`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CURL = shutil.which("curl")
pytestmark = pytest.mark.skipif(CURL is None, reason="curl is not installed")


@pytest.fixture
def bridge(launch: Any, free_port: Callable[[], int], tmp_path: Path) -> Any:
    """config/local.toml as a fresh clone has it, on other ports and with a journal of its own."""
    sandbox_port, port = free_port(), free_port()
    text = (ROOT / "config" / "local.toml").read_text(encoding="utf-8")
    for found, put in {
        "127.0.0.1:8090": f"127.0.0.1:{sandbox_port}",
        "port = 8080": f"port = {port}",
        "../mappings": str(ROOT / "mappings"),
        "../var/bridge.db": "bridge.db",
        '"differences.toml"': f'"{ROOT / "config" / "differences.toml"}"',
    }.items():
        assert found in text, found
        text = text.replace(found, put)
    config = tmp_path / "local.toml"
    config.write_text(text, encoding="utf-8")
    launch("sandbox", "--port", str(sandbox_port), port=sandbox_port)
    return launch("serve", "--config", str(config), port=port)


def curl(bridge: Any, *more: str, data: str, authorization: str = "Bearer <token>") -> tuple[int, Any]:
    """Run the page's command, completed by the address; return status and body."""
    told = subprocess.run(
        [
            *(str(CURL), "--silent", "--show-error", "--write-out", "\n%{http_code}", "--max-time", "60"),
            *("--location", "--request", "POST", f"{bridge.url}/webapi/api/Batch?senderid"),
            *("--header", f"Authorization: {authorization}"),
            *("--header", "Content-Type: application/json-patch+json"),
            *("--data-raw", data, *more),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    body, _, status = told.stdout.rpartition(b"\n")
    return int(status), json.loads(body)


def test_the_pages_own_call_works_on_a_fresh_clone(bridge: Any) -> None:
    """`?senderid`, `Bearer <token>`, application/json-patch+json, the page's body: 200, every row answered once."""
    page = (ROOT / "tests" / "contract" / "samples" / "legacy_batch.request.json").read_text(encoding="utf-8")
    status, reply = curl(bridge, data=page)
    assert status == 200
    lines = [(line["objectname"], line["objectindex"]) for line in (*reply["errors"], *reply["responses"])]
    assert sorted(lines) == [("action", 0), ("creditor", 0), ("invoice", 0), ("payment", 0)]


def test_the_sample_batch_is_accepted(bridge: Any) -> None:
    """config/samples/seed-batch.json is the page's body with sensible values: every row is accepted."""
    sample = (ROOT / "config" / "samples" / "seed-batch.json").read_text(encoding="utf-8")
    status, reply = curl(bridge, data=sample)
    assert (status, reply["errors"]) == (200, [])
    assert {line["status_statuscode"] for line in reply["responses"]} == {"OK"}
    assert reply["statuscode"] == 0
    assert curl(bridge, data=sample) == (status, reply)


def test_basic_credentials_and_packed_bodies_work(bridge: Any, tmp_path: Path) -> None:
    """What curl does by itself for large bodies (Expect: 100-continue), --user and gzip are all understood."""
    import gzip

    sample = json.loads((ROOT / "config" / "samples" / "seed-batch.json").read_bytes())
    padded = tmp_path / "batch.json.gz"
    padded.write_bytes(gzip.compress(json.dumps(sample | {"padding": "x" * 2_000_000}).encode()))
    told = subprocess.run(
        [
            *(str(CURL), "--silent", "--max-time", "60", "--user", "erp1:demo-erp1"),
            *("--header", "Content-Encoding: gzip", "--header", "Content-Type: application/json"),
            *("--header", "Expect: 100-continue", "--data-binary", f"@{padded}", f"{bridge.url}/webapi/api/batch"),
        ],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(told.stdout)["statuscode"] == 0
