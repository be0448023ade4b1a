"""What the schema coerces, what it decides, and how it words a refusal."""

import copy
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from bridge.batch import Address, Outcome, Row, Verdict
from bridge.errors import MappingFault
from bridge.legacy.faults import MOST_FAULTS
from bridge.legacy.reader import RowReader
from bridge.legacy.schema import MOST_UNKNOWN, build_schema
from bridge.shape import Field, FieldType, Shape

EVERYTHING = Shape(
    "payment",
    (
        *(Field(kind.value, kind) for kind in FieldType),
        Field("needed", FieldType.TEXT, required=True),
        Field(
            "list", many=True, required=True, fields=(Field("from", FieldType.DATE), Field("self", FieldType.INTEGER))
        ),
        Field("one", fields=(Field("deep", fields=(Field("er", FieldType.BOOLEAN, required=True),)),)),
        Field("words", FieldType.TEXT, many=True),
    ),
)
BASE = {"needed": "x", "list": [{"from": "2024-02-15"}]}


def read(change: dict | bytes, shape: Shape = EVERYTHING) -> Row | Outcome:
    raw = change if isinstance(change, bytes) else msgspec.json.encode({**BASE, **change})
    return RowReader({"payment": shape}).read(Address("payment", 3), raw)


def fields(change: dict | bytes) -> dict:
    result = read(change)
    assert isinstance(result, Row), result
    return {name: value for name, value in result.fields.items() if name not in BASE or BASE[name] != value}


def message(change: dict | bytes, shape: Shape = EVERYTHING) -> str:
    result = read(change, shape)
    assert isinstance(result, Outcome), result
    assert result.verdict is Verdict.REFUSED
    assert result.address == Address("payment", 3)
    return result.message


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [
        ({"text": " Kari "}, {"text": "Kari"}),
        ({"text": 155}, {"text": "155"}),
        ({"text": msgspec.Raw(b"12.50")}, {"text": "12.50"}),
        ({"text": ""}, {}),
        ({"text": " \u00a0"}, {}),
        ({"text": None, "decimal": None, "words": None, "one": None}, {}),
        ({"decimal": "1 250,00"}, {"decimal": Decimal("1250.00")}),
        ({"decimal": msgspec.Raw(b"9007199254740993.01")}, {"decimal": Decimal("9007199254740993.01")}),
        ({"decimal": " "}, {}),
        ({"integer": "12"}, {"integer": 12}),
        ({"integer": 12.0}, {"integer": 12}),
        ({"boolean": " TRUE "}, {"boolean": True}),
        ({"boolean": "0"}, {"boolean": False}),
        ({"boolean": 1}, {"boolean": True}),
        ({"boolean": 0.0}, {"boolean": False}),
        ({"date": "2024-02-15T10:00:00+01:00"}, {"date": "2024-02-15"}),
        ({"datetime": "2024-02-15"}, {"datetime": "2024-02-15T00:00:00"}),
        ({"datetime": " /Date(0)/ "}, {"datetime": "1970-01-01T00:00:00Z"}),
        ({"TEXT": "x"}, {"text": "x"}),
        ({"one": {"DEEP": {"Er": "false"}}}, {"one": {"deep": {"er": False}}}),
        ({"one": {}}, {"one": {}}),
        ({"words": [" a ", "", None, 5]}, {"words": ["a", "5"]}),
        ({"words": []}, {"words": []}),
        ({"LIST": [None, {"FROM": "/Date(0)/", "Self": "1"}]}, {"list": [{"from": "1970-01-01", "self": 1}]}),
    ],
)
def test_lenient_spellings_are_read(sent: Any, read_as: Any) -> None:
    """Values become what their field declares; what says nothing is absent."""
    change = msgspec.json.encode({"needed": "x", **sent}) if "LIST" in sent else sent
    assert fields(change) == read_as


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (b'{"text":"a","TEXT":"b"', "b"),
        (b'{"TEXT":"a","text":"b"', "b"),
        (b'{"text":"a","Text":"b","text":"c"', "c"),
        (b'{"text":"a","TEXT":null', None),
        (b'{"text":[],"TEXT":"b"', "b"),
    ],
)
def test_the_last_spelling_of_a_property_wins(row: Any, text: Any) -> None:
    """Also when an earlier spelling comes again, and when the last one says null."""
    assert fields(row + b',"needed":"x","list":[{"from":"2024-02-15"}]}').get("text") == text


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"text": True}, "text: not a text"),
        ({"text": {}}, "text: not a text"),
        ({"text": msgspec.Raw(b"1e99999999999999999999")}, "text: not a text"),
        ({"text": "a\0b"}, "text: contains a NUL character"),
        ({"decimal": "ten"}, "decimal: not a number"),
        ({"decimal": True}, "decimal: not a number"),
        ({"decimal": 10**21}, "decimal: out of range: at most 20 digits before and 28 after the decimal point"),
        (
            {"decimal": msgspec.Raw(b"-1e99999999999999999999")},
            "decimal: out of range: at most 20 digits before and 28",
        ),
        ({"integer": 12.5}, "integer: not a whole number"),
        ({"integer": 2**63}, "integer: out of range: a whole number of at most 64 bits"),
        ({"boolean": "ja"}, "boolean: not true or false"),
        ({"boolean": 2}, "boolean: not true or false"),
        ({"boolean": []}, "boolean: not true or false"),
        ({"date": "2024-02-30"}, "date: not a valid date"),
        ({"date": 20240215}, "date: not a valid date"),
        ({"datetime": "soon"}, "datetime: not a valid date"),
        ({"datetime": 0}, "datetime: not a valid date"),
        ({"needed": None}, "needed: required"),
        ({"needed": " "}, "needed: required"),
        ({"list": []}, "list: required"),
        ({"list": [None]}, "list: required"),
        ({"list": {}}, "list: not an array"),
        ({"list": "x"}, "list: not an array"),
        ({"list": [5]}, "list[0]: not an object"),
        ({"list": [{}, {"from": "x", "self": "y"}]}, "list[1].from: not a valid date; list[1].self: not a number"),
        ({"one": []}, "one: not an object"),
        ({"one": {"deep": {}}}, "one.deep.er: required"),
        ({"words": ["a", {}]}, "words[1]: not a text"),
        ({"text": [], "date": "x"}, "text: not a text; date: not a valid date"),
    ],
)
def test_faults_are_told_by_field(sent: Any, told: Any) -> None:
    """Every fault names its field and what was expected, in declared order, and never the value."""
    assert message(sent).startswith(told)


