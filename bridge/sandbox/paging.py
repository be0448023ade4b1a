"""Lists page by page: a token names the page and the last row seen, so rows that arrive meanwhile shift nothing."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class _Sequenced(Protocol):
    @property
    def sequence(self) -> int: ...


_Row = TypeVar("_Row", bound=_Sequenced)


class BadPageToken(ValueError):
    """This is no page token of ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a list a page begins."""

    page: int = 1
    """1 for the first."""
    last_seen: int | None = None
    """Sequence of the last row of the page before; None before the first page."""

    @property
    def token(self) -> str:
        """The page token that leads here."""
        last_seen = "-" if self.last_seen is None else self.last_seen
        return base64.urlsafe_b64encode(f"page {self.page} after {last_seen}".encode()).decode()


def read_token(token: str) -> Place:
    """Return where a token leads, the beginning for an empty one; raise BadPageToken."""
    if not token:
        return Place()
    try:
        page_word, page, after_word, last_seen = base64.urlsafe_b64decode(token.encode()).decode().split()
        if (page_word, after_word) == ("page", "after"):
            return Place(int(page), None if last_seen == "-" else int(last_seen))
    except ValueError:
        pass
    raise BadPageToken("use summary.nextPageToken of the page before")


def cut_page(
    rows: Sequence[_Row], *, token: str, size: int, newest_first: bool, matches: Callable[[_Row], bool]
) -> tuple[list[_Row], str | None]:
    """Return one page of the matching rows (ascending by sequence), and the token of the next page or None."""
    place = read_token(token)
    page: list[_Row] = []
    for row in _after(rows, place.last_seen, newest_first=newest_first):
        if not matches(row):
            continue
        if len(page) == size:
            return page, Place(place.page + 1, page[-1].sequence).token
        page.append(row)
    return page, None


def _after(rows: Sequence[_Row], last_seen: int | None, *, newest_first: bool) -> Iterable[_Row]:
    """Walk on from the last row seen."""
    if newest_first:
        end = len(rows) if last_seen is None else bisect_left(rows, last_seen, key=lambda row: row.sequence)
        return (rows[place] for place in range(end - 1, -1, -1))
    start = 0 if last_seen is None else bisect_right(rows, last_seen, key=lambda row: row.sequence)
    return (rows[place] for place in range(start, len(rows)))
