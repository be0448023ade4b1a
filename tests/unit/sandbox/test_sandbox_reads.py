"""What the reads show: filters, pages, and how long a batch takes."""

from __future__ import annotations

import asyncio
import base64
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.lifecycle import Batch, Pace, outcome_of
from bridge.sandbox.paging import BadPageToken, cut_page


async def test_a_batch_stays_queued_for_its_polls(start: Any, invoice: Any) -> None:
    """With finish_after_polls = 2 the third look at a batch sees the result."""
    client = await start({"behaviour": {"finish_after_polls": 2}})
    accepted = await client.post("/invoices", {"invoices": [invoice(), invoice()]})
    seen = [await client.batch(accepted) for _ in range(3)]
    assert [batch["status"] for batch in seen] == ["QUEUED", "QUEUED", "PARTIAL"]
    assert (seen[0]["finishedAt"], seen[0]["succeeded"], seen[0]["failed"]) == (None, [], [])
    assert (len(seen[2]["succeeded"]), len(seen[2]["failed"])) == (1, 1)


async def test_a_look_at_the_list_counts_as_a_poll(start: Any, invoice: Any) -> None:
    """A batch that is only watched through the list finishes too."""
    client = await start({"behaviour": {"finish_after_polls": 1}})
    await client.post("/invoices", {"invoices": [invoice()]})
    states = [(await client.get("/batches")).json["data"][0]["status"] for _ in range(2)]
    assert states == ["QUEUED", "SUCCESS"]


async def test_a_batch_finishes_by_the_clock(start: Any, invoice: Any, fake_time: Any) -> None:
    """With finish_after_seconds a batch finishes when its time has come, though nobody polls it in between."""
    client = await start(clock=fake_time, sleep=no_sleep)
    client.sandbox.play({"behaviour": {"finish_after_seconds": 5, "finish_after_polls": 100}})
    accepted = await client.post("/invoices", {"invoices": [invoice()]})
    fake_time.seconds += 4.9
    assert (await client.batch(accepted))["status"] == "QUEUED"
    fake_time.seconds += 0.7
    batch = await client.batch(accepted)
    assert batch["status"] == "SUCCESS"
    assert batch["createdAt"] == "2023-11-14T22:13:20.000Z"
    assert batch["finishedAt"] == "2023-11-14T22:13:25.000Z"


async def no_sleep(_seconds: float) -> None:
    """Never wake up within a test: only looks at the clock count."""
    await asyncio.Event().wait()


async def test_an_invoice_is_not_visible_before_its_batch_has_finished(
    start: Any, invoice: Any, fake_time: Any
) -> None:
    """Reads show an invoice and its case only when the batch that brings it has finished."""
    client = await start(clock=fake_time, sleep=no_sleep)
    client.sandbox.play({"behaviour": {"finish_after_seconds": 5}})
    await client.post("/invoices", {"invoices": [invoice()]})
    (hidden,) = client.sandbox.state.account(client.org).invoices
    assert (await client.get(f"/invoices/{hidden.id}")).status == 404
    assert (await client.get("/invoices")).json["data"] == []
    assert (await client.get("/cases")).json["data"] == []
    fake_time.seconds += 5
    assert len((await client.get("/cases")).json["data"]) == 1
    await client.post("/invoices", {"invoices": [invoice("F-2")]})
    hidden = client.sandbox.state.account(client.org).invoices[1]
    fake_time.seconds += 5
    assert (await client.get(f"/invoices/{hidden.id}")).status == 200


async def test_lists_can_lag_behind(start: Any, invoice: Any, fake_time: Any) -> None:
    """With lists_lag_seconds a finished batch and its invoices are readable by id before the lists show them."""
    client = await start({"behaviour": {"lists_lag_seconds": 3}}, clock=fake_time)
    batch = await client.create(invoice(), key="k-1")
    invoice_id = batch["succeeded"][0]["invoiceId"]
    for path in ("/batches", "/invoices", "/cases"):
        assert (await client.get(path)).json["data"] == []
    assert (await client.get("/batches", IdempotencyKey="k-1")).json["data"] == []
    assert (await client.get(f"/invoices/{invoice_id}")).status == 200
    fake_time.seconds += 3
    for path in ("/batches", "/invoices", "/cases"):
        assert len((await client.get(path)).json["data"]) == 1


