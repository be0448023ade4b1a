"""Many rows with few statements.

Python's sqlite3 gives the interpreter lock back around every step of a statement and must queue for it again. One
step a row would make a 10,000-row batch wait 10,000 times for a busy event loop, so rows travel in VALUES lists.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")

SIZES = (256, 16, 1)
"""Few sizes, so that the prepared statements are found again; 256 rows bind in well under a millisecond."""


def execute_many(
    connection: sqlite3.Connection, sql: str, things: Sequence[T], bind: Callable[[T], tuple[Any, ...]]
) -> int:
    """Run `sql`, whose {values} stands for a list of bound tuples, over all things; return how many rows it changed."""
    return sum(cursor.rowcount for cursor in _run(connection, sql, things, bind))


def query_many(
    connection: sqlite3.Connection, sql: str, things: Sequence[T], bind: Callable[[T], tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    """Run a SELECT over {values} like `execute_many`; yield its rows."""
    for cursor in _run(connection, sql, things, bind):
        yield from cursor.fetchall()


def _run(
    connection: sqlite3.Connection, sql: str, things: Sequence[T], bind: Callable[[T], tuple[Any, ...]]
) -> Iterator[sqlite3.Cursor]:
    for part in _slices(things):
        bound = [bind(thing) for thing in part]
        yield connection.execute(_expand(sql, len(bound[0]), len(bound)), tuple(chain.from_iterable(bound)))


def _slices(things: Sequence[T]) -> Iterator[Sequence[T]]:
    start = 0
    for size in SIZES:
        while len(things) - start >= size:
            yield things[start : start + size]
            start += size


@cache
def _expand(sql: str, width: int, count: int) -> str:
    one = f"({','.join('?' * width)})"
    return sql.replace("{values}", f"VALUES {','.join([one] * count)}")
