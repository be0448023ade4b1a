"""A bridge in legacy and in shadow mode, beside a bare proxy: what passing through costs, and what watching adds.

Bridges and proxy take turns on one core; the legacy host and the callers are on the other ones. Shadow mode is measured
in rounds, at a pace at which no caller waits for another one, so that what is seen is what looking does to callers.
"""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.benchmarks.cores import Cores, keep_core
from tests.benchmarks.figures import Figure, median, percentile, spread
from tests.benchmarks.launching import (
    ROOT,
    SENDER_HEADERS,
    cpu_seconds,
    free_ports,
    pinging,
    serve,
    start,
    stopping,
    wait_for_ping,
    wait_for_port,
    write_config,
)
from tests.benchmarks.rows import body, invoices

WARM_UP, BATCHES = 300, 1500
CALLERS, CROWD_BATCHES, CROWD_ROUNDS = 20, 3000, 5
PER_SECOND, PACED_BATCHES, PACED_ROUNDS = 50, 250, 6
REST_SECONDS = 1.0
LARGE_ROWS, LARGE_BATCHES = 10_000, 5
LOOKED_SECONDS = 60.0
LEAST_SHARE, MOST_ADDED_MS, MOST_SHADOW_MS, MOST_PING_MS = 0.8, 1.0, 0.5, 50
LOG_TAIL_CHARACTERS = 3000

SHADOW_TARGET = """
[shadow]
base_url = "http://127.0.0.1:{port}/collection/v1"
token_url = "http://127.0.0.1:{port}/token"
storage_url = "sqlite:///shadow.db"

[organization.shadow]
id = "00000000-0000-4000-8000-000000000002"
client_id = "bench"
client_secret = "bench-secret"
"""


@dataclass(frozen=True)
class Servers:
    """Where the proxy and the bridges listen, and which processes they are."""

    ports: Mapping[str, int]
    pids: Mapping[str, int]
    folder: Path


def measure() -> Iterator[Figure]:
    """Measure passing through, and watching."""
    with keep_core() as cores, _servers(cores) as servers:
        for name in servers.ports:
            _call(servers, "crowd", [name], WARM_UP)
        yield from _measure_passing(servers, cores)
        yield from _measure_watching(servers)
        yield from _measure_pings(servers)


# --- passing through -------------------------------------------------------------------------------------------------


def _measure_passing(servers: Servers, cores: Cores) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {"proxy": [], "legacy": []}
    for _ in range(CROWD_ROUNDS):
        for name, found in rates.items():
            found.append(CROWD_BATCHES / _call(servers, "crowd", [name], CROWD_BATCHES)["seconds"])
    bridge, bare = (median(rates[name]) for name in ("legacy", "proxy"))
    share = median(one / other for one, other in zip(rates["legacy"], rates["proxy"], strict=True))
    note = f"{CALLERS} callers, one row a batch: {bridge:.0f} and {bare:.0f} batches a second; {cores.note}"
    yield Figure("pass-through in legacy mode, of a bare proxy", share, "", LEAST_SHARE, at_least=True, note=note)
    found_ms = _call(servers, "alternate", ["legacy", "proxy"], BATCHES)["found_ms"]
    for place, limit in ((0.5, MOST_ADDED_MS), (0.99, None)):
        through, past = (percentile(found_ms[str(servers.ports[name])], place) for name in ("legacy", "proxy"))
        note = f"bridge {through:.2f} ms, bare proxy {past:.2f} ms, in turn"
        yield Figure(f"… latency added, p{place * 100:.0f}", through - past, "ms", limit, note=note)


# --- watching --------------------------------------------------------------------------------------------------------


def _measure_watching(servers: Servers) -> Iterator[Figure]:
    rounds: dict[str, list[list[float]]] = {"legacy": [], "shadow": [], "hanging": []}
    before = {name: cpu_seconds(servers.pids[name]) for name in rounds}
    for _ in range(PACED_ROUNDS):
        for name, found in rounds.items():
            told = _call(servers, "paced", [name], PACED_BATCHES)
            found.append(told["found_ms"][str(servers.ports[name])])
            time.sleep(REST_SECONDS)  # what is looked at later must not be in the next one's way
    spent = {name: (cpu_seconds(servers.pids[name]) - before[name]) / PACED_BATCHES / PACED_ROUNDS for name in rounds}
    for name, words in (("shadow", "shadow mode"), ("hanging", "shadow mode, its target hangs")):
        cpu = (spent[name] - spent["legacy"]) * 1000
        yield from _judge(words, rounds["legacy"], rounds[name], f"{cpu:.2f} ms of CPU more; {_watched(servers, name)}")


