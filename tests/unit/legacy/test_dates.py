"""Dates and moments in every spelling an old ERP may use."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.legacy.dates import read_date, read_datetime

FAULTY = [
    *(
        "",
        "x",
        "2024-02-30",
        "2023-02-29",
        "2024-13-01",
        "0000-01-01",
        "10000-01-01",
        "2024-2-1",
        "20240215",
        "2024-W07-4",
    ),
    *(
        "15.02.2024",
        "２０２４-02-15",
        "2024-02-15T24:00:00",
        "2024-02-15T23:59:60Z",
        "2024-02-15T12:60",
        "2024-02-15T12",
    ),
    *("2024-02-15T12:00:00.", "2024-02-15T12:00.5", "2024-02-15T12:00:00+24:00", "2024-02-15T12:00:00+01:60"),
    *(
        "2024-02-15Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "/Date()/",
        "/Date(x)/",
        "/Date(1",
        "Date(1)",
    ),
    *(
        "/Date(999999999999999)/",
        "/Date(-999999999999999)/",
        "/Date(0+2400)/",
        "/Date(0+01:00)/",
        "2024-02-15T12:00:00+1",
    ),
]


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2024-02-15", "2024-02-15T00:00:00"),
        ("2019-08-24T14:15:22.123Z", "2019-08-24T14:15:22.123Z"),
        ("2024-02-15T00:00:00", "2024-02-15T00:00:00"),
        ("2024-02-15 10:30:00", "2024-02-15T10:30:00"),
        ("2024-02-15t10:30:00z", "2024-02-15T10:30:00Z"),
        ("2024-02-15T10:30", "2024-02-15T10:30:00"),
        ("2024-02-15T10:30Z", "2024-02-15T10:30:00Z"),
        ("2024-02-15T00:00:00+01:00", "2024-02-14T23:00:00Z"),
        ("2024-02-15T00:00:00.5+0100", "2024-02-14T23:00:00.5Z"),
        ("2024-02-15T00:00:00 -02", "2024-02-15T02:00:00Z"),
        ("2024-02-15T00:00:00-00:00", "2024-02-15T00:00:00Z"),
        ("2024-02-15T00:00:00.1234567", "2024-02-15T00:00:00.123456"),
        ("0001-01-01T00:00:00", "0001-01-01T00:00:00"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("/Date(0)/", "1970-01-01T00:00:00Z"),
        ("/Date(1708000000123)/", "2024-02-15T12:26:40.123Z"),
        ("/Date(-1)/", "1969-12-31T23:59:59.999Z"),
        ("/Date(1708000000000+0100)/", "2024-02-15T12:26:40Z"),
    ],
)
def test_a_moment_is_read(written: Any, moment: Any) -> None:
    """An instant ends in Z, a wall clock in nothing."""
    assert read_datetime(written) == moment


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2024-02-15", "2024-02-15"),
        ("2024-02-15T23:30:00", "2024-02-15"),
        ("2024-02-15T00:30:00+01:00", "2024-02-15"),
        ("2024-02-15T23:30:00-05:00", "2024-02-15"),
        ("/Date(1708000000000)/", "2024-02-15"),
        ("/Date(1707951600000)/", "2024-02-14"),
        ("/Date(1707951600000+0100)/", "2024-02-15"),
    ],
)
def test_a_date_is_the_one_the_caller_sees(written: Any, date: Any) -> None:
    """An offset never shifts a date; ticks without one are in UTC."""
    assert read_date(written) == date


@pytest.mark.parametrize("written", FAULTY)
@pytest.mark.parametrize("read", [read_date, read_datetime])
def test_what_is_no_date_is_refused(read: Any, written: Any) -> None:
    """Days, hours and offsets that do not exist, and spellings that could be misread, are refused."""
    with pytest.raises(ValueError, match=r"^not a valid date$"):
        read(written)


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31)),  # noqa: DTZ001  zones are added below
    st.integers(-14 * 60, 14 * 60),
)
def test_an_offset_keeps_the_instant(moment: Any, minutes: Any) -> None:
    """Whatever the offset, the instant is the same; and the result is its own canonical spelling."""
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    read = read_datetime(aware.isoformat())
    assert datetime.fromisoformat(read) == aware.astimezone(UTC)
    assert read_datetime(read) == read


@given(st.text(alphabet="0123456789-T:.Z+/Date() ", max_size=30))
def test_no_text_makes_trouble_for_dates(text: Any) -> None:
    """Any text is a canonical moment or is refused."""
    try:
        read = read_datetime(text)
    except ValueError:
        return
    assert read_datetime(read) == read
