"""`bridge ledger`: the proof that no row is lost, also beside a running bridge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from bridge.batch import Address
from bridge.cli.doubts import name_command
from bridge.cli.journals import read_books
from bridge.cli.places import address_fields, name_places
from bridge.cli.screen import Screen, print_json, quiet
from bridge.journal import Ledger
from bridge.settings import load_settings


def show_ledger(config: Path, *, as_json: bool) -> bool:
    """Show the row conservation proof; tell whether every row is accounted for."""
    settings = load_settings(config, os.environ)
    ledger = read_books(settings, lambda books: books.ledger())
    names = {one.id: one.name for one in settings.organizations if one.name}
    if as_json:
        print_json(_to_json(ledger, names))
    else:
        _write(Screen(), ledger, names)
    return not ledger.unaccounted


def _to_json(ledger: Ledger, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "accepted": ledger.accepted,
        "final": ledger.final,
        "pending": ledger.pending,
        "in_doubt": ledger.in_doubt,
        "in_doubt_rows": [{"batch": batch, **address_fields(address)} for batch, address in ledger.in_doubt_rows],
        "unaccounted": [asdict(fault) for fault in ledger.unaccounted],
        "organizations": [
            {"organization": one.organization, "name": names.get(one.organization)} | asdict(one)
            for one in ledger.organizations
        ],
    }


def _write(screen: Screen, ledger: Ledger, names: Mapping[str, str]) -> None:
    screen.say(f"rows taken     {ledger.accepted:>8}")
    screen.say(f"  = final      {ledger.final:>8}")
    screen.say(f"  + pending    {ledger.pending:>8}")
    screen.say(f"  + in doubt   {ledger.in_doubt:>8}")
    if ledger.organizations:
        _write_organizations(screen, ledger, names)
    if ledger.in_doubt_rows:
        _write_doubts(screen, ledger)
    if ledger.unaccounted:
        screen.heading("Unaccounted for: keep a copy of the journal and tell the maintainers")
        faults = [(one.batch or "-", f"{one.objectname} {one.objectindex}", one.why) for one in ledger.unaccounted]
        screen.table(("batch", "row", "why"), faults)
        return
    screen.say(quiet("every row is accounted for"))


def _write_organizations(screen: Screen, ledger: Ledger, names: Mapping[str, str]) -> None:
    screen.heading("By organization")
    columns = ("organization", "name", "taken", "final", "pending", "in doubt")
    lines = [
        (
            *(one.organization or "(no organization)", names.get(one.organization, "-")),
            *map(str, (one.accepted, one.final, one.pending, one.in_doubt)),
        )
        for one in ledger.organizations
    ]
    screen.table(columns, lines)


def _write_doubts(screen: Screen, ledger: Ledger) -> None:
    screen.heading("In doubt: whether these arrived is not known")
    doubts = list(_by_batch(ledger))
    screen.table(("batch", "rows"), [(batch, name_places(rows)) for batch, rows in doubts])
    screen.say(
        "The bridge looks for them first. What stays here is for you: find out in the modern system, then settle it"
    )
    screen.say("(add --row OBJECT:INDEX where not all rows of a batch are meant):")
    for batch, _ in doubts:
        screen.say(f"  {name_command(batch)}")


def _by_batch(ledger: Ledger) -> Iterator[tuple[str, list[Address]]]:
    for batch, rows in groupby(ledger.in_doubt_rows, key=lambda one: one[0]):
        yield batch, [address for _, address in rows]
