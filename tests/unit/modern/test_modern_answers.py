from __future__ import annotations

import json
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modern.answers import (
    Answer,
    Conflict,
    NotTaken,
    Refused,
    Taken,
    TakenAtOnce,
    Unauthorized,
    Unknown,
    read_write_answer,
)
from bridge.modern.faults import LONGEST_TEXT, fault_text

NOW = 1_700_000_000.0
ON_THE_PAGE = {
    "summary": {"status": "SUCCESS"},
    "data": {
        "batchId": "ae257e86-dc53-4865-9c97-5b125a3a5ac2",
        "batchUrl": "https://api.amili.no/collection/v1/batches/ae257e86-dc53-4865-9c97-5b125a3a5ac2",
    },
}


def read(status: int, content: Any = b"", *, expects_batch: bool = True, **headers: str) -> Answer:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return read_write_answer(status, named, body, now=NOW, expects_batch=expects_batch)


def test_the_documented_202_is_taken() -> None:
    """The answer on the pages gives the id of the modern batch."""
    assert read(202, ON_THE_PAGE) == Taken("ae257e86-dc53-4865-9c97-5b125a3a5ac2")


@pytest.mark.parametrize(
    "content", [{"batchId": "b"}, {"Data": {"BatchId": " b "}}, b'\xef\xbb\xbf{"data":{"id":"b"}}']
)
def test_other_spellings_of_the_envelope_are_taken(content: Any) -> None:
    """A batchId is found at the top, in other letter case, or behind a byte-order mark."""
    assert read(202, content) == Taken("b")
    assert read(202, content, expects_batch=False) == Taken("b")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"<html>", b"\xff", {"data": None}, {"data": {"batchId": None}}, b"[" * 10**5],
)
@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_an_acceptance_without_a_batch_is_in_doubt(status: int, content: Any) -> None:
    """A 2xx whose batchId cannot be read, where one is expected, says nothing certain."""
    assert isinstance(read(status, content), Unknown)


@pytest.mark.parametrize(("status", "content"), [(202, b""), (204, b""), (202, b" \n"), (200, {"summary": {}})])
def test_a_case_action_may_be_taken_without_a_batch(status: int, content: Any) -> None:
    """A case action that is answered without a body is done at once."""
    assert read(status, content, expects_batch=False) == TakenAtOnce()


@pytest.mark.parametrize("content", [b"<html>", b"[]", {"data": {"x": 1}}, {"status": "FAILED"}])
def test_a_case_action_with_an_odd_body_is_in_doubt(content: Any) -> None:
    """A body that is there but cannot be understood is not taken for an acceptance."""
    assert isinstance(read(202, content, expects_batch=False), Unknown)


