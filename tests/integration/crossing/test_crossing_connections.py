"""The connections to the legacy host: used again, never behind half a message; nothing that can double is repeated."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest
import yarl

from bridge.passthrough import host as way
from bridge.passthrough import line

READ = b"GET /webapi/api/Batch?senderid=ERP-1 HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n\r\n"
POST = b"POST /webapi/api/Batch?senderid=ERP-1 HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def post(body: bytes) -> bytes:
    return POST + b"Content-Length: %d\r\n\r\n" % len(body) + body


async def test_one_connection_serves_one_request_after_another(open_crossing: Any, socket_host: Any) -> None:
    """Until somebody says that it is over."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await read_head(reader)
            writer.write(ANSWER)
        await read_head(reader)
        writer.write(ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        for _ in range(4):
            assert (await crossed.raw(READ)).endswith(b"{}")
        assert host.connections == 2


@pytest.mark.parametrize("again", [True, False])
async def test_a_read_is_repeated_when_the_host_closes_an_idle_connection(
    open_crossing: Any, socket_host: Any, again: bool
) -> None:
    """Once, on a new connection: a host may close one that nobody uses just as a request leaves on it."""

    async def serve(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        if number == 2 and again:
            writer.write(ANSWER)
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        given = await crossed.raw(READ)
        assert given.partition(b"\r\n")[0] == (b"HTTP/1.1 200 OK" if again else b"HTTP/1.1 502 Bad Gateway")
        assert host.connections == 2


@pytest.mark.parametrize(
    "asked",
    [
        READ.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
        READ.replace(b"GET /webapi/api/Batch", b"DELETE /webapi/api/Attachment/1"),
    ],
)
async def test_nothing_is_repeated_but_a_plain_read(open_crossing: Any, socket_host: Any, asked: bytes) -> None:
    """A body has left, and is not kept; and what was deleted may be there again."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        assert (await crossed.raw(asked)).startswith(b"HTTP/1.1 502 ")
        assert host.connections == 1


async def test_a_batch_is_never_sent_twice(open_crossing: Any, socket_host: Any) -> None:
    """The host may have taken it before it hung up."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        assert (await crossed.raw(post(b"{}"))).startswith(b"HTTP/1.1 502 ")
        assert host.connections == 1


@pytest.mark.parametrize(("before", "behind"), [(b"http://erp.example", b""), (b"", b"#there")])
async def test_what_is_asked_for_stands_alone(
    open_crossing: Any, socket_host: Any, before: bytes, behind: bytes
) -> None:
    """Without the host that a caller named there, which is not the legacy host, and without a part of a page."""
    came: list[bytes] = []

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await read_head(reader))
        writer.write(ANSWER)

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        target = b"/webapi/api/Batch?senderid=ERP-1"
        assert (await crossed.raw(READ.replace(target, before + target + behind))).endswith(b"{}")
    assert came[0].startswith(b"GET " + target + b" HTTP/1.1\r\n")


async def test_bytes_that_are_no_text_pass_both_ways(open_crossing: Any, socket_host: Any) -> None:
    """In the values of headers, spelt as they are, each where it stood."""
    heads: list[bytes] = []
    lines = [b"x-oDD: \xf8", b"X-Other: 1", b"X-Odd: \xc3\xb8\xff"]

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await read_head(reader))
        writer.write(b"\r\n".join([b"HTTP/1.1 200 \xd8k", *lines, b"Content-Length: 0", b"", b""]))

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        request = READ.replace(b"\r\n\r\n", b"\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
        given = await crossed.raw(request)
        assert given.split(b"\r\n")[:4] == [b"HTTP/1.1 200 \xd8k", *lines]
        assert heads[0].split(b"\r\n")[2:5] == lines


async def test_an_early_answer_reaches_the_caller_and_ends_the_upload(open_crossing: Any, socket_host: Any) -> None:
    """The host does not want the rest; the connection, with half a request on it, serves nobody else."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        while await reader.read(65536):
            pass
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        reader, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        writer.write(POST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000)
        assert await asyncio.wait_for(reader.readuntil(b"no"), 5)
        writer.close()
        assert (await crossed.raw(post(b"{}"))).startswith(b"HTTP/1.1 413 ")
        assert host.connections == 2


async def test_half_a_request_is_broken_off_at_the_host_as_well(
    open_crossing: Any, socket_host: Any, wait_until: Any, monkeypatch: Any
) -> None:
    """It must not look whole there, nor wait: whoever sent it is gone."""
    monkeypatch.setattr(way, "LOOK_SECONDS", 60)
    began = asyncio.Event()
    came: list[bytes] = []

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await read_head(reader) + await reader.readexactly(4))
        began.set()
        came.append(await reader.read(-1))
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        _, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        writer.write(POST + b"Content-Length: 1000000\r\n\r\nhalf")
        await asyncio.wait_for(began.wait(), 5)
        writer.close()
        await wait_until(lambda: len(came) == 2)
    assert came[0].endswith(b"\r\n\r\nhalf")
    assert came[1] == b""


async def test_what_says_that_an_answer_will_come_is_not_the_answer(open_crossing: Any, socket_host: Any) -> None:
    """A host may send 100 and 103 before it."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-A: 1\r\n\r\n" + ANSWER)

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        assert (await crossed.raw(post(b"{}"))).startswith(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection")


@pytest.mark.parametrize("length", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_answer_to_head_is_a_head(open_crossing: Any, socket_host: Any, length: bytes) -> None:
    """Whatever it tells of the body that would have come."""
    told = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n" + length

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(told + b"\r\n")

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        for _ in range(2):
            given = await crossed.raw(READ.replace(b"GET /webapi/api/Batch", b"HEAD /webapi/api/Attachment/1"))
            assert given == told.replace(b"Transfer-Encoding: chunked\r\n", b"") + b"Connection: close\r\n\r\n"


async def test_an_answer_without_an_end_of_its_own_ends_with_the_connection(
    open_crossing: Any, socket_host: Any
) -> None:
    """The caller gets chunks, and keeps its connection."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\none ")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(b"two")
        writer.close()

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        given = await crossed.raw(READ)
        head, _, body = given.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"4\r\none \r\n3\r\ntwo\r\n0\r\n\r\n"


async def test_a_caller_of_the_old_version_may_keep_its_connection(open_crossing: Any, socket_host: Any) -> None:
    """It has to ask for it, and is told."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(ANSWER)

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        reader, writer = await asyncio.open_connection("127.0.0.1", yarl.URL(crossed.world.url).port)
        old = READ.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b": close", b": keep-alive")
        for _ in range(2):
            writer.write(old)
            given = await asyncio.wait_for(reader.readuntil(b"{}"), 5)
            assert given.startswith(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n")
        writer.close()


async def test_a_header_that_hides_another_one_is_not_passed_on(open_crossing: Any, socket_host: Any) -> None:
    """A line break in a value would be the end of the header for the caller."""

    async def serve(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n X-B: 2\r\nContent-Length: 0\r\n\r\n")

    async with socket_host(serve) as host, open_crossing(host=host) as crossed:
        given = await crossed.raw(READ)
        assert given.count(b"\r\n") == given.count(b"\n")
        assert given.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 200 OK\r\nX-A: 1 X-B: 2\r\n"))


async def test_a_host_that_takes_no_connection_answers_504(open_crossing: Any, monkeypatch: Any) -> None:
    """And certainly has got nothing."""
    monkeypatch.setattr(line, "CONNECT_SECONDS", 0.2)

    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):  # one waits to be accepted, the next one for that
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        host = SimpleNamespace(url=f"http://127.0.0.1:{full.getsockname()[1]}")
        async with open_crossing(host=host) as crossed:
            given = await crossed.raw(post(b"{}"))
    assert given.startswith(b"HTTP/1.1 504 ")
    assert b"could not be reached" in given