def _judge(words: str, legacy: Sequence[list[float]], shadow: Sequence[list[float]], note: str) -> Iterator[Figure]:
    """Compare medians of rounds; how far the middle half of legacy mode's own rounds are apart is noise."""
    for place in (0.5, 0.99):
        there, here = ([percentile(one, place) for one in found] for found in (legacy, shadow))
        noise = spread(there)
        limit = MOST_SHADOW_MS if place == 0.5 else noise
        figures = f"{median(here):.2f} ms, legacy mode {median(there):.2f} ms (± {noise:.2f} ms)"
        name = f"{words}: added to legacy mode at {PER_SECOND} a second, p{place * 100:.0f}"
        yield Figure(name, median(here) - median(there), "ms", limit, note=f"{figures}; {note}")


def _measure_pings(servers: Servers) -> Iterator[Figure]:
    """Ping a bridge while large batches pass and are compared."""
    pings_ms: list[float] = []
    before = _compared(servers)
    for number in range(LARGE_BATCHES):
        with pinging(servers.ports["shadow"], servers.folder / "stop", pings_ms):
            _send(servers.ports["shadow"], body(invoices(LARGE_ROWS, mark=f"large-{number}-"), f"large-{number}"))
            _wait_until_compared(servers, before + (number + 1) * LARGE_ROWS)
    for place in (0.5, 0.99):
        name = f"Ping while {LARGE_ROWS:,} rows are compared, p{place * 100:.0f}"
        limit = MOST_PING_MS if place == 0.99 else None
        yield Figure(name, percentile(pings_ms, place), "ms", limit, note=f"longest {max(pings_ms):.0f} ms")


# --- the site --------------------------------------------------------------------------------------------------------


def _call(servers: Servers, what: str, names: Sequence[str], batches: int) -> dict[str, Any]:
    ports = ",".join(str(servers.ports[name]) for name in names)
    mark = f"{what}{time.monotonic_ns()}-"
    command = [sys.executable, "-m", "tests.benchmarks.passing", what, ports]
    command += [str(batches), str(CALLERS), str(PER_SECOND), mark]
    told: dict[str, Any] = msgspec.json.decode(
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    )
    return told


def _send(port: int, content: bytes) -> None:
    url = f"http://127.0.0.1:{port}/webapi/api/Batch?senderid=BENCH"
    with urllib.request.urlopen(urllib.request.Request(url, content, SENDER_HEADERS)) as answer:
        answer.read()


def _count(servers: Servers, name: str, topic: str) -> dict[str, int]:
    """Return how often something was observed, as the bridge's journal has it."""
    with sqlite3.connect(f"file:{servers.folder}/{name}.db?mode=ro", uri=True) as journal:
        rows = journal.execute("SELECT subject, sum(count) FROM observation WHERE topic = ? GROUP BY 1", (topic,))
        return dict(rows.fetchall())


def _compared(servers: Servers) -> int:
    return sum(_count(servers, "shadow", "compared").values())


def _watched(servers: Servers, name: str) -> str:
    found = _count(servers, name, "pair")
    return ", ".join(f"{count} {subject.strip('[]')}" for subject, count in sorted(found.items())).replace('"', "")


def _wait_until_compared(servers: Servers, rows: int) -> None:
    deadline = time.monotonic() + LOOKED_SECONDS
    while _compared(servers) < rows:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {_compared(servers)} of {rows} rows were compared")
        time.sleep(0.05)


@contextmanager
def _servers(cores: Cores) -> Iterator[Servers]:
    """Start a legacy host, the proxy, and a bridge in legacy mode, in shadow mode, and with a target that hangs."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        log = stack.enter_context((folder / "log").open("wb"))
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(128)  # takes connections, and never answers
        host, *others = free_ports(5)
        ports = dict(zip(("proxy", "legacy", "shadow", "hanging"), others, strict=True))
        stack.enter_context(stopping(start(log, "-m", "tests.benchmarks.legacy_stub", str(host))))
        wait_for_port(host)
        proxy = start(log, "-m", "tests.benchmarks.proxy", str(ports["proxy"]), f"http://127.0.0.1:{host}")
        processes = {"proxy": proxy}
        for name in ("legacy", "shadow", "hanging"):
            processes[name] = serve(_configure(folder, name, ports[name], host, hole.getsockname()[1]), log)
        for process in processes.values():
            cores.give(stack.enter_context(stopping(process)))
        wait_for_port(ports["proxy"])
        for name in ("legacy", "shadow", "hanging"):
            wait_for_ping(ports[name])
        try:
            yield Servers(ports, {name: process.pid for name, process in processes.items()}, folder)
        except BaseException:
            log.flush()
            sys.stderr.write((folder / "log").read_text("utf-8", "replace")[-LOG_TAIL_CHARACTERS:])
            raise


def _configure(folder: Path, name: str, port: int, host: int, hole: int) -> Path:
    mode = "legacy" if name == "legacy" else "shadow"
    more = f'[legacy]\nbase_url = "http://127.0.0.1:{host}"\n[cutover]\nfirst_mode = "{mode}"\n'
    if name == "hanging":
        more += SHADOW_TARGET.format(port=hole)
    return write_config(
        folder / f"{name}.toml",
        port=port,
        sandbox="http://127.0.0.1:1",
        storage=f"sqlite:///{folder}/{name}.db",
        server="max_body_mb = 64",
        more=more,
    )
