"""Who may call, what stands at which path, and how refusals look."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.errors import CannotTakeNow

Invoice = Callable[..., dict[str, Any]]


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


async def ask(world: Any, method: str, path: str, **options: Any) -> tuple[int, Any, dict[str, str]]:
    async with world.session.request(method, world.url + path, **options) as response:
        return response.status, await response.read(), dict(response.headers)


@pytest.mark.parametrize("senderid", ["", "ERP-1"])
@pytest.mark.parametrize("authorization", [basic("erp1", "pass1"), "Bearer token1"])
async def test_a_sender_is_known_by_its_credentials(world: Any, senderid: str, authorization: str) -> None:
    """Basic or bearer, with or without its senderid; an empty one counts as left out."""
    assert (await world.post({}, senderid=senderid, Authorization=authorization)).status == 200


@pytest.mark.parametrize(
    ("senderid", "authorization"),
    [
        ("ERP-1", basic("erp1", "wrong")),
        ("NOBODY", basic("erp1", "pass1")),
        ("", "Bearer wrong"),
        ("", ""),
        ("", "Basic %%%"),
    ],
)
async def test_unknown_callers_are_answered_alike(world: Any, senderid: str, authorization: str) -> None:
    """A senderid that does not exist and a wrong password: 401, the same words, and how to authenticate."""
    reply = await world.post({}, senderid=senderid, Authorization=authorization)
    assert (reply.status, reply.code) == (401, 2)
    assert "Basic" in reply.headers["www-authenticate"]
    assert "Bearer" in reply.headers["www-authenticate"]
    assert reply.errors == {("batch", 0): (await world.post({}, bearer="also wrong")).errors["batch", 0]}


async def test_credentials_of_another_sender_are_forbidden(world: Any) -> None:
    """Valid, but not this sender's."""
    reply = await world.post({}, senderid="ERP-2")
    assert (reply.status, reply.code) == (403, 2)


async def test_authentication_comes_before_the_body_is_read(world: Any) -> None:
    """A stranger's unreadable or huge body is not looked at."""
    assert (await world.post(b"nonsense", bearer="wrong")).status == 401
    assert (await world.post(b" " * 5_000_000, bearer="wrong")).status == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/webapi/api/Batches", 404),
        ("DELETE", "/webapi/api/Batch", 405),
        ("PUT", "/webapi/api/Batch", 405),
        ("POST", "/webapi/api/Ping", 405),
    ],
)
async def test_wrong_paths_and_methods_answer_in_the_legacy_shape(
    world: Any, method: str, path: str, status: int
) -> None:
    """Never HTML: the caller parses every answer the same way; 405 says what is allowed."""
    answered, body, headers = await ask(world, method, path)
    assert (answered, json.loads(body)["statuscode"], headers["Content-Type"].split(";")[0]) == (
        status,
        2,
        "application/json",
    )
    assert ("Allow" in headers) == (status == 405)


@pytest.mark.parametrize("path", ["/webapi/api/Ping", "/WEBAPI/API/PING", "/health/live", "/health/ready"])
async def test_ping_and_health_need_no_authentication(world: Any, path: str) -> None:
    """200 with a small JSON body while the bridge can take work."""
    status, body, _ = await ask(world, "GET", path)
    assert (status, json.loads(body)) == (200, {"status": "OK"})


async def test_metrics_count_requests_batches_and_rows(world: Any, invoice: Invoice) -> None:
    """In Prometheus text format, by route, sender and verdict."""
    await world.post({"invoice": [invoice("1"), invoice("2", dueDate="x")]})
    await ask(world, "GET", "/made/up/path")
    status, body, headers = await ask(world, "GET", "/metrics")
    text = body.decode()
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    for line in [
        'bridge_batches_total{sender="ERP-1"} 1.0',
        'bridge_rows_total{sender="ERP-1",verdict="accepted"} 1.0',
        'bridge_rows_total{sender="ERP-1",verdict="refused"} 1.0',
        'bridge_http_requests_total{route="legacy.batch",status="200"} 1.0',
        'bridge_http_requests_total{route="unknown",status="404"} 1.0',
        "bridge_open_batches 0.0",
    ]:
        assert line in text


