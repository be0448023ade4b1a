"""The bridge as it runs: a process of its own, a sandbox beside it, callers in a third.

CPU is that of the bridge's process alone, user and system. On few cores the three compete, so wall-clock figures are
compared with a bare pass-through that competes in the same way, request by request in turn.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.rows import body, invoices

ROOT = Path(__file__).resolve().parents[2]
ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SENDER_HEADERS = {"Authorization": "Bearer bench-token", "Content-Type": "application/json"}
START_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

SINGLE_WARM_UP, SINGLE_BATCHES = 200, 1500
MANY_CALLERS, MANY_WARM_UP, MANY_BATCHES = 50, 500, 5000
LARGE_ROWS, LARGE_BATCHES = 10_000, 10
STARTS = 7
LOG_TAIL_CHARACTERS = 3000
"""What is shown of the servers' logs when a benchmark breaks."""

CONFIG = """
[server]
port = {port}

[storage]
url = "sqlite:///{folder}/bridge.db"

[modern]
base_url = "{sandbox}/collection/v1"
token_url = "{sandbox}/token"

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
"""


@dataclass(frozen=True)
class Servers:
    """Where bridge and bare pass-through listen, and which processes they are."""

    bridge: int
    bare: int
    bridge_pid: int
    bare_pid: int


def measure_single_rows() -> Iterator[Figure]:
    """Measure batches of one row, from one caller and from fifty."""
    with _servers() as servers:
        _call(servers, "alternate", SINGLE_WARM_UP, 1)
        before, bare_before = _cpu_seconds(servers.bridge_pid), _cpu_seconds(servers.bare_pid)
        told = _call(servers, "alternate", SINGLE_BATCHES, 1)
        cpu = (_cpu_seconds(servers.bridge_pid) - before) / SINGLE_BATCHES * 1000
        bare = (_cpu_seconds(servers.bare_pid) - bare_before) / SINGLE_BATCHES * 1000
        yield from _latency(told["bridge_ms"], told["bare_ms"])
        note = f"the bare pass-through, with one exchange instead of two and no journal: {bare:.2f} ms"
        yield Figure("CPU of the bridge: one caller, one row a batch", cpu, "ms a batch", 2, note=note)
        _call(servers, "crowd", MANY_WARM_UP, MANY_CALLERS)
        before = _cpu_seconds(servers.bridge_pid)
        crowd = _call(servers, "crowd", MANY_BATCHES, MANY_CALLERS)
        cpu = (_cpu_seconds(servers.bridge_pid) - before) / MANY_BATCHES * 1000
        rate = MANY_BATCHES / crowd["seconds"]
        note = f"{rate:.0f} batches a second; sandbox and callers compete for {os.cpu_count()} cores"
        yield Figure(f"CPU of the bridge: {MANY_CALLERS} callers, one row a batch", cpu, "ms a batch", 2, note=note)


def _latency(bridge_ms: Sequence[float], bare_ms: Sequence[float]) -> Iterator[Figure]:
    """Compare quantiles: the pairs were measured in turn, so both saw the same machine."""
    for share, limit in ((0.5, 10), (0.99, 25)):
        through, bare = percentile(bridge_ms, share), percentile(bare_ms, share)
        note = f"bridge {through:.1f} ms, bare pass-through {bare:.1f} ms"
        yield Figure(f"latency added to a one-row batch, p{share * 100:.0f}", through - bare, "ms", limit, note=note)


@dataclass
class LargeBatches:
    """What was seen while large batches went through: milliseconds of Pings, megabytes, seconds."""

    quiet_ms: list[float] = field(default_factory=list)
    reading_ms: list[float] = field(default_factory=list)
    working_ms: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    body_bytes: int = 0


def measure_large_batches() -> Iterator[Figure]:
    """Measure Pings beside large batches, and what memory those leave behind."""
    seen = LargeBatches()
    with _servers() as servers, tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        with _pinging(servers, stop, seen.quiet_ms):
            time.sleep(1)
        for number in range(LARGE_BATCHES):
            _send_large_batch(servers, stop, seen, number)
    yield from _judge_pings(seen)
    yield from _judge_memory(seen.memory_mb)


def _send_large_batch(servers: Servers, stop: Path, seen: LargeBatches, number: int) -> None:
    """Send a batch offline, which is answered once it is journalled; then the same again, to wait for its end."""
    rows = invoices(LARGE_ROWS, mark=f"{number}-")
    offline, waiting = (body(rows, f"large-{number}", offline=offline) for offline in (True, False))
    seen.body_bytes = len(offline)
    began = time.perf_counter()
    with _pinging(servers, stop, seen.reading_ms):
        _post(servers, offline)
    with _pinging(servers, stop, seen.working_ms):
        _post(servers, waiting)
    seen.seconds.append(time.perf_counter() - began)
    seen.memory_mb.append(_rss_mb(servers.bridge_pid))


