"""Dates and moments as old ERPs write them, read into one spelling each."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

NOT_A_DATE = "not a valid date"

_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ](?P<clock>[0-9]{2}:[0-9]{2})(?P<seconds>:[0-9]{2})?(?P<fraction>\.[0-9]+)?"
    r" ?(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_TICKS = re.compile(r"/Date\((?P<ms>-?[0-9]{1,15})(?P<zone>[+-][0-9]{4})?\)/")
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  wall clocks are computed without a zone on purpose; the zone is text here
_FRACTION_DIGITS = 6


def read_date(text: str) -> str:
    """Return the calendar date (YYYY-MM-DD) of a date, a date-time or `/Date(ms)/`; ValueError when there is none.

    The date is the one the caller's own clock shows: an offset never shifts it. `/Date(ms)/` has no clock but UTC.
    """
    ticks = _TICKS.fullmatch(text)
    if ticks:
        return _shift(_from_epoch(ticks["ms"]), _offset(ticks["zone"])).date().isoformat()
    moment, found = _parse(text)
    _shift(moment, -_offset(found["zone"]))
    return moment.date().isoformat()


def read_datetime(text: str) -> str:
    """Return `YYYY-MM-DDTHH:MM:SS[.ffffff]`, with `Z` when the text tells an instant; ValueError when it tells neither.

    Text in that spelling comes back verbatim. Fraction digits past the sixth are cut off, as .NET writes seven.
    """
    ticks = _TICKS.fullmatch(text)
    if ticks:
        _offset(ticks["zone"])
        milliseconds = int(ticks["ms"]) % 1000
        return _from_epoch(ticks["ms"]).isoformat() + _thousandths(milliseconds) + "Z"
    moment, found = _parse(text)
    fraction = (found["fraction"] or "")[: _FRACTION_DIGITS + 1]
    if found["zone"] is None:
        return moment.isoformat() + fraction
    return _shift(moment, -_offset(found["zone"])).isoformat() + fraction + "Z"


def _parse(text: str) -> tuple[datetime, re.Match[str]]:
    """Split a date or date-time into its wall clock, to the second, and its parts."""
    found = _MOMENT.fullmatch(text)
    if not found or (found["fraction"] and not found["seconds"]):
        raise ValueError(NOT_A_DATE)
    written = f"{found['day']}T{found['clock'] or '00:00'}{found['seconds'] or ':00'}"
    try:
        return datetime.fromisoformat(written), found
    except ValueError:
        raise ValueError(NOT_A_DATE) from None


def _offset(zone: str | None) -> timedelta:
    """Return how far a written zone is ahead of UTC."""
    if zone is None or zone in "Zz":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > 3 else 0
    if hours > 23 or minutes > 59:
        raise ValueError(NOT_A_DATE)
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if zone[0] == "-" else ahead


def _shift(moment: datetime, by: timedelta) -> datetime:
    """Move a wall clock, within the years 1 to 9999."""
    try:
        return moment + by
    except OverflowError:
        raise ValueError(NOT_A_DATE) from None


def _from_epoch(milliseconds: str) -> datetime:
    """Return the UTC wall clock, to the second."""
    return _shift(_EPOCH, timedelta(seconds=int(milliseconds) // 1000))


def _thousandths(milliseconds: int) -> str:
    """Write milliseconds as a fraction; nothing when there are none."""
    return f".{milliseconds:03}" if milliseconds else ""
