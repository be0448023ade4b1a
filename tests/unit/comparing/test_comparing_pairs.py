"""Two answers to one batch: what differs, in what way, and the bucket of every row."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.batch import Address
from bridge.comparing import Answer, Bucket, Comparison, Judge, Kind, compare, compare_by_steps

Make = Callable[..., Any]
INVOICE = Address("invoice", 0)


def told(comparison: Comparison) -> list[tuple[str, str]]:
    return [(one.path, one.kind.value) for one in comparison.differences]


def body(text: str, status: int = 200) -> Answer:
    return Answer(status, text.encode())


def row(fields: str) -> Answer:
    entry = f'{{"objectname": "invoice", "objectindex": 0, {fields}}}'
    return body(f'{{"statuscode": 0, "errors": [], "responses": [{entry}]}}')


def test_equal_answers(answer: Make, taken: Make, refused: Make) -> None:
    """Two equal answers differ nowhere; every row and the batch are the same."""
    one = answer(responses=[taken(0), taken(2)], errors=[refused(1)])
    found = compare(one, one, Judge())
    assert found.differences == ()
    assert found.whole is Bucket.SAME
    assert found.rows == {Address("invoice", index): Bucket.SAME for index in (0, 1, 2)}


def test_order_and_spelling_do_not_matter(answer: Make, taken: Make) -> None:
    """Rows are found by address wherever they stand, and names of fields in any letter case."""
    legacy = answer(responses=[taken(1), taken(0)])
    shouted = {name.upper(): value for name, value in taken(0).items()}
    bridge = body(json.dumps({"StatusCode": 0, "ERRORS": [], "Responses": [shouted, taken(1)]}))
    assert compare(legacy, bridge, Judge()).differences == ()


def test_documented_names_have_one_spelling(answer: Make, taken: Make) -> None:
    """However a host spells a documented name, its path is that of the pages."""
    legacy = body(json.dumps({"StatusCode": 1, "Errors": [], "Responses": [{**taken(), "LedgerRef": "x"}]}))
    assert told(compare(legacy, legacy, Judge())) == []
    bridge = body(json.dumps({"StatusCode": 2, "Errors": [], "Responses": [{**taken(), "LedgerRef": "y"}]}))
    assert told(compare(legacy, bridge, Judge())) == [("batch.statuscode", "value"), ("invoice.ledgerref", "value")]


def test_other_value(answer: Make, taken: Make) -> None:
    """Another value of one type is told with path, address and both values as JSON."""
    found = compare(answer(responses=[taken(ledgerref="A")]), answer(responses=[taken(ledgerref="B")]), Judge())
    (one,) = found.differences
    assert (one.path, one.kind, one.address) == ("invoice.ledgerref", Kind.VALUE, INVOICE)
    assert (one.legacy, one.bridge, one.bucket, one.excuse) == ('"A"', '"B"', Bucket.DIFFERENT, "")
    assert found.rows == {INVOICE: Bucket.DIFFERENT}
    assert found.whole is Bucket.SAME


def test_missing_and_extra_fields(answer: Make, taken: Make) -> None:
    """What only the legacy answer has is missing, what only the bridge's has is extra."""
    found = compare(answer(responses=[taken(fee=1)]), answer(responses=[taken(tax=None)]), Judge())
    assert told(found) == [("invoice.fee", "missing"), ("invoice.tax", "extra")]
    assert [(one.legacy, one.bridge) for one in found.differences] == [("1", ""), ("", "null")]


@pytest.mark.parametrize(
    ("legacy", "bridge", "kind"),
    [
        ("1.0", "1", None),
        ("1e2", "100", None),
        ("9007199254740993.01", "9007199254740993.02", "value"),
        ("0.1", "0.10000000000000001", "value"),
        ("123456789012345678901234567890", "123456789012345678901234567891", "value"),
        ('"1"', "1", "type"),
        ("true", "1", "type"),
        ("null", "false", "type"),
        ("null", "null", None),
        ("{}", "[]", "type"),
        ('"a"', '"A"', "value"),
    ],
)
def test_types_and_numbers(legacy: str, bridge: str, kind: str | None) -> None:
    """Numbers are compared digit for digit, by value; types are those of JSON."""
    found = compare(row(f'"fee": {legacy}'), row(f'"fee": {bridge}'), Judge())
    assert told(found) == ([] if kind is None else [("invoice.fee", kind)])


