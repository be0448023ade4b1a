"""Bridges in processes of their own; a stand-in and callers in this one, which therefore sees what happens when."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from tempfile import TemporaryDirectory

import aiohttp

from bridge.sandbox import Running, SandboxOptions, running
from bridge.sandbox.lifecycle import Batch, Pace
from tests.benchmarks.launching import (
    ORGANIZATION,
    SENDER_HEADERS,
    WEBHOOK_SECRET,
    free_ports,
    serve,
    stopping,
    wait_for_ping,
    write_config,
)
from tests.benchmarks.rows import body, invoice

BREAKS = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)
"""What a caller sees when the bridge dies while it waits."""
NEVER: dict[str, object] = {"behaviour": {"finish_after_seconds": 86_000}}
"""A script: batches finish when they are told to."""
WAIT_SECONDS = 60.0
LOG_TAIL_CHARACTERS = 3000


@dataclass(eq=False)
class Bridge:
    """One bridge process; it can be killed and started again."""

    config: Path
    port: int
    log: Path
    process: Popen[bytes] = field(init=False)

    async def start(self) -> None:
        """Start it and wait until it answers Ping."""
        with self.log.open("ab") as sink:
            self.process = serve(self.config, sink)
        await asyncio.to_thread(wait_for_ping, self.port)

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def count(self, event: str) -> int:
        """Return how often it has logged an event."""
        return self.log.read_bytes().count(f'"{event}"'.encode())


@dataclass(frozen=True)
class Site:
    """Bridges on one journal, their stand-in, and a caller."""

    bridges: tuple[Bridge, ...]
    sandbox: Running
    session: aiohttp.ClientSession

    async def post(self, content: bytes, bridge: Bridge) -> bytes:
        """Send one batch; return its answer."""
        url = f"http://127.0.0.1:{bridge.port}/webapi/api/Batch"
        async with self.session.post(url, data=content, headers=SENDER_HEADERS) as answer:
            reply = await answer.read()
        if answer.status != 200:
            raise RuntimeError(f"HTTP {answer.status}: {reply[:300]!r}")
        return reply

    @property
    def held(self) -> list[Batch]:
        """The modern batches, oldest first."""
        return list(self.sandbox.state.account(ORGANIZATION).batches)

    def release(self) -> None:
        """Let every modern batch finish at the next look, the coming ones at once."""
        self.sandbox.play({"behaviour": {"finish_after_seconds": 0}})
        for batch in self.held:
            batch.pace = Pace(after_polls=0)

    def check_books(self, sent: Iterable[str]) -> None:
        """Raise RuntimeError unless each row that was sent was accepted exactly once."""
        accepted = dict(self.sandbox.state.account(ORGANIZATION).tallies["invoices"].accepted)
        wanted = dict.fromkeys(sent, 1)
        if accepted != wanted or self.sandbox.state.doubled():
            lost, doubled = len(wanted.keys() - accepted.keys()), len(self.sandbox.state.doubled())
            raise RuntimeError(f"{lost} rows lost, {doubled} doubled")


def one_row(number: int, mark: str, *, offline: bool = False) -> bytes:
    """Return a batch of one row."""
    return body([invoice(number, mark)], f"{mark}{number}", offline=offline)


def unique_id(number: int, mark: str) -> str:
    """Return the unique id of that row."""
    return str(invoice(number, mark)["uniqueSourceInvoiceId"])


@asynccontextmanager
async def open_site(
    *, replicas: int = 1, storage: str = "", server: str = "", modern: str = "", hooks: bool = False
) -> AsyncIterator[Site]:
    """Run stand-in and bridges; with `hooks`, webhooks go to the first of the bridges."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bridge-bench-")))
        ports = free_ports(replicas)
        url = f"http://127.0.0.1:{ports[0]}/hooks/amili" if hooks else ""
        options = SandboxOptions(
            port=0, log_size=100_000, log_body_bytes=0, webhook_url=url, webhook_secret=WEBHOOK_SECRET
        )
        sandbox = await stack.enter_async_context(running(options))
        bridges = []
        for port in ports:
            path = folder / f"{port}.toml"
            config = write_config(
                path, port=port, sandbox=sandbox.url, storage=storage, server=server, modern=modern
            )  # fmt: skip
            bridge = Bridge(config, port, folder / f"{port}.log")
            await bridge.start()
            stack.callback(_stop, bridge)
            bridges.append(bridge)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=130)
        )
        try:
            yield Site(tuple(bridges), sandbox, await stack.enter_async_context(session))
        except BaseException:
            for bridge in bridges:
                sys.stderr.write(bridge.log.read_text("utf-8", "replace")[-LOG_TAIL_CHARACTERS:])
            raise


def _stop(bridge: Bridge) -> None:
    with stopping(bridge.process):
        pass


async def wait_until(condition: Callable[[], object], what: str) -> float:
    """Wait for a condition, looking every few milliseconds; return when it came true (time.monotonic)."""
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"never came true within {WAIT_SECONDS:.0f} s: {what}")
        await asyncio.sleep(0.005)
    return time.monotonic()