@pytest.mark.parametrize("status", [425, 429, 503])
def test_please_wait_is_not_taken(status: int) -> None:
    """429 and 503 mean: nothing was taken, send it again later."""
    assert read(status, b"<html>busy</html>") == NotTaken(f"HTTP {status}", None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("999999", 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Retry-After is read in both its forms, bounded, and ignored when it is neither."""
    assert read(429, b"", retry_after=value) == NotTaken("HTTP 429", seconds)


def test_401_is_unauthorized() -> None:
    """A 401 says that the token is not valid."""
    assert read(401, {"message": "expired"}) == Unauthorized()


@pytest.mark.parametrize("status", [100, 301, 302, 307, 408, 418, 460, 500, 502, 504, 599])
def test_everything_uncertain_is_in_doubt(status: int) -> None:
    """Time-outs, redirects, other 5xx and unheard-of 4xx may have been accepted."""
    assert isinstance(read(status, ON_THE_PAGE), Unknown)


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422, 423])
def test_a_refusal_carries_status_and_text(status: int) -> None:
    """A documented 4xx refuses the call with what the body says."""
    assert read(status, {"message": "  no \n such org "}) == Refused(status, "no such org")


def test_409_is_a_conflict_with_its_rows() -> None:
    """A 409 is in doubt, but tells which rows it is about."""
    answer = read(409, {"errors": [{"invoiceNumber": "17", "message": "already registered"}]})
    assert isinstance(answer, Conflict)
    assert answer.text == "already registered"
    assert answer.faults == ({"invoicenumber": "17", "message": "already registered"},)


PROBLEM = {
    "title": "One or more validation errors occurred.",
    "status": 400,
    "errors": {"Invoices[1].DueDate": ["is required", "is odd"], "$.invoices[2].vat": ["not a boolean"], "type": ["x"]},
}


def test_problem_details_name_rows_and_fields() -> None:
    """The ASP.NET form of an error body is split into row, field and texts."""
    answer = read(400, PROBLEM)
    assert isinstance(answer, Refused)
    assert [(fault.get("index"), fault["field"]) for fault in answer.faults] == [
        ("1", "DueDate"),
        ("2", "vat"),
        (None, "type"),
    ]
    assert [fault_text(fault) for fault in answer.faults] == [
        "DueDate: is required; is odd",
        "vat: not a boolean",
        "type: x",
    ]
    assert answer.text.startswith("One or more validation errors occurred.; Invoices[1].DueDate: is required; is odd")


@pytest.mark.parametrize(
    ("path", "index", "field"),
    [
        ("/invoices/3/dueDate", "3", "dueDate"),
        ("[0].amount", "0", "amount"),
        ("payments[12]", "12", ""),
        ("debtors[4].name", None, "debtors[4].name"),
        ("dueDate", None, "dueDate"),
    ],
)
def test_a_path_names_its_row(path: str, index: str | None, field: str) -> None:
    """A path into the call's array names a row; a path into a row's own arrays does not."""
    answer = read(422, {"errors": [{"path": path, "message": "wrong"}]})
    assert isinstance(answer, Refused)
    assert answer.faults[0].get("index") == index
    assert answer.faults[0].get("field", path) == field


@pytest.mark.parametrize(
    "content",
    [
        {"data": {"errors": [{"index": 1}]}},
        {"failed": [{"index": 1}]},
        [{"index": 1}],
        {"errors": [None, {}, {"Index": 1}]},
    ],
)
def test_faults_are_found_where_they_are(content: Any) -> None:
    """The list of faults is found at the top, under data, or as the body itself."""
    answer = read(400, content)
    assert isinstance(answer, Refused)
    assert answer.faults == ({"index": 1},)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"message": "m"}, "m"),
        ({"error": "e"}, "e"),
        ({"error": {"code": "C", "message": "m"}}, "m (C)"),
        ({"reason": "r"}, "r"),
        ({"description": "d"}, "d"),
        ({"detail": "d"}, "d"),
        ({"description": "the row's own", "errors": ["a", "b", "a"]}, "a; b"),
        ({"message": "m", "errors": [{"field": "f", "code": "C", "message": "x"}]}, "m; f: x (C)"),
        ({"errors": [{"field": "f", "code": "C"}]}, "f: C"),
        ({"Message": "m", "Code": 17}, "m (17)"),
        ({"message": "", "code": ""}, ""),
        ({"errors": {"f": ["x", "y"]}}, "f: x; y"),
        ({"message": {"text": "t"}}, "t"),
        ({"message": {"Text": " t ", "level": 3, "extra": None}, "code": "C"}, "t (C)"),
        ({"message": {"text": "t", "other": "o"}, "reason": "r"}, "r"),
        ({"error": {"message": "m", "text": "t"}}, "m"),
        ({"invoice": {"text": "the row's own"}}, ""),
        ("plain", "plain"),
        (None, ""),
        (True, ""),
    ],
)
def test_an_entry_is_read_in_every_form(entry: Any, text: str) -> None:
    """The text of an entry is found under any of its names, with field and code where they are told."""
    assert fault_text(entry) == text


def test_long_texts_are_bounded() -> None:
    """No more than a few hundred characters of a vendor's text are passed on."""
    assert len(fault_text("x" * 10_000)) == LONGEST_TEXT
    assert fault_text(["short", "long " * 100]).endswith("…")


def test_html_says_nothing() -> None:
    """A page of HTML is not a text for a caller."""
    assert read(400, b"<html><h1>Bad request</h1></html>") == Refused(400, "")


def test_json_nested_without_end_says_nothing() -> None:
    """A body made to exhaust the stack is read as an empty one."""
    for depth in (300, 900, 100_000):
        assert isinstance(read(400, b'{"errors":[' * depth + b"1" + b"]}" * depth), Refused)
    assert read(400, b'{"code":' + b"9" * 5000 + b"}") == Refused(400, "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["errors", "message", "data", "index", "field", "path", "batchId", "summary", "failed", "code"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.integers(100, 599), JSON | st.binary(max_size=40), st.booleans(), st.text(max_size=20))
def test_no_answer_raises(status: int, content: Any, expects_batch: bool, retry_after: str) -> None:
    """Whatever a server sends, the answer is one of the seven, and only a 2xx is an acceptance."""
    answer = read(status, content, expects_batch=expects_batch, retry_after=retry_after)
    assert isinstance(answer, Taken | TakenAtOnce) <= (200 <= status < 300)
    assert isinstance(answer, NotTaken) == (status in {425, 429, 503})