def test_numbers_are_told_digit_for_digit() -> None:
    """A sample shows the number that was there, never a rounded one."""
    (one,) = compare(row('"fee": 9007199254740993.010'), row('"fee": 1'), Judge()).differences
    assert Decimal(one.legacy) == Decimal("9007199254740993.010")
    assert one.legacy == "9007199254740993.010"


def test_nested_values(answer: Make, taken: Make) -> None:
    """Undocumented objects and arrays are compared member by member; elements of an array share one path."""
    legacy = taken(ids={"caseNumber": 1, "lines": [{"sum": 1}, {"sum": 2}, {"sum": 3}]})
    bridge = taken(ids={"casenumber": 2, "lines": [{"sum": 1}, {"sum": 5}]})
    found = compare(answer(responses=[legacy]), answer(responses=[bridge]), Judge())
    assert told(found) == [
        ("invoice.ids.caseNumber", "value"),
        ("invoice.ids.lines[].sum", "value"),
        ("invoice.ids.lines[]", "missing"),
    ]


def test_deeply_nested_values(answer: Make, taken: Make) -> None:
    """However deep a value is, the comparison ends; far down it is compared as one text."""
    deep: Any = 1
    other: Any = 2
    for _ in range(300):
        deep, other = {"a": deep}, {"a": other}
    found = compare(answer(responses=[taken(x=deep)]), answer(responses=[taken(x=other)]), Judge())
    assert [one.kind for one in found.differences] == [Kind.VALUE]
    assert found.differences[0].path.count(".a") < 40
    assert not compare(answer(responses=[taken(x=deep)]), answer(responses=[taken(x=deep)]), Judge()).differences


def test_a_bottomless_body_is_not_read() -> None:
    """A body that no parser gets through is none; nothing is raised."""
    found = compare(body("[" * 100_000), body("{}"), Judge())
    assert told(found) == [("http.body", "type")]


def test_extreme_numbers_are_not_read() -> None:
    """A number beyond all exponents makes the body unreadable; nothing is raised."""
    assert told(compare(row('"fee": 1e99999999999999999999'), row('"fee": 1'), Judge()))[0] == ("http.body", "type")
    assert told(compare(row('"fee": 1e999999999'), row('"fee": 1'), Judge())) == [("invoice.fee", "value")]


def test_broken_texts() -> None:
    """Half of a surrogate pair is no text, so the body is not JSON; nothing is raised."""
    found = compare(row(r'"fee": "\ud800"'), row('"fee": "x"'), Judge())
    assert told(found) == [("http.body", "type"), ("invoice.row", "extra")]


def test_strange_names_are_made_fit_for_a_path() -> None:
    """A member's name of any kind makes one segment of bounded length."""
    name = "a.b*\\n" + "x" * 100
    (one,) = compare(row(f'"{name}": 1'), row('"objectname": "invoice"'), Judge()).differences
    assert one.path.startswith("invoice.a?b??xxx")
    assert one.path.endswith("…")
    assert len(one.path) < 80


# --- verdicts, rows and entries --------------------------------------------------------------------------------------


def test_verdict(answer: Make, taken: Make, refused: Make) -> None:
    """A row that one side takes and the other refuses is one difference, told with both sides' words."""
    legacy = answer(errors=[refused(0, "closed account")])
    (one,) = compare(legacy, answer(responses=[taken(0)]), Judge()).differences
    assert (one.path, one.kind, one.address) == ("invoice.verdict", Kind.VERDICT, INVOICE)
    assert (one.legacy, one.bridge) == ('"refused: closed account"', '"taken: OK"')


def test_error_with_error(answer: Make, refused: Make) -> None:
    """Of a row that both refuse the messages are compared."""
    found = compare(answer(errors=[refused(0, "a")]), answer(errors=[refused(0, "b")]), Judge())
    assert told(found) == [("invoice.message", "value")]


@pytest.mark.parametrize(("swap", "kind"), [(False, "missing"), (True, "extra")])
def test_missing_rows(answer: Make, taken: Make, swap: bool, kind: str) -> None:
    """A row that only one side tells of is a difference by itself."""
    sides = [answer(responses=[taken(0), taken(3, "payment")]), answer(responses=[taken(0)])]
    legacy, bridge = reversed(sides) if swap else sides
    found = compare(legacy, bridge, Judge())
    assert told(found) == [("payment.row", kind)]
    assert found.rows == {INVOICE: Bucket.SAME, Address("payment", 3): Bucket.DIFFERENT}


