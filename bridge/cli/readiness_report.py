"""A report on readiness for people at a terminal: the verdict, every reason, and the figures behind it."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from bridge.cli.screen import Screen, bad, good, quiet, waiting
from bridge.readiness import Reason, Report, Severity

MOST_DETAILS = 10
"""How many lines of a reason are shown; the page and --json have all."""
_MARKS = {Severity.BLOCKS: bad, Severity.LOOK: waiting, Severity.NOTE: quiet}


def write_report(screen: Screen, report: Report, page: Path | None) -> None:
    """Show it; `page` is where the page was written."""
    window, traffic = report.window, report.traffic
    screen.say(f"{report.title}, in mode {report.current.describe()}; {window.first} to {window.on} (UTC)")
    rows = tuple(f"{traffic.total(name):,}" for name in ("same", "different", "excused"))
    screen.table(("", "same", "different", "excused"), [("rows compared", *rows)])
    for reason in report.reasons:
        _write_reason(screen, reason)
    screen.say()
    blocking, doubtful = (
        sum(reason.severity is severity for reason in report.reasons) for severity in (Severity.BLOCKS, Severity.LOOK)
    )
    if report.is_go:
        things = f"{doubtful} thing{'' if doubtful == 1 else 's'}"
        rest = f"nothing blocks it; {things} to look at" if doubtful else "nothing speaks against it"
        screen.say(good(f"GO: {rest}."))
    else:
        screen.say(bad(f"NO-GO: {blocking} reason{'' if blocking == 1 else 's'} against it."))
    if page is not None:
        screen.say(f"The page is written: {page}")


def _show_safely(line: str) -> str:
    """Return a line without signs that a terminal would obey; names in it are a caller's own."""
    return "".join(sign if sign.isprintable() else "?" for sign in line)


def _write_reason(screen: Screen, reason: Reason) -> None:
    screen.say()
    screen.say(Text.assemble(_MARKS[reason.severity](f"{reason.severity}: "), reason.what))
    for line in reason.details[:MOST_DETAILS]:
        screen.say(f"  - {_show_safely(line)}")
    if len(reason.details) > MOST_DETAILS:
        screen.say(f"  - … {len(reason.details) - MOST_DETAILS:,} more: see --html or --json")
    screen.say(quiet(f"  {reason.do}"))
