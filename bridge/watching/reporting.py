"""From one comparison to what is counted and kept of it, for the organizations that are shadowed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bridge.batch import Address
from bridge.comparing import Comparison, Difference
from bridge.journal import SAMPLES_KEPT, Sample
from bridge.mapping.examples import name_operation
from bridge.predicting import Prediction
from bridge.steering.observing import Observatory, Topic
from bridge.watching.exercise import Part
from bridge.watching.paths import Paths

Scrub = Callable[[str, Address | None], str]
"""Replaces personal data in what is said of a row, or of a batch as a whole, by pseudonyms."""
MOST_KINDS = 20_000
SLICE_DIFFERENCES = 200
"""Differences counted before the event loop gets a turn: about a millisecond."""
LONGEST_SAMPLE = 500
"""How many characters of a value a sample shows."""


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

    def __init__(self, observatory: Observatory, paths: Paths) -> None:
        self._observatory = observatory
        self._paths = paths
        self._kept: dict[tuple[str, str, str], set[int]] = {}
        """What samples were kept of, by organization, path and kind: a second one alike would tell nothing."""

    async def report(self, seen: Seen, scrub: Scrub) -> None:
        """Count one comparison, in slices; `scrub` is asked about samples only."""
        organizations = seen.organizations
        rows = Counter((seen.shadowed.get(address), bucket) for address, bucket in seen.comparison.rows.items())
        for (owner, bucket), count in rows.items():
            if owner:
                self._observatory.see(owner, Topic.COMPARED, (bucket.value,), count)
        for count, difference in enumerate(seen.comparison.differences, 1):
            for organization in self._owners(seen, organizations, difference.address):
                self._report_difference(seen, organization, difference, scrub)
            if count % SLICE_DIFFERENCES == 0:
                await asyncio.sleep(0)
        self._report_use(seen, organizations)
        for organization in organizations:
            self._observatory.see(organization, Topic.PAIR, ("compared",))

    @staticmethod
    def _owners(seen: Seen, organizations: Iterable[str], address: Address | None) -> Iterable[str]:
        """Return whose difference it is; one about the whole batch is everybody's in it."""
        if address is None:
            return organizations
        return [seen.shadowed[address]] if seen.shadowed.get(address) else []

    def _report_difference(self, seen: Seen, organization: str, difference: Difference, scrub: Scrub) -> None:
        path, kind = self._paths.tell(difference.path), difference.kind.value
        subject = (path, kind, difference.bucket.value, difference.excuse, difference.origin)
        self._observatory.see(organization, Topic.DIFFERENCE, subject)
        if not self._is_new((organization, path, kind), hash((difference.legacy, difference.bridge))):
            return
        legacy, bridge = (scrub(_clip(text), difference.address) for text in (difference.legacy, difference.bridge))
        self._observatory.keep(
            Sample(
                organization, path, kind, seen.at, seen.sender, difference.address, _storable(legacy), _storable(bridge)
            )
        )

    def _is_new(self, of: tuple[str, str, str], said: int) -> bool:
        """Tell whether a sample would show something that the kept ones do not, and remember it."""
        if of not in self._kept and len(self._kept) >= MOST_KINDS:
            return False
        kept = self._kept.setdefault(of, set())
        if said in kept or len(kept) >= SAMPLES_KEPT:
            return False
        kept.add(said)
        return True

    def _report_use(self, seen: Seen, organizations: Iterable[str]) -> None:
        """Count what real traffic exercised, and what nobody reads."""
        see = self._observatory.see
        used = Counter(
            (row.organization, row.address.objectname, name_operation(row.operation.name))
            for row in seen.prediction.intake.planned
        )
        for (organization, objectname, part), count in (*seen.used.items(), *used.items()):
            if organization in organizations:
                see(organization, Topic.RULE, (seen.profile, objectname, part), count)
        for organization in organizations:  # the reader does not tell whose row an unknown field came with
            for objectname, counts in seen.prediction.intake.unknown.items():
                for field, count in counts.items():
                    see(organization, Topic.UNKNOWN, (seen.profile, objectname, field), count)


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST_SAMPLE else text[:LONGEST_SAMPLE] + "…"


def _storable(text: str) -> str:
    """Return a text without halves of surrogate pairs, which no store takes."""
    return text.encode("utf-8", "replace").decode()