def test_several_entries_of_one_row(answer: Make, taken: Make, refused: Make) -> None:
    """A host that tells every fault in an entry of its own is compared entry by entry, and their number told."""
    legacy = answer(errors=[refused(0, "a"), refused(0, "b")])
    found = compare(legacy, answer(errors=[refused(0, "c")]), Judge())
    assert told(found) == [("invoice.entries", "value"), ("invoice.message", "value")]
    both = answer(errors=[refused(0)], responses=[taken(0)])
    assert told(compare(both, both, Judge())) == []
    assert told(compare(both, answer(errors=[refused(0)]), Judge())) == [("invoice.verdict", "verdict")]


@pytest.mark.parametrize("index", ['"0"', "0.0", "0"])
def test_spelling_of_an_address(answer: Make, taken: Make, index: str) -> None:
    """A row is found however its number is written; that it is no number is a difference of its own."""
    entry = f'{{"ObjectName": "Invoice", "objectindex": {index}, "ledgerref": "L-0", "status_statuscode": "OK"}}'
    legacy = body(f'{{"statuscode": 0, "errors": [], "responses": [{entry}]}}')
    found = compare(legacy, answer(responses=[taken(0)]), Judge())
    assert found.rows.keys() == {INVOICE}
    expected = [("invoice.objectname", "value")]
    assert told(found) == ([*expected, ("invoice.objectindex", "type")] if '"' in index else expected)


def test_entries_without_address(answer: Make, taken: Make) -> None:
    """Entries that are about no row are compared in order, as part of the batch."""
    strays: list[Any] = ["text", {"message": "a"}, {"objectname": "invoice"}, {"objectname": 1, "objectindex": 0}]
    strays += [{"objectname": "invoice", "objectindex": index} for index in (True, 0.5, "x", None)]
    legacy = answer(errors=strays, responses=[taken(0)])
    found = compare(legacy, answer(errors=["text", {"message": "b"}], responses=[taken(0)]), Judge())
    assert told(found) == [("batch.errors[].message", "value"), *[("batch.errors[]", "missing")] * 6]
    assert found.rows == {INVOICE: Bucket.SAME}
    assert found.whole is Bucket.DIFFERENT


# --- the batch as a whole --------------------------------------------------------------------------------------------


def test_top_level_fields(answer: Make) -> None:
    """The number of the batch and undocumented fields beside it are compared under `batch`."""
    found = compare(answer(statuscode=0, traceId="x"), answer(statuscode=3), Judge())
    assert told(found) == [("batch.statuscode", "value"), ("batch.traceId", "missing")]
    assert found.whole is Bucket.DIFFERENT


@pytest.mark.parametrize("errors", ["null", '{"dueDate": ["x"]}', '"x"'])
def test_a_list_that_is_none(errors: str) -> None:
    """A list of another type is a difference of the batch."""
    legacy = body(f'{{"statuscode": 0, "errors": {errors}, "responses": []}}')
    assert told(compare(legacy, body('{"statuscode": 0, "errors": [], "responses": []}'), Judge())) == [
        ("batch.errors", "type")
    ]


def test_status(answer: Make) -> None:
    """Another status is a difference; of another class it is another verdict on the batch."""
    assert told(compare(answer(status=200), answer(status=202), Judge())) == [("http.status", "value")]
    assert told(compare(answer(status=500), answer(status=200), Judge())) == [
        ("http.status", "value"),
        ("batch.verdict", "verdict"),
    ]


def test_whole_batch_refused_by_both(answer: Make, refused: Make) -> None:
    """Batches refused as a whole are compared with each other: message by message."""
    legacy = answer(status=400, errors=[refused(0, "no", "batch")])
    found = compare(legacy, answer(status=400, errors=[refused(0, "not JSON", "batch")]), Judge())
    assert told(found) == [("batch.message", "value")]
    assert found.differences[0].address is None
    assert found.rows == {}
    bare = compare(legacy, answer(status=400), Judge())
    assert told(bare) == [("batch.row", "missing")]


