"""How far a long command has come."""

from __future__ import annotations

import io
import re
import sys

import pytest

from bridge.cli.progress import show_progress, write_count


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_counts_are_written_with_their_rate() -> None:
    """With the total where it is known; the first moment divides by nothing."""
    assert write_count(24_000, None, 2.0, "claims") == "24,000 claims, 12,000 claims/s"
    assert write_count(24_000, 1_000_000, 2.0, "rows") == "24,000 of 1,000,000 rows, 12,000 rows/s"
    assert write_count(0, None, 0.0, "rows") == "0 rows, 0 rows/s"


def test_a_log_gets_a_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, beside the results; short work says nothing."""
    now = [0.0]
    with show_progress("reading", "claims", 100, clock=lambda: now[0]) as advance:
        for _ in range(6):
            now[0] += 2.0
            advance(10)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        "reading: 30 of 100 claims, 5 claims/s, after 6 s\nreading: 60 of 100 claims, 5 claims/s, after 12 s\n"
    )


@pytest.mark.parametrize("total", [None, 500])
def test_a_terminal_gets_a_bar(terminal: Terminal, total: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays behind with the count, the rate and the time; an unknown total is no obstacle."""
    monkeypatch.setattr(sys, "stderr", terminal)
    with show_progress("reading", "claims", total) as advance:
        advance(400)
        advance(100)
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.getvalue())
    assert re.search(r"reading .*500( of 500)? claims, [\d,]+ claims/s 0:00:0\d", shown)