def test_an_ambiguous_amount_is_refused_as_such() -> None:
    """The message says that it can be read in two ways, without repeating it."""
    assert message({"decimal": "1,250"}).startswith("decimal: ambiguous: ")
    assert "250" not in message({"decimal": "1,250"})


def test_many_faults_are_counted() -> None:
    """A row with faults without end gets a message that has one."""
    told = message({"list": [{"from": "x"}] * 100})
    assert told.count("not a valid date") == MOST_FAULTS
    assert told.endswith("; … and 80 more")


def test_unknown_fields_are_noted_and_the_row_is_read() -> None:
    """Each path once, array positions left out, in the spelling that came; a null says nothing."""
    result = read({"shoeSize": 43, "hat": None, "list": [{"a": 1}, {"a": 2, "B\n": []}], "one": {"c": {}}})
    assert isinstance(result, Row)
    assert result.unknown == ("shoeSize", "list[].a", "list[].B?", "one.c")
    assert "shoeSize" not in result.fields


def test_unknown_fields_are_bounded() -> None:
    """A row of nothing but strange fields cannot fill the books."""
    result = read({f"{number:03}" * 40: 1 for number in range(200)})
    assert isinstance(result, Row)
    assert len(result.unknown) == MOST_UNKNOWN
    assert max(map(len, result.unknown)) < 70


def test_a_strict_profile_refuses_unknown_fields() -> None:
    """Where a profile says so, an unknown field is a fault of its row, told by its place."""
    strict = Shape("payment", EVERYTHING.fields, refuse_unknown=True)
    assert message({"list": [{"shoeSize": 43}]}, strict) == "list[0].shoeSize: unknown field"
    assert message({"shoeSize": 43, "date": "x"}, strict) == "date: not a valid date; shoeSize: unknown field"


def test_two_fields_that_differ_in_letter_case_only_are_a_mapping_fault() -> None:
    """Such a shape could never be read; the start is stopped."""
    with pytest.raises(MappingFault, match="letter case"):
        build_schema(Shape("payment", (Field("a", FieldType.TEXT), Field("A", FieldType.TEXT))))


def test_a_spelled_out_invoice_reads_like_a_plain_one(reader: Any, rows: Any, raw: Any) -> None:
    """A row in every lenient spelling gives the fields of the same row in canonical spelling."""
    plain, odd = rows["invoice"], copy.deepcopy(rows["invoice"])
    odd["INVOICENUMBER"] = f" {odd.pop('invoiceNumber')} "
    odd |= {"vat": "True", "fees": 0, "originalInvoiceAmount": "4 500,25", "invoiceDate": "2024-01-15T01:00:00+01:00"}
    odd |= {"dueDate": "2024-02-15", "ledgerref": "", "creditorid": None}
    odd["Debtors"] = [{name.upper(): value for name, value in debtor.items()} for debtor in odd.pop("debtors")]
    read_plain, read_odd = reader.read_many("invoice", 0, [raw(plain), raw(odd)])
    assert read_plain.fields == read_odd.fields
    assert read_odd.unknown == ()
