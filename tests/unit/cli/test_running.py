"""`bridge serve`, `bridge sandbox` and `bridge demo` where they can be tried in this process."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bridge
from bridge.batch import Address
from bridge.cli import standing_in
from bridge.cli.episodes import Episode, show_episode
from bridge.cli.screen import Screen
from bridge.cli.stage import show_credentials
from bridge.journal import BatchRecord, StoredBatch
from bridge.sandbox import SandboxOptions
from bridge.settings import load_settings

Run = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_serve_cannot_listen(run: Run, configure: Callable[..., Path], taken_port: int) -> None:
    """A port in use stops the start with the keys to change; stdout stays empty."""
    config = configure(port=taken_port)
    ran = run("serve", "-c", config)
    assert (ran.code, ran.out) == (1, "")
    assert f"server.host, server.port: cannot listen on 127.0.0.1:{taken_port}" in ran.err
    assert "Traceback" not in ran.err


def test_serve_with_an_unknown_profile(run: Run, configure: Callable[..., Path]) -> None:
    """The fault is told like any other of the configuration: file, key, sender, remedy."""
    config = configure()
    config.write_text(config.read_text().replace('profile = "autocollect"', 'profile = "klingon"'))
    ran = run("serve", "-c", config)
    assert (ran.code, ran.out) == (1, "")
    assert f"{config}: sender[0].profile (" in ran.err
    assert "there is no profile klingon in " in ran.err
    assert "correct it, or add the folder" in ran.err
    assert "Traceback" not in ran.err


def test_other_os_errors_stay(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    """An error of the operating system that is not about listening is not explained away."""

    async def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(standing_in, "serve", fail)
    with pytest.raises(OSError, match="Input/output"):
        standing_in.stand_in(SandboxOptions())


def test_sandbox_cannot_listen(run: Run, taken_port: int) -> None:
    """The same for the sandbox, with its options."""
    ran = run("sandbox", "--port", taken_port)
    assert ran.code == 1
    assert f"--host, --port: cannot listen on 127.0.0.1:{taken_port}" in ran.err


def test_sandbox_script_fault(run: Run, tmp_path: Path) -> None:
    """A script that cannot be used is told with its file."""
    script = tmp_path / "faults.toml"
    script.write_text('[[fault]]\nkind = "explode"\n')
    ran = run("sandbox", "--port", "0", "--script", script)
    assert ran.code == 1
    assert "faults.toml" in ran.err


def test_sandbox_says_where_it_is(monkeypatch: pytest.MonkeyPatch, run: Run, tmp_path: Path) -> None:
    """Once it answers, it prints what belongs into [modern] and [legacy], and the script it plays."""

    async def serve(options: SandboxOptions, *, ready: Callable[[str, str], None]) -> None:
        ready("http://127.0.0.1:1/collection/v1", "http://127.0.0.1:1/token")

    monkeypatch.setattr(standing_in, "serve", serve)
    said = run("sandbox").out
    assert "token_url = http://127.0.0.1:1/token\n" in said
    assert "for the legacy host: http://127.0.0.1:1 ([legacy] base_url)" in said
    assert "faults: faults.toml" in run("sandbox", "--script", "faults.toml").out


def test_demo(run: Run) -> None:
    """The demo shows two batches with every row answered once, and its exit code says so."""
    ran = run("demo")
    assert ran.code == 0, ran.out + ran.err
    assert ran.err == ""
    assert "4 rows sent, 4 answered: every row exactly once" in ran.out
    assert "14 rows sent, 14 answered: every row exactly once" in ran.out
    assert "18 rows taken = 18 final + 0 pending + 0 in doubt" in ran.out
    assert "202, then PARTIAL, 1 refused" in ran.out
    assert "nothing lost, nothing doubled" in ran.out
    _check_second_batch(ran.out.partition("=== 2.")[2])
    _check_reading_back(ran.out.partition("=== 3.")[2])


def _check_reading_back(third: str) -> None:
    """Check that the paid claim comes back with its settlement, and what is null is counted."""
    assert "GET /webapi/api/Batch?senderid=ERP-1&ledgerref=erp-order-9981" in third
    assert '"paidsum": 1250.00, "remainingsum": 3000.00' in third
    assert '"settlementId": "000000000001"' in third
    assert "null because the modern system does not say them" in third
    assert "null" not in third.partition("The ERP gets")[2].partition("left out here")[0]
    assert "the claim came back, with what was paid on it" in third


def _check_second_batch(second: str) -> None:
    """Check that each kind of fault in the second sample ends as it should."""
    rows = dict(re.findall(r"^  ((?:creditor|invoice|payment|action) \d+)  (.*)$", second, re.MULTILINE))
    assert sum(" OK " in f"{line} " for line in rows.values()) == 6
    assert "debtor is under guardianship" in rows["invoice 2"]
    assert "belongs to invoice 2 of this batch, which was refused" in rows["payment 1"]
    assert "create corrections" in rows["payment 2"]
    assert "no such claim" in rows["payment 3"]
    assert "no modern counterpart" in rows["action 2"]


def test_demo_logs(run: Run) -> None:
    """--logs shows the bridge's own lines on stderr."""
    assert "batch_taken" in run("demo", "--logs").err


