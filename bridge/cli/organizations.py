"""Organizations as they are typed: by id or by the name the configuration gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from bridge.settings import OrganizationSettings, Settings


def names_of(settings: Settings) -> Mapping[str, str]:
    """Return id → what operators call it; empty where the configuration has no name."""
    return {one.id: one.name for one in settings.organizations}


def index_organizations(organizations: Sequence[OrganizationSettings]) -> Mapping[str, str]:
    """Return what an organization may be called, casefolded → its id; a name that several have is left out."""
    names = [one.name.strip().casefold() for one in organizations]
    by_name = {one.name.strip().casefold(): one.id for one in organizations}
    unique = {name: found for name, found in by_name.items() if name and names.count(name) == 1}
    return unique | {one.id.casefold(): one.id for one in organizations}


def find_organization(settings: Settings, typed: str, hint: str) -> OrganizationSettings:
    """Return the organization that was typed; BadParameter naming the known ones for any other word."""
    found = index_organizations(settings.organizations).get(typed.strip().casefold())
    for one in settings.organizations:
        if one.id == found:
            return one
    known = ", ".join(f"{one.id} ({one.name})" if one.name else one.id for one in settings.organizations)
    raise typer.BadParameter(f"{typed}: no such organization; known: {known or 'none'}", param_hint=hint)
