"""Whole lists in the vendor's own words."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import ModernRefused, ModernUnreachable
from bridge.modern import catalogue as catalogue_module
from bridge.modern.catalogue import Catalogue
from bridge.modern.client import ModernClient
from bridge.modern.failures import ModernBusy
from bridge.modern.lists import split_page
from bridge.modern.reader import READ_ATTEMPTS
from bridge.modern.tokens import Access


@pytest.fixture
def catalogue(client: ModernClient) -> Catalogue:
    return Catalogue(client.reader)


def page(*entries: Any, following: Any = None) -> dict[str, Any]:
    return {"summary": {"status": "SUCCESS", "nextPageToken": following}, "data": list(entries)}


async def read_all(pages: Any) -> list[Any]:
    return [entry async for found in pages for entry in found]


async def test_cases_are_read_to_the_end(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """All pages, each of the wanted size, with the filters and the token of the one before."""
    modern.then(200, page({"caseId": "c1"}, {"caseId": "c2"}, following="p 2&")).then(200, page({"caseId": "c3"}))
    read = await read_all(catalogue.cases(access, {"Status": "OPEN"}, page_size=2))
    assert [case["caseId"] for case in read] == ["c1", "c2", "c3"]
    assert [arrival.path for arrival in modern.arrivals] == [f"/v1/orgs/{access.organization}/cases"] * 2
    assert [arrival.query for arrival in modern.arrivals] == [
        {"Status": "OPEN", "PageSize": "2"},
        {"Status": "OPEN", "PageSize": "2", "PageToken": "p 2&"},
    ]


async def test_invoices_are_asked_for_without_a_page_size(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """No page size is documented for invoices, so none is sent."""
    modern.then(200, page({"id": "i1"}, following="2")).then(200, page({"id": "i2"}))
    assert [invoice["id"] for invoice in await read_all(catalogue.invoices(access))] == ["i1", "i2"]
    assert [arrival.query for arrival in modern.arrivals] == [{}, {"PageToken": "2"}]


async def test_settlements_are_asked_for_in_camel_case(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """The parameters of this list are spelt differently from those of all others."""
    modern.then(200, page({"settlementId": "s1"}, following="2")).then(200, page({"settlementId": "s2"}))
    read = await read_all(catalogue.settlements(access, {"fromDate": "2025-01-01"}, page_size=50))
    assert [settlement["settlementId"] for settlement in read] == ["s1", "s2"]
    assert [arrival.query for arrival in modern.arrivals] == [
        {"fromDate": "2025-01-01", "pageSize": "50"},
        {"fromDate": "2025-01-01", "pageSize": "50", "pageToken": "2"},
    ]


async def test_entries_keep_names_and_digits(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """Names are the vendor's own; whole numbers are int, all others Decimal, and no digit is lost."""
    body = b"""{"Summary": {"NextPageToken": ""}, "Data": [
      {"caseNumber": 178452, "invoices": [{"originalAmount": 9007199254740993.01, "paidAmount": 1250.50}], "x": -1e2},
      {}
    ]}"""
    modern.then(200, body)
    case, empty = await read_all(catalogue.cases(access))
    assert (case["caseNumber"], type(case["caseNumber"])) == (178452, int)
    amounts = case["invoices"][0]
    assert amounts == {"originalAmount": Decimal("9007199254740993.01"), "paidAmount": Decimal("1250.50")}
    assert str(amounts["paidAmount"]) == "1250.50"
    assert (type(case["x"]), case["x"]) == (Decimal, -100)
    assert empty == {}


@pytest.mark.parametrize("body", [page(), {"summary": {"status": "SUCCESS"}, "data": None}, {"data": []}])
async def test_an_empty_list_is_empty(body: Any, catalogue: Catalogue, modern: Any, access: Access) -> None:
    """No entries, or no data in an answer that says SUCCESS."""
    modern.then(200, body)
    assert await read_all(catalogue.cases(access)) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"data": null}',
        b'{"data": {"caseId": "c"}}',
        b'{"data": [{"caseId": "c"}, null]}',
        b'{"data": [{"caseId": "c"}, "c2"]}',
        b'{"data": [{"caseId": "c"}',
        b'{"data": [{"caseId": "c"}], "summary": {"nextPageToken": ["2"]}}',
        b'{"data": [{"caseId": "c"}], "summary": {"nextPageToken": true}}',
    ],
)
async def test_an_answer_that_is_no_page_is_asked_for_again(
    body: bytes, catalogue: Catalogue, modern: Any, access: Access
) -> None:
    """What cannot be read as a page of objects does not pass for a shorter one: it is read again, then raises."""
    modern.then(200, body).then(200, page({"caseId": "c1"}))
    assert [case["caseId"] for case in await read_all(catalogue.cases(access))] == ["c1"]
    for _ in range(READ_ATTEMPTS):
        modern.then(200, body)
    with pytest.raises(ModernUnreachable, match="not what was asked"):
        await read_all(catalogue.cases(access))


@pytest.mark.parametrize("entry", [b'{"name": "\xff"}', b'{"amount": 1e99999999999999999999}'])
async def test_an_entry_that_cannot_be_read_raises(
    entry: bytes, catalogue: Catalogue, modern: Any, access: Access
) -> None:
    """Text that is not UTF-8 and numbers beyond all bounds are the vendor's to mend, and leave no gap in the list."""
    modern.then(200, b'{"data": [{"caseId": "c1"}, ' + entry + b"]}")
    with pytest.raises(ModernUnreachable, match="entry of cases that cannot be read"):
        await read_all(catalogue.cases(access))


