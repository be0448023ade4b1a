"""Numbers that were sent as texts, and numbers that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bridge.mapping import ReadProfile
from bridge.mapping.reading.values import read_plain_number

Load = Callable[..., ReadProfile]

FIELDS = """
[fields]
amount = "decimal"
first = "decimal"
count = "integer"
less = "decimal"
code = "integer"
[[carry]]
from = "case"
fields = ["amount", "count"]
evidence = "assumed"
[[rule]]
from = ["case.a", "case.b"]
to = "first"
transform = "first-of"
evidence = "assumed"
[[rule]]
from = "case.less"
to = "less"
transform = "negate"
evidence = "assumed"
[[rule]]
from = "case.code"
to = "code"
transform = { name = "table", table = "codes" }
evidence = "assumed"
[table.codes]
rows = [{ code = "A", value = 1, evidence = "assumed" }]
"""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("9007199254740993.01", Decimal("9007199254740993.01")),
        (" 1 ", 1),
        ("-0.10", Decimal("-0.10")),
        ("1E+3", Decimal("1E+3")),
        ("0", 0),
        ("1 250.00", None),
        ("1,50", None),
        ("1.250,00", None),
        ("+1", None),
        ("01", None),
        (".5", None),
        ("1.", None),
        ("NaN", None),
        ("Infinity", None),
        ("0x10", None),
        ("1_000", None),
        ("١", None),
        ("1e999999999", None),
        ("9" * 101, None),
        ("10 NOK", None),
        ("", None),
    ],
)
def test_a_text_that_is_a_number(reading_of: Load, text: str, number: Any) -> None:
    """It is read exactly, where JSON would write the number so; nothing is guessed."""
    rendered = reading_of(FIELDS).case.render({"case": {"amount": text, "less": text, "a": text}})

    assert rendered["amount"] == rendered["first"] == number
    assert rendered["less"] == (None if number is None else -number)
    assert str(rendered["amount"]) == str(number)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4))
def test_every_amount_reads_the_same_as_number_and_as_text(amount: Decimal) -> None:
    """Digit for digit."""
    assert str(read_plain_number(f"\t{amount:f} ")) == str(amount)


@pytest.mark.parametrize(("sent", "expected"), [("7", 7), (7, 7), ("7.0", None), ("1e3", None), (Decimal("7.0"), None)])
def test_a_text_that_is_a_whole_number(reading_of: Load, sent: Any, expected: int | None) -> None:
    """A field of whole numbers takes no other."""
    assert reading_of(FIELDS).case.render({"case": {"count": sent}})["count"] == expected


def _notices(logs: list[Any]) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(line["event"], line["objectname"], line["names"]) for line in logs]


@pytest.mark.parametrize("unreadable", ["1 250,00", "secret", {"value": 1}, [1], True, 1.5])
def test_an_amount_that_cannot_be_read_is_noticed(reading_of: Load, unreadable: Any) -> None:
    """Once for each field, by its name and without the value; it is null all the same."""
    case = reading_of(FIELDS).case

    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            assert case.render({"case": {"amount": unreadable, "b": unreadable, "less": 1}})["amount"] is None

    assert _notices(logs) == [
        ("amount_not_read", "case", ("amount",)),
        ("amount_not_read", "case", ("first",)),
    ]
    assert all(line.keys() == {"event", "objectname", "names", "log_level"} for line in logs)


@pytest.mark.parametrize("nothing", [None, "", "  ", {}, []])
def test_nothing_is_no_amount(reading_of: Load, nothing: Any) -> None:
    """Nobody is told of what was not sent, of codes without a row, or where another source can be read."""
    with structlog.testing.capture_logs() as logs:
        reading_of(FIELDS).case.render({"case": {"amount": nothing, "code": "unknown", "a": "x", "b": 1}})
        reading_of(FIELDS).case.render({})

    assert logs == []
