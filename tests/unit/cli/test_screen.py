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
from bridge.cli.places import name_places
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
