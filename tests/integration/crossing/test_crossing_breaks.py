"""A legacy host that breaks its word: an answer is whole or visibly broken, and nobody else's; no call hangs."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

import pytest
import yarl

from bridge.modes import Mode

READ = b"GET /webapi/api/Batch?senderid=ERP-1 HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n\r\n"
POST = b"POST /webapi/api/Batch?senderid=ERP-1 HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def reset(writer: asyncio.StreamWriter) -> None:
    """Hang up without good order."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_what_nobody_asked_for_answers_nobody(open_crossing: Any, socket_host: Any) -> None:
    """A host says 408 before it hangs up, or answers twice: the next caller gets an answer of its own."""
    said = asyncio.Event()

    async def serve(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(ANSWER.replace(b"{}", b"%02d" % number))
        await asyncio.sleep(0.02)  # until the bridge has let go of the connection
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        if number == 1:
            assert await reader.read(1) == b""
            said.set()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        assert (await crossed.raw(READ)).endswith(b"01")
        await asyncio.wait_for(said.wait(), 5)
        assert (await crossed.raw(READ)).endswith(b"02")


async def test_a_host_that_says_wait_and_nothing_more_answers_504(open_crossing: Any, socket_host: Any) -> None:
    """What comes before an answer does not stop the clock."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n")
        await reader.read(-1)

    async with socket_host(serve) as host, open_crossing(host=host, legacy="request_timeout_seconds = 0.2") as crossed:
        assert (await crossed.raw(READ)).startswith(b"HTTP/1.1 504 ")


async def test_a_host_that_takes_no_more_of_a_request_answers_504(open_crossing: Any, socket_host: Any) -> None:
    """Nobody waits longer for it than for one that says nothing."""
    over = asyncio.Event()

    async def serve(_: int, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await over.wait()

    async with socket_host(serve) as host, open_crossing(host=host, legacy="request_timeout_seconds = 0.2") as crossed:
        reader, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        writer.write(POST + b"Content-Length: 30000000\r\n\r\n" + b"x" * 30_000_000)
        try:
            assert (await asyncio.wait_for(read_head(reader), 5)).startswith(b"HTTP/1.1 504 ")
            await asyncio.wait_for(reader.read(-1), 5)  # the rest of the request goes nowhere
        finally:
            over.set()
            writer.close()


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
@pytest.mark.parametrize("ending", ["reset", "garbled chunk", "no last chunk"])
async def test_an_answer_that_breaks_off_does_not_look_whole(
    open_crossing: Any, socket_host: Any, ending: str, version: bytes
) -> None:
    """Not even to a caller that knows of no chunks, for which the end of the connection is that of the answer."""
    chunked = b"" if ending == "reset" else b"Transfer-Encoding: chunked\r\n"
    go_on = asyncio.Event()

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n" + chunked + b"\r\n4\r\nhalf\r\n")
        await asyncio.wait_for(go_on.wait(), 5)
        if ending == "garbled chunk":
            writer.write(b"no number\r\n")
            await reader.read(-1)
        elif ending == "reset":
            reset(writer)

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        reader, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        writer.write(READ.replace(b"HTTP/1.1", b"HTTP/" + version))
        assert await asyncio.wait_for(reader.readuntil(b"half"), 5)
        go_on.set()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(-1), 5)
        writer.close()


async def test_a_question_of_our_own_brings_no_length_of_its_callers(open_crossing: Any) -> None:
    """Its body stays here: the host would wait for it, and take the next request for it."""
    query = b"GET /webapi/api/Batch?senderid=ERP-2&Authorization HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n"
    empty = b'{"creditor": [], "case": [], "settlement": []}'
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(empty) + empty
        await crossed.switch(ORG_A, Mode.MODERN)
        given = await crossed.raw(query + b"Authorization: Basic ZXJwMjpwYXNzMg==\r\nContent-Length: 2\r\n\r\n{}")
        assert given.startswith(b"HTTP/1.1 200 ")
        assert crossed.host.arrived[0].header("content-length") == b""
