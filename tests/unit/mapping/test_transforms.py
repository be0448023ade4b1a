"""Each transform, as a mapping file names it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import RowRefused
from bridge.mapping.transforms import Unfit, read_decimal, read_instant, split_name

OSLO = 'time_zone = "Europe/Oslo"'


@pytest.mark.parametrize(
    ("value", "field_type", "transform", "expected"),
    [
        ("1 250,50", "text", '"decimal"', Decimal("1250.50")),
        ("-3", "text", '"decimal"', Decimal(-3)),
        (7, "integer", '"decimal"', Decimal(7)),
        (Decimal("9007199254740993.01"), "decimal", '"decimal"', Decimal("9007199254740993.01")),
        (Decimal("-100.50"), "decimal", '"negate"', Decimal("100.50")),
        (
            Decimal("-1234567890123456789012345678901.01"),
            "decimal",
            '"negate"',
            Decimal("1234567890123456789012345678901.01"),
        ),
        (4, "integer", '"negate"', -4),
        (Decimal("-100.50"), "decimal", '"absolute"', Decimal("100.50")),
        (-4, "integer", '"absolute"', 4),
        ("2024-02-15", "date", '"date"', "2024-02-15"),
        ("2024-02-15T23:30:00Z", "datetime", '"date"', "2024-02-15"),
        ("2024-02-15T08:00:00", "text", '"date"', "2024-02-15"),
        ("2024-02-15", "date", '"date-time"', "2024-02-15T00:00:00Z"),
        ("2024-02-15T09:30:00", "datetime", '"date-time"', "2024-02-15T09:30:00Z"),
        ("2024-02-15T09:30:00.250000Z", "datetime", '"date-time"', "2024-02-15T09:30:00.250000Z"),
        ("2024-02-15T09:30:00+01:00", "text", '"date-time"', "2024-02-15T08:30:00Z"),
        ("2024-02-15", "text", '"date-time"', "2024-02-15T00:00:00Z"),
        ("2024-02-15", "date", '["date-time", "date"]', "2024-02-15"),
        ("2024-02-15", "date", '["date-time", "date-time"]', "2024-02-15T00:00:00Z"),
        ("nok", "text", '"upper"', "NOK"),
        ("  x ", "text", '"trim"', "x"),
        ("   ", "text", '"trim"', None),
        ("  nok", "text", '["trim", "upper"]', "NOK"),
        ("   ", "text", '["trim", "upper"]', None),
        ("00 12-34", "text", '"digits"', "001234"),
        ("none", "text", '"digits"', None),
        (12, "integer", '"digits"', "12"),
        (12, "integer", '"text"', "12"),
        (Decimal("1E+3"), "decimal", '"text"', "1000"),
        ("12", "text", '"text"', "12"),
        ("Kari Anne Nordmann", "text", '{ name = "split-name", part = "first" }', "Kari Anne"),
        ("Kari Anne Nordmann", "text", '{ name = "split-name", part = "last" }', "Nordmann"),
        ("Nordmann, Kari Anne", "text", '{ name = "split-name", part = "first" }', "Kari Anne"),
        ("Nordmann, Kari Anne", "text", '{ name = "split-name", part = "last" }', "Nordmann"),
        ("Nordmann", "text", '{ name = "split-name", part = "first" }', None),
        ("22 22 55 55", "text", '{ name = "phone" }', "+4722225555"),
        (22225555, "integer", '{ name = "phone" }', "+4722225555"),
        ("+46 70 123 45 67", "text", '{ name = "phone", part = "country-code" }', "+46"),
        ("+46 70 123 45 67", "text", '{ name = "phone", part = "national" }', "701234567"),
        ("+46 70 123 45 67", "text", '{ name = "phone", part = "region" }', "SE"),
        ("070-123 45 67", "text", '{ name = "phone", region = "SE" }', "+46701234567"),
        ("12", "text", '{ name = "phone", unreadable = "leave-out" }', None),
        ("no", "text", '"country"', "NO"),
        ("NOR", "text", '"country"', "NO"),
        (" Norway ", "text", '"country"', "NO"),
        ("Soria Moria", "text", '{ name = "country", unreadable = "leave-out" }', None),
    ],
)
def test_a_value_is_transformed(
    convert: Callable[..., Any], value: object, field_type: str, transform: str, expected: object
) -> None:
    """A value comes out as the transform says."""
    assert convert(value, field_type, transform) == expected


@pytest.mark.parametrize(
    ("value", "field_type", "transform", "message"),
    [
        ("1,250", "text", '"decimal"', "a: expected a number with a decimal point: a comma before three digits"),
        ("twelve", "text", '"decimal"', "a: expected a number such as 1250.00"),
        ("NaN", "text", '"decimal"', "a: expected a number such as 1250.00"),
        ("15.02.2024", "text", '"date-time"', "a: expected a date such as 2024-02-15"),
        ("15.02.2024", "text", '"date"', "a: expected a date such as 2024-02-15"),
        ("ring resepsjonen", "text", '{ name = "phone" }', "a: expected a phone number"),
        ("12", "text", '{ name = "phone" }', "a: expected a phone number"),
        ("Soria Moria", "text", '"country"', "a: expected a country"),
    ],
)
def test_a_value_that_does_not_fit_refuses_the_row(
    convert: Callable[..., Any], value: str, field_type: str, transform: str, message: str
) -> None:
    """A value that cannot be transformed refuses the row; the message never repeats it."""
    with pytest.raises(RowRefused) as caught:
        convert(value, field_type, transform)

    assert str(caught.value).startswith(message)
    assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "field_type", "transform", "expected"),
    [
        ("2024-02-15T00:00:00", "datetime", '"date-time"', "2024-02-15T00:00:00+01:00"),
        ("2024-07-15", "date", '"date-time"', "2024-07-15T00:00:00+02:00"),
        ("2024-02-15T00:00:00Z", "datetime", '"date-time"', "2024-02-15T00:00:00Z"),
        ("2024-02-15T23:30:00Z", "datetime", '"date"', "2024-02-16"),
        ("2024-02-15T23:30:00", "datetime", '"date"', "2024-02-15"),
    ],
)
def test_a_profile_may_name_its_time_zone(
    convert: Callable[..., Any], value: str, field_type: str, transform: str, expected: str
) -> None:
    """A wall clock gets the offset of the profile's time zone; an instant stays the same instant."""
    assert convert(value, field_type, transform, profile=OSLO) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2))
def test_a_number_is_read_digit_for_digit(number: Decimal) -> None:
    """No digit of a number is lost on the way, however it is written."""
    written = f"{number:f}"

    assert str(read_decimal(written)) == str(read_decimal(written.replace(".", ",")))
    assert read_decimal(written) == number


@given(st.text(max_size=20))
def test_any_text_is_read_as_a_number_or_refused(text: str) -> None:
    """No text makes the number reader fail in another way than by saying what it expected."""
    with suppress(Unfit):
        assert read_decimal(text).is_finite()


@given(st.datetimes())
def test_a_wall_clock_keeps_its_date_and_time(moment: datetime) -> None:
    """Without a time zone the wall clock is sent as it was written."""
    assert read_instant(moment.isoformat(), zone=None) == moment.isoformat() + "Z"


@given(st.text(alphabet="abc ,", min_size=1))
def test_no_word_of_a_name_is_lost(name: str) -> None:
    """The two parts of a name hold together all of its letters."""
    parts = (split_name(name, part="first") or "") + (split_name(name, part="last") or "")

    assert sorted(parts.replace(" ", "").replace(",", "")) == sorted(name.replace(" ", "").replace(",", ""))
