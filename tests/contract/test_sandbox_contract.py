"""The sandbox takes what the vendor's pages say one may send, and answers as they say it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.sandbox import Running, SandboxOptions, running
from bridge.sandbox.events import write_event
from bridge.sandbox.lifecycle import Tidings

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
Sample = Callable[[str], Any]


class Modern:
    """A client that knows nothing but the pages."""

    def __init__(self, sandbox: Running, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self._session = session
        self._token = ""

    async def fetch_token(self) -> Any:
        form = {"grant_type": "client_credentials", "client_id": "nordlys", "client_secret": "secret"}
        async with self._session.post(self.sandbox.token_url, data=form) as answer:
            assert answer.status == 200
            body = await answer.json()
        self._token = body["access_token"]
        return body

    async def write(self, path: str, body: Any) -> tuple[int, Any]:
        url = f"{self.sandbox.base_url}/orgs/{ORG}/{path}"
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.post(url, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def read(self, path: str, **query: str) -> Any:
        url = f"{self.sandbox.base_url}/orgs/{ORG}/{path}"
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.get(url, params=query, headers=headers) as answer:
            assert answer.status == 200
            return await answer.json()


@pytest.fixture
async def modern() -> AsyncIterator[Modern]:
    async with running(SandboxOptions(port=0)) as sandbox, aiohttp.ClientSession() as session:
        client = Modern(sandbox, session)
        await client.fetch_token()
        yield client


async def _invoice_id(modern: Modern, sample: Sample) -> str:
    """Create the documented invoice; return the id it got."""
    _, accepted = await modern.write("invoices", sample("create_invoices.request"))
    batch = await modern.read(f"batches/{accepted['data']['batchId']}")
    found: str = batch["data"]["succeeded"][0]["invoiceId"]
    return found


async def test_a_token_answer_has_the_documented_fields(modern: Modern, sample: Sample, outline: Any) -> None:
    """Names and JSON types are those of the worked example."""
    assert outline(await modern.fetch_token()) == outline(sample("token.response"))


async def test_the_documented_invoice_is_taken_as_it_stands(modern: Modern, sample: Sample, outline: Any) -> None:
    """Every field of the page, the page's own values: 202 with the documented envelope."""
    status, answer = await modern.write("invoices", sample("create_invoices.request"))
    assert (status, outline(answer)) == (202, outline(sample("write.response")))


@pytest.mark.parametrize("kind", ["payments", "corrections"])
async def test_the_documented_postings_are_taken(modern: Modern, sample: Sample, outline: Any, kind: str) -> None:
    """The page's payment and correction, on a claim that exists: 202, and the batch succeeds."""
    request = sample(f"create_{kind}.request")
    request[kind][0]["invoiceId"] = await _invoice_id(modern, sample)
    status, answer = await modern.write(kind, request)
    assert (status, outline(answer)) == (202, outline(sample("write.response")))
    batch = await modern.read(f"batches/{answer['data']['batchId']}")
    assert batch["data"]["status"] == "SUCCESS"


async def test_a_finished_batch_has_the_documented_fields(modern: Modern, sample: Sample, outline: Any) -> None:
    """GetBatchById after one accepted invoice: names, nesting and types of the page, in its order."""
    _, accepted = await modern.write("invoices", sample("create_invoices.request"))
    batch = await modern.read(f"batches/{accepted['data']['batchId']}")
    documented = sample("get_batch_by_id.response")
    assert outline(batch) == outline(documented)
    assert list(batch["data"]) == list(documented["data"])


async def test_a_field_that_is_not_on_the_page_is_refused(modern: Modern, sample: Sample) -> None:
    """What the bridge would invent must not pass unnoticed."""
    request = sample("create_invoices.request")
    request["invoices"][0]["creditorid"] = "984842252"
    status, _ = await modern.write("invoices", request)
    assert status == 400


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("batches", ["State", "Type", "SubjectId", "IdempotencyKey", "PageToken", "PageSize", "SortDirection"]),
        ("invoices", ["Status", "Type", "InvoiceNumber", "UniqueSourceInvoiceId", "CustomerNumber", "From", "To"]),
        ("cases", ["Status", "Type", "CaseNumber", "CustomerNumber", "UniqueSourceInvoiceId", "SearchTerm"]),
        ("cases", ["FromCreatedAt", "ToCreatedAt", "PageSize"]),
        ("settlements", ["fromDate", "toDate", "pageSize"]),
    ],
)
async def test_the_documented_filters_are_known(modern: Modern, sample: Sample, path: str, query: list[str]) -> None:
    """Each documented query parameter is taken by itself, and the answer is a list in the envelope."""
    await _invoice_id(modern, sample)
    values = {"PageSize": "10", "pageSize": "10", "SortDirection": "ASC", "SubjectId": ORG}
    values |= dict.fromkeys(["From", "FromCreatedAt", "fromDate"], "2024-01-01")
    values |= dict.fromkeys(["To", "ToCreatedAt", "toDate"], "2030-01-01")
    page = await modern.read(path)
    assert isinstance(page["data"], list)
    for name in query:
        if name != "PageToken":
            assert isinstance((await modern.read(path, **{name: values.get(name, "x")}))["data"], list), name


