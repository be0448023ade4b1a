"""What it costs to read claims back: one organization with ten thousand open cases, read anew and polled again."""

from __future__ import annotations

import http.client
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.launching import (
    ORGANIZATION,
    SENDER_HEADERS,
    cpu_seconds,
    free_ports,
    pinging,
    rss_mb,
    serve,
    start,
    stopping,
    wait_for_ping,
    wait_for_port,
    write_config,
)

CASES = 10_000
READS, POLLS = 5, 30
CACHE_SECONDS = 3.0
PATH = "/webapi/api/Batch?senderid=BENCH"


@dataclass
class Seen:
    """What was seen: CPU seconds of the bridge, megabytes, milliseconds of Pings, bytes of the answer."""

    first_cpu: float = 0.0
    read_cpu: list[float] = field(default_factory=list)
    read_seconds: list[float] = field(default_factory=list)
    poll_cpu: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    quiet_ms: list[float] = field(default_factory=list)
    pings_ms: list[float] = field(default_factory=list)
    length: int = 0


def measure() -> Iterator[Figure]:
    """Measure the first read, which teaches the cross-reference; reads after that; polls that find nothing new."""
    seen = Seen()
    with _servers() as (bridge, pid), tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        with pinging(bridge, stop, seen.quiet_ms):
            time.sleep(1)
        seen.first_cpu, _ = _read(bridge, pid, seen)
        for _ in range(READS):
            time.sleep(CACHE_SECONDS)  # what was read is too old by now
            cpu, seconds = _read(bridge, pid, seen)
            seen.read_cpu.append(cpu)
            seen.read_seconds.append(seconds)
        for _ in range(READS):
            time.sleep(CACHE_SECONDS)
            with pinging(bridge, stop, seen.pings_ms):  # these reads do not count: Pings cost CPU as well
                _read(bridge, pid, seen)
        seen.poll_cpu = _poll(bridge, pid, seen)
    yield from _judge(seen)


def _judge(seen: Seen) -> Iterator[Figure]:
    size = f"{CASES:,} open cases"
    each = [cpu / CASES * 1e6 for cpu in seen.read_cpu]
    note = f"{seen.length / 1e6:.1f} MB; reads: {' '.join(f'{one:.0f}' for one in each)}"
    yield Figure(f"GET over {size}, read anew: CPU of the bridge", median(each), "µs a case", 60, note=note)
    first = seen.first_cpu / CASES * 1e6
    yield Figure("… the first time, every claim new to the cross-reference", first, "µs a case", note="once a claim")
    yield Figure("… from request to the last byte", median(seen.read_seconds), "s", note="the sandbox competes")
    yield Figure("memory after each of them, at most", max(seen.memory_mb), "MB", 150)
    quiet = percentile(seen.quiet_ms, 0.99)
    note = f"{len(seen.pings_ms)} Pings, worst {max(seen.pings_ms):.1f} ms; beside nothing {quiet:.1f} ms"
    yield Figure("Ping p99 beside them", percentile(seen.pings_ms, 0.99), "ms", 15, note=note)
    note = f"mean of {POLLS}; {seen.length / 1e6:.1f} MB each, through the kernel"
    yield Figure("a repeated poll that finds nothing new: CPU", seen.poll_cpu / POLLS * 1000, "ms", 5, note=note)


def _read(bridge: int, pid: int, seen: Seen) -> tuple[float, float]:
    """Read everything back once; return CPU and wall-clock seconds."""
    before, began = cpu_seconds(pid), time.perf_counter()
    with _connected(bridge) as connection:
        body = _get(connection)
    taken = cpu_seconds(pid) - before, time.perf_counter() - began
    seen.memory_mb.append(rss_mb(pid))
    seen.length = len(body)
    answer = msgspec.json.decode(body)
    if len(answer["case"]) != CASES:
        raise RuntimeError(f"{len(answer['case'])} cases instead of {CASES}")
    return taken


def _poll(bridge: int, pid: int, seen: Seen) -> float:
    """Ask again and again what was just read; return CPU seconds."""
    with _connected(bridge) as connection:
        _get(connection)
        before = cpu_seconds(pid)
        for _ in range(POLLS):
            _get(connection)
        taken = cpu_seconds(pid) - before
    seen.memory_mb.append(rss_mb(pid))
    return taken


def _get(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", PATH, headers=SENDER_HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"HTTP {answer.status}: {body[:300]!r}")
    return body


@contextmanager
def _connected(port: int) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=130)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _servers() -> Iterator[tuple[int, int]]:
    """Run the sandbox, full of cases, and the bridge; yield the bridge's port and process id."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        bridge, sandbox = free_ports(2)
        log = stack.enter_context((folder / "stderr.log").open("w+"))
        stack.enter_context(stopping(start(log, "-m", "bridge", "sandbox", "--port", str(sandbox))))
        wait_for_port(sandbox)
        _plant(sandbox)
        reading = f"[reading]\ncache_seconds = {CACHE_SECONDS}"
        config = write_config(folder / "bridge.toml", port=bridge, sandbox=f"http://127.0.0.1:{sandbox}", more=reading)
        served = stack.enter_context(stopping(serve(config, log)))
        wait_for_ping(bridge)
        yield bridge, served.pid


def _plant(sandbox: int) -> None:
    """Put the cases into the sandbox."""
    with _connected(sandbox) as connection:
        connection.request(
            "POST", "/sandbox/claims", msgspec.json.encode({"organization": ORGANIZATION, "count": CASES})
        )
        answer = connection.getresponse()
        if answer.status != 201:
            raise RuntimeError(f"the sandbox took no claims: {answer.read()[:300]!r}")
        answer.read()


__all__: Sequence[str] = ["measure"]
