"""`bridge demo`: a sandbox and a bridge in one process, on real sockets; two batches, and a claim read back."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import aiohttp

from bridge.batch import Address
from bridge.cli.episodes import Episode, ModernCall, show_episode
from bridge.cli.recollections import Recollection, show_recollection
from bridge.cli.screen import Screen, bad, good
from bridge.cli.stage import find_checkout, perform, read_file, serve_here, show_credentials
from bridge.errors import OperatorError
from bridge.journal import Ledger, StoredBatch
from bridge.journal.opening import open_books
from bridge.sandbox import Running, SandboxOptions, running
from bridge.settings import Settings, load_settings

if TYPE_CHECKING:
    from bridge.sandbox.request_log import Exchange

CONFIGURATION = Path("config/local.toml")
SCRIPT = Path("config/sandbox/demo.toml")
SAMPLES = (
    ("1. A batch that is all good", Path("config/samples/seed-batch.json")),
    ("2. A batch with faults of many kinds", Path("config/samples/mixed-faults.json")),
)
READING = "3. The first claim read back, after a payment and a credit note"
LEDGERREF = "erp-order-9981"
"""What the ERP calls the claim of the first sample, which holds a payment for it, too."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the demo takes place: both processes' parts, running."""

    sandbox: Running
    session: aiohttp.ClientSession
    settings: Settings
    url: str
    """Of the bridge."""


def show(folder: Path | None, *, logs: bool) -> bool:
    """Run the demo and show it; tell whether every row was answered exactly once and nothing was doubled."""
    checkout = folder or find_checkout((CONFIGURATION, SCRIPT, *(path for _, path in SAMPLES)))
    return perform(lambda: _run(checkout, Screen()), logs=logs)


async def _run(checkout: Path, screen: Screen) -> bool:
    async with _set_up(checkout) as stage:
        screen.say("A sandbox stands in for the modern API; a bridge answers an ERP that cannot be changed.")
        screen.say(f"  sandbox  {stage.sandbox.base_url}")
        screen.say(f"  bridge   {stage.url}")
        conserved = True
        for title, path in SAMPLES:
            episode = await _play(stage, title, read_file(checkout / path))
            show_episode(screen, episode)
            conserved &= episode.is_conserved
        told = await _ask(stage, READING, LEDGERREF)
        show_recollection(screen, told)
        conserved &= told.is_complete
        return _conclude(screen, await _prove(stage.settings), stage.sandbox.state.doubled(), conserved=conserved)


def _conclude(screen: Screen, ledger: Ledger, doubled: Sequence[object], *, conserved: bool) -> bool:
    """Say what the journal and the modern side say of it all."""
    screen.title("The books")
    counts = f"{ledger.final} final + {ledger.pending} pending + {ledger.in_doubt} in doubt"
    screen.say(f"  the bridge's journal: {ledger.accepted} rows taken = {counts}")
    screen.say(f"  the modern side: {len(doubled)} claims or payments came twice")
    fine = conserved and not ledger.unaccounted and not doubled
    screen.say(good("  nothing lost, nothing doubled") if fine else bad("  something is wrong: see above"))
    screen.say()
    screen.say("Next: bridge sandbox, bridge serve --config config/local.toml, bridge translate --help")
    return fine


# --- the stage ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _set_up(checkout: Path) -> AsyncIterator[Stage]:
    """Run sandbox and bridge on free ports, with a journal that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bridge-demo-") as folder:
        async with (
            running(SandboxOptions(port=0, script=checkout / SCRIPT)) as sandbox,
            aiohttp.ClientSession() as session,
        ):
            settings = load_settings(checkout / CONFIGURATION, _overrides(sandbox, Path(folder)))
            async with serve_here(settings) as (url, _):
                yield Stage(sandbox, session, settings, url)


def _overrides(sandbox: Running, folder: Path) -> Mapping[str, str]:
    return {
        "BRIDGE__MODERN__BASE_URL": sandbox.base_url,
        "BRIDGE__MODERN__TOKEN_URL": sandbox.token_url,
        "BRIDGE__STORAGE__URL": f"sqlite:///{folder / 'journal.db'}",
    }


# --- one batch ---------------------------------------------------------------------------------------------------


async def _play(stage: Stage, title: str, request: bytes) -> Episode:
    """Send one batch as an ERP would, and collect what became of it."""
    before, sender = stage.sandbox.requests.total, stage.settings.senders[0]
    began = time.perf_counter()
    async with stage.session.post(
        f"{stage.url}/webapi/api/Batch",
        params={"senderid": sender.id},
        data=request,
        headers={"Content-Type": "application/json-patch+json", **show_credentials(sender)},
    ) as response:
        reply = await response.read()
        batch_id = response.headers.get("X-Bridge-Batch", "")
    seconds = time.perf_counter() - began
    stored = await _load(stage.settings, batch_id)
    asked = stage.sandbox.requests.total - before
    rows = {call.id: call.rows for call in stored.calls}
    calls = tuple(_list_calls(stage.sandbox, stage.sandbox.requests.newest(asked), rows))
    return Episode(title, request, response.status, reply, calls, stored, seconds)


async def _ask(stage: Stage, title: str, ledgerref: str) -> Recollection:
    """Read a claim back as an ERP would."""
    before, sender = stage.sandbox.requests.total, stage.settings.senders[0]
    query = urlencode({"senderid": sender.id, "ledgerref": ledgerref})
    began = time.perf_counter()
    async with stage.session.get(f"{stage.url}/webapi/api/Batch?{query}", headers=show_credentials(sender)) as response:
        reply = await response.read()
    seconds = time.perf_counter() - began
    exchanges = stage.sandbox.requests.newest(stage.sandbox.requests.total - before)
    calls = tuple(_list_calls(stage.sandbox, exchanges, {}))
    return Recollection(title, query, response.status, reply, calls, seconds)


def _list_calls(
    sandbox: Running, exchanges: Sequence[Exchange], rows: Mapping[str, tuple[Address, ...]]
) -> Iterator[ModernCall]:
    """Yield what the bridge asked, the same question once; `rows` by the idempotency key of their call."""
    calls = (_describe(sandbox, exchange, rows) for exchange in exchanges)
    for call, times in Counter(calls).items():
        yield replace(call, times=times)


def _describe(sandbox: Running, exchange: Exchange, rows: Mapping[str, tuple[Address, ...]]) -> ModernCall:
    path = exchange.path.removeprefix(sandbox.base_url.removeprefix(sandbox.url))
    query = f"?{exchange.query}" if exchange.query else ""
    return ModernCall(exchange.method, path + query, rows.get(exchange.key, ()), _answer(sandbox, exchange))


def _answer(sandbox: Running, exchange: Exchange) -> str:
    """Say what a call was answered, and what became of the batch it opened."""
    batch = sandbox.state.account(exchange.organization).batch_by_id.get(exchange.batch_id)
    if batch is None:
        return str(exchange.status)
    failed = f", {len(batch.failed)} refused" if batch.failed else ""
    return f"{exchange.status}, then {batch.status}{failed}"


async def _load(settings: Settings, batch_id: str) -> StoredBatch:
    books = open_books(settings.storage.url, base=Path.cwd())
    try:
        stored = await books.load(batch_id)
    finally:
        await books.close()
    if stored is None:
        raise OperatorError("the sample was not taken by the bridge: run `bridge demo --logs` to see why")
    return stored


async def _prove(settings: Settings) -> Ledger:
    books = open_books(settings.storage.url, base=Path.cwd())
    try:
        return await books.ledger()
    finally:
        await books.close()
