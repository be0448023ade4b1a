"""The callers, in a process of their own: `alternate` (bridge and bare pass-through in turn) or `crowd` (bridges only).

Started by `launching`: what, ports of the bridges (several with commas), port of the pass-through, batches, callers, a
mark for the ids.
Prints one JSON document.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import msgspec
import uvloop

from tests.benchmarks.launching import SENDER_HEADERS
from tests.benchmarks.rows import body, invoice


async def alternate(session: aiohttp.ClientSession, bridge: str, bare: str, batches: int, mark: str) -> dict[str, Any]:
    """Send each row to the bridge and a twin of it to the pass-through, in turn; return milliseconds."""
    bridge_ms, bare_ms = [], []
    for number in range(batches):
        bridge_ms.append(await _send(session, bridge, body([invoice(number, mark)], f"{mark}{number}"), 200))
        twin = msgspec.json.encode({"invoices": [invoice(number, f"bare-{mark}")]})
        bare_ms.append(await _send(session, bare, twin, 202))
    return {"bridge_ms": bridge_ms, "bare_ms": bare_ms}


async def crowd(
    session: aiohttp.ClientSession, bridges: Sequence[str], batches: int, callers: int, mark: str
) -> dict[str, Any]:
    """Send batches of one row from many callers at once, spread over the bridges; return how long all of it took."""
    bodies = iter([body([invoice(number, mark)], f"{mark}{number}") for number in range(batches)])

    async def caller(bridge: str) -> None:
        for content in bodies:
            await _send(session, bridge, content, 200)

    began = time.perf_counter()
    await asyncio.gather(*(caller(bridges[number % len(bridges)]) for number in range(callers)))
    return {"seconds": time.perf_counter() - began}


async def _send(session: aiohttp.ClientSession, url: str, content: bytes, wanted: int) -> float:
    began = time.perf_counter()
    async with session.post(url, data=content, headers=SENDER_HEADERS) as answer:
        reply = await answer.read()
    taken = (time.perf_counter() - began) * 1000
    if answer.status != wanted or (wanted == 200 and not reply.startswith(b'{"statuscode":0')):
        raise RuntimeError(f"HTTP {answer.status}: {reply[:300]!r}")
    return taken


async def main() -> None:
    """Do what the command line says."""
    what, bridge_ports, bare_port, batches, callers, mark = sys.argv[1:]
    bridges = [f"http://127.0.0.1:{port}/webapi/api/Batch" for port in bridge_ports.split(",")]
    bare = f"http://127.0.0.1:{bare_port}/"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        told = (
            await alternate(session, bridges[0], bare, int(batches), mark)
            if what == "alternate"
            else await crowd(session, bridges, int(batches), int(callers), mark)
        )
    sys.stdout.write(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    uvloop.run(main())
