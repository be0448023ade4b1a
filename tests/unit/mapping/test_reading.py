"""The way back: what one value of the modern system becomes in a field of a legacy answer."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.mapping import ReadProfile

Load = Callable[..., ReadProfile]
BIG = Decimal("9007199254740993.01")


@pytest.fixture
def read(reading_of: Load) -> Callable[..., Any]:
    """Return a function that reads one value into a field of one type, with keys of the rule."""

    def run(value: Any, field: str, keys: str = "", *, more: str = "", profile: str = "") -> Any:
        rule = f'[[rule]]\nfrom = "case.a"\nto = "x"\nevidence = "assumed"\n{keys}\n'
        mapping = reading_of(f'[fields]\nx = "{field}"\n{rule}{more}', profile=profile).case
        return mapping.render({"case": {"a": value}})["x"]

    return run


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "ø"),
        ("decimal", BIG),
        ("decimal", 10**30),
        ("integer", -7),
        ("boolean", False),
        ("date", "2026-02-15"),
        ("datetime", "2026-02-15T09:30:00Z"),
        ("datetime", "2026-02-15T09:30:00.125Z"),
    ],
)
def test_what_fits_stays_as_it_is(read: Callable[..., Any], field: str, value: Any) -> None:
    """A value of the field's type is the answer, digit for digit."""
    found = read(value, field)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 7),
        ("text", True),
        ("text", ""),
        ("text", {}),
        ("text", ["x"]),
        ("decimal", True),
        ("decimal", 1.5),
        ("integer", Decimal(7)),
        ("integer", False),
        ("boolean", 1),
        ("boolean", "true"),
        ("date", "15.02.2026"),
        ("date", 20260215),
        ("date", "2026-02-30"),
        ("datetime", "soon"),
        ("datetime", {"at": "2026-02-15"}),
        ("datetime", "2026-02-30T09:30:00Z"),
        ("datetime", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_what_does_not_fit_is_null(read: Callable[..., Any], field: str, value: Any) -> None:
    """A value of another type, or none at all, is null and no error."""
    assert read(value, field) is None
    assert read(None, field) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-02-15", "2026-02-15T00:00:00Z"),
        ("2026-02-15T09:30:00", "2026-02-15T09:30:00Z"),
        ("2026-02-15T09:30:00+02:00", "2026-02-15T07:30:00Z"),
    ],
)
def test_moments_are_told_in_utc(read: Callable[..., Any], value: str, expected: str) -> None:
    """A date, a wall clock or an offset comes out with Z."""
    assert read(value, "datetime") == expected


def test_a_time_zone_shows_the_days_of_its_clocks(read: Callable[..., Any]) -> None:
    """What was written as a date in the profile's zone is read back as that date."""
    oslo = 'time_zone = "Europe/Oslo"'

    assert read("2026-02-14T23:00:00Z", "datetime", profile=oslo) == "2026-02-15T00:00:00+01:00"
    assert read("2026-02-14T23:00:00Z", "date", profile=oslo) == "2026-02-15"
    assert read("2026-02-15", "datetime", profile=oslo) == "2026-02-15T00:00:00+01:00"
    assert read("9999-12-31T23:30:00Z", "date", profile=oslo) is None


@pytest.mark.parametrize(
    ("field", "transform", "value", "expected"),
    [
        ("text", "text", 700123, "700123"),
        ("text", "text", Decimal("1E+3"), "1000"),
        ("text", "text", Decimal("1E+999999999"), None),
        ("text", "text", 10**4000, None),
        ("text", "text", True, None),
        ("text", "text", "", None),
        ("text", "upper", "nok", "NOK"),
        ("text", "trim", "  ", None),
        ("text", "digits", "a1-2", "12"),
        ("text", "digits", 12, "12"),
        ("text", "digits", 10**4000, None),
        ("decimal", "decimal", "1 250,00", Decimal("1250.00")),
        ("decimal", "decimal", "1,250", None),
        ("decimal", "decimal", BIG, BIG),
        ("decimal", "negate", BIG, -BIG),
        ("decimal", "absolute", Decimal("-1.50"), Decimal("1.50")),
        ("integer", "integer", "700123", 700123),
        ("integer", "integer", "7.5", None),
        ("integer", "integer", Decimal("7.0"), 7),
        ("integer", "integer", Decimal("7.5"), None),
        ("integer", "integer", Decimal("1E+999999999"), None),
        ("integer", "integer", {}, None),
        ("date", "date", "2026-02-15T09:30:00Z", "2026-02-15"),
        ("date", "trim", " 2026-02-15 ", "2026-02-15"),
        ("text", "date", "2026-02-15T09:30:00Z", "2026-02-15"),
    ],
)
def test_transforms(read: Callable[..., Any], field: str, transform: str, value: Any, expected: Any) -> None:
    """A transform says what is taken, and what is made of it; what it cannot read is null."""
    assert read(value, field, f'transform = "{transform}"') == expected


