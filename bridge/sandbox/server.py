"""The stand-in on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .admin import admin_routes
from .answers import respond
from .api import Handler, api_routes
from .books import Books
from .claims import Invoice
from .legacy_books import LegacyBooks
from .legacy_host import legacy_routes
from .operations import BASE_PATH
from .options import SandboxOptions
from .planting import plant_claims, plant_settlements
from .request_log import RequestLog
from .script import Script, read_script
from .settlements import Settlement
from .stand_in import StandIn

STAND_IN = web.AppKey("stand_in", StandIn)
"""Where an application keeps its stand-in."""


@dataclass(frozen=True, slots=True)
class Running:
    """A stand-in that answers: its addresses, and a direct way into its books."""

    url: str
    stand_in: StandIn

    @property
    def base_url(self) -> str:
        """What a client configures as the API's base."""
        return self.url + BASE_PATH

    @property
    def token_url(self) -> str:
        """Where a client gets its tokens."""
        return self.url + "/token"

    @property
    def admin_url(self) -> str:
        """Where state, requests and script are."""
        return self.url + "/sandbox"

    @property
    def state(self) -> Books:
        """The books: what was accepted, and whether anything doubled."""
        return self.stand_in.books

    @property
    def legacy(self) -> LegacyBooks:
        """What the legacy host has accepted; its base address is `url`."""
        return self.stand_in.legacy_books

    @property
    def requests(self) -> RequestLog:
        """What was asked and answered."""
        return self.stand_in.log

    def play(self, script: Script | dict[str, object], *, append: bool = False) -> None:
        """Put a script in force, as POST /sandbox/script does."""
        read = script if isinstance(script, Script) else read_script(script, source="script")
        self.stand_in.play_script(read, append=append)

    def plant_claims(self, organization: str, count: int = 1, **more: Any) -> list[Invoice]:
        """Put open claims into the books, as POST /sandbox/claims does (`planting.ClaimOrder`)."""
        return plant_claims(self.stand_in, {"organization": organization, "count": count, **more})

    def plant_settlements(self, organization: str, *settlements: Mapping[str, Any]) -> list[Settlement]:
        """Put settlements into the books, as POST /sandbox/settlements does (`planting.SettlementOrder`)."""
        order = {"organization": organization, "settlements": [dict(settlement) for settlement in settlements]}
        return plant_settlements(self.stand_in, order)


def create_app(options: SandboxOptions) -> web.Application:
    """Build the application. Raises ScriptFault when the script cannot be used."""
    stand_in = StandIn(options)
    app = web.Application(client_max_size=options.max_body_bytes, middlewares=[_answer_in_json])
    app[STAND_IN] = stand_in
    app.cleanup_ctx.append(_keep_alive)
    app.add_routes([*api_routes(stand_in), *legacy_routes(stand_in), *admin_routes(stand_in)])
    return app


@contextlib.asynccontextmanager
async def running(options: SandboxOptions) -> AsyncIterator[Running]:
    """Run a stand-in for as long as the block lasts. Raises ScriptFault, and OSError when the port is taken."""
    app = create_app(options)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, options.host, options.port).start()
        host, port = runner.addresses[0][:2]
        yield Running(f"http://{f'[{host}]' if ':' in host else host}:{port}", app[STAND_IN])
    finally:
        await runner.cleanup()


async def serve(options: SandboxOptions, *, ready: Callable[[str, str], None]) -> None:
    """Run until SIGTERM, SIGINT or cancellation; `ready` is told base_url and token_url once both answer."""
    async with running(options) as sandbox:
        with _stop_signal() as stopped, _patient_collector():
            ready(sandbox.base_url, sandbox.token_url)
            await stopped.wait()


@contextlib.contextmanager
def _patient_collector() -> Iterator[None]:
    """Let the garbage collector look less often: the books only grow, and it costs a third of a large call."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextlib.contextmanager
def _stop_signal() -> Iterator[asyncio.Event]:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _keep_alive(app: web.Application) -> AsyncIterator[None]:
    async with app[STAND_IN].alive():
        yield


@web.middleware
async def _answer_in_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Word aiohttp's own refusals (no such path, wrong method, body too large) as the API's errors."""
    try:
        return await handler(request)
    except web.HTTPException as refusal:
        error = {"summary": {"status": "ERROR"}, "errors": [{"message": refusal.reason}]}
        allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else None
        return respond(refusal.status, error, allow)
    except web.RequestPayloadError:
        return respond(400, {"summary": {"status": "ERROR"}, "errors": [{"message": "the body cannot be inflated"}]})
