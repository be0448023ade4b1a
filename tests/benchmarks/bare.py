"""A bare pass-through: takes a request, makes the same call of the sandbox, returns its answer. Nothing else.

What the bridge's latency is compared with. Started by `processes`: port, address of the sandbox, organization.
"""

from __future__ import annotations

import sys

import aiohttp
import uvloop
from aiohttp import web


async def build(sandbox: str, organization: str) -> web.Application:
    """Return the application, its token in hand."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    form = {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "bench-secret"}
    async with session.post(f"{sandbox}/token", data=form) as answer:
        token = (await answer.json())["access_token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    address = f"{sandbox}/collection/v1/orgs/{organization}/invoices"

    async def forward(request: web.Request) -> web.Response:
        async with session.post(address, data=await request.read(), headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

    async def close(_: web.Application) -> None:
        await session.close()

    app = web.Application()
    app.router.add_post("/", forward)
    app.on_cleanup.append(close)
    return app


if __name__ == "__main__":
    port, sandbox, organization = sys.argv[1:]
    web.run_app(
        build(sandbox, organization),
        host="127.0.0.1",
        port=int(port),
        loop=uvloop.new_event_loop(),
        print=None,
        access_log=None,
    )
