"""Raw rows become rows or refusals; nothing raises."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import OBJECTNAMES, Address, Outcome, Row, Verdict
from bridge.legacy import fast
from bridge.legacy.dates import read_date
from bridge.legacy.fast import KnownTexts
from bridge.legacy.reader import RowReader
from bridge.shape import Field, FieldType, Shape


def fields(result: Row | Outcome) -> dict[str, Any]:
    assert isinstance(result, Row), result
    return result.fields


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("objectname", OBJECTNAMES)
def test_canonical_rows_take_the_fast_lane(objectname: Any, shapes: Any, rows: Any, raw: Any) -> None:
    """A row that needs no coercion is read as it stands, money as exact decimals, without marshmallow."""
    reader = RowReader(shapes)
    result = reader.read(Address(objectname, 7), raw(rows[objectname]))
    assert isinstance(result, Row)
    assert result.address == Address(objectname, 7)
    assert result.fields == msgspec.json.Decoder(float_hook=Decimal).decode(raw(rows[objectname]))
    assert (reader.fast_rows, reader.slow_rows) == (1, 0)


def test_whole_amounts_are_decimals_too(reader: Any, rows: Any, raw: Any) -> None:
    """An amount without decimals has the type of any other, in fields and in arrays."""
    claims = reader.read(Address("invoice", 0), raw(rows["invoice"])).fields["claims"]
    rates = reader.read(Address("creditor", 0), raw(rows["creditor"])).fields["rates"]
    assert [type(claim["remainingAmount"]) for claim in claims] == [Decimal, Decimal]
    assert [type(rate) for rate in rates] == [Decimal, Decimal]


def test_other_rows_take_the_slow_lane_and_both_are_counted(shapes: Any, rows: Any, raw: Any) -> None:
    """Rows keep their order and index whichever way they go."""
    reader = RowReader(shapes)
    plain = raw(rows["payment"])
    results = reader.read_many("payment", 100, [plain, raw({**rows["payment"], "amount": "1,5"}), b"[]", plain])
    assert [result.address.objectindex for result in results] == [100, 101, 102, 103]
    assert fields(results[1])["amount"] == Decimal("1.5")
    assert (reader.fast_rows, reader.slow_rows) == (2, 2)


def test_an_exact_long_amount_survives(reader: Any, rows: Any, raw: Any) -> None:
    """Digits beyond a binary float reach the row."""
    row = raw({**rows["payment"], "amount": msgspec.Raw(b"9007199254740993.01")})
    assert str(fields(reader.read(Address("payment", 0), row))["amount"]) == "9007199254740993.01"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (b"5", "not an object"),
        (b"null", "not an object"),
        (b"[]", "not an object"),
        (b'"x"', "not an object"),
        (b'{"a":"\\ud800"}', "not readable: a text in it is not valid Unicode, or it is not JSON"),
        (b'{"a":"\xff"}', "not readable: a text in it is not valid Unicode, or it is not JSON"),
        (b'{"a":', "not readable: a text in it is not valid Unicode, or it is not JSON"),
        (b'{"a":' + b"1" * 5000 + b"}", "not readable: a number in it has too many digits"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not readable: it is nested too deeply"),
        (b'{"type":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not readable: it is nested too deeply"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_under_its_address(reader: Any, row: Any, told: Any) -> None:
    """Its neighbours never notice."""
    result = reader.read(Address("invoice", 9), row)
    assert result == Outcome(Address("invoice", 9), Verdict.REFUSED, told)


def test_rows_the_profile_does_not_map_are_refused(rows: Any, raw: Any) -> None:
    """Each under its own address, with the one who can help."""
    results = RowReader({}).read_many("action", 4, [raw(rows["action"]), b"1"])
    assert [result.address for result in results] == [Address("action", 4), Address("action", 5)]
    assert all(isinstance(result, Outcome) and "operator" in result.message for result in results)


def test_a_row_of_no_declared_fields_is_read() -> None:
    """The smallest shapes work too."""
    reader = RowReader({"action": Shape("action", (Field("one", fields=()), Field("many", fields=(), many=True)))})
    assert fields(reader.read(Address("action", 0), b'{"one":{},"many":[{}]}')) == {"one": {}, "many": [{}]}
    assert fields(reader.read(Address("action", 0), b"{}")) == {}


def test_names_that_are_no_python_names_are_read(rows: Any) -> None:
    """JSON names may hold anything; both lanes read them."""
    names = ("class", "e-mail", "f0", "{place}", "spell", "ø", "Meta")
    reader = RowReader({"action": Shape("action", tuple(Field(name, FieldType.TEXT) for name in names))})
    row = dict.fromkeys(names, "x")
    odd = dict.fromkeys(names, " x")
    results = reader.read_many("action", 0, [msgspec.json.encode(row), msgspec.json.encode(odd)])
    assert [fields(result) for result in results] == [row, row]
    assert (reader.fast_rows, reader.slow_rows) == (1, 1)


def test_references_can_be_told_in_a_refused_row(reader: Any) -> None:
    """Of a row that could not be taken, its names can still be told where they can be read."""
    names = {
        "uniqueSourceInvoiceId": "uniqueSourceInvoiceId",
        "invoiceNumber": "invoiceNumber",
        "ledgerref": "ledgerref",
    }
    row = b'{"InvoiceNumber":" A-1 ","uniqueSourceInvoiceId":77,"ledgerref":true,"dueDate":"x"}'
    assert reader.peek(row, names) == (("uniqueSourceInvoiceId", "77"), ("invoiceNumber", "A-1"))
    for unreadable in (b"5", b"{", b'{"invoiceNumber":"\\ud800"}', b"[" * 100_000, b'{"invoiceNumber":"\xff"}'):
        assert reader.peek(unreadable, names) == ()


def test_known_dates_are_bounded(monkeypatch: Any) -> None:
    """Ever new dates cannot fill the memory, and a wrong one is never remembered."""
    monkeypatch.setattr(fast, "_DATES_KEPT", 3)
    known = KnownTexts(read_date)
    assert [known.admit(f"2024-02-{day:02}") for day in range(1, 32)] == [True] * 29 + [False] * 2
    assert not known.admit("2024-02-15T00:00:00")
    assert len(known) <= 3


@given(value=JSON, objectname=st.sampled_from(OBJECTNAMES))
def test_any_json_is_a_row_or_a_refusal(reader: Any, value: Any, objectname: Any) -> None:
    """Whatever stands in an array has one result under its own address."""
    result = reader.read(Address(objectname, 1), msgspec.json.encode(value))
    assert result.address == Address(objectname, 1)


@given(data=st.binary(max_size=80), objectname=st.sampled_from(OBJECTNAMES))
def test_any_bytes_are_a_row_or_a_refusal(reader: Any, data: Any, objectname: Any) -> None:
    """Even what is no JSON at all."""
    assert reader.read(Address(objectname, 1), data).address == Address(objectname, 1)


@given(place=st.integers(0, 200), value=JSON)
def test_no_value_in_any_place_raises(reader: Any, leaves: Any, shapes: Any, place: Any, value: Any) -> None:
    """A row with anything in any of its places is read or refused, with a message that has an end."""
    shape = shapes["invoice"]
    member = shape.fields[place % len(shape.fields)]
    inner = {one.name: value for one in member.fields}
    for sent in (value, [value], inner, [inner, inner]):
        result = reader.read(Address("invoice", 0), msgspec.json.encode({member.name: sent}))
        assert isinstance(result, Outcome)
        assert 0 < len(result.message) < 5000
