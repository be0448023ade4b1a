from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.modern import lists
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.results import batch_from


def page(content: Any, read_entry: Any = lists.invoice_from) -> Any:
    return lists.read_page(json.dumps(content).encode(), read_entry)


def test_invoices_are_read_under_either_name() -> None:
    """Id, case number and unique id are found under the names of every generation of the API."""
    data = [
        {
            "id": "i1",
            "invoiceNumber": "17",
            "collectionCaseNumber": "178452",
            "status": "Open",
            "createdAt": "2025-03-09",
        },
        {
            "invoiceId": "i2",
            "caseNumber": 178453,
            "uniqueSourceInvoiceId": "u",
            "caseId": "c",
            "batchId": "b",
            "registeredAt": "2025",
        },
        None,
        {},
    ]
    read = page({"summary": {"status": "SUCCESS", "nextPageToken": "t"}, "data": data})
    assert read.next_token == "t"
    assert read.entries == (
        ModernInvoice("i1", "17", case_number="178452", status="OPEN", created_at="2025-03-09"),
        ModernInvoice("i2", "", "u", "178453", "c", "b", created_at="2025"),
    )


def test_cases_are_read_with_their_invoices() -> None:
    """A case gives its id, its number as text, and the ids of its invoices."""
    data = [{"caseId": "c", "caseNumber": 178452, "status": "open", "invoices": [{"invoiceId": "i"}, None, {"x": 1}]}]
    read = page({"data": data, "nextPageToken": 7}, lists.case_from)
    assert read.entries == (ModernCase("c", "178452", "OPEN", (ModernInvoice("i"),)),)
    assert read.next_token == "7"


def test_an_invoice_is_read_by_itself() -> None:
    """GetInvoiceById answers with the invoice under data, or bare; anything else is none."""
    assert lists.read_invoice(b'{"data":{"id":"i"}}') == lists.read_invoice(b'{"invoiceId":"i"}') == ModernInvoice("i")
    assert lists.read_invoice(b'{"data":{}}') is None


@pytest.mark.parametrize(
    "content", [{"summary": {"status": "SUCCESS"}}, {"summary": {"status": "success"}, "data": None}]
)
def test_a_successful_answer_without_data_is_an_empty_page(content: Any) -> None:
    """Nothing found may be told by leaving the list out."""
    assert page(content).entries == ()


@pytest.mark.parametrize("content", [{}, [], "x", {"data": {}}, {"data": None}, {"data": [{"noId": 1}]}])
@pytest.mark.parametrize("read_entry", [lists.invoice_from, lists.case_from, batch_from])
def test_what_cannot_be_read_does_not_pass_for_nothing_found(content: Any, read_entry: Any) -> None:
    """An answer that is no page, or holds an entry without an id, is unreadable rather than empty."""
    assert page(content, read_entry) is None


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00.5", 60.5),
        ("", None),
        ("yesterday", None),
    ],
)
def test_a_moment_is_read_as_unix_seconds(value: str, moment: float | None) -> None:
    """A date-time with or without offset gives Unix seconds, anything else none."""
    assert lists.read_moment(value) == moment
