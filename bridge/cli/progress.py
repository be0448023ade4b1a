"""How far a long command has come: a bar on a terminal, a line every few seconds in a log. It goes to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

LINE_SECONDS = 5.0
"""How often a line is written where there is no terminal."""

Advance = Callable[[int], None]
"""Tells that so many more are done."""


@contextmanager
def show_progress(
    doing: str, noun: str, total: int | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """Show how far something has come, as long as the block runs; `total` is None where nobody knows it."""
    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        yield _Lines(doing, noun, total, clock).advance
        return
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        _Count(noun),
        TimeElapsedColumn(),
        console=console,
    )
    with bar:
        yield _Bar(bar, bar.add_task(doing, total=total)).advance


@dataclass(frozen=True, slots=True)
class _Bar:
    bar: Progress
    task: TaskID

    def advance(self, more: int) -> None:
        self.bar.advance(self.task, more)


class _Count(ProgressColumn):
    """How many, and how many a second."""

    def __init__(self, noun: str) -> None:
        super().__init__(Column(no_wrap=True))
        self._noun = noun

    def render(self, task: Task) -> Text:
        """Show `120,000 of 1,000,000 rows, 24,000 rows/s`."""
        done, total = int(task.completed), None if task.total is None else int(task.total)
        return Text(write_count(done, total, task.elapsed or 0.0, self._noun))


class _Lines:
    """The same as lines, which a log can hold."""

    def __init__(self, doing: str, noun: str, total: int | None, clock: Callable[[], float]) -> None:
        self._doing, self._noun, self._total, self._clock = doing, noun, total, clock
        self._done = 0
        self._began = self._told = clock()

    def advance(self, more: int) -> None:
        """Count, and write a line when it is time for one."""
        self._done += more
        now = self._clock()
        if now - self._told >= LINE_SECONDS:
            self._told = now
            elapsed = now - self._began
            count = write_count(self._done, self._total, elapsed, self._noun)
            print(f"{self._doing}: {count}, after {elapsed:.0f} s", file=sys.stderr, flush=True)


def write_count(done: int, total: int | None, seconds: float, noun: str) -> str:
    """Return how many are done, of how many if that is known, and how many a second."""
    of_all = "" if total is None else f" of {total:,}"
    return f"{done:,}{of_all} {noun}, {done / max(seconds, 0.001):,.0f} {noun}/s"
