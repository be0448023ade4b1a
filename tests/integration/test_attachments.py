"""/webapi/api/Attachment: handed to the legacy host and back, byte for byte, never held in memory."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yarl
from aiohttp import web

MEGABYTE = 1024 * 1024
LARGE = 50 * MEGABYTE
ROOM_MB = 24
"""How much the process may grow while fifty megabytes pass through it, caller and legacy host included."""
Handler = Callable[[Any], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def legacy_host(handler: Handler) -> AsyncIterator[str]:
    """Run a legacy host that answers everything by one handler; bodies come as they are."""
    server = web.Server(handler, auto_decompress=False)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def attached(open_world: Any, handler: Handler, **legacy: Any) -> AsyncIterator[Any]:
    """Run a bridge before a legacy host."""
    async with legacy_host(handler) as address:
        lines = "\n".join(f"{name} = {value}" for name, value in legacy.items())
        async with open_world(more=f'[legacy]\nbase_url = "{address}"\n{lines}') as world:
            yield world


def memory_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MEGABYTE


async def raw(world: Any, request: bytes) -> bytes:
    """Send bytes, return all bytes that come back until the bridge hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(world.url).port)
    writer.write(request)
    answer = await reader.read(-1)
    writer.close()
    return answer


async def test_without_a_legacy_host_it_says_so(world: Any) -> None:
    """501 in the legacy shape, for any method and below the path as well; no credentials are asked for."""
    for path in ("/webapi/api/Attachment", "/WebApi/api/attachment/1/x?y=z"):
        for method in ("GET", "POST", "DELETE"):
            async with world.session.request(method, world.url + path) as response:
                body = await response.json()
            assert (response.status, body["statuscode"]) == (501, 2)
            assert "base_url" in body["errors"][0]["message"]


async def test_request_and_answer_pass_unchanged(open_world: Any) -> None:
    """Method, path, query, headers and body on the way there; status, reason, headers and body on the way back."""
    seen: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.update(method=request.method, path=request.raw_path, headers=request.headers.copy())
        seen["body"] = await request.read()
        headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Content-Type", "application/pdf"), ("X-Odd", "ø")]
        return web.Response(status=207, reason="Odd Indeed", body=b"%PDF", headers=headers)

    async with attached(open_world, answer) as world:
        sent = {
            "Authorization": "Basic bm9ib2R5OmtuaXZlcw==", "X-Own": "1", "Content-Type": "image/x",
            "Connection": "keep-alive, X-Hop", "X-Hop": "not for you", "TE": "trailers",
        }  # fmt: skip
        url = yarl.URL(world.url + "/webapi/api/Attachment/a%2Fb/%C3%B8?id=%20x&ID=2&&c", encoded=True)
        async with world.session.put(url, data=b"\x00\xffbody", headers=sent) as response:
            assert (response.status, response.reason) == (207, "Odd Indeed")
            assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]
            assert (response.headers["Content-Type"], response.headers["X-Odd"]) == ("application/pdf", "ø")
            assert await response.read() == b"%PDF"

    assert (seen["method"], seen["path"]) == ("PUT", "/webapi/api/Attachment/a%2Fb/%C3%B8?id=%20x&ID=2&&c")
    assert seen["body"] == b"\x00\xffbody"
    headers = seen["headers"]
    assert headers["Authorization"] == "Basic bm9ib2R5OmtuaXZlcw=="
    assert (headers["X-Own"], headers["Content-Type"], headers["Content-Length"]) == ("1", "image/x", "6")
    assert headers["Host"].startswith("127.0.0.1:")
    assert headers["Host"] != yarl.URL(world.url).authority
    assert not {"X-Hop", "TE"} & set(headers)


async def test_nothing_is_added_to_a_bare_request(open_world: Any) -> None:
    """No user agent, no encodings the caller did not ask for, no type."""
    seen: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(dict(request.headers))
        return web.Response(status=204)

    async with attached(open_world, answer) as world:
        reply = await raw(world, b"GET /webapi/api/Attachment HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")

    assert reply.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert {name.lower() for name in seen[0]} <= {"host", "connection"}


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_compressed_bodies_pass_as_they_are(open_world: Any, coding: str) -> None:
    """Both ways; nobody unpacks or packs, whether the coding is true or not."""
    packed = gzip.compress(b"x" * 1000)
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.read())
        return web.Response(body=packed, headers={"Content-Encoding": coding})

    async with attached(open_world, answer) as world, aiohttp.ClientSession(auto_decompress=False) as session:
        headers = {"Content-Encoding": coding}
        async with session.post(world.url + "/webapi/api/Attachment", data=packed, headers=headers) as response:
            assert response.headers["Content-Encoding"] == coding
            assert await response.read() == packed

    assert seen == [packed]