def test_whole_batch_refused_by_one(answer: Make, taken: Make, refused: Make) -> None:
    """A batch that only one side refuses as a whole is another verdict, and its rows are told by one side only."""
    found = compare(answer(errors=[refused(0, "no", "batch")]), answer(responses=[taken(0)]), Judge())
    assert told(found) == [("batch.verdict", "verdict"), ("invoice.row", "extra")]
    assert (found.differences[0].legacy, found.differences[0].bridge) == ('"refused: no"', '"taken"')


@pytest.mark.parametrize("text", ["<html>", "", "[]", "1", "{", '{"a": 1}x'])
def test_no_json(answer: Make, taken: Make, text: str) -> None:
    """A body that is no JSON object is another type of body; every row of the other side is there all the same."""
    found = compare(body(text), answer(responses=[taken(0)]), Judge())
    assert told(found) == [("http.body", "type"), ("invoice.row", "extra")]
    assert found.rows == {INVOICE: Bucket.DIFFERENT}
    assert text not in {one.legacy for one in found.differences} or not text


def test_no_json_on_both_sides() -> None:
    """Two such bodies are the same when their bytes are."""
    assert compare(body("<html>"), body("<html>"), Judge()).whole is Bucket.SAME
    assert told(compare(body("<html>"), body("<body>"), Judge())) == [("http.body", "value")]


def test_byte_order_mark(answer: Make) -> None:
    """A byte-order mark is no difference."""
    plain = answer()
    assert compare(Answer(200, b"\xef\xbb\xbf" + plain.body), plain, Judge()).differences == ()


# --- origins, and rows nobody can tell --------------------------------------------------------------------------------


def test_origin(answer: Make, taken: Make, refused: Make) -> None:
    """Who knows origins is asked with the object, the field, and what the bridge says there."""
    asked: list[tuple[str, str, str]] = []

    def origin(*place: str) -> str:
        asked.append(place)  # type: ignore[arg-type]  # three texts
        return f"rule {len(asked)}"

    legacy = answer(statuscode=0, responses=[taken(0, ledgerref="A"), taken(1), taken(2)], errors=[refused(3)])
    bridge = answer(statuscode=1, responses=[taken(0, ledgerref="B"), taken(3)], errors=[refused(1, "x: required")])
    found = compare(legacy, bridge, Judge(origin=origin))
    assert asked == [
        ("batch", "statuscode", "1"),
        ("invoice", "verdict", "OK"),
        ("invoice", "ledgerref", "B"),
        ("invoice", "verdict", "x: required"),
        ("invoice", "row", ""),
    ]
    assert [one.origin for one in found.differences] == [f"rule {number}" for number in (1, 2, 3, 4, 5)]


def test_rows_that_were_not_predicted(answer: Make, taken: Make, refused: Make) -> None:
    """Whatever is said of an unsure row is excused, and so is the number that follows from it."""
    legacy = answer(statuscode=1, errors=[refused(0, "unknown claim", "payment")], responses=[taken(1, "payment")])
    bridge = answer(statuscode=0, responses=[taken(0, "payment"), taken(1, "payment")])
    unsure = frozenset({Address("payment", 0), Address("payment", 1), Address("payment", 9)})
    found = compare(legacy, bridge, Judge(unsure=unsure))
    assert {(one.path, one.bucket, one.excuse) for one in found.differences} == {
        ("payment.verdict", Bucket.EXCUSED, "not predicted"),
        ("batch.statuscode", Bucket.EXCUSED, "not predicted"),
    }
    assert found.rows == {Address("payment", index): Bucket.EXCUSED for index in (0, 1)}
    assert found.not_predicted == {Address("payment", 0), Address("payment", 1)}
    assert found.whole is Bucket.EXCUSED


def test_an_unsure_row_must_be_there(answer: Make, taken: Make) -> None:
    """That a row is told at all can be known; its absence is excused by nothing."""
    found = compare(answer(), answer(responses=[taken(0)]), Judge(unsure=frozenset({INVOICE})))
    assert found.rows == {INVOICE: Bucket.DIFFERENT}


def test_steps(answer: Make, taken: Make) -> None:
    """A large comparison can be made in slices, and comes to the same."""
    legacy = answer(responses=[taken(index, ledgerref="x") for index in range(220)])
    bridge = answer(responses=[taken(index) for index in range(220)])
    steps, count = compare_by_steps(legacy, bridge, Judge()), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Comparison = end.value
            break
        count += 1
    assert count > 4
    assert found == compare(legacy, bridge, Judge())
