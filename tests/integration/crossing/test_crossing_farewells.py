"""Who goes away while a call passes through: the caller, or the bridge."""

from __future__ import annotations

import asyncio
from typing import Any

import yarl
from aiohttp import web

from bridge.passthrough import host as way

READ = b"GET /webapi/api/Batch?senderid=ERP-1 HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_caller_that_goes_away_late_is_noticed_and_forgotten(
    open_crossing: Any, socket_host: Any, wait_until: Any, monkeypatch: Any
) -> None:
    """Its exchange ends at the host, too, and is counted as 499; nothing of it is kept."""
    looks: list[bool] = []
    over = asyncio.Event()
    is_gone = way._is_gone

    def look(request: web.Request) -> bool:
        looks.append(is_gone(request))
        return looks[-1]

    monkeypatch.setattr(way, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(way, "_is_gone", look)

    async def serve(_: int, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read(-1) == b""
        over.set()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        _, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        writer.write(READ)
        await wait_until(lambda: len(looks) > 1)
        writer.close()
        await asyncio.wait_for(over.wait(), 5)
        legacy_host = crossed.world.bridge.crossing.legacy_host
        await wait_until(lambda: not legacy_host._under_way and not legacy_host._forsaken)
        async with crossed.world.session.get(f"{crossed.world.url}/metrics") as response:
            assert 'status="499"' in await response.text()


async def test_the_bridge_waits_for_what_is_under_way_and_no_longer(open_crossing: Any, socket_host: Any) -> None:
    """Whoever comes meanwhile is asked to come again."""
    came, go_on = asyncio.Event(), asyncio.Event()

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        came.set()
        await go_on.wait()
        writer.write(ANSWER)

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        under_way = asyncio.create_task(crossed.raw(READ))
        await asyncio.wait_for(came.wait(), 5)
        drained = asyncio.create_task(crossed.world.bridge.crossing.drain(60))
        await asyncio.sleep(0)
        assert (await crossed.raw(READ)).startswith(b"HTTP/1.1 503 ")
        assert not drained.done()
        go_on.set()
        assert (await under_way).endswith(b"{}")
        await asyncio.wait_for(drained, 5)
        assert host.connections == 1
