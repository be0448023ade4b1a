"""`bridge ready`: may an organization go to the modern system; from the journal, also beside a running bridge."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

from bridge.cli.journals import read_books
from bridge.cli.organizations import find_organization
from bridge.cli.private_files import write_private
from bridge.cli.readiness_report import write_report
from bridge.cli.screen import Screen, print_json
from bridge.cli.switches import read_current
from bridge.comparing import Rules, load_rules
from bridge.journal import Books, SeenCreditor
from bridge.mapping import ObjectMapping, load_profile
from bridge.mapping.examples import list_parts, list_refusals
from bridge.readiness import Evidence, Part, Report, Terms, Window, assess, describe_report, render_page
from bridge.settings import OrganizationSettings, SenderSettings, Settings, load_settings

DROP = 'drop "'
"""Fields that are not carried over exercise nothing."""


def show_readiness(config: Path, typed: str, on: date, days: int, page: Path | None, *, as_json: bool) -> bool:
    """Show the report, and write the page where one is wished; tell whether it says GO."""
    settings = load_settings(config, os.environ)
    organization = find_organization(settings, typed, "ORG")
    report = make_report(settings, organization, Window(on, days))
    if page is not None:
        write_private(page, render_page(report).encode())
    if as_json:
        print_json(describe_report(report))
    else:
        write_report(Screen(), report, page)
    return report.is_go


def make_report(settings: Settings, organization: OrganizationSettings, window: Window) -> Report:
    """Return what the journal and the configuration say for and against an organization's going."""
    rules = load_rules(settings.cutover.differences, {one.id for one in settings.organizations})
    evidence = read_books(settings, lambda books: gather(books, settings, organization, window, rules))
    return assess(evidence, Terms(**settings.readiness.model_dump()))


async def gather(
    books: Books, settings: Settings, organization: OrganizationSettings, window: Window, rules: Rules
) -> Evidence:
    """Return what the journal and the configuration know of an organization."""
    senders = [one for one in settings.senders if organization.id in one.organizations]
    ids = {one.id for one in senders}
    ledger = await books.ledger()
    return Evidence(
        organization=organization.id,
        name=organization.name,
        window=window,
        current=await read_current(books, organization.id, settings),
        observations=await books.observations(organization.id, window.since),
        samples=await books.samples(organization.id),
        history=await books.switch_history(organization.id),
        books=next((one for one in ledger.organizations if one.organization == organization.id), None),
        strangers=list(_list_strangers(settings, senders, await books.creditors())),
        unknown=[one for one in await books.unknown_fields() if one.sender in ids],
        rules=rules,
        parts=list(_list_parts(settings.mappings.folder, {one.profile for one in senders})),
    )


def _list_strangers(
    settings: Settings, senders: Sequence[SenderSettings], seen: Sequence[SeenCreditor]
) -> Iterator[SeenCreditor]:
    """Yield the creditors that no organization of their sender has, as it is configured now."""
    creditors = {one.id: set(one.creditors) for one in settings.organizations}
    known = {one.id: {number for each in one.organizations for number in creditors[each]} for one in senders}
    for one in seen:
        if one.sender in known and one.idnumber.strip() not in known[one.sender]:
            yield one


def _list_parts(folder: Path, profiles: Collection[str]) -> Iterator[Part]:
    """Yield what a row can exercise of the mapping files of these profiles."""
    for profile in sorted(profiles):
        for objectname, mapping in load_profile(folder / profile).objects.items():
            yield from _list_parts_of(profile, objectname, mapping)


def _list_parts_of(profile: str, objectname: str, mapping: ObjectMapping) -> Iterator[Part]:
    refusals = set(list_refusals(mapping))
    for name in list_parts(mapping):
        if not name.startswith(DROP):
            yield Part(profile, objectname, name, name in refusals)