async def test_the_surface_describes_itself(world: Any) -> None:
    """An OpenAPI document that knows the legacy path."""
    status, body, _ = await ask(world, "GET", "/openapi.json")
    document = json.loads(body)
    assert (status, document["openapi"].startswith("3.")) == (200, True)
    assert any(path.lower() == "/webapi/api/batch" for path in document["paths"])


async def test_without_a_secret_there_is_no_webhook_receiver(open_world: Any, tmp_path: Any) -> None:
    """404, as if the path did not exist."""
    async with open_world(webhook_secrets="[]") as world:
        assert (await ask(world, "POST", "/hooks/amili", data=b"{}"))[0] == 404


async def test_a_webhook_that_is_too_large_is_refused(world: Any) -> None:
    """A hint has no megabytes."""
    assert (await ask(world, "POST", "/hooks/amili", data=io.BytesIO(b" " * 1_100_000)))[0] == 413


async def test_a_full_bridge_asks_to_come_back(open_world: Any, invoice: Invoice) -> None:
    """503 with Retry-After for a new batch; a batch that is open may still be joined."""
    async with open_world(max_open_batches=1, hold_seconds=0.1) as world:
        world.sandbox.play({"behaviour": {"finish_after_seconds": 1.0}})
        batch = {"batchid": "a", "invoice": [invoice("1")]}
        await world.post(batch)
        reply = await world.post({"batchid": "b", "invoice": [invoice("2")]})
        assert (reply.status, reply.code, int(reply.headers["retry-after"]) > 0) == (503, 2, True)
        assert (await world.post(batch)).code == 3
        assert (await ask(world, "GET", "/webapi/api/Ping"))[0] == 503
        assert world.accepted("invoices") == {"erp-1": 1}


async def test_a_journal_that_cannot_be_written_refuses_new_batches(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with Retry-After, nothing is sent, Ping says so; when it works again, the same batch goes through."""
    store = world.bridge.workshop._store
    write = store.write

    async def fail(*changes: object) -> None:
        raise CannotTakeNow("the journal cannot be used now: the disk is full: free some space")

    monkeypatch.setattr(store, "write", fail)
    batch = {"batchid": "b", "invoice": [invoice("1")]}
    reply = await world.post(batch)
    assert (reply.status, reply.code) == (503, 2)
    assert int(reply.headers["retry-after"]) > 0
    assert "disk is full" in reply.errors["batch", 0]
    assert world.writes() == []
    assert (await ask(world, "GET", "/webapi/api/Ping"))[0] == 503
    monkeypatch.setattr(store, "write", write)
    assert (await world.post(batch)).code == 0
    assert (await ask(world, "GET", "/webapi/api/Ping"))[0] == 200


async def test_a_batch_under_way_waits_out_a_journal_in_trouble(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was taken goes on as soon as the journal can be written again; nothing is lost or sent twice."""
    store = world.bridge.workshop._store
    write, failures = store.write, 0

    async def fail_twice(*changes: object) -> None:
        nonlocal failures
        if failures < 2 and not any(type(change).__name__ == "OpenBatch" for change in changes):
            failures += 1
            raise CannotTakeNow
        await write(*changes)

    monkeypatch.setattr(store, "write", fail_twice)
    assert (await world.post({"invoice": [invoice("1")]})).code == 0
    assert failures == 2
    assert len(world.writes()) == 1


async def test_joiners_of_a_batch_that_could_not_be_journalled_hear_of_it(
    world: Any, invoice: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two callers at once, one journal in trouble: both are told to come back."""
    store = world.bridge.workshop._store

    async def fail(*changes: object) -> None:
        await asyncio.sleep(0.05)
        raise CannotTakeNow

    monkeypatch.setattr(store, "write", fail)
    replies = await asyncio.gather(*(world.post({"batchid": "b", "invoice": [invoice("1")]}) for _ in range(3)))
    assert [reply.status for reply in replies] == [503, 503, 503]
    monkeypatch.undo()
