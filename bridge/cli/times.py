"""Moments as people and as scripts read them; both in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def say_time(seconds: float, *, precise: bool = False) -> str:
    """Return a moment (Unix seconds) for people: to the second, or to the millisecond."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (f".{moment.microsecond // 1000:03}" if precise else "")


def write_iso(seconds: float | None) -> str | None:
    """Return a moment for scripts."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
