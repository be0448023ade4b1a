"""One sub-batch on its way to the legacy host: what came of it, and who is shown."""

from __future__ import annotations

import asyncio
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bridge.calls.relay import Answer, Relay, Replied, Sub, open_relay_session
from bridge.exchanges import Exchange
from bridge.modern.answers import NotTaken, Unknown
from bridge.settings import LegacySettings

SUB = Sub("ERP 1&2", "autocollect", b'{"invoice":[]}')
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Scene:
    """A host that does one thing, a relay to it, and who watches."""

    relay: Relay
    seen: list[Exchange]
    requests: list[web.Request]
    bodies: list[bytes] = field(default_factory=list)

    async def send(self, authorization: str = "Bearer x") -> Answer:
        return await self.relay.send(SUB, authorization)


@asynccontextmanager
async def playing(handler: Handler, *, silence: float = 5.0) -> AsyncIterator[Scene]:
    requests: list[web.Request] = []
    seen: list[Exchange] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        scene.bodies.append(await request.read())
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with open_relay_session(LegacySettings(base_url=url, request_timeout_seconds=silence)) as session:
            scene = Scene(Relay(session, url, clock=time.time, observer=seen.append), seen, requests)
            yield scene
    finally:
        await runner.cleanup()


def giving(status: int, body: bytes = b"{}", **headers: Any) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Content-Type": "application/json", **headers})

    return handle


async def test_the_request_is_the_callers_batch_in_small() -> None:
    """One POST at the documented path under sender and credentials, and nothing of earlier exchanges with it."""
    async with playing(giving(200, b"{}", **{"Set-Cookie": "session=1"})) as scene:
        await scene.send("Basic abc")
        await scene.send("")
        first, second = scene.requests
        assert (first.method, first.path, dict(first.query)) == ("POST", "/webapi/api/Batch", {"senderid": "ERP 1&2"})
        assert first.headers["Authorization"] == "Basic abc"
        assert first.headers["Content-Type"] == "application/json; charset=utf-8"
        assert scene.bodies == [SUB.body] * 2
        assert "Authorization" not in second.headers
        assert "Cookie" not in second.headers


async def test_no_connection_is_used_twice() -> None:
    """A host that closes idle connections cannot leave a batch in doubt."""
    async with playing(giving(200)) as scene:
        await scene.send()
        await scene.send()
        peers = {request.transport and request.transport.get_extra_info("peername") for request in scene.requests}
        assert all(request.headers["Connection"] == "close" for request in scene.requests)
        assert len(peers) == 2 or peers == {None}


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 413, 422])
async def test_an_answer_is_handed_on(status: int) -> None:
    """2xx and client errors, with body and encoding; packed ones are unpacked."""
    packed = gzip.compress(b'{"statuscode":0}')
    async with playing(giving(status, packed, **{"Content-Encoding": "gzip"})) as scene:
        assert await scene.send() == Replied(status, b'{"statuscode":0}', "application/json")
        (exchange,) = scene.seen
        assert (exchange.sender, exchange.profile, exchange.status) == ("ERP 1&2", "autocollect", status)
        assert (exchange.request.body, exchange.reply.body) == (SUB.body, b'{"statuscode":0}')
        assert 0 <= exchange.seconds < 5


@pytest.mark.parametrize(("status", "seconds"), [(425, None), (429, 7.0), (503, 7.0)])
async def test_what_asks_for_another_time_was_not_taken(status: int, seconds: float | None) -> None:
    """With the time it asks for."""
    headers: dict[str, Any] = {"Retry-After": "7"} if seconds else {}
    async with playing(giving(status, **headers)) as scene:
        assert await scene.send() == NotTaken(f"the legacy host answered HTTP {status}", seconds)


@pytest.mark.parametrize("status", [301, 302, 307, 408, 409, 500, 502, 504, 599])
async def test_nobody_knows_what_other_answers_mean(status: int) -> None:
    """Redirects are not followed; server errors and conflicts may be said of something that was taken."""
    async with playing(giving(status, Location="/elsewhere")) as scene:
        assert await scene.send() == Unknown(f"the legacy host answered HTTP {status}")
        assert len(scene.requests) == 1


async def test_a_broken_exchange_is_unknown_and_shown_to_nobody() -> None:
    """The host may have taken it."""

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with playing(hang_up) as scene:
        assert await scene.send() == Unknown("the exchange with the legacy host broke (ServerDisconnectedError)")
        assert scene.seen == []
        assert len(scene.requests) == 1


async def test_an_answer_that_stops_half_way_is_unknown() -> None:
    """A part of an answer is none."""

    async def stop(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 100
        await response.prepare(request)
        await response.write(b'{"statuscode":0,')
        assert request.transport is not None
        request.transport.abort()
        return response

    async with playing(stop) as scene:
        assert isinstance(await scene.send(), Unknown)


async def test_silence_is_unknown() -> None:
    """After the allowed silence nobody waits any longer."""
    over = asyncio.Event()

    async def dwell(_: web.Request) -> web.Response:
        await over.wait()
        return web.Response()

    async with playing(dwell, silence=0.1) as scene:
        assert await scene.send() == Unknown("the exchange with the legacy host broke (SocketTimeoutError)")
        over.set()


async def test_an_answer_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is dropped when it becomes too large, and unknown."""
    monkeypatch.setattr("bridge.calls.relay.LARGEST_ANSWER_BYTES", 10)
    async with playing(giving(200, b"x" * 11)) as scene:
        assert await scene.send() == Unknown("the legacy host's answer is too large to be read")
        assert scene.seen == []


async def test_a_host_that_cannot_be_reached_has_taken_nothing() -> None:
    """No connection, no doubt."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        async with open_relay_session(LegacySettings(base_url=url, request_timeout_seconds=5.0)) as session:
            answer = await Relay(session, url, clock=time.time).send(SUB, "")
    assert answer == NotTaken("the legacy host could not be reached (ClientConnectorError)")


async def test_without_a_host_or_at_the_end_nothing_leaves() -> None:
    """A host that is not configured any more, or a bridge that stops, takes nothing."""
    session = open_relay_session(LegacySettings(base_url=None, request_timeout_seconds=5.0))
    assert isinstance(await Relay(session, None, clock=time.time).send(SUB, ""), NotTaken)
    await session.close()
    assert await Relay(session, "http://127.0.0.1:9", clock=time.time).send(SUB, "") == NotTaken(
        "the bridge is stopping"
    )
