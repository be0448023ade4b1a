"""What the fault script can do to a request."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from bridge.sandbox import Script, read_script
from bridge.sandbox.faults import Deck


def fault(kind: str, operation: str | list[str] = "invoices", **more: object) -> dict[str, Any]:
    return {"fault": [{"kind": kind, "operation": operation, **more}]}


async def wait_for(client: Any, condition: Callable[[], object]) -> None:
    """Look until the condition holds, each look a round trip to the stand-in."""
    while not condition():
        await client.request("GET", client.sandbox.url + "/health")


async def test_matching_rows_are_refused_with_the_given_text(start: Any, invoice: Any) -> None:
    """A refuse fault fails the rows that match, and only those."""
    client = await start(fault("refuse", where={"invoiceNumber": "BAD-*"}, text="debtor is under guardianship"))
    batch = await client.create(invoice("F-1"), invoice("BAD-2"), invoice("F-3"))
    assert batch["failed"] == [{"index": 1, "invoiceNumber": "BAD-2", "message": "debtor is under guardianship"}]
    assert [entry["invoiceNumber"] for entry in batch["succeeded"]] == ["F-1", "F-3"]
    assert len(client.sandbox.state.account(client.org).invoices) == 2


@pytest.mark.parametrize(
    ("style", "told"),
    [
        ("message", {"message": "no"}),
        ("error", {"error": "no"}),
        ("reason", {"reason": "no"}),
        ("description", {"description": "no"}),
        ("detail", {"detail": "no"}),
        ("errors-text", {"errors": ["no"]}),
        ("errors-object", {"errors": [{"field": "vat", "code": "X", "message": "no"}]}),
    ],
)
async def test_failed_entries_come_in_every_shape_a_vendor_might_choose(
    start: Any, invoice: Any, style: Any, told: Any
) -> None:
    """The behaviour chooses where an entry says why, whether it has an index, and whether it repeats source ids."""
    script = fault("refuse", rows=[1], text="no", field="vat", code="X")
    client = await start({**script, "behaviour": {"failed_entry": style}})
    batch = await client.create(invoice("F-1"), invoice("F-2"))
    assert batch["failed"] == [{"index": 1, "invoiceNumber": "F-2"} | told]
    client.sandbox.play({**script, "behaviour": {"failed_entry": style, "entry_index": False, "echo_source_ids": True}})
    batch = await client.create(invoice("F-3"), invoice("F-4"))
    assert batch["failed"] == [{"invoiceNumber": "F-4", "uniqueSourceInvoiceId": "erp-F-4"} | told]
    assert batch["succeeded"][0]["uniqueSourceInvoiceId"] == "erp-F-3"


@pytest.mark.parametrize(
    ("where", "struck"),
    [
        ({"invoiceNumber": "F-1"}, True),
        ({"invoiceNumber": "f-1"}, False),
        ({"invoiceNumber": "re:^F-\\d$"}, True),
        ({"originalInvoiceAmount": "1250"}, True),
        ({"vat": "true"}, True),
        ({"debtors[].firstname": "Ka?i"}, True),
        ({"debtors.firstname": "Kari"}, True),
        ({"debtors[].shoeSize": "*"}, False),
        ({"type": "PAYMENT_REMINDER", "currency": "SEK"}, False),
        ({"*": "Nordmann"}, True),
        ({"*": "Svensson"}, False),
    ],
)
async def test_rows_are_matched_by_glob_or_regular_expression_on_any_field(
    start: Any, invoice: Any, where: Any, struck: Any
) -> None:
    """All conditions of a fault must hold for a row; a path walks through arrays; `*` looks everywhere."""
    client = await start(fault("refuse", where=where))
    batch = await client.create(invoice("F-1"))
    assert batch["status"] == ("FAILED" if struck else "SUCCESS")


async def test_refused_payments_corrections_and_case_actions_change_nothing(start: Any, invoice: Any) -> None:
    """A refuse fault holds back any kind of row."""
    client = await start(fault("refuse", ["payments", "corrections", "withdraw"]))
    invoice_id = (await client.create(invoice()))["succeeded"][0]["invoiceId"]
    case_id = (await client.get("/cases")).json["data"][0]["caseId"]
    row = {"invoiceId": invoice_id, "amount": 1}
    for path, body in [
        ("/payments", {"payments": [row]}),
        ("/corrections", {"corrections": [row]}),
        (f"/cases/{case_id}/withdraw", {}),
    ]:
        assert (await client.batch(await client.post(path, body)))["status"] == "FAILED"
    (case,) = (await client.get("/cases", Status="OPEN")).json["data"]
    assert case["invoices"][0]["remainingAmount"] == 1250


async def test_a_call_fails_with_any_status_and_retry_after(start: Any, invoice: Any) -> None:
    """A fail fault answers its status and keeps nothing; `times` ends it."""
    client = await start(fault("fail", status=429, retry_after_seconds=7, times=2))
    for _ in range(2):
        answer = await client.post("/invoices", {"invoices": [invoice()]}, key="k")
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert client.sandbox.state.account(client.org).batches == []
    assert (await client.post("/invoices", {"invoices": [invoice()]}, key="k")).status == 202


async def test_a_call_can_fail_although_it_was_accepted(start: Any, invoice: Any) -> None:
    """A fail after acceptance keeps the batch; the same key then gets its answer."""
    client = await start(fault("fail", status=504, when="after", times=1))
    assert (await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")).status == 504
    again = await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")
    assert [again.json["data"]["batchId"]] == [batch.id for batch in client.sandbox.state.account(client.org).batches]


@pytest.mark.parametrize("kind", ["slow", "reset"])
async def test_a_call_is_accepted_though_the_caller_has_hung_up(start: Any, invoice: Any, kind: Any) -> None:
    """A caller that loses patience during a slow answer does not undo the call."""
    gate = Gate()
    client = await start(sleep=gate.sleep)
    await client.get("/batches")
    slow = {"kind": "slow", "operation": "invoices", "seconds": 60}
    client.sandbox.play({"fault": [slow] + ([fault("reset", when="after")["fault"][0]] if kind == "reset" else [])})
    call = asyncio.create_task(client.post("/invoices", {"invoices": [invoice()]}))
    await wait_for(client, lambda: gate.reached)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    for _ in range(3):
        await client.get("/batches")
    gate.opened.set()
    await wait_for(client, lambda: client.sandbox.state.account(client.org).invoices)


async def test_a_call_fails_because_of_a_row_and_may_say_which(start: Any, invoice: Any) -> None:
    """A conditional fail names the rows that match, or with tells_rows = false nothing."""
    client = await start(fault("fail", status=422, where={"invoiceNumber": "BAD-*"}, text="no"))
    rows = [invoice("F-1"), invoice("BAD-2")]
    answer = await client.post("/invoices", {"invoices": rows})
    assert (answer.status, answer.errors) == (422, [{"index": 1, "field": "invoiceNumber", "message": "no"}])
    client.sandbox.play(fault("fail", status=400, where={"invoiceNumber": "BAD-*"}, text="no", tells_rows=False))
    assert (await client.post("/invoices", {"invoices": rows})).errors == [{"message": "no"}]
    assert (await client.post("/invoices", {"invoices": rows[:1]})).status == 202


async def test_skip_lets_the_first_requests_pass(start: Any, invoice: Any) -> None:
    """With skip = 1 and times = 1 the second matching request is struck, and no other."""
    client = await start(fault("fail", status=500, skip=1, times=1))
    statuses = [(await client.post("/invoices", {"invoices": [invoice(f"F-{n}")]})).status for n in range(4)]
    assert statuses == [202, 500, 202, 202]


async def test_a_connection_breaks_before_acceptance(start: Any, invoice: Any) -> None:
    """A reset before leaves no trace in the books, and None in the log."""
    client = await start(fault("reset", times=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/invoices", {"invoices": [invoice()]})
    assert client.sandbox.state.account(client.org).batches == []
    last = client.sandbox.requests.newest(1)[0]
    assert (last.status, last.faults, last.batch_id) == (None, ("reset",), "")


async def test_a_connection_breaks_after_acceptance(start: Any, invoice: Any) -> None:
    """A reset after keeps the batch; the same key gets its answer, the key finds it in the list."""
    client = await start(fault("reset", when="after", times=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")
    (listed,) = (await client.get("/batches", IdempotencyKey="k-1")).json["data"]
    again = await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")
    assert again.json["data"]["batchId"] == listed["batchId"]


async def test_a_call_is_accepted_late(start: Any, invoice: Any) -> None:
    """A late reset accepts the call only when its time has come."""
    client = await start(fault("reset", when="late", seconds=0.05, times=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/invoices", {"invoices": [invoice()]}, key="k-1")
    account = client.sandbox.state.account(client.org)
    assert account.batches == []
    await wait_for(client, lambda: account.batches)
    assert client.sandbox.requests.newest(operation="invoices")[0].batch_id == account.batches[0].id


async def test_a_late_acceptance_after_a_repetition_changes_nothing(start: Any, invoice: Any, caplog: Any) -> None:
    """The same key sent again in between is accepted first; a late call that is refused is refused unheard."""
    gate = Gate()
    client = await start(sleep=gate.sleep)
    client.sandbox.play(fault("reset", when="late", seconds=5, times=2))
    bodies: list[dict[str, Any]] = [{"invoices": [invoice("F-1")]}, {"invoices": []}]
    for body in bodies:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.post("/invoices", body, key="k-1")
    assert (await client.post("/invoices", {"invoices": [invoice("F-1")]}, key="k-1")).status == 202
    gate.opened.set()
    await wait_for(client, lambda: gate.passed == 2)
    gc.collect()
    assert caplog.records == []
    assert client.sandbox.state.doubled() == []
    assert len(client.sandbox.state.account(client.org).batches) == 1


class Gate:
    """A sleep that lasts until the gate is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.reached = self.passed = 0

    async def sleep(self, _seconds: float) -> None:
        self.reached += 1
        await self.opened.wait()
        self.passed += 1


