"""Real processes: `python -m bridge …` on free ports, killed whatever happens, their output in the failure report."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.journal.opening import open_books
from bridge.sandbox import Running, SandboxOptions, running
from bridge.sandbox.lifecycle import Pace
from bridge.settings import load_settings
from tests.end_to_end.nursery import Fork

ROOT = Path(__file__).resolve().parents[2]
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
START_SECONDS = 30.0
"""Longest a process may take to answer; far more than it needs, the machine may be busy."""
BREAKS = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.TimeoutError)
"""What a caller sees when the bridge dies while it waits."""

CONFIG = """
[server]
port = {port}
drain_seconds = {drain_seconds}
max_body_mb = {max_body_mb}

[storage]
url = "{storage_url}"

[modern]
base_url = "{sandbox}/collection/v1"
token_url = "{sandbox}/token"
webhook_secrets = ["hook-secret"]
settle_seconds = {settle_seconds}
request_timeout_seconds = {request_timeout_seconds}
poll_ceiling_seconds = {poll_ceiling_seconds}
{modern}

[mappings]
folder = "{mappings}"

[[organization]]
id = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
name = "Nordlys Energi AS"
creditors = ["984842252"]
client_id = "nordlys"
client_secret = "a"

[[sender]]
id = "ERP-1"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]
hold_seconds = {hold_seconds}
basic = {{ username = "erp1", password = "pass1" }}
bearer = "token1"

[reading]
cache_seconds = {cache_seconds}
"""

DEFAULTS: dict[str, object] = {
    "drain_seconds": 2,
    "max_body_mb": 64,
    "storage": "bridge.db",
    "settle_seconds": 0.4,
    "request_timeout_seconds": 1.5,
    "poll_ceiling_seconds": 0.5,
    "modern": "",  # further lines of this table
    "hold_seconds": 20,
    "cache_seconds": 0.05,
    "mappings": ROOT / "mappings",
    "sandbox": "http://127.0.0.1:9",  # nobody listens there
}

_started: list[Command] = []
"""Every process of the running tests, for the failure report."""


def _environ() -> dict[str, str]:
    """Return the environment without whatever would change the configuration under test."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BRIDGE")}


