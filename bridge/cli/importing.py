"""`bridge xref import`: teach the cross-reference claims that were created on the legacy host."""

from __future__ import annotations

import asyncio
import codecs
import os
import time
from collections.abc import Generator
from contextlib import closing
from itertools import islice
from pathlib import Path

import typer

from bridge.cli.claim_files import Checked, ClaimFile, Owners
from bridge.cli.organizations import find_organization, index_organizations
from bridge.cli.progress import Advance, show_progress
from bridge.cli.screen import Screen, bad, good, waiting
from bridge.journal import CLAIMS_AT_ONCE, Claim, LearnClaims
from bridge.journal.opening import open_office
from bridge.settings import Settings, load_settings

AGAIN = "nothing is lost; import the same file again, what is known already stays as it is"


def import_claims(config: Path, path: Path, typed: str | None, charset: str, *, dry_run: bool) -> bool:
    """Check a whole file, then teach its claims; tell whether it was without fault."""
    settings = load_settings(config, os.environ)
    usual = find_organization(settings, typed, "--organization").id if typed else ""
    owners = Owners(index_organizations(settings.organizations), usual)
    file = ClaimFile(path, _read_charset(charset), owners)
    screen, began = Screen(), time.monotonic()
    with show_progress("checking", "rows") as advance:
        checked = file.check(advance)
    if checked.fault_count:
        _tell_faults(screen, path, checked)
        return False
    if dry_run:
        screen.say(good(f"{path}: {_count(checked)}, no fault; nothing was imported (--dry-run)"))
        return True
    try:
        with show_progress("importing", "rows", checked.rows) as advance:
            asyncio.run(_teach(settings, file.claims(), advance))
    except KeyboardInterrupt:
        screen.say(waiting(f"Interrupted: {AGAIN}."))
        raise
    seconds = time.monotonic() - began
    rate = checked.rows / max(seconds, 0.001)
    screen.say(
        good(f"{path}: {_count(checked)} imported in {seconds:.1f} s, {rate:,.0f}/s; what was known stays as it was")
    )
    return True


async def _teach(settings: Settings, claims: Generator[Claim, None, None], advance: Advance) -> None:
    office = open_office(settings.storage.url, base=Path.cwd())
    try:
        with closing(claims):
            some = await _read_on(claims)
            while some:
                # the next rows are read while the store is busy with these
                _, following = await asyncio.gather(office.write(LearnClaims(some)), _read_on(claims))
                advance(len(some))
                some = following
    finally:
        await office.close()


async def _read_on(claims: Generator[Claim, None, None]) -> list[Claim]:
    return list(islice(claims, CLAIMS_AT_ONCE))


def _count(checked: Checked) -> str:
    return "one row" if checked.rows == 1 else f"{checked.rows:,} rows"


def _read_charset(charset: str) -> str:
    """Return a character set by its usual name; BadParameter unless lines and separators can be told in it."""
    try:
        if '\n;,"'.encode(charset) == b'\n;,"':
            return codecs.lookup(charset).name
    except (LookupError, UnicodeError):
        pass
    raise typer.BadParameter(f"{charset}: expected utf-8, iso-8859-1 or windows-1252", param_hint="--charset")


def _tell_faults(screen: Screen, path: Path, checked: Checked) -> None:
    count = "one fault" if checked.fault_count == 1 else f"{checked.fault_count:,} faults"
    screen.say(bad(f"{path}: {count}; nothing was imported"))
    for fault in checked.faults:
        screen.say(f"  {fault}")
    if more := checked.fault_count - len(checked.faults):
        screen.say(f"  … and {more:,} more")
