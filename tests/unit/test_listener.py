"""What no handler has answered is answered in the legacy shape all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from bridge.app import Bridge
from bridge.listener import make_runner
from bridge.metrics import Metrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def listening(handler: Handler, metrics: Metrics) -> AsyncIterator[tuple[str, int]]:
    """Run an application without middlewares, and yield its address."""
    app = web.Application()
    app.router.add_route("*", "/{_:.*}", handler)
    runner = make_runner(cast("Bridge", SimpleNamespace(app=app, metrics=metrics)), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


async def ask(handler: Handler, metrics: Metrics, request: bytes = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n") -> bytes:
    """Send a request as it is, and return everything that comes until the connection ends."""
    async with listening(handler, metrics) as (host, port), asyncio.timeout(5):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer


def read(answer: bytes) -> tuple[int, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(("fault", "status"), [(RuntimeError("secret"), 500), (TimeoutError(), 504)])
async def test_a_fault_outside_the_middlewares_tells_nothing_of_itself(
    fault: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller learns that nothing is known to be taken; the connection ends."""

    async def fail(_: web.Request) -> web.StreamResponse:
        raise fault

    answer = await ask(fail, metrics := Metrics())
    found, body = read(answer)
    assert (found, body["statuscode"]) == (status, 2)
    assert "send the same again" in body["errors"][0]["message"]
    assert b"secret" not in answer
    assert f'route="malformed",status="{status}"' in metrics.render().decode()
    assert caplog.records == []


async def test_nothing_is_put_behind_half_an_answer() -> None:
    """It would be read as a part of it."""

    async def fail(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"half")
        raise RuntimeError

    answer = await ask(fail, Metrics())
    assert answer.endswith(b"\r\n\r\nhalf")


async def test_bodies_arrive_as_they_were_sent() -> None:
    """Packed ones are not unpacked on the way: only the bridge knows how large they may become."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(body=await request.read())

    head = b"POST / HTTP/1.1\r\nHost: b\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
    answer = await ask(echo, Metrics(), head + b"\x1f\x8b\x00\x00")
    assert answer.endswith(b"\r\n\r\n\x1f\x8b\x00\x00")
