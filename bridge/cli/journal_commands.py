"""The commands that look into the journal, or place an order in it: names, options and help; also for a running bridge.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import time
import uuid
from typing import Annotated

import typer

from bridge.cli.options import FAULTY, HELP_STYLE, AsJson, Config

batches = typer.Typer(
    rich_markup_mode=HELP_STYLE,
    no_args_is_help=True,
    help="Look into the journal, also beside a running bridge: what was taken, and what became of it.",
)
creditors = typer.Typer(
    rich_markup_mode=HELP_STYLE,
    no_args_is_help=True,
    help="Look into the register of creditors that senders mentioned.",
)
unknown = typer.Typer(
    rich_markup_mode=HELP_STYLE, no_args_is_help=True, help="Look at the fields that senders send and nobody reads."
)

BatchId = Annotated[
    str,
    typer.Argument(metavar="ID", help="The bridge's id: see `bridge batches list`, or the X-Bridge-Batch header."),
]


@batches.command("list")
def list_batches(
    config: Config,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest batches, with how many of their rows stand where."""
    from bridge.cli import books

    books.list_batches(config, limit, as_json=as_json)


@batches.command("show")
def show_batch(
    batch: BatchId,
    config: Config,
    as_json: AsJson = False,
) -> None:
    """Show one batch: each row's state, every call with all its attempts, and what operators said about it.

    Nothing of the payload is shown. The message of a refused row may be the modern system's own words, and those may
    name people; it is erased with the payload, storage.retention_days after the batch was finished.
    """
    from bridge.cli import books

    books.show_batch(config, batch, as_json=as_json)


@batches.command("settle")
def settle_rows(
    batch: BatchId,
    config: Config,
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who says so; kept in the journal.")],
    because: Annotated[
        str, typer.Option("--because", metavar="TEXT", help="How it was found out; kept in the journal.")
    ],
    accepted: Annotated[
        bool, typer.Option("--accepted", help="It arrived: the reply will say OK, nothing is sent.")
    ] = False,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="It did not: the ERP will be told, and may send it again; nothing is sent."),
    ] = False,
    resend: Annotated[
        bool,
        typer.Option(
            "--resend",
            help="It provably did not arrive: it will be sent again, with the same ids and idempotency key.",
        ),
    ] = False,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="OBJECT:INDEX", help="Only this row, such as invoice:0; may be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first; needed where nobody can answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Settle rows in doubt, after you have found out in the modern system what became of them.

    Say which it is: --accepted, --refused or --resend. It covers every row in doubt of the batch, unless --row names
    some. Your word is recorded with name and time; a running bridge acts on it within seconds, otherwise at its start.
    """
    from bridge.cli import settling

    settling.settle(
        config,
        settling.read_finding(
            batch, row or (), {"accepted": accepted, "refused": refused, "resend": resend}, actor=by, reason=because
        ),
        order_id=str(uuid.uuid4()),
        at=time.time(),
        confirmed=yes,
        as_json=as_json,
    )


@creditors.command("list")
def list_creditors(
    config: Config,
    paste: Annotated[
        bool, typer.Option("--paste", help="Print only what to add to the configuration for the unknown ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the creditors that senders mentioned, by number, and whether the configuration knows them.

    A creditor is mentioned by a row of its own, or on another row (action.creditorid), and last seen to the hour then.
    For unknown ones it prints what to add to the configuration. Of what the rows held, only names of fields are kept.
    """
    from bridge.cli import registers

    registers.list_creditors(config, paste=paste, as_json=as_json)


@unknown.command("list")
def list_unknown(config: Config, as_json: AsJson = False) -> None:
    """List the fields that senders send and their profile does not declare, with how often. Values are never kept."""
    from bridge.cli import registers

    registers.list_unknown(config, as_json=as_json)


def ledger(config: Config, as_json: AsJson = False) -> None:
    """Prove that no row is lost: rows taken = final + pending + in doubt, in all and for each organization.

    Counts every row of the journal, also beside a running bridge, names the rows in doubt, and any that is not
    accounted for, or stands under another organization than it was taken for. Exit code 1 if there is one. Rows that
    belong to no organization are creditor rows, and rows that were refused before one was found.
    """
    from bridge.cli import accounting

    if not accounting.show_ledger(config, as_json=as_json):
        raise typer.Exit(FAULTY)