@pytest.mark.parametrize(
    ("status", "failure", "requests"),
    [(500, ModernUnreachable, 1 + READ_ATTEMPTS), (400, ModernRefused, 2), (404, ModernRefused, 2)],
)
async def test_a_page_that_fails_for_good_raises(
    status: int, failure: type[Exception], requests: int, catalogue: Catalogue, modern: Any, access: Access
) -> None:
    """After the first page had come: patience where it can help, then an error, never the shorter list."""
    modern.then(200, page({"caseId": "c1"}, following="2"))
    for _ in range(READ_ATTEMPTS):
        modern.then(status)
    pages = catalogue.cases(access)
    assert len(await anext(pages)) == 1
    with pytest.raises(failure):
        await anext(pages)
    assert len(modern.arrivals) == requests


async def test_a_page_that_fails_for_now_is_asked_for_again(
    catalogue: Catalogue, modern: Any, access: Access, clock: Any
) -> None:
    """Please wait, and a token that has become invalid: neither costs an entry."""
    modern.then(200, page({"caseId": "c1"}, following="2")).then(429, Retry_After="7").then(401)
    modern.then(200, page({"caseId": "c2"}))
    assert len(await read_all(catalogue.cases(access))) == 2
    assert clock.slept == [7.0]
    assert len(modern.token_requests) == 2


async def test_a_list_that_names_a_page_twice_raises(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """A token that repeats itself would show the same entries for ever."""
    for _ in range(2):
        modern.then(200, page({"caseId": "c1"}, following="2"))
    with pytest.raises(ModernUnreachable, match="circles"):
        await read_all(catalogue.cases(access))


async def test_a_long_list_of_small_pages_is_read_to_its_end(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """A vendor who shows one entry a page is asked as often as it takes."""
    for number in range(1, 1201):
        modern.then(200, page({"caseId": str(number)}, following=str(number) if number < 1200 else None))
    assert len(await read_all(catalogue.cases(access))) == 1200


async def test_an_empty_filter_is_a_fault_of_the_reader(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """Filtering by nothing would list everything."""
    with pytest.raises(ValueError, match="cases"):
        await read_all(catalogue.cases(access, {"CustomerNumber": ""}))
    assert modern.arrivals == []


@pytest.mark.parametrize("wrap", [lambda one: {"summary": {}, "data": one}, lambda one: one])
async def test_a_settlement_is_read_by_its_id(
    wrap: Callable[[Any], Any], catalogue: Catalogue, modern: Any, access: Access
) -> None:
    """In its envelope or bare, exact to the last digit."""
    body = json.dumps(wrap({"settlementId": "s/1", "exchangeRate": 1})).replace(": 1}", ": 1.10}").encode()
    modern.then(200, body)
    found = await catalogue.settlement(access, "s/1")
    assert found == {"settlementId": "s/1", "exchangeRate": Decimal("1.10")}
    assert modern.arrivals[0].path == f"/v1/orgs/{access.organization}/settlements/s/1"


async def test_a_settlement_that_is_not_there_is_none(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """404 says so; any other refusal is an error, and so is an answer without a settlement."""
    modern.then(404)
    assert await catalogue.settlement(access, "s1") is None
    modern.then(403)
    with pytest.raises(ModernRefused):
        await catalogue.settlement(access, "s1")
    for body in (b'{"data": null}', b'{"data": {}}', b"{}", b"no", b'{"data": [1]}'):
        for _ in range(READ_ATTEMPTS):
            modern.then(200, body)
        with pytest.raises(ModernUnreachable):
            await catalogue.settlement(access, "s1")


async def test_a_busy_vendor_says_when_to_come_back(catalogue: Catalogue, modern: Any, access: Access) -> None:
    """A pause that is longer than a read may take reaches whoever asked."""
    modern.then(503, Retry_After="600")
    with pytest.raises(ModernBusy) as busy:
        await read_all(catalogue.cases(access))
    assert busy.value.retry_after_seconds == 600


async def test_a_large_page_leaves_others_their_turn(monkeypatch: Any) -> None:
    """Between slices of a page the event loop serves whoever else waits."""
    monkeypatch.setattr(catalogue_module, "SLICE_BYTES", 1000)
    found = split_page(json.dumps(page(*({"caseId": "c" * 90} for _ in range(100)))).encode())
    assert found is not None
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(take_turns())
    assert len(await catalogue_module._decode(found.entries, "cases")) == 100
    task.cancel()
    assert turns >= 9


CASE = {
    "caseId": "7d444840-9dc0-11d1-b245-5ffdce74fad2",
    "caseNumber": 178452,
    "status": "OPEN",
    "invoices": [{f"amount{number}": 1250.25 for number in range(5)}],
    "debtors": [{f"name{number}": "x" * 50 for number in range(24)}],
}


async def test_decoding_is_quick() -> None:
    """A case of a kilobyte and a half costs some microseconds; the bound is for a machine that is slow and shared."""
    body = json.dumps(page(*[CASE] * 200)).encode()
    assert len(body) > 200 * 1400
    best = 1.0
    for _ in range(5):
        began = time.thread_time()
        found = split_page(body)
        assert found is not None
        assert len(await catalogue_module._decode(found.entries, "cases")) == 200
        best = min(best, time.thread_time() - began)
    assert best / 200 < 30e-6
