"""Where the demonstration takes place: a sandbox, a bridge beside it, and commands typed next to both."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import aiohttp

from bridge.app import Bridge, Environment
from bridge.cli.moving.erp import Erp, Shipment
from bridge.cli.moving.story import Story
from bridge.cli.screen import Screen
from bridge.cli.stage import read_file, serve_here, show_credentials
from bridge.errors import OperatorError
from bridge.journal import Books
from bridge.journal.opening import open_books
from bridge.modes import Switch
from bridge.sandbox import Running, SandboxOptions, running
from bridge.settings import Settings, load_settings
from bridge.steering.observing import Topic

T = TypeVar("T")

CONFIGURATION = Path("config/cutover.toml")
RULES = Path("config/cutover-differences.toml")
SCRIPT = Path("config/sandbox/cutover.toml")
BREAKDOWN = Path("config/sandbox/refusing.toml")
NEEDED = (CONFIGURATION, RULES, SCRIPT, BREAKDOWN)
LEFT_OUT_AT_FIRST = "the demo leaves this line out on its first days"
NORDLYS, FJELLHEIM = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ORG = '"Nordlys Energi AS"'
"""As it is typed."""
DAY_SECONDS = 86_400.0
PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Ground:
    """Everything the steps stand on, and what they have kept for later ones."""

    story: Story
    checkout: Path
    out: Path
    """Where files are left for people to look at."""
    sandbox: Running
    session: aiohttp.ClientSession
    erp: Erp = field(default_factory=Erp)
    url: str = ""
    """Of the bridge that runs now."""
    bridge: Bridge | None = None
    days_ago: int = 0
    """By how many days the bridge's clock is behind."""
    kept: dict[str, tuple[Shipment, bytes]] = field(default_factory=dict)
    """Batches and their answers that a later step sends again, by the name of the step."""
    days: dict[str, str] = field(default_factory=dict)
    """The day on which a step took place, by its name."""
    recorded: dict[str, list[Path]] = field(default_factory=dict)
    """The files that a step recorded, by its name."""

    # --- waiting ---------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that must come soon."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise OperatorError(f"waited {PATIENCE_SECONDS:g} seconds, and still not: {what}")
            await asyncio.sleep(LOOK_SECONDS)

    # --- the bridge ------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Run the bridge by the configuration as it is now."""
        async with serve_here(self.settings, Environment(clock=self.now)) as (self.url, self.bridge):
            yield
        self.url, self.bridge = "", None

    @property
    def settings(self) -> Settings:
        """Return the settings as every command reads them."""
        return load_settings(Path(os.environ["BRIDGE_CONFIG"]), os.environ)

    def now(self) -> float:
        """Return the time by the bridge's clock."""
        return time.time() - self.days_ago * DAY_SECONDS

    @property
    def today(self) -> str:
        """Return the day by the bridge's clock, UTC."""
        return f"{datetime.fromtimestamp(self.now(), UTC):%Y-%m-%d}"

    def configure(self, *, in_full: bool) -> None:
        """Write the configuration: as it was at first, or as it has become."""
        lines = read_file(self.checkout / CONFIGURATION).decode().splitlines(keepends=True)
        text = "".join(line for line in lines if in_full or LEFT_OUT_AT_FIRST not in line)
        (self.out / CONFIGURATION.name).write_text(text, encoding="utf-8")
        (self.out / RULES.name).write_bytes(read_file(self.checkout / RULES))

    def switch_of(self, organization: str) -> Switch:
        """Return how the running bridge has an organization's rows go."""
        if self.bridge is None:
            raise OperatorError("no bridge runs")
        return self.bridge.steering.switchboard.current(organization)

    async def switch(self, command: str) -> None:
        """Type a command that switches Nordlys, and wait until the running bridge obeys."""
        before = self.switch_of(NORDLYS).number
        await self.story.run(command)
        await self.until(lambda: self.switch_of(NORDLYS).number > before, "the bridge obeys the switch")

    # --- traffic ---------------------------------------------------------------------------------------------------

    @property
    def creditors(self) -> tuple[str, ...]:
        """Return the creditors of Nordlys, as they are configured now."""
        return next(one.creditors for one in self.settings.organizations if one.id == NORDLYS)

    async def send(self, shipment: Shipment, url: str = "") -> tuple[int, bytes]:
        """Send a batch as the ERP does, to the bridge or elsewhere; return status and answer."""
        async with self.session.post(
            f"{url or self.url}/webapi/api/Batch",
            params={"senderid": "ERP-1"},
            data=shipment.body,
            headers={"Content-Type": "application/json", **show_credentials(self.settings.senders[0])},
        ) as response:
            return response.status, await response.read()

    async def deliver(self, shipment: Shipment) -> bytes:
        """Send a batch to the bridge; the ERP hears the answer, which must tell of every row."""
        status, reply = await self.send(shipment)
        if status != 200 or not self.erp.hear(shipment, reply):
            raise OperatorError(f"batch {shipment.batchid} was answered {status}, without a word on each row")
        return reply

    def keep_recording(self, step: str) -> None:
        """Remember which files are new since the last step that recorded."""
        before = {file for files in self.recorded.values() for file in files}
        self.recorded[step] = sorted(set(self.settings.recording.folder.glob("*.jsonl")) - before)
        self.days[step] = self.today

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def modern_rows(self) -> int:
        """Return how many rows the modern system holds, of whatever organization."""
        accounts = self.sandbox.state.accounts.values()
        return sum(tally.total for account in accounts for tally in account.tallies.values())

    @property
    def legacy_rows(self) -> int:
        """Return how many rows the legacy host holds."""
        return self.sandbox.legacy.rows.total()

    async def seen(self, topic: Topic) -> Counter[tuple[str, ...]]:
        """Return what was counted of Nordlys today, by the bridge's clock."""
        since = self.now() - DAY_SECONDS / 2
        found = await self.ask(lambda books: books.observations(NORDLYS, since, (topic,)))
        counts: Counter[tuple[str, ...]] = Counter()
        for one in found:
            counts[one.subject] += one.count
        return counts

    async def ask(self, question: Callable[[Books], Awaitable[T]]) -> T:
        """Return what the journal answers, read as a command reads it."""
        books = open_books(self.settings.storage.url, base=Path.cwd())
        try:
            return await question(books)
        finally:
            await books.close()

    async def wait_for_comparisons(self, batches: int) -> None:
        """Wait until so many batches of today are compared, and counted in the journal."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (await self.seen(Topic.PAIR)).total() < batches:
            if time.monotonic() > deadline:
                raise OperatorError(f"{batches} batches were not compared within {PATIENCE_SECONDS:g} seconds")
            await asyncio.sleep(LOOK_SECONDS * 5)


@asynccontextmanager
async def open_ground(checkout: Path, out: Path | None) -> AsyncIterator[Ground]:
    """Run a sandbox on a free port, and have every command find the same configuration."""
    folder = (out or Path(tempfile.mkdtemp(prefix="bridge-demo-cutover-"))).resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise OperatorError(
            f"{folder}: cannot be a folder of ours ({error.strerror}); name another one with --out"
        ) from error
    if not is_empty:
        raise OperatorError(f"{folder}: is not empty; name a new folder with --out, or none")
    async with (
        running(SandboxOptions(port=0, script=checkout / SCRIPT)) as sandbox,
        aiohttp.ClientSession() as session,
    ):
        with _configured(checkout, folder, sandbox):
            yield Ground(Story(Screen()), checkout, folder, sandbox, session)


@contextmanager
def _configured(checkout: Path, folder: Path, sandbox: Running) -> Iterator[None]:
    """Point the configuration at the sandbox's port and at a folder of its own, by environment variables."""
    ours = {
        "BRIDGE_CONFIG": str(folder / CONFIGURATION.name),
        "BRIDGE__LEGACY__BASE_URL": sandbox.url,
        "BRIDGE__MODERN__BASE_URL": sandbox.base_url,
        "BRIDGE__MODERN__TOKEN_URL": sandbox.token_url,
        "BRIDGE__STORAGE__URL": f"sqlite:///{folder / 'journal.db'}",
        "BRIDGE__MAPPINGS__FOLDER": str((checkout / "mappings").resolve()),
        "BRIDGE__RECORDING__FOLDER": str(folder / "recordings"),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
