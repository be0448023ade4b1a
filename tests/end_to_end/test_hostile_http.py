"""Requests that are not proper HTTP, and odd ones that are: an answer in plain words or none, never HTML or a 5xx."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

POST = b"POST /webapi/api/Batch HTTP/1.1\r\nHost: bridge\r\nAccept: text/html\r\nConnection: close\r\n"
CREDENTIALS = b"Authorization: Bearer token1\r\n"
TYPE = b"Content-Type: application/json\r\n"
TAKEN = b'{"statuscode":0,"errors":[],"responses":[]}'


@pytest.fixture(scope="module")
def bridge(
    launch_for_module: Any, write_config: Any, free_port: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A bridge without anything behind it; in the end nothing unexpected has happened."""
    port = free_port()
    config = write_config(tmp_path_factory.mktemp("http"), port=port)
    started = launch_for_module("serve", "--config", str(config), port=port)
    yield started
    assert started.alive
    assert '"event":"unexpected"' not in started.said


def talk(bridge: Any, *pieces: bytes, hang_up: bool = False) -> bytes:
    """Send bytes as they are, and return all that comes back until the bridge closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=10) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            while received := connection.recv(65536):
                answer += received
        except ConnectionError:
            pass  # closed by the bridge before it had read everything
    return answer


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def check_tame(answer: bytes) -> None:
    """Check that an answer is in the legacy shape, unless it is of the hooks': no HTML, no stack trace, no 5xx."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head
    assert status_of(answer) < 500, answer
    assert b"text/html" not in head
    assert b"<html" not in body.lower()
    assert b"Traceback" not in body
    assert b'File "' not in body


