"""What people read: in colour and lines on a terminal, plain text when piped. Nothing here interprets markup."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from itertools import zip_longest
from typing import Any, TextIO

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from bridge.cli.layout import lay_out

Cell = str | Text

WIDTH = 100
"""Columns of text that is laid out by us; a narrower terminal wraps it."""
READABLE = 12
"""Columns of the terminal below which a text is not squeezed."""
UNBROKEN = 10_000
"""Columns of a tree that is piped: no line of it is broken or cut."""
MARGIN = "  "
GAP = 3
"""Columns of the terminal between two of a table."""


class Screen:
    """One stream, written to as its reader can take it."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._console = Console(file=file or sys.stdout, markup=False, highlight=False, emoji=False)
        self.plain = not self._console.is_terminal

    def title(self, text: str) -> None:
        """Begin a part."""
        if self.plain:
            self._print(Text(f"\n=== {text}"))
        else:
            self._console.print()
            self._console.print(Rule(Text(text, style="bold"), align="left", style="cyan"), width=self._width)

    def heading(self, text: str) -> None:
        """Begin a section of a part."""
        self._print(Text(f"\n{text}", style="bold cyan"))

    def say(self, text: Cell = "") -> None:
        """Write a line."""
        self._print(text if isinstance(text, Text) else Text(text))

    def data(self, encoded: bytes) -> None:
        """Show JSON, short parts on one line, indented as far as a section's content."""
        text = JSONHighlighter()(Text(lay_out(encoded, width=self._width - len(MARGIN))))
        if self.plain:
            for line in text.split():
                self._print(Text(MARGIN) + line)
        else:
            self._console.print(Padding(text, (0, 0, 0, len(MARGIN)), expand=False))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Show rows under the names of their columns; where those would have to break a word, row by row instead."""
        if self.plain:
            self._write_columns([columns, *rows])
            return
        widths = _fit([columns, *rows], self._console.width - GAP * (len(columns) - 1))
        if widths is None:
            self._write_records(columns, rows)
            return
        table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False)
        for name, width in zip(columns, widths, strict=True):
            table.add_column(name, width=width)
        for row in rows:
            table.add_row(*row)
        self._console.print(table)

    def tree(self, tree: Tree) -> None:
        """Show a tree, as far to the right as a section's content."""
        if not self.plain:
            self._console.print(Padding(tree, (0, 0, 0, len(MARGIN)), expand=False))
            return
        wide = Console(file=StringIO(), width=UNBROKEN, color_system=None, emoji=False)
        with wide.capture() as captured:
            wide.print(tree)
        for line in captured.get().splitlines():
            self._print(Text(MARGIN + line.rstrip()))

    @property
    def _width(self) -> int:
        return WIDTH if self.plain else min(WIDTH, self._console.width)

    def _write_columns(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write aligned columns that a script may cut; the last one is never filled up or wrapped."""
        texts = [[str(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip_longest(*texts, fillvalue="")]
        for row in texts:
            line = MARGIN.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._print(Text(MARGIN + line.rstrip()))

    def _write_records(self, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write each row by itself, a line for each column: an id can be read, and copied, whole."""
        for row in rows:
            grid = Table.grid(padding=(0, len(MARGIN), 0, 0))
            grid.add_column(style="bold", no_wrap=True)
            grid.add_column(overflow="fold")
            for name, cell in zip(columns, row, strict=True):
                grid.add_row(name, cell)
            self._console.print(Padding(grid, (0, 0, 1, len(MARGIN)), expand=False))

    def _print(self, text: Text) -> None:
        # piped output is not wrapped: whoever reads it knows better where a line may end
        self._console.print(text, soft_wrap=self.plain)


def _fit(rows: Sequence[Sequence[Cell]], room: int) -> list[int] | None:
    """Return how wide each column may be so that no word is broken; None when they do not fit side by side so."""
    columns = [[str(cell) for cell in column] for column in zip(*rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    words = [max((cell_len(word) for cell in column for word in cell.split()), default=0) for column in columns]
    least = [max(word, min(width, READABLE)) for word, width in zip(words, widths, strict=True)]
    if sum(least) > room:
        return None
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda index: (widths[index] > least[index], widths[index]))
        widths[widest] -= 1
    return widths


def print_json(value: Any) -> None:
    """Write one JSON document to stdout, for scripts; raw parts keep their digits."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def good(text: str) -> Text:
    """Mark what went well."""
    return Text(text, style="green")


def bad(text: str) -> Text:
    """Mark what somebody should look at."""
    return Text(text, style="bold red")


def waiting(text: str) -> Text:
    """Mark what is not settled yet."""
    return Text(text, style="yellow")


def quiet(text: str) -> Text:
    """Mark what may be skipped."""
    return Text(text, style="dim")
