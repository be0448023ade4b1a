"""The tree of differences as people see it, on a terminal and piped."""

from __future__ import annotations

import io

import pytest

from bridge.batch import Address
from bridge.cli.difference_tree import write_tree
from bridge.cli.screen import Screen
from bridge.comparing import Bucket, Difference, Kind, Tree

LONG = '"' + "x" * 400 + '"'


@pytest.fixture
def tree() -> Tree:
    tree = Tree()
    row = Address("invoice", 3)
    tree.add(
        "A", Difference("invoice.fee", Kind.VALUE, row, "1", LONG, Bucket.DIFFERENT, "", "a/b.toml: c"), source="p1"
    )
    tree.add("B", Difference("invoice.fee", Kind.TYPE, row, "[1]", "", Bucket.EXCUSED, "rule"), source="p2")
    tree.add(
        "B", Difference("batch.traceId", Kind.MISSING, None, '"[bold]t"', "", Bucket.EXCUSED, "trace"), source="p2"
    )
    return tree


def test_piped(tree: Tree) -> None:
    """Piped, every line is whole and ends with its last sign; nothing is taken for markup."""
    stream = io.StringIO()
    write_tree(Screen(stream), tree)
    clipped = '"' + "x" * 79 + "…"
    assert stream.getvalue().splitlines() == [
        "  batch: 1 excused (missing)",
        "  └── traceId: 1 excused (missing; trace)",
        '      └── e.g. p2 batch: "[bold]t" → (nothing)',
        "  invoice: 1 different (value), 1 excused (type)",
        "  └── fee: 1 different (value), 1 excused (type)",
        "      ├── 1 excused (type; rule)",
        "      ├── 1 different (value)  ← a/b.toml: c",
        f"      ├── e.g. p1 invoice 3: 1 → {clipped}",
        "      └── e.g. p2 invoice 3: [1] → (nothing)",
    ]


def test_one_organization(tree: Tree) -> None:
    """The tree of one organization tells of nobody else."""
    stream = io.StringIO()
    write_tree(Screen(stream), tree, "A")
    assert "batch" not in stream.getvalue()
    assert "fee: 1 different (value)" in stream.getvalue()


def test_terminal(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, and long lines are broken where it ends."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    write_tree(Screen(stream), tree)
    assert "\x1b[" in stream.getvalue()
    assert "├── " in stream.getvalue()