def check_alive(bridge: Any) -> None:
    answer = talk(bridge, b"GET /webapi/api/Ping HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 200


IMPROPER = {
    "no HTTP at all": b"\x00\x01\x02\r\n\r\n",
    "a TLS greeting": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "a request line of two words": b"POST /webapi/api/Batch\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown version": b"GET /webapi/api/Ping HTTP/9.9\r\nHost: b\r\n\r\n",
    "a header without a colon": POST + b"Authorization Bearer token1\r\n\r\n",
    "a header with a control character": POST + b"Authorization: Bearer \x00\r\n\r\n",
    "a header of a hundred kilobytes": POST + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    "a path of a hundred kilobytes": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: b\r\n\r\n",
    "an address that is none": b"GET http://[::1 HTTP/1.1\r\nHost: b\r\n\r\n",
    "a negative length": POST + CREDENTIALS + b"Content-Length: -2\r\n\r\n{}",
    "a length that is no number": POST + CREDENTIALS + b"Content-Length: two\r\n\r\n{}",
    "two lengths": POST + CREDENTIALS + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": POST + CREDENTIALS + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is no number": POST + CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    "a chunk longer than it said": POST + CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a huge chunk size": POST + CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\n" + b"F" * 40 + b"\r\n{}",
    "a thousand headers too many": POST + b"".join(b"X-%d: x\r\n" % n for n in range(40_000)) + b"\r\n",
}


@pytest.mark.parametrize("request_bytes", IMPROPER.values(), ids=IMPROPER)
def test_improper_http_is_refused_in_the_legacy_shape(bridge: Any, request_bytes: bytes) -> None:
    """An answer about the whole batch that quotes nothing of the request; the next caller is served."""
    answer = talk(bridge, request_bytes)
    check_tame(answer)
    assert status_of(answer) in (400, 401)
    check_refusal(answer)
    assert b"x" * 20 not in answer
    assert b"Bearer token1" not in answer
    check_alive(bridge)


def check_refusal(answer: bytes) -> None:
    """Check that an answer refuses the batch as a whole, and says one thing."""
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    ((where, at, message),) = [tuple(line.values()) for line in body.pop("errors")]
    assert (where, at, body) == ("batch", 0, {"statuscode": 2, "responses": []})
    assert message


def test_what_is_too_long_is_told_apart(bridge: Any) -> None:
    """Somebody with a very long header need not look for a fault in their HTTP."""
    assert b"too long: shorten it" in talk(bridge, IMPROPER["a header of a hundred kilobytes"])
    assert b"not proper HTTP" in talk(bridge, IMPROPER["a header without a colon"])


def test_improper_http_is_counted_and_is_no_fault_of_the_bridge(bridge: Any) -> None:
    """One line at level info, one count under a route of its own; no stack trace."""
    talk(bridge, IMPROPER["a header without a colon"])
    answer = talk(bridge, b"GET /metrics HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
    assert b'bridge_http_requests_total{route="malformed",status="400"}' in answer
    lines = [line for line in bridge.events("request_answered") if line["route"] == "malformed"]
    assert {line["level"] for line in lines} == {"info"}
    assert bridge.events("library_message") == []


ODD = {
    "HTTP/1.0": b"POST /webapi/api/Batch HTTP/1.0\r\n" + CREDENTIALS + b"Content-Length: 2\r\n\r\n{}",
    "chunks": POST + CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\nTrailer: t\r\n\r\n",
    "no content type": POST + CREDENTIALS + b"Content-Length: 2\r\n\r\n{}",
    "names in another letter case": b"pOsT".upper()
    + b" /WEBAPI/api/bAtCh/?SENDERID=ERP-1 HTTP/1.1\r\nhOST: b\r\ncONNECTION: close\r\nAUTHORIZATION: bEARER token1\r\n"
    + b"content-LENGTH: 2\r\n\r\n{}",
    "an absolute address": POST.replace(b"/webapi", b"http://b/webapi") + CREDENTIALS + b"Content-Length: 2\r\n\r\n{}",
    "a type nobody can read": POST + CREDENTIALS + b'Content-Type: ;;="\r\nContent-Length: 2\r\n\r\n{}',
    "an upgrade nobody offers": POST.replace(b"close", b"Upgrade")
    + b"Upgrade: h2c\r\nConnection: close\r\n"
    + CREDENTIALS
    + b"Content-Length: 2\r\n\r\n{}",
    "two senderids, the last one known": POST.replace(b"Batch", b"Batch?senderid=x&SenderID=ERP-1")
    + CREDENTIALS
    + b"Content-Length: 2\r\n\r\n{}",
    "many headers": POST
    + CREDENTIALS
    + b"".join(b"X-%d: x\r\n" % n for n in range(90))
    + b"Content-Length: 2\r\n\r\n{}",
    "headers in latin-1": POST + CREDENTIALS + b"X-Name: \xe6\xf8\xe5\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("request_bytes", ODD.values(), ids=ODD)
def test_odd_but_proper_http_is_served(bridge: Any, request_bytes: bytes) -> None:
    """What old and strange clients send is a batch like any other."""
    answer = talk(bridge, request_bytes)
    assert (status_of(answer), answer.partition(b"\r\n\r\n")[2]) == (200, TAKEN)


def test_a_caller_that_asks_first_is_told_to_go_on(bridge: Any) -> None:
    """`Expect: 100-continue` is answered before the body is sent."""
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=10) as connection:
        connection.sendall(POST + CREDENTIALS + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue")
        connection.sendall(b"{}")
        answer = b""
        while received := connection.recv(65536):
            answer += received
    assert answer.endswith(TAKEN)


@pytest.mark.parametrize("path", [b"/webapi/api/Batch", b"/nowhere"])
def test_an_unknown_expectation_is_refused(bridge: Any, path: bytes) -> None:
    """417, in the legacy shape, wherever it is sent."""
    head = POST.replace(b"/webapi/api/Batch", path)
    answer = talk(bridge, head + CREDENTIALS + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}")
    check_tame(answer)
    assert status_of(answer) == 417
    check_refusal(answer)
    assert b"tea" not in answer


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /webapi/api/Batch/x", 404),
        (b"GET /%ff%00", 404),
        (b"GET /../../etc/passwd", 404),
        (b"OPTIONS *", 404),
        (b"DELETE /webapi/api/Batch", 405),
        (b"TRACE /webapi/api/Ping", 405),
        (b"POST /hooks/amili", 401),
        (b"PUT /hooks/amili", 405),
    ],
)
def test_other_paths_and_methods_are_refused_in_the_legacy_shape(bridge: Any, line: bytes, status: int) -> None:
    """The answer can be read by whoever reads batch answers."""
    answer = talk(bridge, line + b" HTTP/1.1\r\nHost: b\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
    check_tame(answer)
    assert status_of(answer) == status
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    if not line.startswith(b"POST /hooks"):
        assert body["statuscode"] == 2


@pytest.mark.parametrize(
    "pieces",
    [
        (POST + CREDENTIALS + b"Content-Length: 100\r\n\r\n{",),
        (POST + CREDENTIALS + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",),
        (POST + CREDENTIALS + b"Content-Encoding: gzip\r\nContent-Length: 100\r\n\r\n\x1f\x8b",),
        (POST[:-10],),
    ],
    ids=["a body", "chunks", "packed", "a head"],
)
def test_a_request_that_breaks_off_takes_nothing(bridge: Any, pieces: tuple[bytes, ...]) -> None:
    """A caller that hangs up in the middle gets a 400 or nothing; it is no surprise to the bridge."""
    answer = talk(bridge, *pieces, hang_up=True)
    if answer:
        check_tame(answer)
        assert status_of(answer) == 400
    check_alive(bridge)
    assert '"event":"unexpected"' not in bridge.said


@pytest.mark.parametrize(
    ("head", "rest"),
    [(b"Content-Length: 100\r\n\r\n", b"{"), (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{}}}\r\n")],
    ids=["silence", "a bad chunk"],
)
async def test_a_body_that_stops_coming_is_given_up(monkeypatch: pytest.MonkeyPatch, head: bytes, rest: bytes) -> None:
    """A caller that pauses for too long, or whose chunks aiohttp cannot read any more, is not waited for for ever."""
    from bridge import bodies
    from bridge.middleware import answer_errors

    reading = asyncio.Event()

    async def read(request: web.Request) -> web.Response:
        reading.set()
        return web.Response(body=await bodies.read_bounded(request, 1000))

    monkeypatch.setattr(bodies, "PAUSE_SECONDS", 0.1)
    app = web.Application(middlewares=[answer_errors()])
    app.router.add_post("/webapi/api/Batch", read)
    runner = web.AppRunner(app, lingering_time=0, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        async with asyncio.timeout(5):
            writer.write(POST + head)
            await reading.wait()
            writer.write(rest)
            assert status_of(await reader.readuntil(b"\r\n")) == 400
        writer.close()
    finally:
        await runner.cleanup()


def test_a_body_in_single_bytes_is_a_body(bridge: Any) -> None:
    """However it is cut on the way, it is put together again."""
    body = json.dumps({"batchid": "slow", "offline": True}).encode()
    head = POST + CREDENTIALS + TYPE + b"Content-Length: %d\r\n\r\n" % len(body)
    answer = talk(bridge, head, *(body[at : at + 1] for at in range(len(body))))
    assert status_of(answer) == 200


def test_requests_in_one_go_are_answered_in_order(bridge: Any) -> None:
    """Two requests in one packet are two requests; a bad one between them ends the connection."""
    keep = POST.replace(b"close", b"keep-alive") + CREDENTIALS
    good = keep + b"Content-Length: 2\r\n\r\n{}"
    bad = keep + b"Content-Length: 2\r\n\r\n{["
    ping = b"GET /webapi/api/Ping HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"
    answer = talk(bridge, good + bad + ping)
    statuses = [int(found) for found in re.findall(rb"HTTP/1.1 (\d+)", answer)]
    assert statuses == [200, 400, 200]


def test_half_open_requests_keep_nobody_out(bridge: Any) -> None:
    """Two hundred callers that never finish their request do not slow down the one who does."""
    connections = [socket.create_connection(("127.0.0.1", bridge.port), timeout=10) for _ in range(200)]
    try:
        for connection in connections:
            connection.sendall(POST + CREDENTIALS + b"Content-Length: 1000\r\n\r\n{")
        began = time.monotonic()
        check_alive(bridge)
        assert time.monotonic() - began < 2
    finally:
        for connection in connections:
            connection.close()


def test_what_was_refused_is_not_repeated_in_the_log(bridge: Any) -> None:
    """Neither credentials nor bodies nor queries of improper requests reach the log."""
    for request_bytes in (
        POST + b"Authorization: Bearer s3cr3t\x00\r\n\r\n",
        POST.replace(b"Batch", b"Batch?s3cr3t") + b"Broken s3cr3t\r\n\r\n",
        POST + b"Authorization: Bearer s3cr3t\r\nContent-Length: 6\r\n\r\ns3cr3t",
    ):
        talk(bridge, request_bytes)
    assert "s3cr3t" not in bridge.said
