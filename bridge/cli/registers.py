"""`bridge creditors list` and `bridge unknown list`: what senders sent that nobody was prepared for."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.text import Text

from bridge.cli.journals import read_books
from bridge.cli.losses import ABOUT_UNKNOWN
from bridge.cli.screen import Screen, bad, good, print_json, waiting
from bridge.cli.times import say_time, write_iso
from bridge.journal import SeenCreditor, UnknownField
from bridge.legacy.faults import name_safely
from bridge.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class Creditor:
    """A creditor of the register beside the configuration as it is now."""

    seen: SeenCreditor
    configured: bool
    """Whether its sender may write to it now."""
    organizations: tuple[str, ...]
    """Ids of the organizations that list it, whoever may write to them."""

    @property
    def known(self) -> Text:
        """Return whether it is known, for people."""
        if self.configured:
            return good("yes") if self.seen.known else waiting("not when last seen")
        return bad("no")


def list_creditors(config: Path, *, paste: bool, as_json: bool) -> None:
    """Show the creditors that senders mentioned, and what to configure for those that are not."""
    settings = load_settings(config, os.environ)
    creditors = [_compare(settings, seen) for seen in read_books(settings, lambda books: books.creditors())]
    strangers = [one for one in creditors if not one.configured]
    if as_json:
        print_json([_creditor_json(one) for one in creditors])
    elif paste:
        for line in list(_blocks(strangers))[1:]:  # without the empty line that parts them from what stands before
            print(line)
    else:
        _write_creditors(Screen(), creditors, strangers)


def list_unknown(config: Path, *, as_json: bool) -> None:
    """Show the fields that senders sent and their profile does not declare, the most frequent of each sender first."""
    fields = read_books(load_settings(config, os.environ), lambda books: books.unknown_fields())
    fields = sorted(fields, key=lambda one: (one.sender, -one.count))
    if as_json:
        print_json([asdict(one) | {"last_seen": write_iso(one.last_seen)} for one in fields])
    else:
        _write_unknown(Screen(), fields)


# --- creditors -----------------------------------------------------------------------------------------------------


def _compare(settings: Settings, seen: SeenCreditor) -> Creditor:
    lists = tuple(each.id for each in settings.organizations if seen.idnumber in each.creditors)
    reach = {name for sender in settings.senders if sender.id == seen.sender for name in sender.organizations}
    return Creditor(seen, configured=not reach.isdisjoint(lists), organizations=lists)


def _creditor_json(creditor: Creditor) -> dict[str, Any]:
    seen = creditor.seen
    return {
        **asdict(seen),
        "first_seen": write_iso(seen.first_seen),
        "last_seen": write_iso(seen.last_seen),
        "configured": creditor.configured,
        "organizations": list(creditor.organizations),
    }


def _write_creditors(screen: Screen, creditors: Sequence[Creditor], strangers: Sequence[Creditor]) -> None:
    if not creditors:
        screen.say("No sender has mentioned a creditor yet.")
        return
    lines = [
        (
            one.seen.sender,
            name_safely(one.seen.idnumber),
            one.known,
            say_time(one.seen.first_seen),
            say_time(one.seen.last_seen),
            ", ".join(map(name_safely, one.seen.fields)),
        )
        for one in creditors
    ]
    screen.table(("sender", "creditor", "known", "first seen (UTC)", "last seen (UTC)", "fields"), lines)
    if strangers:
        screen.heading("Rows for the unknown ones are refused; if they are yours, add to the configuration:")
        for line in _blocks(strangers):
            screen.say(line)


def _blocks(strangers: Sequence[Creditor]) -> Iterator[str]:
    """Yield TOML, a line at a time, for creditors that their senders may not write to."""
    senders: dict[str, list[str]] = {}
    for one in strangers:
        senders.setdefault(one.seen.idnumber, []).append(_quote(one.seen.sender))
    for one in {one.seen.idnumber: one for one in strangers}.values():
        idnumber, who = _quote(one.seen.idnumber), " and ".join(senders[one.seen.idnumber])
        yield ""
        if one.organizations:
            yield f"# creditor {idnumber} belongs to an organization here: add its id to the organizations of {who}:"
            yield from (f"#   {_quote(organization)}" for organization in one.organizations)
            continue
        yield f"# creditor {idnumber}: fill in what Amili gave you, and add the id to the organizations of {who};"
        yield "# or add the number to the creditors of the organization it belongs to"
        yield "[[organization]]"
        yield 'id = ""'
        yield 'name = ""'
        yield f"creditors = [{idnumber}]"
        yield 'client_id = ""'
        yield 'client_secret = { env = "" }'


def _quote(text: str) -> str:
    """Write a TOML string; an idnumber is whatever an ERP sent."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- unknown fields ------------------------------------------------------------------------------------------------


def _write_unknown(screen: Screen, fields: Sequence[UnknownField]) -> None:
    if not fields:
        screen.say("No sender has sent a field that its profile does not declare.")
        return
    lines = [(one.sender, one.objectname, str(one.count), say_time(one.last_seen), one.field) for one in fields]
    screen.table(("sender", "object", "rows", "last seen (UTC)", "field"), lines)
    screen.say(ABOUT_UNKNOWN)
