"""`bridge mode show` and `history`: how the rows of organizations go, and who said so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bridge.cli.journals import read_books
from bridge.cli.organizations import find_organization, names_of
from bridge.cli.screen import Screen, print_json, waiting
from bridge.cli.times import say_time, write_iso
from bridge.journal import Books
from bridge.modes import Switch
from bridge.settings import OrganizationSettings, Settings, load_settings

NO_LEGACY_HOST = "legacy.base_url is not set: the bridge answers for every organization, whatever stands here."


def show(config: Path, typed: str | None, *, as_json: bool) -> None:
    """Show the switch in force of each organization; of a single one each creditor's mode as well."""
    settings = load_settings(config, os.environ)
    chosen = choose(settings, typed)
    newest = {one.organization: one for one in read_books(settings, lambda books: books.switches())}
    switches = [newest.get(one.id) or first_switch(one.id, settings) for one in chosen]
    if as_json:
        print_json([_state_fields(*pair) for pair in zip(chosen, switches, strict=True)])
        return
    screen = Screen()
    if settings.legacy.base_url is None:
        screen.say(waiting(NO_LEGACY_HOST))
    lines = [_state_line(one, switch) for one, switch in zip(chosen, switches, strict=True)]
    screen.table(("organization", "name", "mode", "recorded", "since (UTC)", "by", "why"), lines)
    if typed is not None:
        _write_creditors(screen, chosen[0], switches[0])


def show_history(config: Path, typed: str | None, *, as_json: bool) -> None:
    """Show every switch there was, oldest first."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG") if typed is not None else None
    history = read_books(settings, lambda books: books.switch_history(organization.id if organization else ""))
    steps = list(_pair_up(history, settings))
    if as_json:
        names = names_of(settings)
        print_json([switch_fields(before, after, names.get(after.organization, "")) for before, after in steps])
        return
    screen = Screen()
    if not steps:
        screen.say(f"Nobody has switched yet: the mode is {settings.cutover.first_mode}, by cutover.first_mode.")
        return
    columns = ("no.", "at (UTC)", "organization", "from", "to", "by", "why")
    screen.table(columns, [_step_line(before, after) for before, after in steps])


def choose(settings: Settings, typed: str | None) -> Sequence[OrganizationSettings]:
    """Return the organization that was typed, or all."""
    return settings.organizations if typed is None else (find_organization(settings, typed, "ORG"),)


async def read_current(books: Books, organization: str, settings: Settings) -> Switch:
    """Return the newest switch of an organization; of one that nobody has switched what the configuration says."""
    for switch in await books.switches():
        if switch.organization == organization:
            return switch
    return first_switch(organization, settings)


def first_switch(organization: str, settings: Settings) -> Switch:
    """Return how the rows of an organization go that nobody has switched."""
    return Switch(organization, settings.cutover.first_mode)


def name_of(organization: OrganizationSettings) -> str:
    """Return what an organization is called, and its id."""
    return f"{organization.name} ({organization.id})" if organization.name else organization.id


def say_who(switch: Switch) -> str:
    """Say who switched, and when."""
    if not switch.number:
        return "the configuration (cutover.first_mode)"
    return f"{switch.actor} at {say_time(switch.at)} UTC ({switch.reason})"


def way(switch: Switch) -> str:
    """Say how rows go, and whether they are recorded."""
    return f"{switch.describe()}, recorded" if switch.recording else switch.describe()


# --- for scripts ---------------------------------------------------------------------------------------------------


def way_fields(switch: Switch) -> dict[str, Any]:
    """Return how rows go, for scripts."""
    return {
        "mode": switch.mode.value,
        "percent": switch.percent,
        "to": switch.other.value if switch.other is not None else None,
        "recording": switch.recording,
    }


def switch_fields(before: Switch, after: Switch, name: str) -> dict[str, Any]:
    """Return one step of a history, for scripts."""
    return {
        "organization": after.organization,
        "name": name or None,
        "number": after.number,
        "at": write_iso(after.at),
        "actor": after.actor,
        "reason": after.reason,
        "before": way_fields(before),
        "after": way_fields(after),
    }


def _state_fields(organization: OrganizationSettings, switch: Switch) -> dict[str, Any]:
    return {
        "organization": organization.id,
        "name": organization.name or None,
        **way_fields(switch),
        "number": switch.number,
        "at": write_iso(switch.at) if switch.number else None,
        "actor": switch.actor,
        "reason": switch.reason,
        "creditors": {creditor: switch.mode_of(creditor).value for creditor in organization.creditors},
    }


# --- for people ----------------------------------------------------------------------------------------------------


def _state_line(organization: OrganizationSettings, switch: Switch) -> Sequence[str]:
    who = (say_time(switch.at), switch.actor, switch.reason) if switch.number else ("-", "-", "cutover.first_mode")
    recorded = "yes" if switch.recording else "-"
    return (organization.id, organization.name or "-", switch.describe(), recorded, *who)


def _step_line(before: Switch, after: Switch) -> Sequence[str]:
    who = (after.actor, after.reason)
    return (str(after.number), say_time(after.at), after.organization, way(before), way(after), *who)


def _write_creditors(screen: Screen, organization: OrganizationSettings, switch: Switch) -> None:
    screen.heading("By creditor")
    lines = [(creditor, switch.mode_of(creditor).value) for creditor in organization.creditors]
    screen.table(("creditor", "mode"), [*lines, ("(rows that name none)", switch.mode_of("").value)])


def _pair_up(history: Sequence[Switch], settings: Settings) -> Iterator[tuple[Switch, Switch]]:
    """Yield each switch after the one it followed, of the same organization."""
    last: dict[str, Switch] = {}
    for switch in history:
        yield last.get(switch.organization) or first_switch(switch.organization, settings), switch
        last[switch.organization] = switch
