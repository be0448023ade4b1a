"""What batches cost on PostgreSQL: bridge and server together, one replica and two."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.cores import Cores, keep_core
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.launching import (
    cpu_seconds,
    family_cpu_seconds,
    free_ports,
    send_crowd,
    serve,
    start,
    stopping,
    wait_for_ping,
    wait_for_port,
    write_config,
)
from tests.conftest import Server  # the PostgreSQL that the tests start, too

CALLERS, WARM_UP, BATCHES, ROUNDS = 50, 500, 2500, 3


@contextmanager
def postgres() -> Iterator[Server]:
    """Run a PostgreSQL of our own, every commit synced."""
    server = Server()
    try:
        yield server
    finally:
        server.remove()


def postmaster(server: Server) -> int:
    """Return the process of which all others of the server are children."""
    return int((server.folder / "data" / "postmaster.pid").read_text().splitlines()[0])


@dataclass(frozen=True)
class Cost:
    """CPU of one batch in milliseconds, and batches in a second."""

    bridges: float
    server: float
    rate: float

    @property
    def total(self) -> float:
        """Bridges and server together."""
        return self.bridges + self.server


def measure() -> Iterator[Figure]:
    """Measure batches of one row from many callers: one replica alone, then one and two side by side, in turn.

    Alone it has a core to itself. Side by side everything runs wherever there is room: two replicas that share a core
    would pay for taking turns on it, and with a core each the second one would have a core more.
    """
    with keep_core() as cores:
        alone, _ = _run(cores, side_by_side=False)
    yield from _judge_cost(alone, cores)
    yield _judge_ratio(*_run(Cores(), side_by_side=True))


def _run(cores: Cores, *, side_by_side: bool) -> tuple[list[Cost], list[Cost]]:
    """Return the costs of one replica, and of two where wanted, each round beside the other."""
    alone: list[Cost] = []
    two: list[Cost] = []
    with postgres() as server, ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bridge-bench-")))
        log = stack.enter_context((folder / "stderr.log").open("w+"))
        sandbox, *ports = free_ports(3)
        stack.enter_context(stopping(start(log, "-m", "bridge", "sandbox", "--port", str(sandbox))))
        wait_for_port(sandbox)
        url, address = server.create(), f"http://127.0.0.1:{sandbox}"
        first, second = (
            write_config(folder / f"{port}.toml", port=port, sandbox=address, storage=url) for port in ports
        )
        bridges = {ports[0]: stack.enter_context(stopping(cores.give(serve(first, log)))).pid}
        wait_for_ping(ports[0])
        for _ in range(ROUNDS):
            alone.append(_measure(server, bridges))
            if side_by_side:
                with stopping(serve(second, log)) as process:
                    wait_for_ping(ports[1])
                    two.append(_measure(server, bridges | {ports[1]: process.pid}))
    return alone, two


def _measure(server: Server, bridges: dict[int, int]) -> Cost:
    """Let callers, spread over these bridges (port → process), send batches."""
    spread = ",".join(map(str, bridges))
    send_crowd("crowd", spread, 0, WARM_UP, CALLERS)
    before = sum(map(cpu_seconds, bridges.values())), family_cpu_seconds(postmaster(server))
    told = send_crowd("crowd", spread, 0, BATCHES, CALLERS)
    after = sum(map(cpu_seconds, bridges.values())), family_cpu_seconds(postmaster(server))
    ours, its = ((late - early) / BATCHES * 1000 for early, late in zip(before, after, strict=True))
    return Cost(ours, its, BATCHES / told["seconds"])


def _judge_cost(alone: list[Cost], cores: Cores) -> Iterator[Figure]:
    where = "bridge on one core, all else on the others" if cores.kept else cores.note
    yield Figure(
        f"CPU of bridge and PostgreSQL: {CALLERS} callers, one row a batch",
        median(cost.total for cost in alone),
        "ms a batch",
        3,
        note=f"{_describe(alone)}; {where}",
    )


def _judge_ratio(alone: list[Cost], two: list[Cost]) -> Figure:
    ratio = median(b.total / a.total for a, b in zip(alone, two, strict=True))
    note = f"{_describe(two)}; one beside them: {_describe(alone)}; {Cores().note}"
    return Figure("… two replicas against one", ratio, "× the cost", 1.15, note=note)


def _describe(costs: list[Cost]) -> str:
    bridges, server = median(cost.bridges for cost in costs), median(cost.server for cost in costs)
    return f"bridge {bridges:.2f}, server {server:.2f}, {median(cost.rate for cost in costs):.0f} batches a second"
