"""Numbers with their nouns."""

from __future__ import annotations


def some(count: int, noun: str) -> str:
    """Return `1 row`, or `1,204 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