async def test_a_reset_forgets_late_acceptances(start: Any, invoice: Any) -> None:
    """DELETE /sandbox/state also drops what would have been accepted later."""
    gate = Gate()
    client = await start(sleep=gate.sleep)
    client.sandbox.play(fault("reset", when="late", times=1))
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("/invoices", {"invoices": [invoice()]})
    assert (await client.admin("DELETE", "/state")).status == 204
    gate.opened.set()
    await wait_for(client, lambda: not client.sandbox.stand_in._tasks)
    assert (gate.passed, client.sandbox.state.accounts) == (0, {})


@pytest.mark.parametrize(("when", "accepted_while_waiting"), [("before", 0), ("after", 1)])
async def test_an_answer_takes_its_time(start: Any, invoice: Any, when: Any, accepted_while_waiting: Any) -> None:
    """A slow fault waits before the call is accepted, or between acceptance and answer."""
    counts: list[int] = []

    async def watch(_seconds: float) -> None:
        counts.append(len(client.sandbox.state.account(client.org).batches))

    client = await start(sleep=watch)
    client.sandbox.play(fault("slow", seconds=30, when=when))
    assert (await client.post("/invoices", {"invoices": [invoice()]})).status == 202
    assert counts == [accepted_while_waiting]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("html", "text/html"), ("text", "text/plain"), ("truncated", "application/json"), ("empty", "application/json")],
)
async def test_an_answer_is_garbage(start: Any, invoice: Any, body: Any, content_type: Any) -> None:
    """Garbage after acceptance keeps the batch and the status, and no client can read the body."""
    client = await start(fault("garbage", body=body, times=1))
    answer = await client.post("/invoices", {"invoices": [invoice()]})
    assert answer.status == 202
    assert answer.headers["Content-Type"].startswith(content_type)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)
    assert len(client.sandbox.state.account(client.org).batches) == 1


