"""`bridge check`: configuration, mappings, their examples, and everything that is taken for granted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from bridge.batch import Address, Outcome, RowRefused
from bridge.cli.screen import Screen, bad, good, print_json, waiting
from bridge.comparing import load_rules
from bridge.errors import MappingFault, SettingsFault
from bridge.legacy.reader import RowReader
from bridge.mapping import (
    AlwaysNull,
    Assumption,
    Profile,
    assumptions,
    check_targets,
    load_profile,
    nulls,
    run_examples,
)
from bridge.mapping.examples import Reader
from bridge.modern.requests import encode_item
from bridge.modern.wire import OPERATIONS_SCHEMAS
from bridge.settings import Settings, load_settings

ASSUMED_SETTINGS = (
    ("modern.idempotency_header", "that a write carries an idempotency key, and in which header, is on no page"),
    ("modern.duplicate_words", "the wording of a refusal as a duplicate is on no page"),
    ("modern.settle_seconds", "how late a write may show up in the API's lists is on no page"),
)
ASSUMED_OF_WEBHOOKS = ("modern.webhook_secrets", "a webhook's signature is taken for hex HMAC-SHA256 of its body")
NO_NOTE = "assumed: no page says it"
"""Shown where a mapping file marks a rule as assumed and says no more."""


@dataclass(slots=True)
class Report:
    """What was found; `faults` name file and key, one each."""

    faults: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    """Those in use first."""
    unused: list[str] = field(default_factory=list)
    """Those of them that no sender speaks."""
    assumed: list[Assumption] = field(default_factory=list)
    """In the order of the profiles, after the settings; what a profile takes from another one stands there once."""
    heard: int = 0
    """How many of them, from the first, belong to the settings and to profiles in use."""
    nulls: list[AlwaysNull] = field(default_factory=list)
    """Fields that reads are always answered null for, in the order of the profiles."""
    warnings: list[str] = field(default_factory=list)
    """What somebody should look at; no start is stopped by it."""


def check(config: Path, *, as_json: bool) -> bool:
    """Check everything a start depends on, and show what was found; tell whether there is no fault."""
    report = examine(config, datetime.now(UTC).date())
    if as_json:
        print_json({"ok": not report.faults, **asdict(report)})
    else:
        _write(Screen(), config, report)
    return not report.faults


def examine(config: Path, today: date) -> Report:
    """Return every fault of the configuration, of all profiles in its mappings folder, and of its other files."""
    report = Report()
    try:
        settings = load_settings(config, os.environ)
    except SettingsFault as fault:
        report.faults += _name_file(config, str(fault))
        return report
    report.assumed += [Assumption(str(config), key, note) for key, note in _list_assumed_settings(settings)]
    _check_differences(settings, report, today)
    spoken = {sender.profile for sender in settings.senders}
    report.heard = len(report.assumed)
    faults: list[str] = []
    for profile in sorted(_load_profiles(settings, report), key=lambda one: one.name not in spoken):
        _note_profile(report, profile, used=profile.name in spoken)
        faults += check_targets(profile, _schemas())
        faults += run_examples(profile, _reader(profile))
    report.faults = list(dict.fromkeys(report.faults + faults))  # files that profiles share are told once
    return report


def _check_differences(settings: Settings, report: Report, today: date) -> None:
    """Note what is wrong with the rules for expected differences, and which of them have expired."""
    file = settings.cutover.differences
    try:
        rules = load_rules(file, {one.id for one in settings.organizations})
    except SettingsFault as fault:
        report.faults += str(fault).splitlines()
        return
    report.warnings += [
        f'{file}: rule "{rule.id}" expired on {rule.expires} and hides nothing any more; ask {rule.owner} '
        "whether to remove or to renew it"
        for rule in rules.rules
        if rule.expires < today
    ]


def _note_profile(report: Report, profile: Profile, *, used: bool) -> None:
    report.profiles.append(profile.name)
    report.assumed += [one for one in assumptions(profile) if one not in report.assumed]
    report.nulls += [one for one in nulls(profile) if one not in report.nulls]
    if used:
        report.heard = len(report.assumed)
    else:
        report.unused.append(profile.name)


def _list_assumed_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from ASSUMED_SETTINGS
    if settings.modern.webhook_secrets or any(each.webhook_secrets for each in settings.organizations):
        yield ASSUMED_OF_WEBHOOKS


def _name_file(config: Path, message: str) -> list[str]:
    """Split a fault of the settings into one line a fault, each with its file."""
    first, *faults = message.splitlines()
    return [f"{config}: {fault}" for fault in faults] or [first]


def _load_profiles(settings: Settings, report: Report) -> Iterator[Profile]:
    """Yield every profile that can be loaded; note the faults of the others."""
    folder = settings.mappings.folder
    found = sorted(path for path in folder.iterdir() if any(path.glob("*.toml"))) if folder.is_dir() else []
    if not found:
        report.faults.append(f"{folder}: holds no profile; correct [mappings] folder in the configuration")
        return
    names = {path.name for path in found}
    report.faults += [
        f"sender {sender.id}: profile: there is no {folder / sender.profile}; correct it, or add the folder"
        for sender in settings.senders
        if sender.profile not in names
    ]
    for path in found:
        try:
            yield load_profile(path)
        except MappingFault as fault:
            report.faults += str(fault).splitlines()


def _schemas() -> dict[str, dict[str, Any]]:
    return {name: model.model_json_schema() for name, model in OPERATIONS_SCHEMAS.items()}


def _reader(profile: Profile) -> Reader:
    """Return a function that reads an example's row as the endpoint would."""
    rows = RowReader({name: mapping.shape for name, mapping in profile.objects.items()})

    def read(objectname: str, row: dict[str, Any]) -> dict[str, Any] | RowRefused:
        result = rows.read(Address(objectname, 0), encode_item(row))
        return RowRefused(result.message) if isinstance(result, Outcome) else result.fields

    return read


