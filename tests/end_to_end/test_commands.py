"""The commands as an operator runs them: real processes, real sockets, real signals."""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "config" / "local.toml"
SAMPLES = ROOT / "config" / "samples"
PATIENCE_SECONDS = 20.0
"""How long a condition may take on a busy machine before a test gives up."""


def run(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        _command(arguments), env=_environ(environ), capture_output=True, text=True, check=False, timeout=60
    )


def _command(arguments: tuple[object, ...]) -> list[str]:
    return [sys.executable, "-m", "bridge", *(str(argument) for argument in arguments)]


def _environ(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE")}
    return kept | more


@contextmanager
def started(log: Path, *arguments: object, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that runs until it is told to stop; its stderr goes to a file."""
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            _command(arguments), env=_environ(environ), stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Ask until a condition holds; fail when the process ends before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < deadline, "still waiting"
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@dataclass(frozen=True)
class Running:
    """A bridge at work beside a sandbox."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    environ: dict[str, str]

    def post(self, body: bytes) -> tuple[dict[str, Any], str]:
        """Send a batch as the ERP would; return the reply and the bridge's id of the batch."""
        request = urllib.request.Request(f"{self.url}/webapi/api/Batch?senderid=ERP-1", data=body)
        request.add_header("Content-Type", "application/json-patch+json")
        request.add_header("Authorization", f"Basic {base64.b64encode(b'erp1:demo-erp1').decode()}")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read()), response.headers["X-Bridge-Batch"]

    def stop(self) -> int:
        """Ask the bridge to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Running]:
    """Return a bridge on config/local.toml, moved to free ports and a temporary journal."""
    with ExitStack() as stack:
        script = ROOT / "config" / "sandbox" / "demo.toml"
        sandbox = stack.enter_context(started(tmp_path / "sandbox.log", "sandbox", "--port", 0, "--script", script))
        addresses = read_addresses(sandbox)
        port = find_free_port()
        environ = {
            "BRIDGE_CONFIG": str(LOCAL),
            "BRIDGE__SERVER__PORT": str(port),
            "BRIDGE__STORAGE__URL": f"sqlite:///{tmp_path / 'journal.db'}",
            "BRIDGE__MODERN__BASE_URL": addresses["base_url"],
            "BRIDGE__MODERN__TOKEN_URL": addresses["token_url"],
        }
        log = tmp_path / "bridge.log"
        process = stack.enter_context(started(log, "serve", **environ))
        running = Running(f"http://127.0.0.1:{port}", process, log, environ)
        wait_for(lambda: answers(f"{running.url}/webapi/api/Ping"), process)
        yield running


def read_addresses(sandbox: subprocess.Popen[bytes]) -> dict[str, str]:
    """Read from the sandbox's stdout where it is; it says so once it answers."""
    assert sandbox.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(sandbox.stdout, selectors.EVENT_READ)
        text = ""
        while "token_url" not in text or not text.endswith("\n"):
            assert selector.select(PATIENCE_SECONDS), "the sandbox does not say where it is"
            piece = os.read(sandbox.stdout.fileno(), 4096).decode()
            assert piece, "the sandbox ended"
            text += piece
    return dict(re.findall(r"(base_url|token_url)\s*= (\S+)", text))


def test_serve(bridge: Running) -> None:
    """The bridge answers a batch, prints nothing on stdout, logs JSON on stderr, and ends with 0 on SIGTERM."""
    reply, _ = bridge.post((SAMPLES / "seed-batch.json").read_bytes())
    assert reply["statuscode"] == 0, reply
    assert len(reply["responses"]) == 4
    assert bridge.stop() == 0
    assert bridge.process.stdout is not None
    assert bridge.process.stdout.read() == b""
    events = [json.loads(line)["event"] for line in bridge.log.read_text().splitlines()]
    assert events[0] == "bridge_started"
    assert events[-1] == "bridge_stopped"
    assert "batch_finished" in events
    assert "Nordmann" not in bridge.log.read_text()


def test_books_beside_a_running_bridge(bridge: Running) -> None:
    """batches and ledger read the journal while the bridge is at work."""
    bridge.post((SAMPLES / "seed-batch.json").read_bytes())
    reply, batch_id = bridge.post((SAMPLES / "mixed-faults.json").read_bytes())
    assert reply["statuscode"] == 1
    newest, _ = json.loads(run("batches", "list", "--json", **bridge.environ).stdout)
    assert (newest["id"], newest["batchid"], newest["rows"]) == (batch_id, "2024-0002", 14)
    batch = json.loads(run("batches", "show", batch_id, "--json", **bridge.environ).stdout)
    assert len(batch["rows"]) == 14
    assert {call["state"] for call in batch["calls"]} == {"DONE"}
    shown = run("batches", "show", batch_id, **bridge.environ).stdout
    assert "debtor is under guardianship" in shown
    assert "Berit" not in shown
    ledger = run("ledger", "--json", **bridge.environ)
    assert ledger.returncode == 0
    books = json.loads(ledger.stdout)
    organizations = books.pop("organizations")
    assert sum(one["accepted"] for one in organizations) == 18
    assert all(one["accepted"] == one["final"] for one in organizations)
    assert books == {
        "accepted": 18,
        "final": 18,
        "pending": 0,
        "in_doubt": 0,
        "in_doubt_rows": [],
        "unaccounted": [],
    }


def test_registers_beside_a_running_bridge(bridge: Running) -> None:
    """Creditors nobody configured and fields nobody declared can be listed while the bridge is at work."""
    bridge.post((SAMPLES / "mixed-faults.json").read_bytes())
    creditors = json.loads(run("creditors", "list", "--json", **bridge.environ).stdout)
    assert {one["idnumber"]: one["configured"] for one in creditors} == {"984842252": True, "999888777": False}
    assert 'creditors = ["999888777"]' in run("creditors", "list", "--paste", **bridge.environ).stdout
    (unknown,) = json.loads(run("unknown", "list", "--json", **bridge.environ).stdout)
    assert (unknown["sender"], unknown["objectname"], unknown["field"]) == ("ERP-1", "invoice", "shoeSize")


def test_settling_beside_a_running_bridge(bridge: Running) -> None:
    """Only rows in doubt can be settled; a bridge at work does not stand in the way of asking."""
    _, batch_id = bridge.post((SAMPLES / "seed-batch.json").read_bytes())
    settled = run(
        *("batches", "settle", batch_id, "--accepted", "--by", "Kari", "--because", "a test", "--yes"),
        **bridge.environ,
    )
    assert settled.returncode == 1
    assert f"{batch_id}: none of its rows is in doubt" in settled.stderr


def test_second_bridge_is_refused(bridge: Running) -> None:
    """A second bridge on the same journal ends with 1 and says why, without a traceback."""
    second = run("serve", **{**bridge.environ, "BRIDGE__SERVER__PORT": str(find_free_port())})
    assert second.returncode == 1
    assert "journal" in second.stderr
    assert "Traceback" not in second.stderr


def test_demo() -> None:
    """The demo ends with 0 in under ten seconds; both batches are shown, every row answered exactly once."""
    began = time.monotonic()
    demo = run("demo")
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert time.monotonic() - began < 10
    assert "4 rows sent, 4 answered: every row exactly once" in demo.stdout
    assert "14 rows sent, 14 answered: every row exactly once" in demo.stdout
    assert "\x1b" not in demo.stdout
    assert demo.stderr == ""


def test_demo_from_anywhere(tmp_path: Path) -> None:
    """The demo finds its checkout from another folder."""
    demo = subprocess.run(_command(("demo",)), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert demo.returncode == 0, demo.stderr


def test_check() -> None:
    """What is shipped passes its own check, whose JSON a script can read."""
    check = run("check", "--config", LOCAL, "--json")
    assert check.returncode == 0, check.stdout
    assert json.loads(check.stdout)["profiles"] == ["autocollect", "classic", "autocollect-modern"]


def test_translate() -> None:
    """The dry run of the sample shows the calls that `serve` would make."""
    translated = run("translate", SAMPLES / "seed-batch.json", "--config", LOCAL, "--sender", "ERP-1", "--json")
    assert translated.returncode == 0, translated.stderr
    operations = [call["operation"] for call in json.loads(translated.stdout)["calls"]]
    assert operations == ["create_invoices", "create_payments", "pause"]


def test_sandbox_ends_on_sigterm(tmp_path: Path) -> None:
    """The sandbox ends with 0 when it is told to."""
    with started(tmp_path / "sandbox.log", "sandbox", "--port", 0) as process:
        read_addresses(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


def test_piped_into_head() -> None:
    """A reader that has seen enough ends the command without a traceback."""
    with subprocess.Popen(
        _command(("check", "--config", LOCAL)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(PATIENCE_SECONDS)
