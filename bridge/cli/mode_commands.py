"""The commands that say which system answers for an organization: names, options and help.

They work beside a running bridge, too.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import time
from typing import Annotated

import typer

from bridge.cli.options import HELP_STYLE, Actor, AsJson, Config, Organization, Reason
from bridge.modes import Mode

mode = typer.Typer(
    rich_markup_mode=HELP_STYLE,
    no_args_is_help=True,
    help="Say which system answers for an organization: legacy, shadow or modern; or see who said so.",
)

OneOrAll = Annotated[
    str | None,
    typer.Argument(metavar="ORG", help="The organization's id, or its configured name; all when left out."),
]


@mode.command("show")
def show_modes(config: Config, organization: OneOrAll = None, as_json: AsJson = False) -> None:
    """Show how the rows of each organization go now, since when, and who said so; of one also for each creditor."""
    from bridge.cli import switches

    switches.show(config, organization, as_json=as_json)


@mode.command("set")
def set_mode(
    organization: Organization,
    to: Annotated[
        Mode,
        typer.Argument(
            metavar="MODE", help="legacy, shadow or modern; with --percent, of the creditors that it leaves out."
        ),
    ],
    config: Config,
    reason: Reason,
    actor: Actor,
    percent: Annotated[
        float | None,
        typer.Option("--percent", metavar="N", help="Only so many of 100 creditors go where --to says."),
    ] = None,
    other: Annotated[
        Mode | None,
        typer.Option(
            "--to", metavar="MODE", help="Where these go: further than MODE on the way legacy, shadow, modern."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Switch an organization; every running bridge obeys within a second, and nothing needs a restart.

    `legacy`: the legacy host answers, byte for byte. `shadow`: the legacy host answers, and the bridge works the same
    batch beside it, without writing, and compares. `modern`: the bridge answers.

    `bridge mode set ORG shadow --percent 25 --to modern` moves a quarter of the creditors to modern and has the others
    in shadow. A creditor keeps its place in the line: raising the percentage adds some and moves nobody back.

    When more goes to modern and `bridge ready` would say NO-GO, it switches all the same, and says why not to.

    What was sent before goes where it went first when it is sent again, whatever the mode is.
    """
    from bridge.cli import switching

    wish = switching.read_wish(to, percent, other)
    word = switching.read_word(actor, reason, time.time())
    switching.switch(config, organization, wish, word, as_json=as_json)


@mode.command("history")
def show_history(config: Config, organization: OneOrAll = None, as_json: AsJson = False) -> None:
    """Show every switch there was: when, by whom, why, from what to what; oldest first."""
    from bridge.cli import switches

    switches.show_history(config, organization, as_json=as_json)
