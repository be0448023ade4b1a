"""The legacy host does not answer as it should: what never arrived is sent again, what may have is never."""

from __future__ import annotations

import asyncio
import shutil
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge.batch import LEGACY, Address, CallState
from bridge.calls.keyring import Keyring
from bridge.journal import PlaceOrder, Settlement
from bridge.journal.opening import open_office

ROOT = Path(__file__).resolve().parents[3]
ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
Script = Callable[[web.Request, dict[str, Any]], Any]


def answer(status: int, body: object = None, **headers: str) -> Script:
    return lambda *_: web.json_response(body, status=status, headers=headers)


def cut(host: Any, *, accepted: bool) -> Script:
    """Break the connection, before or after the batch was taken."""

    def respond(request: web.Request, body: dict[str, Any]) -> web.Response:
        if accepted:
            host.accept(body)
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return respond


async def legacy_call(world: Any, batch_id: str) -> Any:
    """Return the newest call for the legacy host."""
    stored = await world.books.load(batch_id)
    return [call for call in stored.calls if call.operation == LEGACY.name][-1]


async def place(folder: Path, batch_id: str, settlement: Settlement, rows: Any) -> None:
    """Settle rows as the command line does."""
    office = open_office(f"sqlite:///{folder}/bridge.db", base=folder)
    try:
        addresses = tuple(Address(*row) for row in rows)
        await office.write(PlaceOrder("o", batch_id, addresses, settlement, "Kari", "looked there", time.time()))
    finally:
        await office.close()


async def until_over(world: Any, batch_id: str) -> None:
    async with asyncio.timeout(10):
        while (await world.books.load(batch_id)).batch.reply is None:  # noqa: ASYNC110 - the journal rings no bell
            await asyncio.sleep(0.005)


# --- certainly not taken --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_host_is_asked_again(
    shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, status: int
) -> None:
    """What it says it has not taken is sent again, after the time it asks for, and taken once."""
    host.script += [answer(status, **{"Retry-After": "0.05"}), answer(status)]
    told = await post(shared, mixed, of_b)
    assert told.states["invoice", 1] == "OK"
    assert len(host.bodies) == 3
    assert max(host.taken.values()) == 1
    attempts = [one for one in await shared.books.attempts(told.batch_id) if f"HTTP {status}" in one.why]
    assert [one.state for one in attempts] == [CallState.PLANNED] * 2


async def test_a_host_that_is_down_is_waited_for_and_the_caller_told_what_is_known(
    shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, monkeypatch: pytest.MonkeyPatch, serve_host: Any
) -> None:
    """At its deadline the caller gets PENDING for these rows alone; sent again, the batch is joined, and final."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    monkeypatch.setattr(shared.bridge.workshop._worker._delivery._relay, "_base_url", f"http://127.0.0.1:{port}")
    told = await post(shared, mixed, of_b, hold_seconds=0.5)
    assert {place for place, state in told.states.items() if state == "PENDING"} == set(of_b)
    assert told.states["invoice", 0] == "OK"
    assert (await legacy_call(shared, told.batch_id)).state is CallState.PLANNED
    async with serve_host(host, port):
        again = await post(shared, mixed, {})
    assert (again.batch_id, again.replayed) == (told.batch_id, True)
    assert set(again.states.values()) == {"OK", "REFUSED"}
    assert len(host.bodies) == 1


async def test_a_host_that_stays_away_for_too_long_refuses_nothing_in_silence(
    shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the budget is spent the rows are refused as not submitted: they may be sent again in a new batch."""
    monkeypatch.setattr(shared.bridge.workshop._worker._delivery, "_retry_seconds", 0.0)
    host.script += [answer(503)]
    told = await post(shared, mixed, of_b)
    assert set(told.errors) == set(of_b)
    assert {text.partition(" (")[0] for text in told.errors.values()} == {
        "not submitted: the legacy host did not take it in time"
    }
    assert (await legacy_call(shared, told.batch_id)).state is CallState.REFUSED


# --- refused as a whole ---------------------------------------------------------------------------------------------

WHOLE = {"StatusCode": 2, "Errors": [{"ObjectName": "Batch", "ObjectIndex": 0, "Message": "Kundenr mangler"}]}


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (400, WHOLE, "Kundenr mangler"),
        (422, {"oops": 1}, "the legacy host refused it with HTTP 422"),
        (401, None, "the legacy host refused the credentials this row was sent with (HTTP 401); correct them there"),
        (403, WHOLE, "the legacy host refused the credentials this row was sent with (HTTP 403): Kundenr mangler"),
    ],
)
async def test_a_refusal_of_the_whole_half_refuses_its_rows_alone(
    shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, status: int, body: object, text: str
) -> None:
    """Its rows get the host's own words where it has some; the other half is none of its business."""
    host.script.append(answer(status, body))
    told = await post(shared, mixed, of_b)
    assert set(told.errors) == set(of_b)
    assert all(error.startswith(text) for error in told.errors.values())
    assert told.states["payment", 1] == "OK"
    assert len(host.bodies) == 1