def test_transforms_follow_each_other(read: Callable[..., Any]) -> None:
    """A transform is applied to what the one before it left; nothing is made of nothing."""
    keys = 'transform = ["trim", "upper"]'

    assert (read(" a ", "text", keys), read("  ", "text", keys)) == ("A", None)


TABLE = """
[table.t]
{unmapped}
rows = [
  {{ code = "A", value = true, evidence = "assumed" }},
  {{ code = "B", value = false, evidence = "assumed" }},
  {{ code = 3, value = true, evidence = "assumed" }},
]
"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [("A", True), ("b", False), (3, True), ("3", True), ("C", None), ({}, None), (Decimal(3), None), ("", None)],
)
def test_code_tables(read: Callable[..., Any], value: Any, expected: bool | None) -> None:
    """Codes match in any letter case; one without a row is null."""
    keys = 'transform = { name = "table", table = "t" }'

    assert read(value, "boolean", keys, more=TABLE.format(unmapped="")) is expected


def test_a_code_without_a_row_can_have_a_value(read: Callable[..., Any]) -> None:
    """`unmapped` gives a value for all other codes, but not for what is no code."""
    keys, more = 'transform = { name = "table", table = "t" }', TABLE.format(unmapped="unmapped = { value = true }")

    assert read("C", "boolean", keys, more=more) is True
    assert read([], "boolean", keys, more=more) is None


def test_a_code_without_a_row_can_be_kept(read: Callable[..., Any]) -> None:
    """`keep` leaves a text as it is; a number is no text."""
    keys = 'transform = { name = "table", table = "t" }'
    more = '[table.t]\nunmapped = "keep"\nrows = [{ code = "a", value = "x", evidence = "assumed" }]\n'

    assert [read(value, "text", keys, more=more) for value in ("A", "b", 7)] == ["x", "b", None]


def test_a_prefix_can_be_left_out(read: Callable[..., Any]) -> None:
    """A text that begins with the prefix counts as absent."""
    keys = 'transform = { name = "leave-out", prefix = "bridge-" }'

    assert [read(value, "text", keys) for value in ("bridge-1", "a-bridge-1", 7)] == [None, "a-bridge-1", None]


def test_a_default_stands_in_for_null(read: Callable[..., Any]) -> None:
    """A default is written when nothing is left of the source."""
    keys = 'default = "NOK"\ntransform = "upper"'
    values: list[Any] = ["sek", None, {}]

    assert [read(value, "text", keys) for value in values] == ["SEK", "NOK", "NOK"]


def test_a_constant_is_always_written(reading_of: Load) -> None:
    """A constant needs no source; a decimal one is exact."""
    case = '[fields]\nx = "decimal"\n[[rule]]\nto = "x"\nconstant = 0.10\nevidence = "assumed"\n'
    rendered = reading_of(case).case.render({})

    assert rendered == {"x": Decimal("0.10")}


def test_the_first_source_that_fits_is_taken(reading_of: Load) -> None:
    """first-of passes over sources that are absent, of another type, or of which nothing is left."""
    case = """
