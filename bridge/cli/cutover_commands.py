"""The commands around a switch: may an organization go, and what does it leave behind when it comes back.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import FAULTY, LOOK_BACK_DAYS, AsJson, Config, Organization, read_day, read_moment

Since = Annotated[
    datetime | None,
    typer.Option(
        metavar="TIME",
        parser=read_moment,
        help="Rows received from then on (UTC, 2026-11-20 or 2026-11-20T14:30); when left out, since rows last began "
        "to go to the bridge.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write what is owed as a legacy batch, and remember that.")
]
Actor = Annotated[
    str,
    typer.Option(
        "--actor", "--by", metavar="NAME", help="With --out: who writes it; kept with it. Your user name when left out."
    ),
]
Export = Annotated[str, typer.Option(metavar="ID", help="With --out: write the file of an earlier run once more.")]


def ready(
    organization: Organization,
    config: Config,
    days: Annotated[
        int, typer.Option(metavar="N", min=1, max=366, help="How many days to look back.")
    ] = LOOK_BACK_DAYS,
    at: Annotated[
        date | None,
        typer.Option(
            "--at",
            metavar="DATE",
            parser=read_day,
            help="The last of these days, by UTC: today, also when left out, or before.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page to pass on, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether an organization may go to the modern system: GO, or NO-GO, with reasons.

    It looks at what shadow mode has found: differences without excuse, excuses about to expire, parts of the mapping
    files that no real row has used, unknown fields and creditors, rows in doubt, and whether there was enough traffic
    to tell. What must be there for a GO is set under `[readiness]`. The same journal, configuration and date give the
    same report. Exit code 1 on NO-GO.
    """
    from bridge.cli import readying

    today = datetime.now(UTC).date()
    day = at or today
    if day > today:
        raise typer.BadParameter(
            f"{day} is still to come; give today ({today}, by UTC), an earlier day, or leave it out", param_hint="--at"
        )
    if not readying.show_readiness(config, organization, day, days, page, as_json=as_json):
        raise typer.Exit(FAULTY)


def debt(
    organization: Organization,
    config: Config,
    since: Since = None,
    out: Out = None,
    export: Export = "",
    actor: Actor = "",
    as_json: AsJson = False,
) -> None:
    """List what exists only in the modern system, once an organization is back with the legacy host.

    These are the rows that the bridge accepted while it answered for the organization. With --out they are written as
    their callers sent them, as a legacy batch for catching up; of several senders, a file each. A row is written once:
    run again, it gives only what is new; when there is nothing, no file is written. What cannot be written so is named,
    with what to do.

    The file holds personal data. What it carries still exists in the modern system, until somebody closes it there.
    """
    from bridge.cli import owing

    if export and out is None:
        raise typer.BadParameter("needs --out FILE", param_hint="--export")
    now = datetime.now(UTC)
    if since is not None and since > now:
        raise typer.BadParameter("must not lie ahead (UTC)", param_hint="--since")
    wish = owing.Wish(
        since=None if since is None else since.timestamp(),
        out=out,
        again=export.strip(),
        new_export=f"{now:%Y%m%d}-{secrets.token_hex(4)}",
        actor=actor.strip(),
        at=now.timestamp(),
    )
    owing.show_debt(config, organization, wish, as_json=as_json)