# --- processes ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Command:
    """One `python -m bridge …` process; what it writes goes to a file."""

    arguments: tuple[str, ...]
    output: Path
    wrapper: tuple[str, ...] = ()
    """A command that starts it, with other rights than ours."""
    forked: bool = False
    """Whether it begins with the code loaded (see `nursery`)."""
    process: subprocess.Popen[bytes] | Fork = field(init=False)

    def start(self) -> None:
        """Start it, once more if it has ended."""
        if self not in _started:
            _started.append(self)
        if self.forked:
            self.output.touch()
            self.process = Fork(self.arguments, self.output, ROOT, _environ())
            return
        with self.output.open("ab") as sink:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "bridge", *self.arguments],
                cwd=ROOT,
                env=_environ(),
                stdout=sink,
                stderr=sink,
                umask=0,  # so that the modes of files are the bridge's own doing
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """Everything it wrote so far."""
        return self.output.read_text("utf-8", "replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one event, oldest first."""
        lines = [line for line in self.said.splitlines() if f'"{name}"' in line and line.endswith("}")]
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it as a power cut would, and wait until it is gone."""
        self.process.kill()
        self.process.wait(10)

    def wait(self, seconds: float) -> int:
        """Return its exit code; fail if it runs on."""
        return self.process.wait(seconds)

    def memory_bytes(self, which: str = "VmRSS") -> int:
        """Return what it holds in memory now (VmRSS), or held at most (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{which}:\s+(\d+) kB", status)
        assert found, f"the kernel does not tell {which}"
        return int(found[1]) * 1024


@dataclass(eq=False)
class Server(Command):
    """A bridge or a sandbox that answers at `port`."""

    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        """Start it and wait until it answers."""
        self.start()
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.alive, f"it ended with {self.process.returncode}: {self.said[-2000:]}"
            assert time.monotonic() < end, "it does not answer"
            time.sleep(0.02)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/health/live")
                return connection.getresponse().status < 500
            except OSError:
                return False


def _free_port() -> int:
    """Return a port nobody listens at, below the range from which outgoing connections take theirs."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Find free ports."""
    return _free_port


def _launcher(folder: Path) -> Iterator[Callable[..., Any]]:
    mine: list[Command] = []
    numbers = itertools.count()

    def launch(*arguments: str, port: int = 0, wrapper: tuple[str, ...] = (), forked: bool = False) -> Command:
        """Start `bridge` with these arguments; with a port, wait until it answers there."""
        output = folder / f"output-{next(numbers)}.log"
        kind = partial(Server, port=port) if port else Command
        command: Command = kind(arguments, output, wrapper, forked)
        mine.append(command)
        command.open() if isinstance(command, Server) else command.start()
        return command

    try:
        yield launch
    finally:
        for command in mine:
            if hasattr(command, "process"):
                command.kill()
            if command in _started:
                _started.remove(command)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start processes that are killed when the test ends."""
    yield from _launcher(tmp_path)


@pytest.fixture(scope="module")
def launch_for_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Start processes that are killed when the module's tests have ended."""
    yield from _launcher(tmp_path_factory.mktemp("processes"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Count no coverage here: what is tested runs in other processes, and to count the rest costs time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("no_cover")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the processes wrote into the report of a failed test."""
    report = yield
    if report.failed:
        report.sections += [(f"bridge {' '.join(one.arguments)}", one.said[-12_000:]) for one in _started]
    return report


@pytest.fixture(scope="session")
def write_config() -> Callable[..., Path]:
    """Write a configuration into a folder; settings by keyword. `storage` names a file, `storage_url` any journal."""

    def write(folder: Path, file: str = "bridge.toml", **settings: object) -> Path:
        path = folder / file
        chosen = {"port": 1} | DEFAULTS | settings
        filled = {"storage_url": f"sqlite:///{chosen['storage']}"} | chosen
        path.write_text(CONFIG.format(**filled), encoding="utf-8")
        return path

    return write


# --- a bridge in a process of its own, and a sandbox in this one ----------------------------------------------------


@dataclass(frozen=True)
class Reply:
    """One answer of the bridge, as a caller sees it."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.raw)
        return read

    @property
    def states(self) -> dict[tuple[str, int], str]:
        """`OK`, `PENDING` or `REFUSED` of each row; fails if a row is answered twice."""
        lines = [*self.body["errors"], *self.body["responses"]]
        states = {(line["objectname"], line["objectindex"]): line.get("status_statuscode", "REFUSED") for line in lines}
        assert len(states) == len(lines), "a row is answered twice"
        return states


@dataclass(frozen=True)
class Site:
    """One bridge process, or several replicas on one journal, with their sandbox and a caller."""

    bridges: tuple[Server, ...]
    config: Path
    sandbox: Running
    session: aiohttp.ClientSession

    @property
    def bridge(self) -> Server:
        """The only bridge, or the first replica."""
        return self.bridges[0]

    async def post(self, batch: dict[str, Any], at: Server | None = None, **headers: str) -> Reply:
        """Send one legacy batch, once, to one replica (the first). Raises one of BREAKS when it dies meanwhile."""
        url = (at or self.bridge).url + "/webapi/api/Batch"
        sent = {"Authorization": "Bearer token1", **headers}
        async with self.session.post(url, json=batch, headers=sent) as response:
            assert response.content_type == "application/json"
            headers = {key.lower(): value for key, value in response.headers.items()}
            return Reply(response.status, headers, await response.read())

    async def restart(self) -> None:
        """Start the bridge again on the same journal."""
        await asyncio.to_thread(self.bridge.open)

    async def stop(self, number: signal.Signals) -> None:
        """Send a signal and wait until the process is gone."""
        self.bridge.send(number)
        await asyncio.to_thread(self.bridge.wait, 20)

    async def ping(self, bridge: Server) -> int:
        """Return the status that a load balancer sees."""
        async with self.session.get(bridge.url + "/webapi/api/Ping") as response:
            return response.status

    async def command(self, *arguments: str) -> str:
        """Run `bridge … --config`, as an operator would; return what it prints."""
        told = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "bridge", *arguments, "--config", str(self.config)],
            capture_output=True,
            timeout=60,
            check=False,
            cwd=ROOT,
            env=_environ(),
        )
        assert told.returncode == 0, told.stderr.decode()
        return told.stdout.decode()

    async def ledger(self) -> dict[str, Any]:
        """Return what `bridge ledger` goes by, beside the bridge or after it, and check that it balances."""
        settings = load_settings(self.config, {})
        books = open_books(settings.storage.url, base=Path.cwd())  # in this process: the command has tests of its own
        try:
            ledger = asdict(await books.ledger())
        finally:
            await books.close()
        assert not ledger["unaccounted"]
        assert ledger["accepted"] == ledger["final"] + ledger["pending"] + ledger["in_doubt"]
        return ledger

    def release(self) -> None:
        """Let every modern batch that is held finish at the next look."""
        for account in self.sandbox.state.accounts.values():
            for held in account.batches:
                held.pace = Pace(after_polls=0)

    def asked(self, operation: str) -> list[Any]:
        """Return what the sandbox was asked for, oldest first."""
        return self.sandbox.requests.newest(operation=operation)

    def accepted(self, kind: str) -> dict[str, int]:
        """Return how often each row of a kind was accepted: by unique id, else by a digest of the row."""
        tally = self.sandbox.state.account(ORG_A).tallies[kind]
        return dict(tally.accepted + tally.accepted_without_id)

    def check_identities(self) -> None:
        """Check that nothing doubled, that a key always carried the same bytes, and an invoice number the same id."""
        assert self.sandbox.state.doubled() == []
        bodies: dict[str, set[bytes]] = {}
        ids: dict[str, set[str]] = {}
        for entry in self.sandbox.requests.newest():
            if entry.key and entry.body:
                bodies.setdefault(entry.key, set()).add(entry.body)
                for row in json.loads(entry.body).get("invoices", []):
                    ids.setdefault(row["invoiceNumber"], set()).add(row["uniqueSourceInvoiceId"])
        assert all(len(each) == 1 for each in bodies.values()), "one key, different bytes"
        assert all(len(each) == 1 for each in ids.values()), "a unique id changed"


OpenSite = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """The store that the bridges of a test keep their journal in; parametrize it indirectly for another."""
    return str(getattr(request, "param", "sqlite"))


@pytest.fixture
def journal(store: str, request: pytest.FixtureRequest) -> dict[str, object]:
    """The settings that name an empty journal in the chosen store."""
    return {"storage_url": request.getfixturevalue("postgres_url")} if store == "postgres" else {}


@pytest.fixture
def open_site(
    tmp_path: Path, launch: Callable[..., Server], write_config: Callable[..., Path], journal: dict[str, object]
) -> OpenSite:
    """Return a function that starts a sandbox here and bridge processes beside it; settings by keyword.

    The sandbox sends its webhooks to the replica number `hooks_to`, or to nobody.
    """

    @asynccontextmanager
    async def opened(
        *, replicas: int = 1, hooks_to: int | None = None, forked: bool = True, **settings: object
    ) -> AsyncIterator[Site]:
        ports = [_free_port() for _ in range(replicas)]
        hooks = "" if hooks_to is None else f"http://127.0.0.1:{ports[hooks_to]}/hooks/amili"
        options = SandboxOptions(port=0, log_size=100_000, webhook_url=hooks, webhook_secret="hook-secret")
        async with AsyncExitStack() as stack:
            sandbox = await stack.enter_async_context(running(options))
            configs = [
                write_config(tmp_path, f"bridge-{number}.toml", port=port, sandbox=sandbox.url, **(journal | settings))
                for number, port in enumerate(ports)
            ]
            starting = (
                asyncio.to_thread(launch, "serve", "--config", str(config), port=port, forked=forked)
                for config, port in zip(configs, ports, strict=True)
            )
            bridges = await asyncio.gather(*starting)
            session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60)))
            yield Site(tuple(bridges), configs[0], sandbox, session)

    return opened


