"""What commands share: the options they take alike, how their help looks, and how they end."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

FAULTY = 1
"""Exit code of a command that did its work and found something wrong."""
LOOK_BACK_DAYS = 14
"""How many days of shadow mode readiness looks at, when nobody says."""
HELP_STYLE: Literal["markdown"] | None = "markdown" if sys.stdout.isatty() else None
"""Boxes and colours are for terminals; piped help is plain text."""


def read_day(typed: str) -> date:
    """Read a day as typed; BadParameter, with how to write one, when it is none."""
    try:
        return datetime.strptime(typed.strip(), "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise typer.BadParameter(f"{typed}: is no day; write it as 2026-11-20") from None


def read_moment(typed: str) -> datetime:
    """Read a moment in UTC as typed, or the begin of a day; BadParameter, with how to write one, when it is none."""
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(typed.strip().replace("T", " "), form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise typer.BadParameter(f"{typed}: is no moment; write it as 2026-11-20, or 2026-11-20T14:30:00 (UTC)")


Config = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="BRIDGE_CONFIG", metavar="FILE", help="The configuration, such as config/local.toml."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, for scripts.")]
Organization = Annotated[str, typer.Argument(metavar="ORG", help="The organization's id, or its configured name.")]
Actor = Annotated[str, typer.Option("--actor", "--by", metavar="NAME", help="Who says so; kept in the history.")]
Reason = Annotated[str, typer.Option("--reason", "--because", metavar="TEXT", help="Why; kept in the history.")]
