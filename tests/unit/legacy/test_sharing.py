"""What the legacy host is sent of a shared batch, and how its answer is read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import OBJECTNAMES, Address, Verdict
from bridge.legacy.body import split
from bridge.legacy.sharing import (
    LONGEST_REFERENCE,
    NO_REASON,
    STILL_PENDING,
    UNMENTIONED,
    judge,
    read_host_answer,
    write_sub_batch,
)


@dataclass(frozen=True)
class Table:
    all_accepted: int = 0
    pending: str = "PENDING"
    host_pending: Verdict = Verdict.ACCEPTED
    host_both: Verdict = Verdict.REFUSED
    host_unmentioned: Verdict = Verdict.REFUSED
    host_unmentioned_in_success: Verdict = Verdict.ACCEPTED


TABLE = Table()
ONE = (Address("invoice", 7),)
CREDITOR, FIRST, SECOND, PAYMENT = (
    Address("creditor", 2),
    Address("invoice", 1),
    Address("invoice", 5),
    Address("payment", 0),
)
ROWS = (CREDITOR, FIRST, SECOND, PAYMENT)


def verdicts(answer: object, rows: tuple[Address, ...] = ONE, table: Table = TABLE) -> dict[Address, Any]:
    """Return (verdict, message, ledgerref) of each row."""
    told = read_host_answer(json.dumps(answer).encode())
    assert told is not None
    return {
        address: (one.verdict.value, one.message, one.ledgerref) for address, one in judge(told, rows, table).items()
    }


def line(name: str, index: object, **more: object) -> dict[str, Any]:
    return {"objectname": name, "objectindex": index, **more}


raw_rows = st.lists(
    st.sampled_from([b'{"a": 1.50}', b"{}", '{"ø":"\\u00e6"}'.encode(), b'[1, "x"]', b"null"]), max_size=4
)


@given(batchid=st.text(max_size=20), rows=st.fixed_dictionaries(dict.fromkeys(OBJECTNAMES, raw_rows)))
def test_a_sub_batch_holds_the_rows_byte_for_byte(batchid: str, rows: dict[str, list[bytes]]) -> None:
    """Read as a batch it has the same batchid, the same bytes in the same order, and waits for its answer."""
    given_rows = [(Address(name, index + 3), raw) for name in OBJECTNAMES for index, raw in enumerate(rows[name])]
    if "\0" in batchid:
        return
    envelope = split(write_sub_batch(batchid, given_rows))
    assert (envelope.batchid, envelope.offline) == (batchid.strip(), False)
    assert {name: [bytes(raw) for raw in envelope.rows[name]] for name in OBJECTNAMES} == rows


def test_without_a_batchid_none_is_sent() -> None:
    """The host gets no batchid where the caller gave none."""
    assert b"batchid" not in write_sub_batch("", [(FIRST, b"{}")])


def test_an_answer_is_mapped_back_to_the_callers_addresses() -> None:
    """The host counts the rows it was sent; the caller knows them by where they stood in its own batch."""
    answer = {
        "statuscode": 1,
        "errors": [line("invoice", 1, message="no")],
        "responses": [line("creditor", 0, ledgerref="C"), line("invoice", 0, ledgerref="I"), line("payment", 0)],
    }
    assert verdicts(answer, ROWS) == {
        CREDITOR: ("accepted", "", "C"),
        FIRST: ("accepted", "", "I"),
        SECOND: ("refused", "no", ""),
        PAYMENT: ("accepted", "", ""),
    }


def test_letter_case_and_kinds_of_numbers_do_not_matter() -> None:
    """Names in any letter case, numbers as texts or with a fraction of zero, missing lists, a byte-order mark."""
    answer = b'{"StatusCode":"0","RESPONSES":[{"ObjectName":"Invoice","objectIndex":"0","LedgerRef":12}]}'
    told = read_host_answer(b"\xef\xbb\xbf" + answer, "application/json; charset=utf-8")
    assert told is not None
    assert told.statuscode == 0
    (outcome,) = judge(told, ONE, TABLE).values()
    assert (outcome.verdict, outcome.ledgerref) == (Verdict.ACCEPTED, "12")
    assert verdicts({"errors": [line("INVOICE", 0.0, message="x")]}) == {ONE[0]: ("refused", "x", "")}


def test_an_old_encoding_is_read() -> None:
    """An answer in latin-1 keeps its letters."""
    body = '{"errors":[{"objectname":"invoice","objectindex":0,"message":"Skyldner må betale"}]}'.encode("latin-1")
    told = read_host_answer(body, "text/json; charset=iso-8859-1")
    assert told is not None
    assert judge(told, ONE, TABLE)[ONE[0]].message == "Skyldner må betale"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"[]",
        b'"OK"',
        b'{"hello": 1}',
        b'{"errors": {"objectname": "invoice"}}',
        b'{"responses": "all"}',
        b"\xff\xfe\x00",
        b'{"a":' * 3000,
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    """Anything but an object with a statuscode or lists of rows is unreadable."""
    assert read_host_answer(body) is None


def test_an_answer_of_another_kind_is_not_read() -> None:
    """A page that calls itself HTML, or names an encoding nobody knows, is no answer."""
    assert read_host_answer(b'{"statuscode":0}', "text/html") is None
    assert read_host_answer(b'{"statuscode":0}', "application/json; charset=klingon") is None


def test_several_messages_of_one_row_are_joined() -> None:
    """All of them are told, in their order; whatever is no text is told as JSON."""
    answer = {
        "errors": [line("invoice", 0, message=" one "), line("invoice", 0, message={"a": [1]}), line("invoice", 0)]
    }
    assert verdicts(answer) == {ONE[0]: ("refused", 'one; {"a":[1]}', "")}
    assert verdicts({"errors": [line("invoice", 0)]}) == {ONE[0]: ("refused", NO_REASON, "")}


def test_a_row_among_errors_and_responses_is_refused() -> None:
    """Unless the profile says otherwise."""
    answer = {"errors": [line("invoice", 0, message="no")], "responses": [line("invoice", 0, ledgerref="L")]}
    assert verdicts(answer) == {ONE[0]: ("refused", "no", "")}
    assert verdicts(answer, table=replace(TABLE, host_both=Verdict.ACCEPTED)) == {ONE[0]: ("accepted", "", "L")}
    assert verdicts(answer, table=replace(TABLE, host_both=Verdict.PENDING)) == {}


def test_a_pending_row_is_the_hosts_and_accepted() -> None:
    """The host has it, and nobody tells more; a profile may have it refused, or wait for an operator."""
    answer = {"responses": [line("invoice", 0, ledgerref="L", status_statuscode=" pending ")]}
    assert verdicts(answer) == {ONE[0]: ("accepted", "", "L")}
    refused = replace(TABLE, host_pending=Verdict.REFUSED)
    assert verdicts(answer, table=refused) == {ONE[0]: ("refused", STILL_PENDING, "")}
    assert verdicts(answer, table=replace(TABLE, host_pending=Verdict.PENDING)) == {}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"statuscode": 0, "errors": []}, ("accepted", "", "")),
        ({"statuscode": "0"}, ("accepted", "", "")),
        ({"statuscode": 1}, ("refused", UNMENTIONED, "")),
        ({"responses": []}, ("refused", UNMENTIONED, "")),
        ({"statuscode": 0, "errors": [line("invoice", 9, message="x")]}, ("refused", UNMENTIONED, "")),
        ({"statuscode": 2, "errors": [line("batch", 0, message="closed today")]}, ("refused", "closed today", "")),
        ({"statuscode": 2, "errors": [{"message": "closed today"}]}, ("refused", "closed today", "")),
        ({"statuscode": 2, "errors": ["closed today"]}, ("refused", "closed today", "")),
        ({"statuscode": True, "errors": [None]}, ("refused", UNMENTIONED, "")),
    ],
)
def test_an_unmentioned_row_is_accepted_only_where_all_were(answer: object, expected: tuple[str, str, str]) -> None:
    """Success without any error speaks for it; else it is refused, in the host's words if it has some."""
    assert verdicts(answer) == {ONE[0]: expected}


