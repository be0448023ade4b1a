"""The commands that work on recordings: names, options and help.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import FAULTY, AsJson, Config

Recordings = Annotated[
    list[Path], typer.Argument(metavar="FILES", help="Recordings (.jsonl, .jsonl.gz), or folders of them.")
]


class Against(StrEnum):
    """Who answers a replayed request."""

    TRANSLATE = "translate"
    SANDBOX = "sandbox"
    STAGING = "staging"


def replay(
    files: Recordings,
    config: Config,
    against: Annotated[
        Against,
        typer.Option(
            help="translate: the answer is predicted, nothing is sent. sandbox: a bridge to a sandbox of its own. "
            "staging: the modern API that shadow.base_url names, never the production one."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the exchanges go, with the bridge's answers.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier replay into --out stopped.")] = False,
    rate: Annotated[
        float | None, typer.Option(metavar="N", min=0.001, help="At most so many exchanges a second.")
    ] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="X", min=0.001, help="At most so many times as fast as recorded.")
    ] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="Stop after so many exchanges.")] = None,
) -> None:
    """Have the bridge answer recorded requests, one after the other, and keep its answers beside the legacy ones.

    What it writes is a recording again, which `bridge compare` reads. Ctrl-C, or a crash, loses nothing: the same
    command with --resume goes on, and no exchange is answered twice.
    """
    from bridge.cli import replaying

    pace = replaying.Pace(rate, speed)
    if not replaying.replay(files, config, against.value, out, pace, resume=resume, limit=limit):
        raise typer.Exit(FAULTY)


def impact(
    files: Recordings,
    config: Config,
    before: Annotated[Path, typer.Option(metavar="FOLDER", help="Mappings as they are: a folder of profiles.")],
    after: Annotated[Path, typer.Option(metavar="FOLDER", help="Mappings as they would be.")],
    fail: Annotated[
        bool,
        typer.Option(
            "--fail", help="Exit code 1 when a row changes. When no exchange was found, it is 1 without this."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List exactly the rows of a recording that two versions of the mappings treat differently.

    A row changes when its verdict does, or the words of a refusal, its operation, its organization, how it refers to a
    claim or is known by, or any field of what would be sent. Nothing is sent, and no bridge need run.
    """
    from bridge.cli import impact as impacts

    seen = impacts.show_impact(files, config, before, after, as_json=as_json)
    if not seen.lines or (fail and seen.changed):
        raise typer.Exit(FAULTY)
