"""What commands share: the options they take alike, how their help looks, and how they end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

FAULTY = 1
"""Exit code of a command that did its work and found something wrong."""
HELP_STYLE: Literal["markdown"] | None = "markdown" if sys.stdout.isatty() else None
"""Boxes and colours are for terminals; piped help is plain text."""

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
