"""The callers of `cutover`, in a process of their own: in turn (`alternate`), as many as can be (`crowd`), or `paced`.

Started by `cutover`: what, ports with commas, batches, callers, batches a second, a mark for the ids.
Prints one JSON document: milliseconds by port, and seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator

import aiohttp
import msgspec
import uvloop

from tests.benchmarks.launching import SENDER_HEADERS
from tests.benchmarks.rows import body, invoice


class Callers:
    """Callers of one or more ports, and what they found."""

    def __init__(self, session: aiohttp.ClientSession, ports: list[str], mark: str) -> None:
        self._session = session
        self._mark = mark
        self.found_ms: dict[str, list[float]] = {port: [] for port in ports}

    async def alternate(self, batches: int) -> None:
        """Call each port in turn, one batch at a time."""
        for number in range(batches):
            for port in self.found_ms:
                await self._send(port, number)

    async def crowd(self, batches: int, callers: int) -> None:
        """Have many callers call the first port, each as often as it can."""
        numbers = iter(range(batches))
        await asyncio.gather(*(self._call_all(numbers) for _ in range(callers)))

    async def paced(self, batches: int, per_second: float) -> None:
        """Call the first port so many times a second, whether or not earlier calls are answered."""
        began, calls = time.perf_counter(), []
        for number in range(batches):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            calls.append(asyncio.create_task(self._send(next(iter(self.found_ms)), number)))
        await asyncio.gather(*calls)

    async def _call_all(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._send(next(iter(self.found_ms)), number)

    async def _send(self, port: str, number: int) -> None:
        content = body([invoice(number, f"{self._mark}{port}-")], f"{self._mark}{port}-{number}")
        url = f"http://127.0.0.1:{port}/webapi/api/Batch?senderid=BENCH"
        began = time.perf_counter()
        async with self._session.post(url, data=content, headers=SENDER_HEADERS) as answer:
            reply = await answer.read()
        self.found_ms[port].append((time.perf_counter() - began) * 1000)
        if answer.status != 200 or not reply.startswith(b'{"statuscode":0'):
            raise RuntimeError(f"HTTP {answer.status}: {reply[:300]!r}")


async def main() -> None:
    """Do what the command line says."""
    what, ports, batches, callers, per_second, mark = sys.argv[1:]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        calling = Callers(session, ports.split(","), mark)
        began = time.perf_counter()
        if what == "alternate":
            await calling.alternate(int(batches))
        elif what == "crowd":
            await calling.crowd(int(batches), int(callers))
        else:
            await calling.paced(int(batches), float(per_second))
        told = {"found_ms": calling.found_ms, "seconds": time.perf_counter() - began}
    sys.stdout.write(msgspec.json.encode(told).decode())


if __name__ == "__main__":
    uvloop.run(main())