# --- in doubt -------------------------------------------------------------------------------------------------------

DOUBTS: dict[str, Callable[[Any], Script]] = {
    "the connection broke before": partial(cut, accepted=False),
    "the connection broke after": partial(cut, accepted=True),
    "a fault of the host": lambda host: answer(500, {"message": "boom"}),
    "a gateway in between": lambda host: answer(502),
    "a redirect": lambda host: answer(302, Location="/elsewhere"),
    "a conflict": lambda host: answer(409),
    "an answer that is none": lambda host: (
        lambda *_: web.Response(text="<html>welcome</html>", content_type="text/html")
    ),
    "an answer about something else": lambda host: answer(200, {"hello": 1}),
    "an empty answer": lambda host: lambda *_: web.Response(status=204),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_what_may_have_arrived_is_never_sent_again(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, wait_until: Any, doubt: str
) -> None:
    """Its rows stay pending, in doubt, at once and over restarts; nobody waits for them, and the host hears no more."""
    host.script.append(DOUBTS[doubt](host))
    async with open_shared() as world:
        told = await asyncio.wait_for(post(world, mixed, of_b), 10)
        await wait_until(lambda: not world.bridge.workshop._tasks)
        assert {place for place, state in told.states.items() if state == "PENDING"} == set(of_b)
        assert told.states["invoice", 0] == "OK"
        assert (await legacy_call(world, told.batch_id)).state is CallState.IN_DOUBT
        assert dict(await world.books.doubts()) == {ORG_B: len(of_b)}
    async with open_shared() as world:
        again = await asyncio.wait_for(post(world, mixed, {}), 10)
        assert (again.batch_id, again.states) == (told.batch_id, told.states)
        ledger = await world.ledger()
        assert ledger.in_doubt_rows == tuple((told.batch_id, Address(*place)) for place in of_b)
        assert len(host.bodies) == 1


async def test_a_host_that_falls_silent_leaves_its_rows_in_doubt(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any
) -> None:
    """After `legacy.request_timeout_seconds` nobody waits for it any longer."""
    over = asyncio.Event()

    async def fall_silent(*_: Any) -> web.Response:
        await over.wait()
        return web.Response()

    host.script.append(fall_silent)
    async with open_shared(host_timeout_seconds=0.3) as world:
        told = await post(world, mixed, of_b)
        call = await legacy_call(world, told.batch_id)
        assert (call.state, call.why) == (
            CallState.IN_DOUBT,
            "the exchange with the legacy host broke (SocketTimeoutError)",
        )
        over.set()


@pytest.mark.parametrize("settlement", Settlement)
async def test_an_operator_settles_what_is_in_doubt(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, settlement: Settlement
) -> None:
    """Accepted and refused send nothing; a resend goes once, under the credentials at hand, and its answer counts."""
    host.script.append(cut(host, accepted=False))
    async with open_shared() as world:
        told = await post(world, mixed, of_b)
        await place(world.folder, told.batch_id, settlement, of_b)
        await until_over(world, told.batch_id)
        final = await post(world, mixed, {})
        expected = {"accepted": "OK", "refused": "REFUSED", "resend": "OK"}[settlement]
        assert {final.states[row] for row in of_b if row != ("invoice", 3)} == {expected}
        assert len(host.bodies) == (2 if settlement is Settlement.RESEND else 1)
        if settlement is Settlement.RESEND:
            assert host.bodies[0] == host.bodies[1]
            assert host.credentials == ["Bearer the-callers"] * 2
        else:
            assert final.references.get(("invoice", 0)) == "erp-1"
        order = (await world.books.orders(told.batch_id))[0]
        assert order.result.startswith(f"{settlement.value}: creditor 0, invoice 1")


async def test_rows_that_the_host_leaves_open_may_wait_for_an_operator(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, tmp_path: Path
) -> None:
    """A profile may say so of what the host calls pending; sent again, they travel without those that are decided."""

    def tell(_: Any, body: dict[str, Any]) -> web.Response:
        lines = [
            {"objectname": name, "objectindex": index, "status_statuscode": "pending" if name == "invoice" else "OK"}
            for name in ("creditor", "invoice", "payment", "action")
            for index, _ in enumerate(body[name])
        ]
        return web.json_response({"statuscode": 3, "errors": [], "responses": lines})

    host.script.append(tell)
    mappings = shutil.copytree(ROOT / "mappings", tmp_path / "mappings")
    reply = mappings / "autocollect" / "reply.toml"
    reply.write_text(reply.read_text().replace('pending = "accepted" ', 'pending = "in doubt" '))
    async with open_shared(mappings=mappings) as world:
        told = await post(world, mixed, of_b)
        assert {row for row, state in told.states.items() if state == "PENDING"} == {("invoice", 1), ("invoice", 3)}
        await place(world.folder, told.batch_id, Settlement.RESEND, [("invoice", 1), ("invoice", 3)])
        await until_over(world, told.batch_id)
        assert [len(body[name]) for body in host.bodies for name in ("invoice", "payment")] == [2, 1, 2, 0]
        final = await post(world, mixed, {})
        assert final.references["invoice", 1] == "L-invoice-0"
        assert final.errors["invoice", 3] == "legacy says: no such debtor"


# --- restarts, and whose credentials --------------------------------------------------------------------------------

AWAY = {"Retry-After": "60"}
STRANGER = """
[[sender]]
id = "JWT"
organizations = ["3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"]
jwt = { jwks_url = "http://127.0.0.1:9/", issuer = "i", audience = "a" }
"""


async def test_a_planned_half_is_sent_after_a_restart_under_the_configured_credentials(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any
) -> None:
    """What never left is sent by the next start; what the caller showed is not in the journal, the sender's own is."""
    host.script.append(answer(503, **AWAY))
    async with open_shared() as world:
        told = await post(world, mixed, of_b, hold_seconds=0.3)
        assert told.states["invoice", 1] == "PENDING"
        files = [path.read_bytes() for path in world.folder.iterdir() if path.name.startswith("bridge.db")]
        assert not any(b"the-callers" in file for file in files)
    async with open_shared() as world:
        final = await post(world, mixed, {}, authorization="")
        assert final.states["invoice", 1] == "OK"
    assert host.credentials[0] == "Bearer the-callers"
    assert host.credentials[1] in {"Basic ZXJwMjpwYXNzMg==", None}
    assert len(host.bodies) == 2


async def test_lost_credentials_come_back_with_the_caller(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any
) -> None:
    """A sender whose credentials nobody else knows shows them once more by sending the batch again."""
    host.script.append(answer(503, **AWAY))
    async with open_shared(more=STRANGER) as world:
        await post(world, mixed, of_b, sender="JWT", hold_seconds=0.3)
    async with open_shared(more=STRANGER) as world:
        final = await post(world, mixed, {}, sender="JWT", authorization="Bearer fresh")
        assert final.states["invoice", 1] == "OK"
    assert host.credentials == ["Bearer the-callers", "Bearer fresh"]


async def test_without_credentials_what_never_left_is_refused_after_a_while(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody comes again: its rows are refused as not submitted, and nothing is sent."""
    host.script.append(answer(503, **AWAY))
    async with open_shared(more=STRANGER) as world:
        told = await post(world, mixed, of_b, sender="JWT", hold_seconds=0.3)
    monkeypatch.setattr("bridge.assembly.crew.Keyring", partial(Keyring, wait_seconds=0.1))
    async with open_shared(more=STRANGER) as world:
        await until_over(world, told.batch_id)
        final = await post(world, mixed, {}, sender="JWT")
        assert set(final.errors) == set(of_b)
        assert all(text.startswith("not submitted: the bridge was restarted") for text in final.errors.values())
    assert len(host.bodies) == 1


async def test_a_half_cut_off_while_it_was_sent_is_in_doubt(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, wait_until: Any
) -> None:
    """Stopped in the middle of the exchange: the next start sends nothing, and says so in the record of attempts."""
    over = asyncio.Event()

    async def dwell(_: Any, body: dict[str, Any]) -> web.Response:
        await over.wait()
        response: web.Response = host.accept(body)
        return response

    host.script.append(dwell)
    async with open_shared(drain_seconds=0.1) as world:
        told = await post(world, mixed, of_b, hold_seconds=0.3)
        await wait_until(lambda: host.bodies)
        assert world.bridge.dispatch.is_sending(told.batch_id)
    over.set()
    async with open_shared() as world:
        again = await post(world, mixed, {})
        assert again.states["invoice", 1] == "PENDING"
        call = await legacy_call(world, told.batch_id)
        assert call.why == "the bridge stopped while this was being sent to the legacy host"
    assert len(host.bodies) == 1


async def test_the_stop_waits_for_an_answer_that_is_on_its_way(
    open_shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, wait_until: Any
) -> None:
    """An exchange that ends within the time of the stop is written down: nothing is in doubt afterwards."""

    async def dwell(_: Any, body: dict[str, Any]) -> web.Response:
        await asyncio.sleep(0.5)
        response: web.Response = host.accept(body)
        return response

    host.script.append(dwell)
    async with open_shared() as world:
        told = await post(world, mixed, of_b, hold_seconds=0.2)
        await wait_until(lambda: host.bodies)
    async with open_shared() as world:
        assert (await world.ledger()).in_doubt == 0
        assert (await post(world, mixed, {})).batch_id == told.batch_id
    assert len(host.bodies) == 1


# --- what may be seen of it -----------------------------------------------------------------------------------------


async def test_the_hosts_words_and_the_callers_credentials_are_in_no_log(
    shared: Any, host: Any, post: Any, mixed: Any, of_b: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its messages reach the caller; no log line and no figure holds one, or an Authorization header."""
    secret = "Ola Nordmann skylder 1250,50"
    host.script.append(answer(400, {"statuscode": 2, "errors": [{"message": secret}]}))
    told = await post(shared, mixed, of_b)
    assert set(told.errors.values()) == {secret}
    logged = "".join(capfd.readouterr()) + shared.bridge.metrics.render().decode()
    assert "Nordmann" not in logged
    assert "the-callers" not in logged
