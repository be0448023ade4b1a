"""A small stand-in for the vendor: scripted answers, and a record of what arrived."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.modern.client import ModernClient
from bridge.modern.tokens import Access

ORGANIZATION = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

Responder = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Arrival:
    """One request as it arrived at the stand-in."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FakeModern:
    """Answer from a script; where it has run out, take every write and find nothing in every list."""

    arrivals: list[Arrival] = field(default_factory=list)
    token_requests: list[dict[str, str]] = field(default_factory=list)
    script: deque[Responder] = field(default_factory=deque)
    token_script: deque[Responder] = field(default_factory=deque)
    url: str = ""

    def then(self, status: int, content: Any = b"", **headers: str) -> FakeModern:
        """Append an answer; a dict or list is sent as JSON."""
        self.script.append(self.answer(status, content, **headers))
        return self

    def answer(self, status: int, content: Any = b"", **headers: str) -> Responder:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}

        async def respond(_: web.Request) -> web.Response:
            return web.Response(status=status, body=body, headers=named)

        return respond

    async def serve(self, request: web.Request) -> web.StreamResponse:
        arrival = Arrival(request.method, request.path, dict(request.query), request.headers, await request.read())
        self.arrivals.append(arrival)
        if self.script:
            return await self.script.popleft()(request)
        if request.method == "POST":
            return web.json_response({"summary": {"status": "SUCCESS"}, "data": {"batchId": "b-1"}}, status=202)
        return web.json_response({"summary": {"status": "SUCCESS"}, "data": []})

    async def serve_token(self, request: web.Request) -> web.StreamResponse:
        self.token_requests.append({key: str(value) for key, value in (await request.post()).items()})
        if self.token_script:
            return await self.token_script.popleft()(request)
        number = len(self.token_requests)
        return web.json_response({"access_token": f"token-{number}", "token_type": "Bearer", "expires_in": 3600})


class FakeClock:
    """A clock that only moves when it is slept on or set."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Handle:
    """A timer that may be called off."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualTime:
    """A clock with timers; it moves only when told, and calls what has come due."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._order = itertools.count()

    def __call__(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Handle:
        handle = Handle(callback)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), handle))
        return handle

    async def sleep(self, seconds: float) -> None:
        """Sleep in virtual time, as a slow server does."""
        over = asyncio.Event()
        timer = self.call_later(seconds, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    async def advance(self, seconds: float) -> None:
        """Let time pass, step by step, with the event loop in between."""
        end = self.now + seconds
        await self.settle()
        while self._timers and self._timers[0][0] <= end:
            self.now, _, handle = heapq.heappop(self._timers)
            if handle.callback is not None:
                handle.callback()
                await self.settle()
        self.now = end

    async def settle(self) -> None:
        """Run everything that can run without time passing."""
        loop: Any = asyncio.get_running_loop()
        await asyncio.sleep(0)
        while loop._ready:  # noqa: ASYNC110 - it is not an event that is waited for, but their absence
            await asyncio.sleep(0)

    @property
    def pending(self) -> int:
        return sum(handle.callback is not None for _, _, handle in self._timers)


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def access() -> Access:
    return Access(ORGANIZATION, "nordlys", "s3cret-value")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def modern(aiohttp_server: Any) -> FakeModern:
    fake = FakeModern()
    app = web.Application(client_max_size=10**8)
    app.router.add_post("/token", fake.serve_token)
    app.router.add_route("*", "/v1/{tail:.*}", fake.serve)
    server = await aiohttp_server(app)
    fake.url = str(server.make_url("")).rstrip("/")
    return fake


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def connect(session: aiohttp.ClientSession, clock: FakeClock) -> Callable[..., ModernClient]:
    """Make a client for a base URL, with a clock that does not wait."""

    def build(url: str, *, token_url: str = "", timeout_seconds: float = 5.0) -> ModernClient:
        return ModernClient(
            session,
            f"{url}/v1",
            token_url or f"{url}/token",
            clock=clock,
            request_timeout_seconds=timeout_seconds,
            sleep=clock.sleep,
            jitter=lambda: 0.5,
        )

    return build


@pytest.fixture
def client(modern: FakeModern, connect: Callable[..., ModernClient]) -> ModernClient:
    return connect(modern.url)
