"""`bridge record start`, `stop` and `status`: whether an organization is recorded, as part of its switch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from bridge.cli.journals import read_books
from bridge.cli.organizations import find_organization
from bridge.cli.screen import Screen, good, print_json, waiting
from bridge.cli.switches import choose, first_switch, name_of, switch_fields
from bridge.cli.switching import Word, write_switch
from bridge.cli.times import say_time, write_iso
from bridge.errors import OperatorError
from bridge.modes import Switch
from bridge.recording import measure
from bridge.settings import OrganizationSettings, Settings, load_settings

NOTHING_TO_RECORD = "It is in mode modern: the legacy host is asked nothing, so nothing is recorded until it is again."


def record(config: Path, typed: str, word: Word, wanted: bool, *, as_json: bool) -> None:
    """Begin or end to record an organization."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG")
    if wanted:
        _require_means(settings)
    before, after = write_switch(settings, organization, lambda current: _turn(current, wanted, word))
    if as_json:
        print_json(switch_fields(before, after, organization.name))
        return
    if after is before:
        so = "is recorded already" if wanted else "is not recorded"
        Screen().say(f"{name_of(organization)} {so}; nothing was changed: see `bridge record status`")
        return
    screen, doing = Screen(), "is recorded from now on" if wanted else "is not recorded any more"
    screen.say(good(f"Recorded: {name_of(organization)} {doing}, by {after.actor}."))
    if not wanted:
        screen.say(f"What was recorded stays in {settings.recording.folder}.")
    elif any(mode.is_legacy_side for mode in after.modes):
        screen.say(f"Every running bridge obeys within a second, and writes into {settings.recording.folder}.")
    else:
        screen.say(waiting(NOTHING_TO_RECORD))


def show_status(config: Path, typed: str | None, *, as_json: bool) -> None:
    """Show who is recorded, since when, and where the files are."""
    settings = load_settings(config, os.environ)
    history = read_books(settings, lambda books: books.switch_history())
    states = [(one, _since(one.id, history, settings)) for one in choose(settings, typed)]
    folder = str(settings.recording.folder)
    files = measure(settings.recording.folder)
    if as_json:
        told = [{"file": one.file.name, "lines": one.lines, "bytes": one.size} for one in files]
        print_json({"folder": folder, "files": told, "organizations": [_fields(one, switch) for one, switch in states]})
        return
    screen = Screen()
    screen.table(
        ("organization", "name", "recorded", "since (UTC)", "by", "why"), [_line(one, switch) for one, switch in states]
    )
    screen.say(f"files: {folder}" + ("" if files else ", nothing there yet"))
    if files:
        screen.table(
            ("file", "exchanges", "kB"), [(one.file.name, f"{one.lines:,}", f"{one.size / 1000:,.0f}") for one in files]
        )


def _require_means(settings: Settings) -> None:
    """Refuse what could not be kept safely, or has no source."""
    if settings.recording.key is None:
        raise OperatorError(
            "recording.key: needed to replace personal data before anything is stored; set a long random secret in the "
            "configuration of every bridge, restart them, then say it again"
        )
    if settings.legacy.base_url is None:
        raise OperatorError("legacy.base_url: without a legacy host there are no answers to record")


def _turn(current: Switch, wanted: bool, word: Word) -> Switch:
    if current.recording is wanted:
        return current
    return replace(current, recording=wanted, number=0, at=word.at, actor=word.actor, reason=word.reason)


def _since(organization: str, history: list[Switch], settings: Settings) -> Switch:
    """Return the switch since which an organization is recorded, or is not."""
    found = first_switch(organization, settings)
    for switch in history:
        if switch.organization == organization and switch.recording is not found.recording:
            found = switch
    return found


def _fields(organization: OrganizationSettings, switch: Switch) -> dict[str, object]:
    return {
        "organization": organization.id,
        "name": organization.name or None,
        "recording": switch.recording,
        "since": write_iso(switch.at) if switch.number else None,
        "actor": switch.actor,
        "reason": switch.reason,
    }


def _line(organization: OrganizationSettings, switch: Switch) -> tuple[str, ...]:
    who = (say_time(switch.at), switch.actor, switch.reason) if switch.number else ("-", "-", "-")
    return (organization.id, organization.name or "-", "yes" if switch.recording else "no", *who)
