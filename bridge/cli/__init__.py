"""The commands: what they are called, what they take, what their help says. Their work is done in this package's files.

A command imports its file only when it runs, so that `bridge --help` answers at once.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge import __version__
from bridge.cli import (
    cutover_commands,
    journal_commands,
    mode_commands,
    record_commands,
    replay_commands,
    xref_commands,
)
from bridge.cli.options import FAULTY, HELP_STYLE, AsJson, Config, read_day

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=HELP_STYLE,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Answer the legacy AutoCollect batch call by way of the modern collection API.",
    epilog="New here? `bridge demo` shows two batches go all the way, with no set-up and no network.",
)
app.add_typer(journal_commands.batches, name="batches")
app.add_typer(journal_commands.creditors, name="creditors")
app.add_typer(journal_commands.unknown, name="unknown")
app.add_typer(xref_commands.xref, name="xref")
app.add_typer(mode_commands.mode, name="mode")
app.add_typer(record_commands.record, name="record")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"bridge {__version__}")
        raise typer.Exit


@app.callback()
def _bridge(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


@app.command()
def serve(config: Config) -> None:
    """Run the bridge.

    It answers ERP systems at /webapi/api/Batch, /webapi/api/Attachment and /webapi/api/Ping until SIGTERM or Ctrl-C;
    then callers that are waiting get what is known by then, and it ends. Nothing accepted is lost: what was still under
    way goes on with the next start. Logs go to stderr, as JSON unless that is a terminal.
    """
    from bridge.cli import serving

    serving.serve(config)


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8090,
    script: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Faults to play, such as config/sandbox/flaky.toml.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same ids and the same faults.")] = 1,
    webhook_url: Annotated[
        str,
        typer.Option(metavar="URL", help="Where webhooks go, such as http://127.0.0.1:8080/hooks/amili of the bridge."),
    ] = "",
    webhook_secret: Annotated[
        str,
        typer.Option(
            envvar="BRIDGE_SANDBOX_WEBHOOK_SECRET",
            help="Signs the webhooks; must be one of the bridge's modern.webhook_secrets, or it takes none of them.",
        ),
    ] = "",
    limits: Annotated[bool, typer.Option("--limits", help="Print what it does not know, in full, and stop.")] = False,
) -> None:
    """Run a stand-in for the modern API and for the legacy host, to try the bridge without the vendor.

    It is stateful (tokens, invoices, payments, corrections, cases, settlements, batches, webhooks), takes any client id
    and secret, and plays faults by a script. What was asked and accepted is shown at /sandbox/requests and
    /sandbox/state; claims and settlements can be put in at /sandbox/claims and /sandbox/settlements.

    Webhooks tell of finished batches (BATCH_COMPLETED); a script adds SETTLEMENT_CREATED, CASE and CASE_UPDATED.

    On the same port it stands in for the legacy host: POST and GET /webapi/api/Batch, Attachment, Ping, with any
    credentials. A bridge that is to hand calls on to it has `[legacy] base_url` set to the address without a path, as
    in config/cutover.toml. What it accepted is shown at /sandbox/legacy; config/sandbox/legacy.toml is a script for it.

    It is built from the public pages only: error bodies, required fields, the idempotency header, case actions and
    more are assumptions, and the vendor's own validation is not played. A green run against it proves the bridge, not
    the vendor. `bridge sandbox --limits` lists all of it.
    """
    from bridge.cli import standing_in
    from bridge.sandbox import LIMITS, SandboxOptions

    if limits:
        print(LIMITS)
        return
    standing_in.stand_in(
        SandboxOptions(
            host=host, port=port, script=script, seed=seed, webhook_url=webhook_url, webhook_secret=webhook_secret
        )
    )


@app.command()
def demo(
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A checkout with config/ and mappings/; found by itself when left out."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show the bridge's own log lines on stderr.")] = False,
) -> None:
    """Show two batches go all the way, one all good and one with faults of many kinds, and a claim read back.

    A sandbox and a bridge run for a few seconds on free ports of this machine, with a journal in a temporary folder.
    For each batch you see the legacy request, the modern calls the bridge made of it, the folded reply, and what
    happened to every row; then how a claim that was paid is read back. Exit code 0 means that every row was answered
    exactly once, and the claim came back with its payment.
    """
    from bridge.cli import demonstrating

    if not demonstrating.show(folder, logs=logs):
        raise typer.Exit(FAULTY)


@app.command("demo-cutover")
def demo_cutover(
    folder: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A checkout with config/ and mappings/; found by itself when left out."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where recording, page and catch-up batch go; a new temporary folder."),
    ] = None,
    logs: Annotated[bool, typer.Option("--logs", help="Show the bridge's own log lines on stderr.")] = False,
) -> None:
    """Show an organization move from the legacy host to the modern system, and back, step by step.

    A sandbox plays both of them; a bridge stands between, and every command is run as you would type it: record,
    shadow, compare, ready, switch, something breaks, automatic return, catch-up. It takes some twenty seconds and
    works in a folder of its own. Exit code 0 means that every step has proven what it says, and that in the end nothing
    is lost and nothing doubled.
    """
    from bridge.cli import moving

    if not moving.show(folder, out, logs=logs):
        raise typer.Exit(FAULTY)


@app.command()
def check(config: Config, as_json: AsJson = False) -> None:
    """Validate the configuration and all mapping files before a start.

    Runs every mapping example through the real reader, checks every mapping against the fields of the modern API, and
    lists what is assumed because no published page says it. Exit code 1 on any fault; all faults are listed.
    """
    from bridge.cli import checking

    if not checking.check(config, as_json=as_json):
        raise typer.Exit(FAULTY)


@app.command()
def translate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A legacy batch as JSON; - reads it from stdin.")],
    config: Config,
    sender: Annotated[
        str | None, typer.Option(metavar="ID", help="Who would send it; may be left out when there is only one sender.")
    ] = None,
    charset: Annotated[
        str, typer.Option(metavar="NAME", help="As the ERP would declare it, such as iso-8859-1; utf-8 when left out.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show what would become of a legacy batch: a dry run, without network.

    Prints the modern calls it would make, the rows it would refuse and why, and every field that is not carried over.
    Personal data of the payload is shown: mind where the output goes.
    """
    from bridge.cli import translating

    translating.translate(file, config, sender, charset, as_json=as_json)


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Recorded exchanges, or folders of them.")],
    config: Config,
    organization: Annotated[
        str | None, typer.Option(metavar="ORG", help="Only this organization's rows; its id or its configured name.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Expected differences; cutover.differences when left out.")
    ] = None,
    on: Annotated[
        date | None,
        typer.Option(metavar="DATE", parser=read_day, help="Judge expiry as on this day; today when left out."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold recorded legacy answers against the bridge's: row by row, field by field.

    Where a recording has no answer of the bridge, it is predicted; no bridge need run, and nothing is sent. Every row
    ends up in one of three buckets: same, different, or excused by a rule. Each difference names the line of the
    mapping files that makes it. Exit code 1 when anything differs without excuse, or nothing could be compared.
    """
    from bridge.cli import comparing

    day = on or datetime.now(UTC).date()
    if not comparing.compare_files(files, config, organization, rules, day, as_json=as_json):
        raise typer.Exit(FAULTY)


app.command()(journal_commands.ledger)
app.command()(replay_commands.replay)
app.command()(replay_commands.impact)
app.command()(cutover_commands.ready)
app.command()(cutover_commands.debt)
