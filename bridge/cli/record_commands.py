"""The commands that have an organization recorded: names, options and help; also beside a running bridge.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import time
from typing import Annotated

import typer

from bridge.cli.options import HELP_STYLE, Actor, AsJson, Config, Organization, Reason

record = typer.Typer(
    rich_markup_mode=HELP_STYLE,
    no_args_is_help=True,
    help="Record what the legacy host is asked and answers, with pseudonyms for personal data.",
)


@record.command("start")
def start(organization: Organization, config: Config, reason: Reason, actor: Actor, as_json: AsJson = False) -> None:
    """Begin to record an organization's batches and the legacy host's answers, in every running bridge.

    Only what the legacy host answers is recorded, in mode legacy or shadow. Personal data is replaced before anything
    is stored; that needs `recording.key`. The files are in `recording.folder`, one for each UTC day and process
    (2026-11-20-HOST-PID.jsonl), for their owner only. Begin and end stand in the history (`bridge mode history`).
    """
    from bridge.cli import recording, switching

    recording.record(config, organization, switching.read_word(actor, reason, time.time()), True, as_json=as_json)


@record.command("stop")
def stop(organization: Organization, config: Config, reason: Reason, actor: Actor, as_json: AsJson = False) -> None:
    """Stop recording an organization; what was recorded stays."""
    from bridge.cli import recording, switching

    recording.record(config, organization, switching.read_word(actor, reason, time.time()), False, as_json=as_json)


@record.command("status")
def status(
    config: Config,
    organization: Annotated[
        str | None,
        typer.Argument(metavar="ORG", help="The organization's id, or its configured name; all when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show who is recorded, since when, and the files with how many exchanges they hold."""
    from bridge.cli import recording

    recording.show_status(config, organization, as_json=as_json)
