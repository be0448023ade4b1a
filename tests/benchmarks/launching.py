"""Processes as they run in production: bridges, stand-ins, callers; and what the kernel tells of their cost."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SENDER_HEADERS = {"Authorization": "Bearer bench-token", "Content-Type": "application/json"}
WEBHOOK_SECRET = "bench-hook-secret"
START_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

CONFIG = """
[server]
port = {port}
{server}

[storage]
url = "{storage}"

[modern]
base_url = "{sandbox}/collection/v1"
token_url = "{sandbox}/token"
webhook_secrets = ["{webhook_secret}"]
{modern}

[mappings]
folder = "{mappings}"

[[organization]]
id = "{organization}"
creditors = ["984842252"]
client_id = "bench"
client_secret = "bench-secret"

[[sender]]
id = "BENCH"
organizations = ["{organization}"]
hold_seconds = 120
bearer = "bench-token"

{more}
"""


def write_config(
    path: Path, *, port: int, sandbox: str, storage: str = "", server: str = "", modern: str = "", more: str = ""
) -> Path:
    """Write a configuration: SQLite beside it unless `storage` names another journal; further lines, further tables."""
    path.write_text(
        CONFIG.format(
            port=port,
            server=server,
            storage=storage or f"sqlite:///{path.parent}/bridge.db",
            sandbox=sandbox,
            webhook_secret=WEBHOOK_SECRET,
            modern=modern,
            more=more,
            mappings=ROOT / "mappings",
            organization=ORGANIZATION,
        )
    )
    return path


def serve(config: Path, log: Any) -> subprocess.Popen[bytes]:
    """Start a bridge."""
    return start(log, "-m", "bridge", "serve", "--config", str(config))


def start(log: Any, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a Python process."""
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=log, stderr=log)


@contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Stop a process at the end as its operator would."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def send_crowd(what: str, bridges: str, bare: int, batches: int, callers: int) -> dict[str, Any]:
    """Let callers in a process of their own make requests of bridges (ports, with commas); return what they found."""
    mark = f"{what}{time.monotonic_ns()}-"
    arguments = [what, bridges, str(bare), str(batches), str(callers), mark]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.callers", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    told: dict[str, Any] = msgspec.json.decode(done.stdout)
    return told


def free_ports(count: int) -> list[int]:
    """Return ports nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def wait_for_ping(port: int) -> None:
    """Wait until a bridge answers 200 to Ping: it takes batches."""
    deadline = time.monotonic() + START_SECONDS
    while not _pings(port):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the bridge did not answer Ping within {START_SECONDS:.0f} s")
        time.sleep(0.005)


def _pings(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/webapi/api/Ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def cpu_seconds(pid: int, *, children: bool = False) -> float:
    """Return user and system time of a process and its threads so far; with that of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if children else 13])) / TICKS_PER_SECOND


def family_cpu_seconds(pid: int) -> float:
    """Return the same of a process and all children it has or had; none has children of its own."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu_seconds(pid, children=True) + sum(cpu_seconds(int(child)) for child in children)


def rss_mb(pid: int) -> float:
    """Return what a process holds in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} does not tell its memory")


@contextmanager
def pinging(port: int, stop: Path, pings_ms: list[float]) -> Iterator[None]:
    """Ping a bridge from a process of its own meanwhile; adds the milliseconds of each Ping afterwards."""
    stop.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.benchmarks.pinger", str(port), str(stop)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as pinger:
        assert pinger.stdout is not None
        pinger.stdout.readline()  # it pings
        try:
            yield
        finally:
            stop.touch()
        pings_ms += msgspec.json.decode(pinger.stdout.readline())