async def test_answers_without_a_length_pass(open_world: Any) -> None:
    """Chunked to HTTP/1.1, to the end of the connection for HTTP/1.0; a request in chunks passes, too."""
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.read())
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"one ")
        await response.write(b"two")
        return response

    async with attached(open_world, answer) as world:
        head = b"POST /webapi/api/Attachment HTTP/1.1\r\nHost: b\r\nConnection: close\r\n"
        reply = await raw(world, head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert b"transfer-encoding: chunked" in reply.lower()
        assert reply.endswith(b"0\r\n\r\n")
        reply = await raw(world, b"GET /webapi/api/Attachment HTTP/1.0\r\nHost: b\r\n\r\n")
        assert reply.endswith(b"\r\n\r\none two")

    assert seen == [b"abc", b""]


async def test_head_redirects_and_not_modified_pass(open_world: Any) -> None:
    """Answers without a body keep their headers; a redirect is the caller's to follow."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={"Content-Length": "12345", "Content-Type": "a/b"})
        if request.query.get("to"):
            return web.Response(status=302, headers={"Location": "/elsewhere"})
        return web.Response(status=304, headers={"ETag": '"1"'})

    async with attached(open_world, answer) as world:
        url = world.url + "/webapi/api/Attachment"
        async with world.session.head(url) as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "12345")
        async with world.session.get(url + "?to=1", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (302, "/elsewhere")
        async with world.session.get(url) as response:
            assert (response.status, response.headers["ETag"]) == (304, '"1"')


async def test_large_bodies_stream_both_ways(open_world: Any) -> None:
    """Fifty megabytes up and down leave next to no trace in memory."""
    chunk = bytes(MEGABYTE)

    async def answer(request: web.Request) -> web.StreamResponse:
        received = 0
        async for piece in request.content.iter_any():
            received += len(piece)
        response = web.StreamResponse(headers={"Content-Length": str(received)})
        await response.prepare(request)
        for _ in range(received // MEGABYTE):
            await response.write(chunk)
        return response

    async def body() -> AsyncIterator[bytes]:
        for _ in range(LARGE // MEGABYTE):
            highest.append(memory_mb())
            yield chunk

    async with attached(open_world, answer) as world:
        url = world.url + "/webapi/api/Attachment"
        highest: list[float] = []
        async with world.session.post(url, data=chunk) as response:  # everything that is loaded late is loaded now
            await response.read()
        before, received = memory_mb(), 0
        headers = {"Content-Length": str(LARGE)}
        async with world.session.post(url, data=body(), headers=headers) as response:
            async for piece in response.content.iter_any():
                received += len(piece)
                highest.append(memory_mb())

    assert received == LARGE
    assert max(highest) - before < ROOM_MB


async def test_a_caller_that_goes_away_ends_the_exchange(open_world: Any, wait_until: Any) -> None:
    """The legacy host need not work for nobody."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        began.set()
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        ended.set()
        return web.Response()

    async with attached(open_world, answer) as world:
        _, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(world.url).port)
        writer.write(b"GET /webapi/api/Attachment HTTP/1.1\r\nHost: b\r\n\r\n")
        await asyncio.wait_for(began.wait(), 5)
        writer.close()
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_silent_legacy_host_answers_504(open_world: Any) -> None:
    """In the legacy shape; what it did is not known."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    async with attached(open_world, answer, request_timeout_seconds=0.2) as world:
        reply = await world.get(path="/webapi/api/Attachment")
        assert (reply.status, reply.code) == (504, 2)
        assert "did not answer in time" in reply.errors["batch", 0]


async def test_a_legacy_host_that_is_not_there_answers_502(open_world: Any) -> None:
    """In the legacy shape."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with open_world(more=f'[legacy]\nbase_url = "{address}"') as world:
            reply = await world.get(path="/webapi/api/Attachment")
            assert (reply.status, reply.code) == (502, 2)
            assert "could not be reached" in reply.errors["batch", 0]


async def test_a_legacy_host_that_hangs_up_answers_502(open_world: Any) -> None:
    """Before its answer began; what it did is not known."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with attached(open_world, answer) as world:
        reply = await world.get(path="/webapi/api/Attachment")
        assert reply.status == 502
        assert "broke" in reply.errors["batch", 0]


@pytest.mark.parametrize("length", [{"Content-Length": "100"}, {}])
async def test_an_answer_that_breaks_off_does_not_look_whole(open_world: Any, length: dict[str, str]) -> None:
    """The caller sees a broken connection, not half a file; with a length or in chunks."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers=length)
        if not length:
            response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"half")
        await asyncio.sleep(0.05)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with attached(open_world, answer) as world:
        with pytest.raises(aiohttp.ClientError):
            async with world.session.get(world.url + "/webapi/api/Attachment") as response:
                await response.read()
        assert (await world.get(path="/webapi/api/Ping", bearer="")).status == 200


@pytest.mark.parametrize("path", ["/../Batch", "/%2e%2E/Batch", "/a/..%5cBatch"])
async def test_a_path_that_leads_elsewhere_is_refused(open_world: Any, path: str) -> None:
    """What is passed on is about attachments."""

    async def answer(request: web.Request) -> web.StreamResponse:
        raise AssertionError("nothing should arrive")

    async with attached(open_world, answer) as world:
        line = f"GET /webapi/api/Attachment{path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
        reply = await raw(world, line.encode())
        assert reply.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ", b"HTTP/1.1 401 "))