def _judge_pings(seen: LargeBatches) -> Iterator[Figure]:
    size = f"{LARGE_ROWS:,}-row batch ({seen.body_bytes / 1e6:.0f} MB)"
    reading, working, quiet = seen.reading_ms, seen.working_ms, percentile(seen.quiet_ms, 0.99)
    yield Figure(
        f"Ping p99 while a {size} is read, translated, journalled",
        percentile(reading, 0.99), "ms", 15, note=f"{_spread(reading)}; p99 beside nothing {quiet:.1f} ms",
    )  # fmt: skip
    note = f"{_spread(working)}; the sandbox competes"
    yield Figure("Ping p99 while its calls are made and its reply folded", percentile(working, 0.99), "ms", note=note)
    yield Figure(f"a {size}, from request to final reply", median(seen.seconds), "s", note="sandbox included")


def _spread(pings_ms: Sequence[float]) -> str:
    return f"{len(pings_ms)} Pings, p50 {median(pings_ms):.1f} ms, worst {max(pings_ms):.1f} ms"


def _judge_memory(memory_mb: Sequence[float]) -> Iterator[Figure]:
    middle = LARGE_BATCHES // 2
    growth = min(memory_mb[middle:]) - min(memory_mb[1:middle])
    note = "after each batch: " + " ".join(f"{value:.0f}" for value in memory_mb)
    yield Figure(f"memory after {LARGE_BATCHES} such batches, at most", max(memory_mb), "MB", 250, note=note)
    yield Figure("… least of the later half above the earlier", growth, "MB", 10, note="level: within 10 MB")


def measure_start() -> Iterator[Figure]:
    """Measure how long a person waits for the help text."""
    taken = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bridge", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - began)
    yield Figure("bridge --help", median(taken), "s", 0.4, note=f"fastest of {STARTS}: {min(taken):.2f} s")


# --- processes ------------------------------------------------------------------------------------------------------


@contextmanager
def _servers() -> Iterator[Servers]:
    """Run sandbox, bridge and bare pass-through on free ports, the journal in a temporary folder."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        bridge, sandbox, bare = _free_ports(3)
        config = folder / "bridge.toml"
        address = f"http://127.0.0.1:{sandbox}"
        config.write_text(
            CONFIG.format(
                port=bridge, folder=folder, sandbox=address, mappings=ROOT / "mappings", organization=ORGANIZATION
            )
        )
        log = stack.enter_context((folder / "stderr.log").open("w+"))
        stack.enter_context(_process(log, "-m", "bridge", "sandbox", "--port", str(sandbox)))
        _wait_for_port(sandbox)
        through = stack.enter_context(_process(log, "-m", "tests.benchmarks.bare", str(bare), address, ORGANIZATION))
        served = stack.enter_context(_process(log, "-m", "bridge", "serve", "--config", str(config)))
        try:
            for port in (bridge, bare):
                _wait_for_port(port)
            yield Servers(bridge, bare, served.pid, through.pid)
        except BaseException:
            sys.stderr.write((folder / "stderr.log").read_text()[-LOG_TAIL_CHARACTERS:])
            raise


@contextmanager
def _process(log: Any, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Python process, and stop it at the end as its operator would."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _call(servers: Servers, what: str, batches: int, callers: int) -> dict[str, Any]:
    """Let callers in a process of their own make requests; return what they found."""
    mark = f"{what}{time.monotonic_ns()}-"
    arguments = [what, str(servers.bridge), str(servers.bare), str(batches), str(callers), mark]
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.callers", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    told: dict[str, Any] = msgspec.json.decode(done.stdout)
    return told


@contextmanager
def _pinging(servers: Servers, stop: Path, pings_ms: list[float]) -> Iterator[None]:
    """Ping the bridge from a process of its own meanwhile; adds the milliseconds of each Ping afterwards."""
    stop.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.benchmarks.pinger", str(servers.bridge), str(stop)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as pinger:
        assert pinger.stdout is not None
        pinger.stdout.readline()  # it pings
        try:
            yield
        finally:
            stop.touch()
        pings_ms += msgspec.json.decode(pinger.stdout.readline())


def _post(servers: Servers, content: bytes) -> None:
    """Send one batch and wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", servers.bridge, timeout=130)
    connection.request("POST", "/webapi/api/Batch", content, SENDER_HEADERS)
    answer = connection.getresponse()
    reply = msgspec.json.decode(answer.read())
    connection.close()
    if answer.status != 200 or reply["errors"]:
        raise RuntimeError(f"HTTP {answer.status}: {len(reply['errors'])} rows refused, {reply['errors'][:1]}")


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for_port(port: int) -> None:
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


def _cpu_seconds(pid: int) -> float:
    """Return user and system time of a process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} does not tell its memory")
