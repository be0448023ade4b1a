"""A bridge before a legacy host that is nothing but a socket: what arrives is kept, what it answers is given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import yarl

from bridge.app import Environment
from bridge.journal import SetSwitch
from bridge.modes import Mode, Switch

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
CREDITOR_A, CREDITOR_B = "984842252", "971274190"


@dataclass(frozen=True)
class Arrived:
    """One request as the legacy host has got it."""

    line: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: str) -> bytes:
        """Return a header; empty when it is not there."""
        return {key.lower(): value for key, value in self.headers}.get(name.encode(), b"")

    @property
    def batch(self) -> dict[str, Any]:
        """Return the batch it brought."""
        batch: dict[str, Any] = json.loads(self.body)
        return batch

    @property
    def batchid(self) -> str:
        """Return what its sender calls the batch."""
        return str(self.batch["batchid"])


Behave = Callable[[Arrived], bytes | Awaitable[bytes]]


def reply_to(arrived: Arrived) -> bytes:
    """Answer a batch as the legacy host would: every row accepted, under a reference of its own."""
    rows = [
        {"objectname": name, "objectindex": index, "ledgerref": f"L-{name}-{index}", "status_statuscode": "OK"}
        for name in ("creditor", "invoice", "payment", "action")
        for index, _ in enumerate(arrived.batch.get(name) or ())
    ]
    return respond(json.dumps({"statuscode": 0, "errors": [], "responses": rows}).encode())


def respond(body: bytes) -> bytes:
    """Return the bytes of an answer."""
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json; charset=utf-8", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class LegacyHost:
    """A legacy host on a socket."""

    url: str = ""
    behave: Behave = reply_to
    arrived: list[Arrived] = field(default_factory=list)
    go_away: Callable[[], None] = lambda: None
    """Has nobody reach it any more."""

    @property
    def batchids(self) -> list[str]:
        """Return what the batches that arrived are called, in the order of their arrival."""
        return [one.batchid for one in self.arrived]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests; one whose answer says `Connection: close` is the last."""
        try:
            while (arrived := await read_request(reader)) is not None:
                self.arrived.append(arrived)
                answer = self.behave(arrived)
                writer.write(answer if isinstance(answer, bytes) else await answer)
                await writer.drain()
                if b"connection: close" in answer_head(writer, answer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def answer_head(_: asyncio.StreamWriter, answer: object) -> bytes:
    return answer.partition(b"\r\n\r\n")[0].lower() if isinstance(answer, bytes) else b""


async def read_request(reader: asyncio.StreamReader) -> Arrived | None:
    """Read one request; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head[:-4].split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (one.partition(b":") for one in lines)]
    known = {name.lower(): value for name, value in headers}
    if b"chunked" in known.get(b"transfer-encoding", b""):
        return Arrived(line, headers, await read_chunks(reader))
    return Arrived(line, headers, await reader.readexactly(int(known.get(b"content-length", b"0"))))


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


@asynccontextmanager
async def listening(host: LegacyHost) -> AsyncIterator[LegacyHost]:
    """Have a legacy host listen."""
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0, limit=2**26)
    host.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    host.go_away = server.close
    try:
        yield host
    finally:
        server.close()


@dataclass
class Crossed:
    """A bridge between an ERP, a legacy host, and the modern system."""

    world: Any
    host: LegacyHost

    async def switch(
        self, organization: str, mode: Mode, *, other: Mode | None = None, percent: float = 0, recording: bool = False
    ) -> None:
        """Switch an organization, as `bridge mode set` does."""
        journal = self.world.bridge.pipeline._books
        number = {one.organization: one.number for one in await journal.switches()}.get(organization, 0)
        switch = Switch(organization, mode, other, percent, recording, at=1.0, actor="test", reason="test")
        await journal.write(SetSwitch(switch, number))
        await self.world.bridge.steering.switchboard.refresh()

    async def raw(self, request: bytes, *, direct: bool = False) -> bytes:
        """Send bytes to the bridge, or to the legacy host itself; return all that come back until it hangs up."""
        port = yarl.URL(self.host.url if direct else self.world.url).port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(-1), 10)
        writer.close()
        return answer

    @property
    def modern(self) -> list[str]:
        """Return the unique ids of the invoices that the modern system has got, organization A's first."""
        found = [self.world.accepted("invoices", organization) for organization in (ORG_A, ORG_B)]
        return [unique_id for tally in found for unique_id in tally.elements()]


Serve = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class SocketHost:
    """A legacy host whose connections are served by their number, from 1: byte by byte, for better or worse."""

    def __init__(self, serve: Serve) -> None:
        self.url = ""
        self.connections = 0
        self._serve = serve
        self._tasks: set[asyncio.Task[Any]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await self._serve(self.connections, reader, writer)
        writer.close()

    @asynccontextmanager
    async def listen(self) -> AsyncIterator[SocketHost]:
        """Listen meanwhile."""
        server = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            await asyncio.wait_for(asyncio.gather(*self._tasks), 10)  # the bridge is closed: so are its connections


@pytest.fixture
def socket_host() -> Callable[[Serve], AbstractAsyncContextManager[SocketHost]]:
    """Have a legacy host listen that serves its connections with a function."""
    return lambda serve: SocketHost(serve).listen()


OpenCrossing = Callable[..., AbstractAsyncContextManager[Crossed]]


@pytest.fixture
def open_crossing(open_world: Any) -> OpenCrossing:
    """Return a function that starts a bridge before a legacy host; every organization begins in `first_mode`."""

    @asynccontextmanager
    async def opened(
        *,
        host: LegacyHost | None = None,
        first_mode: str = "legacy",
        legacy: str = "",
        cutover: str = "",
        more: str = "",
        **options: Any,
    ) -> AsyncIterator[Crossed]:
        async with AsyncExitStack() as stack:
            there = await stack.enter_async_context(listening(LegacyHost())) if host is None else host
            tables = f'[legacy]\nbase_url = "{there.url}"\n{legacy}\n[cutover]\nfirst_mode = "{first_mode}"\n{cutover}'
            world = await stack.enter_async_context(open_world(more=f"{tables}\n{more}", **options))
            yield Crossed(world, there)

    return opened


@pytest.fixture
def batch(invoice: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Make batches of one invoice of creditor A, unless rows are given."""

    def make(name: str, *rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return {"batchid": name, "invoice": list(rows) or [invoice(name, creditorid=CREDITOR_A)], **fields}

    return make


@dataclass
class Clock:
    """A clock that tests set."""

    now: float = 1_800_000_000.0

    @property
    def environment(self) -> Environment:
        """Return what a bridge takes for the outside."""
        return Environment(clock=lambda: self.now)


@pytest.fixture
def clock() -> Clock:
    """A clock to be set."""
    return Clock()