def _write(screen: Screen, config: Path, report: Report) -> None:
    spoken = [name for name in report.profiles if name not in report.unused]
    heard, unheard = report.assumed[: report.heard], report.assumed[report.heard :]
    if spoken:
        screen.say(f"profiles: {', '.join(spoken)}")
    _write_assumed(screen, heard)
    if report.unused:
        screen.title(f"Spoken by no sender: {', '.join(report.unused)}")
        _write_assumed(screen, unheard)
    _write_nulls(screen, report.nulls)
    screen.say()
    for warning in report.warnings:
        screen.say(waiting(f"warning: {warning}"))
    if not report.faults:
        more = f", and {len(unheard)} of profiles that no sender speaks" if unheard else ""
        screen.say(good(f"{config}: no fault; {len(heard)} assumptions are listed above{more}"))
        return
    count = "one fault" if len(report.faults) == 1 else f"{len(report.faults)} faults"
    screen.say(bad(f"{config}: {count}"))
    for fault in report.faults:
        screen.say(f"  {fault}")


def _write_assumed(screen: Screen, assumed: Sequence[Assumption]) -> None:
    for file, group in groupby(assumed, key=lambda one: one.file):
        screen.heading(f"Assumed in {file}")
        screen.table(("key", "note"), [(one.key, one.note or NO_NOTE) for one in group])


def _write_nulls(screen: Screen, nulls: Sequence[AlwaysNull]) -> None:
    if nulls:
        screen.title("Fields of the answer to a read that are always null, and why")
    for file, group in groupby(nulls, key=lambda one: one.file):
        screen.heading(f"Always null by {file}")
        reasons = groupby(group, key=_give_reason)
        screen.table(("fields", "reason"), [(", ".join(one.field for one in same), reason) for reason, same in reasons])


def _give_reason(null: AlwaysNull) -> str:
    return null.reason if null.evidence == "documented" else f"{null.reason} (assumed)"
