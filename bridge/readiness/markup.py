"""Pieces of a page: every value that comes from outside is escaped here, and nowhere else is markup made of one."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def text(value: object) -> str:
    """Return a value as text of the page; what cannot be seen, or turns lines around, is replaced."""
    return html.escape(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(value)), quote=True)


def count(number: float) -> str:
    """Return a number as people read it."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def code(value: object) -> str:
    """Return a value that came over the wire, set apart from what we say."""
    return f"<code>{text(value)}</code>"


def section(name: str, title: str, *content: str) -> str:
    """Return a chapter that can be linked to."""
    body = "\n".join(content)
    head = f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{text(title)}</h2>'
    return f"{head}\n{body}\n</section>"


def fold(summary: str, content: str, *, is_open: bool = False) -> str:
    """Return something to unfold; both are markup."""
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>\n{content}\n</details>"


def bullets(items: Iterable[str]) -> str:
    """Return a list; the items are markup."""
    return "<ul>\n" + "\n".join(f"<li>{item}</li>" for item in items) + "\n</ul>"


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int] = ()) -> str:
    """Return a table; cells are markup, and stand to the right in the columns that hold `numbers`."""
    head = "".join(f'<th scope="col"{_side(index, numbers)}>{text(name)}</th>' for index, name in enumerate(columns))
    lines = [
        "<tr>" + "".join(f"<td{_side(index, numbers)}>{cell}</td>" for index, cell in enumerate(row)) + "</tr>"
        for row in rows
    ]
    body = "\n".join(lines)
    return (
        f'<div class="wide"><table>\n<caption>{text(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _side(index: int, numbers: Sequence[int]) -> str:
    return ' class="number"' if index in numbers else ""