def documented_part(shown: Any, documented: Any) -> Any:
    """Leave out what is not on the page (it is cut), and what is null here; the order must be the page's."""
    if isinstance(documented, list):
        return [documented_part(shown[0], documented[0])] if documented else []
    if not isinstance(documented, dict):
        return documented if shown is None else shown
    assert [name for name in shown if name in documented] == list(documented)
    assert list(shown)[: len(documented)] == list(documented), "what is assumed comes behind what is documented"
    return {name: documented_part(shown[name], inner) for name, inner in documented.items()}


@pytest.mark.parametrize(("path", "name"), [("cases", "get_cases.response"), ("invoices", "get_invoices.response")])
async def test_a_list_has_the_documented_fields(
    modern: Modern, sample: Sample, outline: Any, path: str, name: str
) -> None:
    """Entries of a list: names, nesting, types and order of the page, as far as it is visible."""
    await _invoice_id(modern, sample)
    shown, documented = (await modern.read(path))["data"], sample(name)["data"]
    assert outline(documented_part(shown, documented)) == outline(documented)


async def test_a_settlement_has_the_documented_fields(modern: Modern, sample: Sample, outline: Any) -> None:
    """By id and in the list: the five documented fields first, in the page's order."""
    payment = sample("create_payments.request")
    payment["payments"][0]["invoiceId"] = await _invoice_id(modern, sample)
    await modern.write("payments", payment)
    documented = sample("get_settlement.response")
    listed = await modern.read("settlements")
    read = await modern.read(f"settlements/{listed['data'][0]['settlementId']}")
    for shown in (listed["data"][0], read["data"]):
        assert outline(documented_part(shown, documented["data"])) == outline(documented["data"])
    assert read["summary"].keys() == documented["summary"].keys()


EVENTS = {
    "BATCH_COMPLETED": "webhook_batch_completed",
    "SETTLEMENT_CREATED": "webhook_settlement_created",
    "CASE": "webhook_case",
    "CASE_UPDATED": "webhook_case_updated",
}


async def test_webhooks_have_the_documented_headers_and_bodies(sample: Sample, outline: Any) -> None:
    """Every documented event as it arrives: envelope, data in the page's order, and the four headers."""
    taken: asyncio.Queue[tuple[Any, Any]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        await taken.put((dict(request.headers), await request.json()))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        options = SandboxOptions(port=0, webhook_url=url, webhook_secret="s")
        async with running(options) as sandbox, aiohttp.ClientSession() as session:
            sandbox.play({"behaviour": {"events": ["*"]}})
            modern = Modern(sandbox, session)
            await modern.fetch_token()
            payment = sample("create_payments.request")
            payment["payments"][0]["invoiceId"] = await _invoice_id(modern, sample)
            await modern.write("payments", payment)
            async with asyncio.timeout(10):
                got = [await taken.get() for _ in range(5)]
    finally:
        await runner.cleanup()
    bodies = {headers["X-Amili-Event"]: body for headers, body in got}
    assert bodies.keys() == EVENTS.keys()
    for event, name in EVENTS.items():
        assert outline(bodies[event]) == outline(sample(name))
        assert list(bodies[event]) == list(sample(name))
        assert list(bodies[event]["data"]) == list(sample(name)["data"])
    assert all(
        {"X-Amili-Event", "IdempotencyKey", "X-Amili-Request-Id", "X-Webhook-Signature"} <= headers.keys()
        for headers, _ in got
    )


def test_case_events_can_be_as_the_samples_on_the_page(sample_bytes: Callable[[str], bytes]) -> None:
    """The sandbox can lay them out as the page does, the missing comma included."""
    tidings = json.loads(sample_bytes("webhook_case_updated"))
    body = write_event(Tidings("CASE_UPDATED", tidings["data"]), tidings["id"], 1_741_530_605.0, with_comma=False)
    assert body.replace(b".000Z", b"Z") == sample_bytes("webhook_case_updated.as_on_the_page.txt").strip()