async def test_garbage_can_stand_in_for_the_whole_call(start: Any, invoice: Any) -> None:
    """Garbage before acceptance keeps nothing; its status is 502 unless given."""
    client = await start(fault("garbage", when="before", times=1))
    assert (await client.post("/invoices", {"invoices": [invoice()]})).status == 502
    client.sandbox.play(fault("garbage", when="before", body="truncated", status=200))
    assert (await client.post("/invoices", {"invoices": [invoice()]})).status == 200
    assert client.sandbox.state.account(client.org).batches == []


async def test_garbage_strikes_answers_without_a_body_and_errors(start: Any, invoice: Any) -> None:
    """A garbled error keeps its status; a 204 has nothing to garble."""
    client = await start({"behaviour": {"case_actions": "no-content"}, **fault("garbage", "writes", body="truncated")})
    assert (await client.post("/invoices", {"invoices": []})).status == 422
    client.sandbox.play({"behaviour": {"case_actions": "no-content"}})
    await client.create(invoice())
    case_id = (await client.get("/cases")).json["data"][0]["caseId"]
    client.sandbox.play(fault("garbage", "pause", body="truncated"), append=True)
    assert (await client.post(f"/cases/{case_id}/pause", {})).status == 204


async def test_a_result_leaves_rows_out(start: Any, invoice: Any) -> None:
    """An unmentioned row was processed all the same."""
    client = await start(fault("unmention", rows=[1]))
    batch = await client.create(invoice("F-1"), invoice("F-2"))
    assert [entry["invoiceNumber"] for entry in batch["succeeded"]] == ["F-1"]
    assert batch["failed"] == []
    assert len((await client.get("/invoices", UniqueSourceInvoiceId="erp-F-2")).json["data"]) == 1


