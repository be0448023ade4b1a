"""Lists page by page: a token names the last row seen, so rows that arrive meanwhile shift nothing."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


_Row = TypeVar("_Row", bound=_Sequenced)


class BadPageToken(ValueError):
    """This is no page token of ours."""


def cut_page(
    rows: Sequence[_Row], *, token: str, size: int, newest_first: bool, matches: Callable[[_Row], bool]
) -> tuple[list[_Row], str | None]:
    """Return one page of the matching rows (ascending by sequence), and the token of the next page or None."""
    page: list[_Row] = []
    for row in _after(rows, _last_seen(token), newest_first=newest_first):
        if not matches(row):
            continue
        if len(page) == size:
            return page, _token(page[-1].sequence)
        page.append(row)
    return page, None


def _after(rows: Sequence[_Row], last_seen: int | None, *, newest_first: bool) -> Iterable[_Row]:
    """Walk on from the last row seen."""
    if newest_first:
        end = len(rows) if last_seen is None else bisect_left(rows, last_seen, key=lambda row: row.sequence)
        return (rows[place] for place in range(end - 1, -1, -1))
    start = 0 if last_seen is None else bisect_right(rows, last_seen, key=lambda row: row.sequence)
    return (rows[place] for place in range(start, len(rows)))


def _token(sequence: int) -> str:
    return base64.urlsafe_b64encode(f"after {sequence}".encode()).decode()


def _last_seen(token: str) -> int | None:
    if not token:
        return None
    try:
        word, sequence = base64.urlsafe_b64decode(token.encode()).decode().split()
        if word == "after":
            return int(sequence)
    except ValueError:
        pass
    raise BadPageToken("PageToken: use summary.nextPageToken of the page before")
