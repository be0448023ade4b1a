"""The commands on the cross-reference: names, options and help; also beside a running bridge.

As in the rest of the command line, a command imports what does its work only when it runs.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.options import FAULTY, HELP_STYLE, AsJson, Config

xref = typer.Typer(
    rich_markup_mode=HELP_STYLE,
    no_args_is_help=True,
    help="Look into the cross-reference, where every id of a claim leads to all others, or fill it.",
)


@xref.command("find")
def find_claims(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Any id or name of a claim, or of its batch.")],
    config: Config,
    as_json: AsJson = False,
) -> None:
    """Find claims of any organization by any id or name, and show all their ids.

    NAME is a ledgerref, invoiceNumber, uniqueSourceInvoiceId, invoiceId, caseId or caseNumber, or what a batch is
    called that it came in: by the modern system, by the bridge, or by the ERP (batchid). Of a single claim the history
    of its case is shown as well, as far as webhooks told it. Exit code 1 when nothing is found.
    """
    from bridge.cli import finding

    if not finding.find(config, name, as_json=as_json):
        raise typer.Exit(FAULTY)


@xref.command("rebuild")
def rebuild(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="The organization's id, or its configured name.")],
    config: Config,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Do not go on where an earlier reading was cut off.")
    ] = False,
) -> None:
    """Read every case and invoice of an organization from the modern system into the cross-reference.

    Only ids are kept. It adds what is not known and never removes anything; a running bridge is not disturbed, and
    uses what was read at once. Cut off by whatever, it goes on where it was when run again.
    """
    from bridge.cli import rebuilding

    rebuilding.rebuild(config, organization, from_start=from_start)


@xref.command("import")
def import_claims(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The claims as CSV, one a line, with a header.")],
    config: Config,
    organization: Annotated[
        str | None,
        typer.Option("--organization", metavar="ORG", help="Whose they are, by id or name; unless a column says so."),
    ] = None,
    charset: Annotated[
        str, typer.Option(metavar="NAME", help="How the file is encoded, such as iso-8859-1.")
    ] = "utf-8",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file.")] = False,
) -> None:
    """Import claims that were created on the legacy host before the cutover.

    The first line names the columns, in any order: organization, ledgerref, invoiceNumber, uniqueSourceInvoiceId,
    invoiceId, caseId, caseNumber. Each row needs one of ledgerref, invoiceNumber, uniqueSourceInvoiceId and invoiceId;
    what else is known makes it easier to find the claim in the modern system, which the bridge does when a payment or
    action is sent for it. Columns are separated by semicolons or commas.

    The whole file is checked first, and of a faulty one nothing is imported (exit code 1). To import a file again
    changes nothing.
    """
    from bridge.cli import importing

    if not importing.import_claims(config, file, organization, charset, dry_run=dry_run):
        raise typer.Exit(FAULTY)
