"""Tokens, webhooks, admin endpoints, and the stand-in as a service."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import hmac
import json
import os
import signal
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import LIMITS, SandboxOptions, running, serve
from bridge.sandbox.request_log import Exchange, RequestLog

# --- tokens ---------------------------------------------------------------------------------------------------------


async def test_a_token_has_the_documented_fields(start: Any, fake_time: Any) -> None:
    """The token answer has the documented fields, as numbers."""
    client = await start(clock=fake_time, token_lifetime_seconds=60)
    token = (await client.fetch_token()).json
    assert list(token) == ["access_token", "token_type", "not_before", "expires_in", "expires_on", "resource"]
    assert (token["token_type"], token["expires_in"], token["expires_on"]) == ("Bearer", 60, 1_700_000_060)


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
    ],
)
async def test_a_wrong_grant_or_an_empty_client_gets_no_token(client: Any, form: Any, status: Any, error: Any) -> None:
    """Refusals of the token service are worded as OAuth does."""
    answer = await client.fetch_token(**form)
    assert (answer.status, answer.json) == (status, {"error": error})


async def test_only_configured_clients_get_a_token(start: Any) -> None:
    """With clients given, id and secret must fit."""
    client = await start(clients={"bridge": "right"})
    assert (await client.fetch_token()).status == 401
    assert (await client.fetch_token(client_secret="right")).status == 200
    assert (await client.fetch_token(client_id="other", client_secret="right")).status == 401


async def test_a_token_expires(start: Any, fake_time: Any) -> None:
    """After its lifetime a token is worth nothing, and is forgotten."""
    client = await start(clock=fake_time, token_lifetime_seconds=60)
    assert (await client.get("/batches")).status == 200
    fake_time.seconds += 60
    answer = await client.get("/batches")
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    await client.fetch_token()
    assert len(client.sandbox.stand_in.tokens._expiry) == 1


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", "Basic YTpi"])
async def test_the_api_needs_a_token(client: Any, header: Any) -> None:
    """Without a valid bearer token the API answers 401."""
    answer = await client.request("GET", client.org_url + "/batches", headers={"Authorization": header})
    assert (answer.status, answer.json["summary"]["status"]) == (401, "ERROR")


async def test_all_tokens_can_be_revoked(client: Any) -> None:
    """DELETE /sandbox/tokens makes every token stale."""
    assert (await client.get("/batches")).status == 200
    assert (await client.admin("DELETE", "/tokens")).status == 204
    assert (await client.get("/batches")).status == 401
    client.token = ""
    assert (await client.get("/batches")).status == 200


# --- webhooks -------------------------------------------------------------------------------------------------------


async def settle(client: Any, count: int) -> list[Any]:
    """Look until this many webhooks are written down."""
    shown: list[Any] = []
    while len(shown) < count:
        shown = (await client.admin("GET", "/webhooks")).json["webhooks"]
    return shown


async def test_a_finished_batch_is_told_by_a_signed_webhook(start: Any, receiver: Any, invoice: Any) -> None:
    """BATCH_COMPLETED has the documented headers and envelope, and a signature over its raw body."""
    client = await start(webhook_url=receiver.url, webhook_secret="s3cret")
    batch = await client.create(invoice())
    await receiver.wait_for(1)
    headers, body = receiver.got[0]
    assert headers["X-Amili-Event"] == "BATCH_COMPLETED"
    assert headers["X-Amili-Request-Id"]
    assert headers["X-Webhook-Signature"] == hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
    event = json.loads(body)
    assert list(event) == ["id", "type", "source", "timeStamp", "data"]
    assert (event["id"], event["source"]) == (headers["IdempotencyKey"], "COLLECTION")
    assert event["data"] == {"batchId": batch["batchId"], "organizationId": client.org, "status": "SUCCESS"}
    (delivery,) = await settle(client, 1)
    assert delivery == {
        "event": "BATCH_COMPLETED",
        "batchId": batch["batchId"],
        "key": event["id"],
        "status": 200,
    }


async def test_without_a_secret_a_webhook_is_not_signed(start: Any, receiver: Any, invoice: Any) -> None:
    """No secret, no signature."""
    client = await start(webhook_url=receiver.url)
    await client.create(invoice())
    await receiver.wait_for(1)
    assert "X-Webhook-Signature" not in receiver.got[0][0]


async def test_a_webhook_comes_when_the_batch_finishes_and_not_before(start: Any, receiver: Any, invoice: Any) -> None:
    """A batch that finishes by time tells of it without being asked."""
    client = await start({"behaviour": {"finish_after_seconds": 0.05}}, webhook_url=receiver.url)
    accepted = await client.post("/invoices", {"invoices": [invoice()]})
    assert receiver.got == []
    await receiver.wait_for(1)
    assert (await client.batch(accepted))["status"] == "SUCCESS"


async def test_a_timer_that_fires_early_still_finishes_its_batch(
    start: Any, receiver: Any, invoice: Any, fake_time: Any
) -> None:
    """Where the clock lags behind the timer, the timer decides."""
    client = await start(webhook_url=receiver.url, clock=lambda: 1_700_000_000.0, sleep=fake_time.sleep)
    client.sandbox.play({"behaviour": {"finish_after_seconds": 5}})
    await client.post("/invoices", {"invoices": [invoice()]})
    await receiver.wait_for(1)
    assert fake_time.slept == [5]


async def test_webhooks_are_lost_late_or_doubled(start: Any, receiver: Any, invoice: Any, fake_time: Any) -> None:
    """Copies share key and body; a late one waits; a lost one is only written down."""
    client = await start(webhook_url=receiver.url, sleep=fake_time.sleep)
    client.sandbox.play(
        {
            "fault": [
                {"kind": "webhook", "operation": "invoices", "lost": True, "times": 1},
                {"kind": "webhook", "operation": "invoices", "delay_seconds": 9, "copies": 3, "skip": 1},
            ]
        }
    )
    await client.create(invoice("F-1"))
    await client.create(invoice("F-2"))
    await receiver.wait_for(3)
    assert len({(headers["IdempotencyKey"], body) for headers, body in receiver.got}) == 1
    assert len({headers["X-Amili-Request-Id"] for headers, _ in receiver.got}) == 3
    assert fake_time.slept == [9, 9, 9]
    assert [shown["status"] for shown in await settle(client, 4)] == [None, 200, 200, 200]


async def test_a_receiver_that_is_away_misses_its_webhook(start: Any, invoice: Any, unused_tcp_port: Any) -> None:
    """A webhook that cannot be delivered is not tried again."""
    client = await start(webhook_url=f"http://127.0.0.1:{unused_tcp_port}/hooks")
    await client.create(invoice())
    (delivery,) = await settle(client, 1)
    assert delivery["status"] is None


# --- admin and log --------------------------------------------------------------------------------------------------


async def test_the_state_counts_and_can_be_reset(client: Any, invoice: Any) -> None:
    """GET /sandbox/state counts per organization and kind; DELETE starts over, tokens stay valid."""
    before = await client.create(invoice())
    state = (await client.admin("GET", "/state")).json
    counts = state["organizations"][client.org]
    assert (counts["batches"], counts["invoices"], counts["queued"]) == (1, 1, 0)
    assert counts["accepted"]["invoices"] == 1
    assert state["seed"] == 1
    short = (await client.admin("GET", "/state?ids=false")).json
    assert "acceptedIds" not in short["organizations"][client.org]
    assert (await client.admin("DELETE", "/state")).status == 204
    assert (await client.admin("GET", "/state")).json["organizations"] == {}
    after = await client.create(invoice())
    assert (after["batchId"], after["succeeded"]) == (before["batchId"], before["succeeded"])


async def test_the_log_shows_requests_with_bodies_and_without_secrets(client: Any, invoice: Any) -> None:
    """Each request is logged with status, key, rows and body; credentials and tokens never."""
    await client.post("/invoices", {"invoices": [invoice("F-1"), invoice("F-2")]}, key="k-1")
    await client.post_raw("/invoices", "not json")
    answer = await client.admin("GET", "/requests")
    token, write, broken = answer.json["requests"]
    assert (token["operation"], token["status"], token["body"]) == ("token", 200, None)
    assert (write["method"], write["status"], write["idempotencyKey"], write["rows"]) == ("POST", 202, "k-1", 2)
    assert [row["invoiceNumber"] for row in write["body"]["invoices"]] == ["F-1", "F-2"]
    assert (broken["status"], broken["body"]) == (400, "not json")
    assert "secret" not in answer.text
    assert client.token not in answer.text
    (shown,) = (await client.admin("GET", "/requests?operation=invoices&limit=1&bodies=false")).json["requests"]
    assert (shown["status"], "body" in shown) == (400, False)


def test_the_log_is_bounded_in_number_and_in_bytes() -> None:
    """The oldest exchanges go when the log is full, and the oldest bodies when there are too many bytes."""
    log = RequestLog(size=3, body_bytes=10)
    exchanges = [Exchange(0.0, "invoices", "POST", f"/{number}") for number in range(5)]
    for exchange in exchanges:
        log.append(exchange)
        log.keep_body(exchange, b"1234")
    assert [(kept.path, kept.body) for kept in log.newest()] == [("/2", b""), ("/3", b"1234"), ("/4", b"1234")]
    assert log.total == 5
    small = RequestLog(size=2, body_bytes=1000)
    for exchange in exchanges:
        small.append(exchange)
        small.keep_body(exchange, b"1")
    assert len(small._with_body) == 2


async def test_health_answers_without_a_token(client: Any) -> None:
    """GET /health is a plain ping, and is not logged."""
    answer = await client.request("GET", client.sandbox.url + "/health")
    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert client.sandbox.requests.total == 0


async def test_unknown_paths_and_methods_answer_in_json(client: Any) -> None:
    """aiohttp's own refusals are worded as the API's errors."""
    assert (await client.request("GET", client.sandbox.base_url + "/nothing")).errors == [{"message": "Not Found"}]
    answer = await client.request("GET", client.sandbox.token_url)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_reset_starts_faults_and_webhooks_over(start: Any, receiver: Any, invoice: Any) -> None:
    """After a reset fault counters, webhook keys and the list of deliveries begin anew."""
    client = await start({"fault": [{"kind": "reorder", "operation": "invoices"}]}, webhook_url=receiver.url)
    for count in (1, 2):
        await client.create(invoice())
        await receiver.wait_for(count)
        assert len(await settle(client, 1)) == 1
        assert (await client.admin("GET", "/script")).json["fault"][0]["struck"] == 1
        await client.admin("DELETE", "/state")
    assert len({headers["IdempotencyKey"] for headers, _ in receiver.got}) == 1


# --- the service ----------------------------------------------------------------------------------------------------


async def play_a_day(start: Any, fake_time: Any, invoice: Any) -> tuple[str, ...]:
    """Do the same things each time, under faults, and return everything that was answered."""
    script = {
        "fault": [
            {"kind": "refuse", "operation": "*", "share": 0.3},
            {"kind": "fail", "operation": "batch", "status": 500, "probability": 0.3},
        ]
    }
    client = await start(script, clock=fake_time, seed=42)
    texts = [(await client.fetch_token()).text]
    for number in range(10):
        answer = await client.post("/invoices", {"invoices": [invoice(f"F-{number}-{row}") for row in range(3)]})
        texts.append(answer.json["data"]["batchId"])
        texts.append((await client.get(f"/batches/{texts[-1]}")).text)
    return (*texts, (await client.get("/cases")).text)


async def test_equal_seeds_make_equal_runs(start: Any, fake_time: Any, invoice: Any) -> None:
    """With seed, clock and order of requests the same, every answer is the same, faults included."""
    assert await play_a_day(start, fake_time, invoice) == await play_a_day(start, fake_time, invoice)


async def test_another_seed_makes_other_ids(start: Any, invoice: Any) -> None:
    """Ids depend on the seed."""
    first, second = await start(seed=1), await start(seed=2)
    assert (await first.create(invoice()))["batchId"] != (await second.create(invoice()))["batchId"]


async def test_addresses_are_those_of_the_socket() -> None:
    """Port 0 takes a free port; the addresses name it. IPv6 hosts are bracketed."""
    async with running(SandboxOptions(port=0)) as sandbox:
        assert sandbox.base_url.endswith("/collection/v1")
        assert sandbox.token_url == sandbox.url + "/token"
        assert sandbox.admin_url == sandbox.url + "/sandbox"
        assert ":0/" not in sandbox.base_url


async def test_serving_ends_with_a_signal() -> None:
    """`serve` tells its addresses once they answer, and ends on SIGTERM."""
    told: list[tuple[str, str]] = []
    ready = asyncio.Event()

    def tell(base_url: str, token_url: str) -> None:
        told.append((base_url, token_url))
        ready.set()

    task = asyncio.create_task(serve(SandboxOptions(port=0), ready=tell))
    usual = gc.get_threshold()
    await ready.wait()
    async with aiohttp.ClientSession() as session, session.get(told[0][1].replace("/token", "/health")) as answer:
        assert answer.status == 200
    os.kill(os.getpid(), signal.SIGTERM)
    await task
    assert gc.get_threshold() == usual


async def test_stopping_ends_what_is_still_waiting(invoice: Any, start: Any) -> None:
    """Leaving `running` cancels late acceptances and slow webhooks."""
    script = {"fault": [{"kind": "webhook", "operation": "*", "delay_seconds": 3600}]}
    client = await start(script, webhook_url="http://127.0.0.1:9/")
    await client.create(invoice())
    assert len(client.sandbox.stand_in._tasks) == 1


def test_the_limits_name_what_is_assumed() -> None:
    """The honest text says what is documented, what is assumed and what is not played."""
    for word in ("Documented", "Assumed", "Not played", "seed"):
        assert word in LIMITS
    assert max(map(len, LIMITS.splitlines())) <= 112


def test_options_never_show_their_secrets() -> None:
    """The text of the options holds no secret."""
    assert "hush" not in repr(SandboxOptions(webhook_secret="hush", clients={"hush": "hush"}))
