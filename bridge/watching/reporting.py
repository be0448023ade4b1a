"""From one comparison to what is counted and kept of it, for the organizations that are shadowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bridge.batch import Address
from bridge.comparing import Comparison, Difference
from bridge.journal import SAMPLES_KEPT, Sample
from bridge.mapping.examples import name_operation
from bridge.observing import Observatory, Topic
from bridge.predicting import Prediction
from bridge.watching.exercise import Part

Scrub = Callable[[str], str]
"""Replaces personal data in a piece of an answer by pseudonyms."""
MOST_KINDS = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One comparison, and whose it is."""

    sender: str
    profile: str
    at: float
    shadowed: Mapping[Address, str]
    """The rows that count, with their organizations."""
    comparison: Comparison
    prediction: Prediction
    used: Mapping[Part, int]

    @property
    def organizations(self) -> list[str]:
        """Return the organizations it is about."""
        return sorted(set(self.shadowed.values()))


class Reporter:
    """Count comparisons, and keep samples of what differs."""

    def __init__(self, observatory: Observatory) -> None:
        self._observatory = observatory
        self._kept: dict[tuple[str, str, str], set[int]] = {}
        """What samples were kept of, by organization, path and kind: a second one alike would tell nothing."""

    def report(self, seen: Seen, scrub: Scrub) -> None:
        """Count one comparison; `scrub` is asked about samples only."""
        see = self._observatory.see
        for organization in seen.organizations:
            see(organization, Topic.PAIR, ("compared",))
        for address, bucket in seen.comparison.rows.items():
            if organization := seen.shadowed.get(address, ""):
                see(organization, Topic.COMPARED, (bucket.value,))
        for difference in seen.comparison.differences:
            for organization in self._owners(seen, difference.address):
                self._report_difference(seen, organization, difference, scrub)
        self._report_use(seen)

    def _owners(self, seen: Seen, address: Address | None) -> Iterable[str]:
        """Return whose difference it is; one about the whole batch is everybody's in it."""
        if address is None:
            return seen.organizations
        return [seen.shadowed[address]] if seen.shadowed.get(address) else []

    def _report_difference(self, seen: Seen, organization: str, difference: Difference, scrub: Scrub) -> None:
        path, kind = difference.path, difference.kind.value
        subject = (path, kind, difference.bucket.value, difference.excuse, difference.origin)
        self._observatory.see(organization, Topic.DIFFERENCE, subject)
        said = hash((difference.legacy, difference.bridge))
        kept = self._kept.setdefault((organization, path, kind), set()) if len(self._kept) < MOST_KINDS else None
        if kept is None or said in kept or len(kept) >= SAMPLES_KEPT:
            return
        kept.add(said)
        legacy, bridge = _storable(scrub(difference.legacy)), _storable(scrub(difference.bridge))
        self._observatory.keep(
            Sample(organization, path, kind, seen.at, seen.sender, difference.address, legacy, bridge)
        )

    def _report_use(self, seen: Seen) -> None:
        """Count what real traffic exercised, and what nobody reads."""
        see = self._observatory.see
        for (organization, objectname, part), count in seen.used.items():
            if organization in seen.organizations:
                see(organization, Topic.RULE, (seen.profile, objectname, part), count)
        for row in seen.prediction.intake.planned:
            if row.organization in seen.organizations:
                part = name_operation(row.operation.name)
                see(row.organization, Topic.RULE, (seen.profile, row.address.objectname, part))
        for organization in seen.organizations:  # the reader does not tell whose row an unknown field came with
            for objectname, counts in seen.prediction.intake.unknown.items():
                for field, count in counts.items():
                    see(organization, Topic.UNKNOWN, (seen.profile, objectname, field), count)


def _storable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no store takes."""
    return text.encode("utf-8", "replace").decode()
