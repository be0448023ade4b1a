"""The bridge as it runs: a process of its own, a sandbox beside it, callers in a third.

CPU is that of the bridge's process alone, user and system, on a core of its own where there are two. On few cores the
three compete, so wall-clock figures are compared with a bare pass-through that fares alike, request by request in turn.
"""

from __future__ import annotations

import http.client
import os
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

from tests.benchmarks.cores import Cores, keep_core
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.launching import (
    ORGANIZATION,
    ROOT,
    SENDER_HEADERS,
    cpu_seconds,
    free_ports,
    pinging,
    rss_mb,
    send_crowd,
    serve,
    start,
    stopping,
    wait_for_port,
    write_config,
)
from tests.benchmarks.rows import body, invoices

SINGLE_WARM_UP, SINGLE_BATCHES = 200, 1500
MANY_CALLERS, MANY_WARM_UP, MANY_BATCHES, MANY_ROUNDS = 50, 500, 2500, 3
LARGE_ROWS, LARGE_BATCHES = 10_000, 10
STARTS = 7
NO_CORES = Cores()
LOG_TAIL_CHARACTERS = 3000
"""What is shown of the servers' logs when a benchmark breaks."""


@dataclass(frozen=True)
class Servers:
    """Where bridge and bare pass-through listen, and which processes they are."""

    bridge: int
    bare: int
    bridge_pid: int
    bare_pid: int


def measure_single_rows() -> Iterator[Figure]:
    """Measure batches of one row, from one caller and from fifty."""
    with keep_core() as cores, _servers(cores) as servers:
        _call(servers, "alternate", SINGLE_WARM_UP, 1)
        before, bare_before = cpu_seconds(servers.bridge_pid), cpu_seconds(servers.bare_pid)
        told = _call(servers, "alternate", SINGLE_BATCHES, 1)
        cpu = (cpu_seconds(servers.bridge_pid) - before) / SINGLE_BATCHES * 1000
        bare = (cpu_seconds(servers.bare_pid) - bare_before) / SINGLE_BATCHES * 1000
        yield from _latency(told["bridge_ms"], told["bare_ms"])
        note = (
            f"{cores.note}; bare pass-through, one exchange instead of two and no journal, there as well: {bare:.2f} ms"
        )
        yield Figure("CPU of the bridge: one caller, one row a batch", cpu, "ms a batch", 2, note=note)
        _call(servers, "crowd", MANY_WARM_UP, MANY_CALLERS)
        yield from _judge_crowd([_measure_crowd(servers) for _ in range(MANY_ROUNDS)], cores)


def _measure_crowd(servers: Servers) -> tuple[float, float]:
    """Return the bridge's CPU of one batch in milliseconds, and batches in a second."""
    before = cpu_seconds(servers.bridge_pid)
    told = _call(servers, "crowd", MANY_BATCHES, MANY_CALLERS)
    return (cpu_seconds(servers.bridge_pid) - before) / MANY_BATCHES * 1000, MANY_BATCHES / told["seconds"]


def _judge_crowd(rounds: Sequence[tuple[float, float]], cores: Cores) -> Iterator[Figure]:
    cpu, rate = (median(column) for column in zip(*rounds, strict=True))
    note = f"{cores.note}; {rate:.0f} batches a second, with sandbox and callers on the rest of {os.cpu_count()} cores"
    yield Figure(f"CPU of the bridge: {MANY_CALLERS} callers, one row a batch", cpu, "ms a batch", 1.5, note=note)
    note = "rounds: " + " ".join(f"{one:.2f}" for one, _ in rounds)
    yield Figure("… against the earlier target", cpu, "ms a batch", 2, note=note)


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
        with pinging(servers.bridge, stop, seen.quiet_ms):
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
    with pinging(servers.bridge, stop, seen.reading_ms):
        _post(servers, offline)
    with pinging(servers.bridge, stop, seen.working_ms):
        _post(servers, waiting)
    seen.seconds.append(time.perf_counter() - began)
    seen.memory_mb.append(rss_mb(servers.bridge_pid))


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
def _servers(cores: Cores = NO_CORES) -> Iterator[Servers]:
    """Run sandbox, bridge and bare pass-through on free ports, the journal in a temporary folder.

    Bridge and pass-through, which take turns, get the cores that were kept for them.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        bridge, sandbox, bare = free_ports(3)
        address = f"http://127.0.0.1:{sandbox}"
        config = write_config(folder / "bridge.toml", port=bridge, sandbox=address)
        log = stack.enter_context((folder / "stderr.log").open("w+"))
        stack.enter_context(stopping(start(log, "-m", "bridge", "sandbox", "--port", str(sandbox))))
        wait_for_port(sandbox)
        pass_through = cores.give(start(log, "-m", "tests.benchmarks.bare", str(bare), address, ORGANIZATION))
        through = stack.enter_context(stopping(pass_through))
        served = stack.enter_context(stopping(cores.give(serve(config, log))))
        try:
            for port in (bridge, bare):
                wait_for_port(port)
            yield Servers(bridge, bare, served.pid, through.pid)
        except BaseException:
            sys.stderr.write((folder / "stderr.log").read_text()[-LOG_TAIL_CHARACTERS:])
            raise


def _call(servers: Servers, what: str, batches: int, callers: int) -> dict[str, Any]:
    return send_crowd(what, str(servers.bridge), servers.bare, batches, callers)


def _post(servers: Servers, content: bytes) -> None:
    """Send one batch and wait for its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", servers.bridge, timeout=130)
    connection.request("POST", "/webapi/api/Batch", content, SENDER_HEADERS)
    answer = connection.getresponse()
    reply = msgspec.json.decode(answer.read())
    connection.close()
    if answer.status != 200 or reply["errors"]:
        raise RuntimeError(f"HTTP {answer.status}: {len(reply['errors'])} rows refused, {reply['errors'][:1]}")
