"""How things look: on a terminal, piped, and as JSON."""

from __future__ import annotations

import io
import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address
from bridge.cli.layout import lay_out
from bridge.cli.places import name_places, name_rows
from bridge.cli.screen import Screen, bad, good, quiet, waiting

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=25,
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


def fill(screen: Screen) -> None:
    screen.title("Part")
    screen.heading("Section")
    screen.say("[bold]not markup[/bold]")
    screen.data(b'{"amount": 12.50}')
    screen.table(("row", "answer"), [("invoice 0", good("OK")), ("invoice 1", bad("refused " + "x" * 150))])
    screen.say(waiting("later"))
    screen.say(quiet("unimportant"))


def test_piped() -> None:
    """A pipe gets plain text: no colours, no boxes, no wrapping, no blanks at the end of lines."""
    stream = io.StringIO()
    fill(Screen(stream))
    text = stream.getvalue()
    assert "\x1b" not in text
    assert not re.search(r"[─│╭━]", text)
    assert "x" * 150 in text
    assert "[bold]not markup[/bold]\n" in text
    assert '  {"amount": 12.50}\n' in text
    assert not re.search(r" +$", text, re.MULTILINE)


def test_terminal(terminal: Terminal) -> None:
    """A terminal gets colours and lines, within its width."""
    fill(Screen(terminal))
    text = terminal.getvalue()
    assert "\x1b[" in text
    assert "─" in text
    assert "[bold]not markup[/bold]" in text
    assert max(len(line) for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()) <= 100


IDS = ("3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
WHY = "refused 14 of 60 rows (23.3 %) in 15 minutes; budget 5 %"


def show_history(terminal: Terminal) -> list[str]:
    columns = ("no.", "at (UTC)", "organization", "from", "to", "by", "why")
    steps = [
        (f"{number}", "2026-11-20 15:57:42", one, "shadow, 25 % modern", good("shadow"), "guardrail", WHY)
        for number, one in enumerate(IDS, 1)
    ]
    Screen(terminal).table(columns, steps)
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()]


@pytest.mark.parametrize("columns", range(60, 200, 7))
def test_no_word_of_a_table_is_broken(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """However narrow the terminal is, ids are whole and nothing is left out or beyond its edge."""
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = show_history(terminal)
    assert max(map(len, lines)) <= columns
    words = " ".join(lines).split()
    assert all(words.count(one) == 1 for one in IDS)
    assert all(words.count(word) >= 2 for word in WHY.split())
    assert "…" not in terminal.getvalue()


def test_a_table_that_does_not_fit_is_told_row_by_row(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each column on a line of its own, with a blank line behind each row."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = show_history(terminal)
    assert lines[1:4] == [
        "  at (UTC)      2026-11-20 15:57:42",
        f"  organization  {IDS[0]}",
        "  from          shadow, 25 % modern",
    ]
    assert lines[7] == ""
    assert len(lines) == 16


def test_a_table_that_fits_stays_one(terminal: Terminal) -> None:
    """Texts are folded between words as far as that is readable."""
    Screen(terminal).table(("batch", "why"), [("01JD0Z7K8M4Q2WX9Y7ABCDEFGH", f"{WHY}; {WHY}")])
    text = terminal.getvalue()
    assert "─" in text
    assert "01JD0Z7K8M4Q2WX9Y7ABCDEFGH" in text


def test_no_color(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR is honoured."""
    monkeypatch.setenv("NO_COLOR", "1")
    fill(Screen(terminal))
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", terminal.getvalue())


@given(VALUES, st.integers(20, 120))
def test_layout_is_the_same_document(value: Any, width: int) -> None:
    """However it is laid out, it is the same JSON."""
    assert json.loads(lay_out(json.dumps(value).encode(), width)) == value


def test_layout_keeps_digits() -> None:
    """Numbers keep every digit they were written with."""
    encoded = b'{"a": 4500.00, "b": 9007199254740993.01, "c": 1e3}'
    assert lay_out(encoded, 80) == '{"a": 4500.00, "b": 9007199254740993.01, "c": 1e3}'
    assert json.loads(lay_out(encoded, 10), parse_float=Decimal)["b"] == Decimal("9007199254740993.01")


def test_layout_fits() -> None:
    """What fits goes on one line; the rest is broken at its members."""
    laid_out = lay_out(b'{"name": "Kari", "tags": ["a", "b"], "address": {"street": "Storgata 1", "city": "Oslo"}}', 40)
    assert laid_out.splitlines() == [
        "{",
        '  "name": "Kari",',
        '  "tags": ["a", "b"],',
        '  "address": {',
        '    "street": "Storgata 1",',
        '    "city": "Oslo"',
        "  }",
        "}",
    ]


@given(st.sets(st.integers(0, 40)))
def test_places(indexes: set[int]) -> None:
    """Spans name each index once, and no other."""
    text = name_places(Address("invoice", index) for index in indexes)
    named: list[int] = []
    for span in re.findall(r"\d+(?:-\d+)?", text):
        first, _, last = span.partition("-")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(indexes)


def test_places_of_several_arrays() -> None:
    """Each array is named once."""
    addresses = [Address("invoice", 0), Address("invoice", 1), Address("payment", 2)]
    assert name_places(addresses) == "invoice 0-1; payment 2"


def test_rows_with_their_references() -> None:
    """In the order of their indexes, safe to show; of many the first few, and none where no row has any."""
    rows = [(Address("invoice", 1), "B\x1b[31m"), (Address("invoice", 0), "A"), (Address("payment", 2), "")]
    assert name_rows(rows) == "invoice 0-1 (A, B?[31m); payment 2"
    many = [(Address("invoice", index), f"{index}" if index else "") for index in range(1205)]
    assert name_rows(many) == "invoice 0-1204 (-, 1, 2, 3, 4, … 1,200 more)"
