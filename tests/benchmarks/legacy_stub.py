"""A legacy host that answers every batch of one row at once, as the bridge would: it costs as little as can be.

Started by `cutover`: port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

ID = b'"uniqueSourceInvoiceId":"'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
ENTRY = b'{"objectname":"invoice","objectindex":%d,"ledgerref":"%s","status_statuscode":"OK"}'
REPLY = b'{"statuscode":0,"errors":[],"responses":[%s]}'
END = b"\r\n\r\n"


class Host(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._came = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep whom to answer."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, and does not say so

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self._came += data
        end = self._came.find(END)
        if end < 0:
            return
        size = int(bytes(self._came[:end]).lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(self._came) >= end + len(END) + size and self._transport is not None:
            reply = answer(bytes(self._came[end:]))
            self._came.clear()
            self._transport.write(HEAD % len(reply) + reply)


def answer(batch: bytes) -> bytes:
    """Return the answer to a batch of invoices."""
    references = [rest.partition(b'"')[0] for rest in batch.split(ID)[1:]]
    return REPLY % b",".join(ENTRY % (index, reference) for index, reference in enumerate(references))


async def main() -> None:
    """Listen until stopped."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Host, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