async def test_a_result_comes_in_another_order(start: Any, invoice: Any) -> None:
    """A reorder fault turns the result around."""
    client = await start(fault("reorder"))
    batch = await client.create(invoice("F-1"), invoice("F-2"), invoice("F-3"))
    assert [entry["invoiceNumber"] for entry in batch["succeeded"]] == ["F-3", "F-2", "F-1"]


async def test_single_calls_finish_and_appear_at_their_own_pace(start: Any, invoice: Any, fake_time: Any) -> None:
    """Finish and lag faults overrule the behaviour for the calls they strike."""
    script = {
        "behaviour": {"finish_after_polls": 50},
        "fault": [
            {"kind": "finish", "operation": "invoices", "where": {"invoiceNumber": "FAST"}},
            {"kind": "finish", "operation": "invoices", "where": {"invoiceNumber": "SOON"}, "after_polls": 1},
            {"kind": "lag", "operation": "invoices", "where": {"invoiceNumber": "FAST"}, "seconds": 5},
        ],
    }
    client = await start(script, clock=fake_time)
    assert (await client.create(invoice("FAST")))["status"] == "SUCCESS"
    soon = await client.post("/invoices", {"invoices": [invoice("SOON")]})
    assert [(await client.batch(soon))["status"] for _ in range(2)] == ["QUEUED", "SUCCESS"]
    assert (await client.create(invoice("SLOW")))["status"] == "QUEUED"
    listed = [batch["batchId"] for batch in (await client.get("/batches")).json["data"]]
    assert len(listed) == 2
    fake_time.seconds += 5
    assert len((await client.get("/batches")).json["data"]) == 3


async def test_faults_strike_reads_and_tokens_too(start: Any, invoice: Any) -> None:
    """Reads and the token service can fail as writes can; a fault that looks at rows strikes neither."""
    client = await start(
        {
            "fault": [
                {"kind": "fail", "operation": "token", "status": 500, "times": 1},
                {"kind": "fail", "operation": "reads", "status": 503, "times": 1},
                {"kind": "fail", "operation": "*", "status": 418, "where": {"*": "*"}, "skip": 1},
                {"kind": "reset", "operation": "cases", "when": "late", "seconds": 0},
            ]
        }
    )
    assert (await client.fetch_token()).status == 500
    assert (await client.get("/batches")).status == 503
    assert (await client.get("/batches")).status == 200
    assert (await client.create(invoice("F-1")))["status"] == "SUCCESS"
    assert (await client.post("/invoices", {"invoices": [invoice("F-2")]})).status == 418
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.get("/cases")


async def test_faults_do_not_strike_requests_without_a_valid_token(start: Any) -> None:
    """A 401 uses up no fault."""
    client = await start(fault("fail", "batches", status=503, times=1))
    client.token = "stale"
    assert (await client.get("/batches")).status == 401
    assert (await client.admin("GET", "/script")).json["fault"][0]["matched"] == 0


def draw_many(script: Script, seed: int, operations: list[str]) -> list[bool]:
    deck = Deck(script, seed)
    return [bool(deck.draw(operation, [{}]).all) for operation in operations]


def test_chance_comes_from_the_seed() -> None:
    """The same seed strikes the same requests, another seed others, about as often as asked for."""
    script = read_script(fault("fail", status=500, probability=0.3), source="test")
    operations = ["invoices"] * 1000
    assert draw_many(script, 1, operations) == draw_many(script, 1, operations)
    assert draw_many(script, 1, operations) != draw_many(script, 2, operations)
    assert 240 < sum(draw_many(script, 1, operations)) < 360


def test_the_luck_of_one_fault_does_not_depend_on_other_operations() -> None:
    """Requests a fault does not look at leave its chances as they are."""
    script = read_script(fault("fail", status=500, probability=0.3), source="test")
    mixed = draw_many(script, 1, ["invoices", "payments"] * 500)
    assert mixed[::2] == draw_many(script, 1, ["invoices"] * 500)


