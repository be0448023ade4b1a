"""A bare aiohttp proxy: takes a request, makes the same one of the legacy host, returns its answer. Nothing else.

What the bridge's passing through is compared with. Started by `cutover`: port, address of the legacy host.
"""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import hdrs, web

DROPPED = (hdrs.HOST, hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.CONNECTION)


async def build(host: str) -> web.Application:
    """Return the application."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), auto_decompress=False)

    async def forward(request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name not in DROPPED}
        url = host + request.path_qs
        async with session.request(request.method, url, data=await request.read(), headers=headers) as answer:
            body = await answer.read()
            passed = {name: value for name, value in answer.headers.items() if name not in DROPPED}
            return web.Response(status=answer.status, body=body, headers=passed)

    async def close(_: web.Application) -> None:
        await session.close()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", forward)
    app.on_cleanup.append(close)
    return app


if __name__ == "__main__":
    port, host = sys.argv[1:]
    loop = uvloop.new_event_loop()
    web.run_app(build(host), host="127.0.0.1", port=int(port), loop=loop, print=None, access_log=None)
