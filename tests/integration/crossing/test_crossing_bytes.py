"""A batch in legacy mode: the legacy host sees what the caller sent, the caller what the legacy host answered."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

BODY = json.dumps({"batchid": "B-1", "invoice": [{"invoiceNumber": "1"}]}).encode()
POST = b"POST /webapi/api/Batch?senderid=ERP-1&x=%20y HTTP/1.1\r\nHost: erp\r\nConnection: close\r\n"
ANSWER = b'{"statuscode":0,"errors":[],"responses":[]}'


def counted(body: bytes, *headers: bytes, line: bytes = POST) -> bytes:
    """Return a request with a length."""
    return line + b"".join(one + b"\r\n" for one in headers) + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*pieces: bytes) -> bytes:
    """Return a request in chunks."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


def answer(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return an answer with a length, and nothing that was not asked for."""
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


REQUESTS = {
    "plain": counted(BODY, b"Content-Type: application/json"),
    "no type": counted(BODY),
    "odd headers": counted(BODY, b"x-oDD: 1", b"x-oDD:  two  ", b'SOAPAction: ""', b"Cookie: a=1; b=2"),
    "utf-8 header": counted(BODY, "X-Name: Bjørn".encode()),
    "gzip": counted(gzip.compress(BODY, mtime=0), b"Content-Encoding: gzip"),
    "deflate": counted(zlib.compress(BODY), b"Content-Encoding: deflate"),
    "a lie about gzip": counted(BODY, b"Content-Encoding: gzip"),
    "unknown coding": counted(BODY, b"Content-Encoding: br"),
    "not json": counted(b"\x00\xff<xml/>", b"Content-Type: text/xml"),
    "empty": counted(b""),
    "chunks": chunked(BODY[:7], BODY[7:]),
    "latin-1": counted('{"batchid":"ø"}'.encode("latin-1"), b"Content-Type: application/json; charset=iso-8859-1"),
    "http/1.0": counted(BODY, line=b"POST /webapi/api/Batch?senderid=ERP-1 HTTP/1.0\r\nHost: erp\r\n"),
    "other spelling": counted(BODY, line=POST.replace(b"/webapi/api/Batch?senderid", b"/WebAPI/api/batch/?SenderId")),
    "an empty query": counted(BODY, line=POST.replace(b"/Batch?senderid=ERP-1&x=%20y", b"/Attachment/a%2Fb?")),
    "wrong credentials": counted(BODY, b"Authorization: Basic bm9ib2R5OmtuaXZlcw=="),
    "a long ticket": counted(BODY, b"Authorization: Negotiate " + b"YII" * 5_000),
    "large": counted(b"[" + b"1," * 3_000_000 + b"1]"),
    "a read": b"GET /webapi/api/Batch?SENDERID=ERP-1&lastsettlementid=4711 HTTP/1.1\r\nHost: erp\r\n"
    b"Authorization: Basic eA==\r\nConnection: close\r\n\r\n",
}
ANSWERS = {
    "plain": answer(ANSWER, b"Content-Type: application/json"),
    "bare": answer(ANSWER),
    "odd headers": answer(ANSWER, b"SERVER: Microsoft-IIS/8.5", b"x-AspNet: 4", b"Set-Cookie: a", b"Set-Cookie: b"),
    "gzip": answer(gzip.compress(ANSWER, mtime=0), b"Content-Encoding: gzip"),
    "a lie about gzip": answer(ANSWER, b"Content-Encoding: gzip"),
    "error": answer(b"<html>oops", b"Content-Type: text/html", status=b"500 Internal Server Error"),
    "odd status": answer(b"", status=b"299 Quite Odd"),
    "unauthorized": answer(b"no", b'WWW-Authenticate: Basic realm="x"', status=b"401 Unauthorized"),
    "no content": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\nConnection: close\r\n\r\n",
    "large": answer(b"x" * 5_000_000),
    "long header": answer(ANSWER, b"WWW-Authenticate: Negotiate " + b"x" * 30_000),
    "many headers": answer(ANSWER, *(b"X-%d: 1" % number for number in range(400))),
}  # fmt: skip


def seen_by_host(crossed: Any) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the last request as the legacy host saw it, without what belongs to the connection."""
    last = crossed.host.arrived[-1]
    line = last.line.replace(b"HTTP/1.0", b"HTTP/1.1")  # every hop has a version of its own
    own = {b"host", b"connection"}
    return line, [(name, value) for name, value in last.headers if name.lower() not in own], last.body


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_request_reaches_the_legacy_host_as_it_was_sent(open_crossing: Any, name: str) -> None:
    """Line, headers in their order and spelling, body: as if the caller had called the legacy host itself."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: ANSWERS["plain"]
        direct = await crossed.raw(REQUESTS[name], direct=True)
        expected = seen_by_host(crossed)
        given = await crossed.raw(REQUESTS[name])
        if name == "http/1.0":  # of another version, and closed without a word
            direct = direct.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Connection: close\r\n", b"")
        same_answer, same_request = given == direct, seen_by_host(crossed) == expected
        assert (same_answer, same_request) == (True, True)
        assert len(crossed.host.arrived) == 2


async def test_headers_of_one_name_all_arrive(open_crossing: Any) -> None:
    """Also when they are spelt in different ways."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: ANSWERS["plain"]
        await crossed.raw(counted(BODY, b"x-oDD: 1", b"X-Odd: 2"))
        assert [value for name, value in crossed.host.arrived[0].headers if name.lower() == b"x-odd"] == [b"1", b"2"]


async def test_what_belongs_to_the_connection_stays_with_it(open_crossing: Any) -> None:
    """Whatever `Connection` names, however often; before it or behind it."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: ANSWERS["plain"]
        own = (
            b"X-One: 1",
            b"Connection: X-One",
            b"Connection: x-two, close",
            b"X-Two: 2",
            b"TE: trailers",
            b"X-Three: 3",
        )
        await crossed.raw(counted(BODY, *own, line=POST.replace(b"Connection: close\r\n", b"")))
        assert [name for name, _ in crossed.host.arrived[0].headers if name.startswith((b"X-", b"T"))] == [b"X-Three"]


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_reaches_the_caller_as_it_was_given(open_crossing: Any, name: str) -> None:
    """Every byte of it; nothing is added, not even a date or a header of the bridge."""
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: ANSWERS[name]
        same = await crossed.raw(REQUESTS["plain"]) == ANSWERS[name]
        assert same


async def test_an_answer_in_chunks_reaches_the_caller_in_chunks(open_crossing: Any) -> None:
    """To an HTTP/1.0 caller it comes without them."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: head + b'4\r\n{"st\r\n2\r\n"}\r\n0\r\n\r\n'
        given, _, body = (await crossed.raw(REQUESTS["plain"])).partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in given.lower()
        assert body.endswith(b"0\r\n\r\n")
        given, _, body = (await crossed.raw(REQUESTS["http/1.0"])).partition(b"\r\n\r\n")
        assert (b"chunked" in given, body) == (False, b'{"st"}')


async def test_a_body_of_many_megabytes_passes_beyond_the_limit_of_the_bridge(open_crossing: Any) -> None:
    """`max_body_mb` is what the bridge reads, not what it passes on; a batch it could not take needs no note."""
    large = counted(b"x" * 20_000_000)
    async with open_crossing() as crossed:
        crossed.host.behave = lambda _: ANSWERS["plain"]
        assert await crossed.raw(large) == ANSWERS["plain"]
        assert crossed.host.arrived[0].body == large.partition(b"\r\n\r\n")[2]


async def test_a_legacy_host_that_hangs_up_answers_502(open_crossing: Any, batch: Any) -> None:
    """In the legacy shape: what it did is not known."""

    def hang_up(_: Any) -> bytes:
        raise ConnectionError

    async with open_crossing() as crossed:
        crossed.host.behave = hang_up
        reply = await crossed.world.post(batch("B-1"), senderid="ERP-1")
        assert (reply.status, reply.code) == (502, 2)


async def test_a_silent_legacy_host_answers_504(open_crossing: Any, batch: Any) -> None:
    """In the legacy shape, after `request_timeout_seconds`."""

    async def wait(_: Any) -> bytes:
        await asyncio.sleep(20)
        return b""

    async with open_crossing(legacy="request_timeout_seconds = 0.2") as crossed:
        crossed.host.behave = wait
        reply = await crossed.world.post(batch("B-1"), senderid="ERP-1")
        assert (reply.status, reply.code) == (504, 2)