def test_a_share_strikes_some_rows_of_a_call() -> None:
    """With share = 0.1 about a tenth of the rows is struck, and a call without a struck row not at all."""
    deck = Deck(read_script(fault("refuse", share=0.1), source="test"), seed=1)
    (strike,) = deck.draw("invoices", [{}] * 1000).all
    assert 60 < len(strike.rows) < 140
    counts = [len(deck.draw("invoices", [{}]).all) for _ in range(200)]
    assert 5 < sum(counts) < 40
    assert deck.describe()[0]["struck"] == 1 + sum(counts)


# --- lists ----------------------------------------------------------------------------------------------------------


async def read_pages(client: Any, path: str, size: int, most: int = 9) -> list[Any]:
    """Read a list until it ends, fails, or has shown enough; return answers."""
    answers = [await client.get(path, PageSize=str(size))]
    while answers[-1].status == 200 and len(answers) < most:
        token = answers[-1].json["summary"]["nextPageToken"]
        if token is None:
            break
        answers.append(await client.get(path, PageSize=str(size), PageToken=token))
    return answers


async def test_a_fault_may_strike_one_page_only(client: Any) -> None:
    """The third page fails whoever asks and however often, and the others never do."""
    client.sandbox.plant_claims(client.org, 8)
    client.sandbox.play({"fault": [{"kind": "fail", "operation": "cases", "page": 3, "status": 500}]})
    for _ in range(2):
        answers = await read_pages(client, "/cases", 2)
        assert [answer.status for answer in answers] == [200, 200, 500]
    client.sandbox.play({"fault": [{"kind": "fail", "operation": "cases", "page": 3, "status": 500, "times": 1}]})
    assert (await read_pages(client, "/cases", 2))[-1].status == 500
    assert [answer.status for answer in await read_pages(client, "/cases", 2)] == [200] * 4


async def test_the_first_page_is_the_one_without_a_token(client: Any) -> None:
    """A fault of page 1 does not strike what is no list, nor a token nobody can read."""
    client.sandbox.play(
        {"fault": [{"kind": "fail", "operation": ["batches", "settlements"], "page": 1, "status": 503}]}
    )
    assert (await client.get("/batches")).status == 503
    assert (await client.get("/settlements", PAGETOKEN="")).status == 503
    assert (await client.get("/settlements", pageToken="?")).status == 400
    assert (await client.get("/cases")).status == 200


async def test_a_list_may_run_in_circles(client: Any) -> None:
    """A page that names itself as the next one shows the same rows for ever, the first page as any other."""
    client.sandbox.plant_claims(client.org, 6)
    client.sandbox.play({"fault": [{"kind": "circle", "operation": "cases", "page": 2}]})
    pages = [[row["caseNumber"] for row in one.json["data"]] for one in await read_pages(client, "/cases", 2, most=4)]
    assert pages[0] != pages[1] == pages[2] == pages[3]
    client.sandbox.play({"fault": [{"kind": "circle", "operation": "reads"}]})
    pages = [[row["caseNumber"] for row in one.json["data"]] for one in await read_pages(client, "/cases", 2, most=3)]
    assert pages[0] == pages[1] == pages[2] != []
    (invoice,) = client.sandbox.state.account(client.org).invoices[:1]
    assert (await client.get(f"/invoices/{invoice.id}")).json["summary"]["nextPageToken"] is None


async def test_a_case_is_shown_as_it_is_now(client: Any, invoice: Any) -> None:
    """What a list has shown once is not what it shows after a payment, a credit note or a pause."""
    created = (await client.create(invoice()))["succeeded"][0]
    path = f"/cases/{(await client.get('/cases')).json['data'][0]['caseId']}/pause"

    async def shown() -> tuple[Any, ...]:
        (case,), (listed,) = [(await client.get(path)).json["data"] for path in ("/cases", "/invoices")]
        amounts = case["invoices"][0]
        return case["status"], amounts["paidAmount"], amounts["creditedAmount"], listed["remainingAmount"]

    assert await shown() == ("OPEN", 0, 0, 1250)
    await client.post("/payments", {"payments": [{"invoiceId": created["invoiceId"], "amount": 100}]})
    assert await shown() == ("OPEN", 100, 0, 1150)
    await client.post("/corrections", {"corrections": [{"invoiceId": created["invoiceId"], "amount": 50}]})
    assert await shown() == ("OPEN", 100, 50, 1100)
    await client.post(path, {})
    assert await shown() == ("PAUSED", 100, 50, 1100)
