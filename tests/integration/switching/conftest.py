"""A bridge with a legacy host beside it, an operator who switches, and replicas that must obey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.app import Bridge, open_bridge
from bridge.journal import SetSwitch
from bridge.journal.opening import open_office
from bridge.listener import make_runner
from bridge.modes import Mode, Switch
from bridge.settings import load_settings

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
LEGACY_SAYS = {"statuscode": 0, "errors": [], "responses": [], "host": "legacy"}


@pytest.fixture
async def legacy_url() -> AsyncIterator[str]:
    """A legacy host that answers everything alike."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response(LEGACY_SAYS)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def legacy_says() -> dict[str, Any]:
    """What it answers."""
    return LEGACY_SAYS


@pytest.fixture
def tables(legacy_url: str) -> Callable[..., str]:
    """Write the tables of a cutover with that host."""

    def write(first_mode: str = "legacy", more: str = "") -> str:
        return f'[legacy]\nbase_url = "{legacy_url}"\n[cutover]\nfirst_mode = "{first_mode}"\n{more}'

    return write


async def _switch(url: str, mode: Mode, *, organization: str = ORG_A) -> None:
    office = open_office(url, base=Path("/"))
    try:
        newest = [one for one in await office.switches() if one.organization == organization]
        wanted = Switch(organization, mode, at=time.time(), actor="Kari", reason="test")
        await office.write(SetSwitch(wanted, newest[0].number if newest else 0))
    finally:
        await office.close()


@pytest.fixture
def switch() -> Callable[..., Awaitable[None]]:
    """Switch an organization in the journal of a URL, as an operator does beside the bridge."""
    return _switch


@dataclass(frozen=True)
class Replica:
    """A bridge among others over one journal."""

    bridge: Bridge
    url: str
    session: aiohttp.ClientSession

    @property
    def current(self) -> Switch:
        """The switch that it obeys."""
        return self.bridge.steering.switchboard.current(ORG_A)

    async def ask(self, batch: dict[str, Any]) -> Any:
        """Send a batch; return the answer."""
        async with self.session.post(self.url, json=batch) as response:
            return await response.json()


Replicas = Callable[[Any], AbstractAsyncContextManager[list[Replica]]]


@pytest.fixture
def two_replicas(postgres_url: str) -> Replicas:
    """Run two bridges over PostgreSQL, with the configuration of a world."""

    @asynccontextmanager
    async def opened(world: Any) -> AsyncIterator[list[Replica]]:
        settings = load_settings(world.folder / "bridge.toml", {"BRIDGE__STORAGE__URL": postgres_url})
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": "Bearer token1"}))
            replicas = []
            for _ in range(2):
                bridge = await stack.enter_async_context(open_bridge(settings))
                runner = make_runner(bridge)
                await runner.setup()
                stack.push_async_callback(runner.cleanup)
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/webapi/api/Batch"
                replicas.append(Replica(bridge, url, session))
            yield replicas

    return opened


async def _seconds_until(condition: Callable[[], Awaitable[bool]], limit: float = 10.0) -> float:
    began = time.monotonic()
    while not await condition():
        assert time.monotonic() - began < limit, "it never came true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


@pytest.fixture
def seconds_until() -> Callable[..., Awaitable[float]]:
    """Wait until something that is asked over HTTP, or of a journal, comes true; return how long that took."""
    return _seconds_until