@pytest.fixture
async def site(open_site: OpenSite) -> AsyncIterator[Site]:
    """A bridge process with quick settings."""
    async with open_site() as opened:
        yield opened


@pytest.fixture(scope="session")
def breaks() -> tuple[type[Exception], ...]:
    """What a caller sees when the bridge dies while it waits."""
    return BREAKS


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., Any]:
    """Wait for a condition."""

    async def wait(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"never came true: {what}"
            await asyncio.sleep(0.002)

    return wait


@pytest.fixture(scope="session")
def invoice() -> Callable[..., dict[str, Any]]:
    """Make invoice rows as an ERP writes them; None leaves a field out."""

    def make(number: str, **fields: object) -> dict[str, Any]:
        row = {
            "type": "PAYMENT_REMINDER",
            "invoiceNumber": number,
            "originalInvoiceAmount": 1250.50,
            "currency": "NOK",
            "invoiceDate": "2024-01-15",
            "dueDate": "2024-02-15",
            "uniqueSourceInvoiceId": f"erp-{number}",
            "debtors": [{"type": "PRIVATE", "name": "Kari Nordmann"}],
            "claims": [{"type": "PRINCIPAL", "remainingAmount": 1250.50}],
        }
        return {key: value for key, value in (row | fields).items() if value is not None}

    return make
