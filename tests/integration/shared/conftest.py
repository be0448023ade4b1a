"""Batches that the modern system and a legacy host share: a real host on a socket, and callers with both halves."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bridge.batch import OBJECTNAMES, Address, LegacyHalf
from bridge.senders import Sender

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
BATCH_PATH = "/webapi/api/Batch"

Respond = Callable[[web.Request, dict[str, Any]], Any]


@dataclass
class Host:
    """A legacy host: takes rows, refuses those with `wrong` in them, and can be told to behave otherwise."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """Every batch that arrived."""
    raw: list[bytes] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    credentials: list[str | None] = field(default_factory=list)
    script: list[Respond] = field(default_factory=list)
    """What happens to the next batches, each once; then all goes well."""
    taken: Counter[str] = field(default_factory=Counter)
    """How often each row was accepted, by its JSON."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw)
        self.raw.append(raw)
        self.bodies.append(body)
        self.senders.append(request.query.get("senderid", ""))
        self.credentials.append(request.headers.get("Authorization"))
        if self.script:
            answer = self.script.pop(0)(request, body)
            return await answer if asyncio.iscoroutine(answer) else answer  # type: ignore[no-any-return]  # a script's
        return self.accept(body)

    def accept(self, body: dict[str, Any]) -> web.Response:
        """Take what can be taken."""
        errors, responses = [], []
        for name in OBJECTNAMES:
            for index, row in enumerate(body.get(name) or ()):
                place = {"objectname": name, "objectindex": index}
                if "wrong" in row:
                    errors.append(place | {"message": f"legacy says: {row['wrong']}"})
                else:
                    self.taken[json.dumps(row, sort_keys=True)] += 1
                    responses.append(place | {"ledgerref": f"L-{name}-{index}", "status_statuscode": "OK"})
        code = 0 if not errors else 1 if responses else 2
        return web.json_response({"statuscode": code, "errors": errors, "responses": responses})


@asynccontextmanager
async def _serve(host: Host, port: int = 0) -> AsyncIterator[web.AppRunner]:
    app = web.Application(client_max_size=2**26)
    app.router.add_post(BATCH_PATH, host.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield runner
    finally:
        await runner.cleanup()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """A legacy host on a socket."""
    async with _serve(legacy_host := Host()):
        yield legacy_host


@pytest.fixture
def serve_host() -> Callable[..., AbstractAsyncContextManager[web.AppRunner]]:
    """Have a host listen, at a port of the test's choice."""
    return _serve


@dataclass(frozen=True)
class Told:
    """One answer."""

    body: dict[str, Any]
    batch_id: str
    replayed: bool
    raw: bytes

    @property
    def errors(self) -> dict[tuple[str, int], str]:
        return {(one["objectname"], one["objectindex"]): one["message"] for one in self.body["errors"]}

    @property
    def states(self) -> dict[tuple[str, int], str]:
        """`OK`, `PENDING` or `REFUSED` of each row; fails if a row is answered twice."""
        lines = [*self.body["errors"], *self.body["responses"]]
        states = {(one["objectname"], one["objectindex"]): one.get("status_statuscode", "REFUSED") for one in lines}
        assert len(states) == len(lines), "a row is answered twice"
        return states

    @property
    def references(self) -> dict[tuple[str, int], str]:
        return {(one["objectname"], one["objectindex"]): one["ledgerref"] for one in self.body["responses"]}


Post = Callable[..., Any]


@pytest.fixture
def post() -> Post:
    """Hand a batch in as the crossing does: which rows the legacy host decides, and the caller's credentials."""

    async def send(
        world: Any,
        batch: dict[str, Any],
        legacy: Mapping[tuple[str, int], str],
        *,
        authorization: str = "Bearer the-callers",
        sender: str = "ERP-2",
        hold_seconds: float = 20,
    ) -> Told:
        caller = Sender(sender, "autocollect", (ORG_A, ORG_B), hold_seconds, "unique", 24)
        rows = {Address(*place): organization for place, organization in legacy.items()}
        pipeline = world.bridge.pipeline
        ticket = await pipeline.take(caller, json.dumps(batch).encode(), LegacyHalf(rows, authorization))
        answer = await pipeline.redeem(ticket)
        return Told(json.loads(answer.reply), answer.batch_id, answer.replayed, answer.reply)

    return send


@pytest.fixture
def open_shared(open_world: Any, host: Host) -> Callable[..., AbstractAsyncContextManager[Any]]:
    """Open a bridge that knows the host."""

    @asynccontextmanager
    async def opened(**settings: Any) -> AsyncIterator[Any]:
        timeout = settings.pop("host_timeout_seconds", 5)
        more = f'[legacy]\nbase_url = "{host.url}"\nrequest_timeout_seconds = {timeout}\n' + str(
            settings.pop("more", "")
        )
        async with AsyncExitStack() as stack:
            yield await stack.enter_async_context(open_world(more=more, **settings))

    return opened


@pytest.fixture
async def shared(open_shared: Any) -> AsyncIterator[Any]:
    """A bridge with quick settings, a sandbox and a legacy host."""
    async with open_shared() as world:
        yield world


@pytest.fixture
def mixed(invoice: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """A batch with rows of two organizations: A is modern, B on the legacy host."""
    return {
        "batchid": "mixed",
        "creditor": [{"idnumber": "971274190"}, {"idnumber": "984842252"}],
        "invoice": [
            invoice("1", creditorid="984842252"),
            {"creditorid": "971274190", "invoiceNumber": "B1", "odd": [1.50, {"x": "ø"}]},
            invoice("2", creditorid="984842252"),
            {"creditorid": "971274190", "invoiceNumber": "B2", "wrong": "no such debtor"},
        ],
        "payment": [
            {"creditorid": "971274190", "invoiceNumber": "B1", "amount": 5},
            {"creditorid": "984842252", "invoiceNumber": "1", "amount": 10},
        ],
        "action": [{"creditorid": "971274190", "ledgerref": "L", "actiontype": 1}],
    }


@pytest.fixture
def of_b() -> dict[tuple[str, int], str]:
    """The rows of that batch that the legacy host decides."""
    places = [("creditor", 0), ("invoice", 1), ("invoice", 3), ("payment", 0), ("action", 0)]
    return dict.fromkeys(places, ORG_B)
