"""Desks that tell which parts of the mapping files real traffic uses, and for which organization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from bridge.intake.desk import Desk
from bridge.mapping import Profile
from bridge.mapping.profiles import rebuild
from bridge.organizations import Directory, Organization, Writer
from bridge.settings import Settings

Part = tuple[str, str, str]
"""(organization, objectname, part of the mapping file)."""


class Trail:
    """The directory, which remembers for whom it was asked last, and what was used since."""

    def __init__(self) -> None:
        self.organization = ""
        self.used: Counter[Part] = Counter()

    def note(self, objectname: str, part: str) -> None:
        """Count one use of a part of a mapping file: a row is routed before it is translated."""
        self.used[self.organization, objectname, part] += 1

    def take(self) -> Counter[Part]:
        """Return what was used since the last time."""
        used, self.used = self.used, Counter()
        return used


class _Guide(Directory):
    """A directory that leaves a trail."""

    def __init__(self, settings: Settings, trail: Trail) -> None:
        super().__init__(settings)
        self._trail = trail

    def route(self, sender: Writer, creditor_on_row: str, batch_creditors: Sequence[str]) -> Organization:
        organization = super().route(sender, creditor_on_row, batch_creditors)
        self._trail.organization = organization.id
        return organization


def attend(profiles: Mapping[str, Profile], settings: Settings, trail: Trail) -> dict[str, Desk]:
    """Return a desk for every profile that leaves a trail; one batch may be at such desks at a time."""
    guide = _Guide(settings, trail)
    return {name: Desk(_trace(profile, trail), guide) for name, profile in profiles.items()}


def _trace(profile: Profile, trail: Trail) -> Profile:
    objects = {name: rebuild(profile, name, partial(trail.note, name)) for name in profile.objects}
    return replace(profile, objects=objects)
