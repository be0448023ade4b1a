"""One exchange, and the state in which it leaves its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from bridge.passthrough import Tap, open_line
from bridge.passthrough import line as line_module
from bridge.passthrough.exchange import Exchange
from bridge.passthrough.heads import Head
from bridge.passthrough.line import CHUNK_BYTES, Line, Reader
from bridge.passthrough.messages import Body
from bridge.settings import LegacySettings


class Lost:
    """A connection that the host has closed while it was opened."""

    def __init__(self, transport: object) -> None:
        self.protocol = object()
        self.transport = transport
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("transport", [None, SimpleNamespace(is_closing=lambda: True, abort=lambda: None)])
async def test_nothing_leaves_on_a_connection_that_is_lost(transport: Any) -> None:
    """The body is not even taken, so nobody believes that the host may have it."""
    lost = Lost(transport)

    async def connect() -> Lost:
        return lost

    line = cast("Line", SimpleNamespace(connect=connect, expect=lambda *_, **__: None))
    with pytest.raises(aiohttp.ClientConnectionResetError):
        async with Exchange(line, "POST", Head(b"POST", chunked=False), cast("Any", None)):
            raise AssertionError("there is no answer")
    assert lost.is_closed


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Wire:
    """A transport on which nothing is taken away but what a test takes."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_aborted = False

    def write(self, _: bytes) -> None:
        """Take it."""

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.is_aborted = True

    close = abort

    def is_closing(self) -> bool:
        return self.is_aborted


class Wired:
    """A connection on such a transport."""

    def __init__(self) -> None:
        self.transport = Wire()
        self.protocol = Reader(asyncio.get_running_loop())
        self.protocol.transport = cast("asyncio.Transport", self.transport)
        self.is_free: bool | None = None

    def is_timed(self) -> bool:
        """Tell whether the host is given up after a while if it stays silent."""
        return self.protocol._read_timeout_handle is not None

    def release(self) -> None:
        self.is_free = True

    def close(self) -> None:
        self.is_free = False

    def exchange(self, body: Any = None) -> Exchange:
        """Return an exchange on it; a body goes in chunks."""

        async def connect() -> Wired:
            return self

        line = Line.__new__(Line)
        line.silence_seconds = 30.0
        cast("Any", line).connect = connect
        return Exchange(line, "POST", Head(b"POST", chunked=body is not None), body)

    def answer_soon(self, answer: bytes = ANSWER) -> None:
        """Have an answer come once somebody waits for it."""
        asyncio.get_running_loop().call_soon(self.protocol.data_received, answer)