async def test_batches_are_found_by_every_documented_filter(client: Any, invoice: Any) -> None:
    """State, Type, SubjectId and IdempotencyKey each narrow the list of batches; names ignore letter case."""
    created = await client.create(invoice("F-1"), key="k-1")
    invoice_id = created["succeeded"][0]["invoiceId"]
    await client.post("/payments", {"payments": [{"invoiceId": invoice_id, "amount": 1}]}, key="k-2")
    await client.create(invoice("F-1"), key="k-3")

    async def keys_of(**params: str) -> list[str]:
        shown = (await client.get("/batches", SortDirection="Asc", **params)).json["data"]
        by_id = {batch.id: batch.key for batch in client.sandbox.state.account(client.org).batches}
        return [by_id[batch["batchId"]] for batch in shown]

    assert await keys_of() == ["k-1", "k-2", "k-3"]
    assert await keys_of(State="FAILED") == ["k-3"]
    assert await keys_of(Type="INVOICE") == ["k-1", "k-3"]
    assert await keys_of(SubjectId=invoice_id) == ["k-1", "k-2"]
    assert await keys_of(IdempotencyKey="k-2") == ["k-2"]
    assert await keys_of(idempotencykey="k-2", state="FAILED") == []
    newest = (await client.get("/batches")).json["data"]
    assert newest[0]["status"] == "FAILED"


async def test_invoices_are_found_by_every_documented_filter(start: Any, invoice: Any, fake_time: Any) -> None:
    """Each documented query parameter narrows the list of invoices."""
    client = await start(clock=fake_time, token_lifetime_seconds=1e6)
    await client.create(invoice("F-1"), invoice("F-2", type="NOTICE", debtors=[{"customerNumber": "C-2"}]))
    fake_time.seconds += 86_400
    paid = await client.create(invoice("F-3", debtors=None))
    payment = {"invoiceId": paid["succeeded"][0]["invoiceId"], "amount": 1250}
    await client.post("/payments", {"payments": [payment]})

    async def numbers(**params: str) -> list[str]:
        return [shown["invoiceNumber"] for shown in (await client.get("/invoices", **params)).json["data"]]

    assert await numbers() == ["F-1", "F-2", "F-3"]
    assert await numbers(InvoiceNumber="F-2") == ["F-2"]
    assert await numbers(InvoiceNumber="F-9") == []
    assert await numbers(UniqueSourceInvoiceId="erp-F-1") == ["F-1"]
    assert await numbers(UniqueSourceInvoiceId="erp-F-1", InvoiceNumber="F-2") == []
    assert await numbers(CustomerNumber="C-2") == ["F-2"]
    assert await numbers(Type="NOTICE") == ["F-2"]
    assert await numbers(Status="PAID") == ["F-3"]
    assert await numbers(From="2023-11-15") == ["F-3"]
    assert await numbers(To="2023-11-14T22:13:20Z") == ["F-1", "F-2"]
    shown = (await client.get("/invoices", InvoiceNumber="F-1")).json["data"][0]
    assert isinstance(shown["collectionCaseNumber"], str)
    assert list(shown)[:7] == [
        "id", "organization", "invoiceNumber", "collectionCaseNumber", "type", "status", "createdAt",
    ]  # fmt: skip


async def test_cases_are_found_by_every_documented_filter(client: Any, invoice: Any) -> None:
    """Each documented query parameter narrows the list of cases, and a case has the documented shape."""
    await client.create(invoice("F-1"), invoice("F-2", debtors=[{"name": "Nordlys AS", "customerNumber": "C-2"}]))
    first, second = (await client.get("/cases")).json["data"]
    await client.post(f"/cases/{second['caseId']}/pause", {})

    async def ids(**params: str) -> list[str]:
        return [shown["caseId"] for shown in (await client.get("/cases", **params)).json["data"]]

    assert await ids(CaseNumber=str(first["caseNumber"])) == [first["caseId"]]
    assert await ids(UniqueSourceInvoiceId="erp-F-2") == [second["caseId"]]
    assert await ids(CustomerNumber="C-1") == [first["caseId"]]
    assert await ids(Status="PAUSED") == [second["caseId"]]
    assert await ids(SearchTerm="nordlys") == [second["caseId"]]
    assert await ids(SearchTerm="NORDMANN") == [first["caseId"]]
    assert await ids(Type="NOTICE") == []
    assert await ids(FromCreatedAt="2100-01-01") == []
    assert len(await ids(ToCreatedAt="2100-01-01T00:00:00+01:00")) == 2
    assert isinstance(first["caseNumber"], int)
    assert first["subStatus"] == "DEBT_COLLECTION_LIST_MANUAL"
    assert first["invoices"][0]["currency"] == {}
    assert first["debtors"][0]["fullName"] == "Kari Nordmann"
    assert second["debtors"][0]["fullName"] == "Nordlys AS"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/batches", {"Status": "SUCCESS"}),
        ("/batches", {"PageSize": "0"}),
        ("/batches", {"PageSize": "many"}),
        ("/batches", {"PageSize": "501"}),
        ("/batches", {"PageToken": "x"}),
        ("/batches", {"PageToken": "YmVmb3JlIDE="}),
        ("/batches", {"SortDirection": "up"}),
        ("/invoices", {"PageSize": "5"}),
        ("/invoices", {"From": "yesterday"}),
        ("/cases", {"InvoiceNumber": "F-1"}),
    ],
)
async def test_a_query_the_documentation_does_not_know_is_refused(client: Any, path: Any, params: Any) -> None:
    """An unknown parameter or a value that cannot be read answers 400 naming it: it would have filtered nothing."""
    answer = await client.get(path, **params)
    assert answer.status == 400
    assert answer.errors[0]["field"] == next(iter(params))