def test_demo_without_checkout(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without config/ and mappings/ the demo says what it needs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bridge, "__file__", str(tmp_path / "bridge" / "__init__.py"))
    ran = run("demo")
    assert ran.code == 1
    assert "--folder" in ran.err


def test_demo_spoilt_checkout(run: Run, tmp_path: Path) -> None:
    """A named folder that lacks a sample is told by the file."""
    for name in ("config", "mappings"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "config").unlink()
    (tmp_path / "config" / "sandbox").mkdir(parents=True)
    for name in ("local.toml", "differences.toml", "sandbox/demo.toml"):
        (tmp_path / "config" / name).write_bytes((ROOT / "config" / name).read_bytes())
    ran = run("demo", "--folder", tmp_path)
    assert ran.code == 1
    assert "seed-batch.json: cannot be read" in ran.err


def test_demo_refused_as_a_whole(run: Run, tmp_path: Path) -> None:
    """A sample that the bridge does not take at all is told, not shown half."""
    (tmp_path / "mappings").symlink_to(ROOT / "mappings")
    for name in ("local.toml", "differences.toml", "sandbox/demo.toml"):
        (tmp_path / "config" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / name).write_bytes((ROOT / "config" / name).read_bytes())
    (tmp_path / "config" / "samples").mkdir()
    (tmp_path / "config" / "samples" / "seed-batch.json").write_text("[]")
    ran = run("demo", "--folder", tmp_path)
    assert ran.code == 1
    assert "bridge demo --logs" in ran.err


def test_a_sender_without_a_password_sends_none(configure: Callable[..., Path]) -> None:
    """The demonstrations send what the configuration says a sender has."""
    (sender,) = load_settings(configure(), {}).senders
    assert show_credentials(sender) == {}


BATCH = BatchRecord("b", "ERP-1", "autocollect", "", "content:x", "x", 0.0, False, 1, None)
EPISODE = Episode(
    title="One",
    request=b'{"invoice": [{"invoiceNumber": "1"}]}',
    status=200,
    reply=b'{"errors": [], "responses": [{"objectname": "invoice", "objectindex": 0, "status_statuscode": "OK"}]}',
    calls=(),
    stored=StoredBatch(BATCH, (), ()),
    seconds=0.1,
)


@pytest.mark.parametrize(
    "reply",
    [
        b'{"errors": [], "responses": []}',
        EPISODE.reply.replace(b'"responses": [', b'"responses": [{"objectname": "invoice", "objectindex": 0},'),
        EPISODE.reply.replace(b'"objectindex": 0', b'"objectindex": 1'),
    ],
    ids=["missing", "twice", "elsewhere"],
)
def test_demo_notices(reply: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A row that is missing, answered twice or under another address is noticed."""
    assert EPISODE.is_conserved
    assert EPISODE.answered == {Address("invoice", 0): 1}
    spoilt = replace(EPISODE, reply=reply)
    assert not spoilt.is_conserved
    show_episode(Screen(), spoilt)
    assert "not every row exactly once" in capsys.readouterr().out


def test_demo_fails_on_a_broken_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """When something is wrong, the demo says so and exits with 1."""
    monkeypatch.setattr(Episode, "is_conserved", False)
    ran = run("demo")
    assert ran.code == 1
    assert "something is wrong" in ran.out