def test_what_unmentioned_rows_are_taken_for_is_the_profiles_decision() -> None:
    """Both with and without success."""
    open_table = replace(TABLE, host_unmentioned=Verdict.PENDING, host_unmentioned_in_success=Verdict.REFUSED)
    assert verdicts({"statuscode": 1}, table=open_table) == {}
    assert verdicts({"statuscode": 0}, table=open_table) == {ONE[0]: ("refused", UNMENTIONED, "")}


def test_an_endless_reference_is_cut() -> None:
    """What the host calls a row is kept for ever, so it has its limit."""
    answer = {"responses": [line("invoice", 0, ledgerref="x" * 10_000)]}
    assert verdicts(answer)[ONE[0]][2] == "x" * LONGEST_REFERENCE


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["invoice", "Payment", "creditor", "batch", "action", "x", "", None, 3])
entries = st.lists(
    junk
    | st.fixed_dictionaries(
        {},
        optional={
            "objectname": names,
            "ObjectIndex": st.integers(-1, 4) | st.sampled_from(["0", "1", " 2 ", "99999999999", 1.0, 1e300, True]),
            "message": junk,
            "ledgerref": junk,
            "status_statuscode": st.sampled_from(["OK", "PENDING", None, 1]),
        },
    ),
    max_size=6,
)


@given(
    answer=st.fixed_dictionaries({}, optional={"statuscode": junk, "Errors": entries, "responses": entries}),
    rows=st.lists(st.builds(Address, st.sampled_from(OBJECTNAMES), st.integers(0, 30)), unique=True, max_size=6),
)
def test_every_row_gets_one_verdict_whatever_the_answer(answer: dict[str, Any], rows: list[Address]) -> None:
    """No answer raises, and with the usual readings none leaves a row out; refusals always say something."""
    told = read_host_answer(json.dumps(answer).encode())
    if told is None:
        return
    ordered = sorted(rows, key=lambda row: (OBJECTNAMES.index(row.objectname), row.objectindex))
    outcomes = judge(told, ordered, TABLE)
    assert list(outcomes) == ordered
    for outcome in outcomes.values():
        assert outcome.verdict is not Verdict.PENDING
        assert bool(outcome.message) is (outcome.verdict is Verdict.REFUSED)