class Gated:
    """A body whose end is waited for."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.left = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b"half"
        await self.gate.wait()

    def leave(self) -> None:
        self.left.set()


@pytest.mark.parametrize("waiting", [0, 1])
async def test_a_connection_on_which_a_request_still_waits_serves_nobody_else(waiting: int) -> None:
    """The host has answered without having taken all of it."""
    wired = Wired()
    wired.answer_soon()
    async with wired.exchange():
        wired.transport.waiting = waiting
    assert wired.is_free is (waiting == 0)
    assert wired.transport.is_aborted is bool(waiting)


async def test_a_broken_exchange_leaves_nothing_behind_that_waits_for_the_host() -> None:
    """A connection that is closed in good order stays open until the host has taken what waits for it."""
    wired = Wired()
    wired.answer_soon()
    with pytest.raises(ZeroDivisionError):
        async with wired.exchange():
            raise ZeroDivisionError
    assert (wired.transport.is_aborted, wired.is_free) == (True, False)


async def test_an_early_answer_ends_the_upload_for_good() -> None:
    """Its task is over when the exchange is, and its body has heard of it."""
    wired, body = Wired(), Gated()
    wired.answer_soon()
    async with wired.exchange(body) as reply:
        assert await reply.content.read() == b"{}"
    assert (body.left.is_set(), wired.is_free) == (True, False)
    assert len(asyncio.all_tasks()) == 1


async def test_the_clock_does_not_run_on_behind_an_answer() -> None:
    """A request that ends after its answer must not have the next one of the connection end with it."""
    wired, body = Wired(), Gated()
    wired.answer_soon()
    async with wired.exchange(body):
        body.gate.set()
        await body.left.wait()
    assert wired.is_free
    assert not wired.is_timed()


@pytest.mark.parametrize("early", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n"])
async def test_the_clock_does_not_run_on_behind_what_came_with_the_answer(early: bytes) -> None:
    """Nor behind an answer without a body."""
    wired = Wired()
    wired.answer_soon(early + b"HTTP/1.1 204 No Content\r\n\r\n")
    async with wired.exchange():
        pass
    assert not wired.is_timed()


async def test_the_clock_does_not_run_while_a_body_still_comes() -> None:
    """Also when the host has said that it waits for it; a slow caller may take its time."""
    wired, body = Wired(), Gated()
    wired.answer_soon(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange = wired.exchange(body)
    entering = asyncio.create_task(exchange.__aenter__())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not wired.is_timed()
    body.gate.set()
    await body.left.wait()
    assert wired.is_timed()
    wired.answer_soon()
    await entering
    await exchange.__aexit__(None)


async def test_the_search_for_the_hosts_name_takes_no_longer_than_a_connection_may(monkeypatch: Any) -> None:
    """Nothing has left then."""
    monkeypatch.setattr(line_module, "CONNECT_SECONDS", 0.05)

    async def search(*_: object, **__: object) -> Any:
        await asyncio.sleep(5)

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", search)
    settings = LegacySettings(base_url="http://legacy.invalid", request_timeout_seconds=5)
    async with open_line(settings) as line:
        assert line is not None
        with pytest.raises(aiohttp.ConnectionTimeoutError):
            await asyncio.wait_for(line.connect(), 2)


@pytest.mark.parametrize("read_before", [True, False])
async def test_a_large_body_has_left_once_its_last_piece_has(read_before: bool) -> None:
    """One that broke off before has not: the host cannot have it."""
    whole = b"x" * (CHUNK_BYTES + 1)
    left: list[bool] = []
    tap = Tap(grant=lambda _: True, sent=lambda: left.append(True))
    stream = aiohttp.StreamReader(Reader(asyncio.get_running_loop()), CHUNK_BYTES, loop=asyncio.get_running_loop())
    if not read_before:
        stream.feed_data(whole)
    stream.feed_eof()
    request = cast("web.Request", SimpleNamespace(content=stream))
    body = Body(request, whole if read_before else None, tap)
    assert body.take_whole() is None
    pieces = body.pieces()
    assert len(await anext(pieces)) == CHUNK_BYTES
    body.leave()
    assert left == []
    assert await anext(pieces) == b"x"
    body.leave()
    assert left == [True]


async def test_no_more_of_a_body_is_taken_than_the_host_takes() -> None:
    """A slow host must not have large batches wait in memory."""
    wired, taken = Wired(), 0

    class Large(Gated):
        async def pieces(self) -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(3):
                taken += 1
                yield b"x"

    wired.protocol.pause_writing()
    exchange = wired.exchange(body := Large())
    entering = asyncio.create_task(exchange.__aenter__())
    for _ in range(10):
        await asyncio.sleep(0)
    assert taken == 1
    wired.protocol.resume_writing()
    await body.left.wait()
    assert taken == 3
    wired.answer_soon()
    await entering
    await exchange.__aexit__(None)


async def test_a_host_that_is_not_there_is_not_asked_twice() -> None:
    """What is tried once more is a connection that broke; a second search would take as long again."""
    tries = 0

    async def connect() -> Any:
        nonlocal tries
        tries += 1
        raise aiohttp.ClientConnectorError(cast("Any", SimpleNamespace()), OSError())

    line = cast("Line", SimpleNamespace(connect=connect))
    with pytest.raises(aiohttp.ClientConnectorError):
        await Exchange(line, "GET", Head(b"GET", chunked=False), None).__aenter__()
    assert tries == 1


@pytest.mark.parametrize("reason", [None, ConnectionResetError()])
async def test_an_answer_that_was_whole_stays_whole(reason: Exception | None) -> None:
    """However its connection ends before it is read."""
    wired = Wired()
    wired.answer_soon()
    async with wired.exchange() as reply:
        wired.protocol.connection_lost(reason)
        assert await reply.content.read() == b"{}"