async def test_a_query_parameter_counts_once(client: Any) -> None:
    """A parameter given twice answers 400."""
    assert (await client.call("GET", "/batches?State=QUEUED&state=FAILED")).status == 400


async def test_unknown_ids_are_404(client: Any) -> None:
    """A batch, an invoice or an organization nobody knows is 404."""
    assert (await client.get(f"/batches/{uuid.uuid4()}")).status == 404
    assert (await client.get(f"/invoices/{uuid.uuid4()}")).status == 404
    client.org = "not-a-uuid"
    assert (await client.get("/batches")).status == 404


async def test_only_listed_organizations_exist(start: Any) -> None:
    """With organizations given, any other is 404."""
    known = str(uuid.uuid4())
    client = await start(organizations=frozenset({known.upper()}))
    assert (await client.get("/batches")).status == 404
    client.org = known
    assert (await client.get("/batches")).status == 200


async def test_pages_join_up(client: Any, invoice: Any) -> None:
    """Following nextPageToken shows every batch once, newest first, though new ones arrive meanwhile."""
    for number in range(7):
        await client.create(invoice(f"F-{number}"))
    pages = [(await client.get("/batches", PageSize="3")).json]
    await client.create(invoice("late"))
    while token := pages[-1]["summary"]["nextPageToken"]:
        pages.append((await client.get("/batches", PageSize="3", PageToken=token)).json)
    assert [len(page["data"]) for page in pages] == [3, 3, 1]
    numbers = [batch["succeeded"][0]["invoiceNumber"] for page in pages for batch in page["data"]]
    assert numbers == [f"F-{number}" for number in reversed(range(7))]


def make_batch(sequence: int, pace: Pace | None = None) -> Batch:
    return Batch(sequence, f"b{sequence}", "INVOICE", "o", 100.0, "c", "", pace or Pace(), 100.0)


@given(st.sets(st.integers(0, 40)), st.integers(1, 7), st.booleans(), st.integers(1, 5))
def test_paging_shows_every_match_once_and_in_order(sequences: Any, size: Any, newest_first: Any, divisor: Any) -> None:
    """Whatever the list, the page size and the filter: the pages joined are the matching rows in order."""
    rows = [make_batch(sequence) for sequence in sorted(sequences)]
    seen: list[int] = []
    token = ""
    while True:
        page, following = cut_page(
            rows, token=token, size=size, newest_first=newest_first, matches=lambda row: row.sequence % divisor == 0
        )
        seen += [row.sequence for row in page]
        if following is None:
            break
        assert len(page) == size
        token = following
    assert seen == sorted((row for row in sequences if row % divisor == 0), reverse=newest_first)


@pytest.mark.parametrize("text", ["page 2 after x", "page 2", "cage 2 after 1", "page x after 1", ""])
def test_a_made_up_page_token_is_refused(text: str) -> None:
    """A token that is not ours raises."""
    token = base64.urlsafe_b64encode(text.encode()).decode() or "?"
    with pytest.raises(BadPageToken):
        cut_page([], token=token, size=1, newest_first=False, matches=lambda _row: True)


def test_whichever_comes_first_finishes_a_batch() -> None:
    """Polls and seconds race; once finished a batch stays so."""
    batch = make_batch(0, Pace(after_polls=1, after_seconds=10))
    assert not batch.poll(101)
    assert batch.poll(102)
    assert batch.finished_at == 102
    assert not batch.poll(200)
    assert batch.finished_at == 102


def test_the_outcome_says_whether_all_some_or_no_rows_went_through() -> None:
    """SUCCESS, PARTIAL and FAILED."""
    assert [outcome_of(2, 0), outcome_of(1, 1), outcome_of(0, 2)] == ["SUCCESS", "PARTIAL", "FAILED"]