[fields]
x = "text"
at = "datetime"
[[rule]]
from = ["claim.a", "case.a", "case.list[1].a"]
to = "x"
transform = ["first-of", { name = "leave-out", prefix = "-" }]
evidence = "assumed"
[[rule]]
from = ["claim.at", "case.at"]
to = "at"
transform = "first-of"
evidence = "assumed"
"""
    render = reading_of(case).case.render

    assert render({"claim": {"a": "1"}, "case": {"a": "2"}})["x"] == "1"
    assert render({"claim": {"a": 1}, "case": {"a": "2"}})["x"] == "2"
    assert render({"claim": {"a": "-1"}, "case": {"a": "-2", "list": [{}, {"a": "3"}]}})["x"] == "3"
    assert render({"claim": [], "case": {"list": [{"a": "3"}]}})["x"] is None
    assert render({"claim": {"at": "x"}, "case": {"at": "2026-01-01"}})["at"] == "2026-01-01T00:00:00Z"


JOINED = """
[fields]
x = "text"
[[rule]]
from = ["case.a", "case.b[]", "case.c"]
to = "x"
transform = [{ name = "join", separator = "; " }, "upper"]
evidence = "assumed"
"""


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"a": "x", "b": ["y", 2, None, {}, "z"], "c": Decimal("1.50")}, "X; Y; 2; Z; 1.50"),
        ({"a": True, "b": "y", "c": ""}, None),
        ({}, None),
    ],
)
def test_joined_texts(reading_of: Load, case: dict[str, Any], expected: str | None) -> None:
    """join puts together what is there, lists included, and passes over what is no text or number."""
    assert reading_of(JOINED).case.render({"case": case}) == {"x": expected}


ARRAYS = """
[fields]
"list[].n" = "integer"
"list[].outer" = "text"
"list[].tags[]" = "text"
"list[].inner[].v" = "decimal"
"list[].inner[].fixed" = "text"
"empty[].x" = "text"
o.a.x = "text"
o.y = "text"
[[carry]]
from = "case"
fields = ["list[].n", "list[].tags[]", "list[].inner[].v", "o.a.x"]
evidence = "documented"
[[rule]]
from = "case.id"
to = "list[].outer"
evidence = "assumed"
[[rule]]
to = "list[].inner[].fixed"
constant = "F"
evidence = "assumed"
[[null]]
fields = ["empty", "o.y"]
reason = "nobody knows"
evidence = "assumed"
"""


def test_arrays_and_objects(reading_of: Load) -> None:
    """Every object of a source array makes one element; sources outside go into each; objects are always there."""
    case = {
        "id": "C",
        "list": [
            {"n": 1, "tags": ["a", 2, None, "b"], "inner": [{"v": BIG}, {"v": "one"}]},
            "no object",
            {"inner": {"v": 1}, "tags": "a"},
        ],
    }
    rendered = reading_of(ARRAYS).case.render({"case": case})

    assert rendered == {
        "list": [
            {
                "n": 1,
                "outer": "C",
                "tags": ["a", "b"],
                "inner": [{"v": BIG, "fixed": "F"}, {"v": None, "fixed": "F"}],
            },
            {"n": None, "outer": "C", "tags": [], "inner": []},
        ],
        "empty": [],
        "o": {"a": {"x": None}, "y": None},
    }


def test_entries_share_nothing(reading_of: Load) -> None:
    """An entry may be changed without changing the sources, or the next entry."""
    render = reading_of(ARRAYS).case.render
    case = {"list": [{"tags": ["a"]}]}
    first = render({"case": case})
    first["list"][0]["tags"].append("b")
    first["o"]["a"]["x"] = "c"

    assert case == {"list": [{"tags": ["a"]}]}
    assert render({"case": case})["o"] == {"a": {"x": None}, "y": None}


SPOKEN = """
[fields]
x = "text"
[[rule]]
from = "case.status"
to = "x"
transform = { name = "words", of = "status" }
evidence = "assumed"
[texts.no.status]
OPEN = "åpen"
[texts.en.status]
open = "open"
"""


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("", "åpen"),
        ("no", "åpen"),
        ("en", "open"),
        ("EN", "open"),
        ("en-GB", "open"),
        (" en_GB ", "open"),
        ("nb", "åpen"),
        ("eng", "open"),
        ("sv", "åpen"),
        ("english", "åpen"),
    ],
)
def test_texts_in_the_language_asked_for(reading_of: Load, language: str, expected: str) -> None:
    """A language is found in any letter case, with a region, by another name; an unknown one gets the first."""
    read = reading_of(SPOKEN, 'aliases = { eng = "en" }')

    assert read.case.render({"case": {"status": "Open"}}, language) == {"x": expected}
    assert read.case.render({"case": {"status": "PAUSED"}}, language) == {"x": None}
    assert read.languages == ("no", "en")


def test_an_unknown_word_can_be_kept(reading_of: Load) -> None:
    """`keep` shows the vendor's own word where there is no text."""
    case = SPOKEN.replace('of = "status"', 'of = "status", unmapped = "keep"')

    assert reading_of(case).case.render({"case": {"status": "PAUSED"}}) == {"x": "PAUSED"}


def test_a_file_without_texts_has_one_language(reading_of: Load) -> None:
    """Where nothing is said in words, any language gets the same."""
    read = reading_of()

    assert read.languages == ()
    assert read.case.render({}, "en") == {"id": None}


@pytest.mark.parametrize(
    ("case", "closed"),
    [
        ({"status": "DONE"}, True),
        ({"status": "done"}, True),
        ({"status": "OPEN"}, False),
        ({"status": "OPEN", "closedAt": "2026-04-01"}, True),
        ({"status": "OPEN", "closedAt": None}, False),
        ({"status": ["DONE"]}, False),
        ({}, False),
    ],
)
def test_closed_cases(reading_of: Load, case: dict[str, Any], closed: bool) -> None:
    """A case is closed by a code, or by a closing date; one that says nothing is open."""
    assert reading_of().is_closed(case) is closed


def test_without_a_date_only_the_code_counts(reading_of: Load) -> None:
    """`date` may be left out."""
    closed = '[fields]\nid = "text"\n[[null]]\nfields = ["id"]\nreason = "r"\nevidence = "assumed"\n'
    closed += '[closed]\nfield = "status"\nvalues = ["DONE"]\nevidence = "assumed"\n'

    assert not reading_of(closed).is_closed({"closedAt": "2026-04-01"})


def test_what_a_mapping_tells_of_itself(reading_of: Load) -> None:
    """Its fields, shape, sources and nulls are told as the file has them."""
    mapping = reading_of(ARRAYS).case

    assert (mapping.objectname, mapping.each, mapping.fields) == ("case", "", ("list", "empty", "o"))
    assert [field.name for field in mapping.shape.fields] == ["list", "empty", "o"]
    assert mapping.sources == {"case"}
    assert [(null.field, null.reason, null.evidence) for null in mapping.nulls] == [
        ("empty", "nobody knows", "assumed"),
        ("o.y", "nobody knows", "assumed"),
    ]
