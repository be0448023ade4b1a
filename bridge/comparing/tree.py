"""Differences of many pairs put together: counts and samples, field by field, and per organization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bridge.batch import Address
from bridge.comparing.paths import BEYOND, in_reply_order
from bridge.comparing.values import Bucket, Difference, Kind

SAMPLES = 5
"""How many samples a leaf shows."""
LONGEST_SAMPLE = 300
"""How many characters of a value a sample shows."""
LEAVES = 5_000
"""How many paths are told apart; a member's name may be anything, so what is beyond is put together."""


@dataclass(frozen=True, slots=True, order=True)
class Sort:
    """One way in which a field differs, what is made of it, and what made the field."""

    kind: Kind
    bucket: Bucket
    excuse: str
    origin: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One difference, to be looked at."""

    source: str
    """Which pair it was."""
    organization: str
    address: Address | None
    kind: Kind
    bucket: Bucket
    legacy: str = field(repr=False)
    bridge: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Line:
    """How often a field differed in one way."""

    sort: Sort
    count: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field that differs."""

    path: str
    count: int
    lines: tuple[Line, ...]
    """Most frequent first."""
    organizations: dict[str, int]
    samples: tuple[Sample, ...]
    """Unexcused ones first."""

    def count_of(self, bucket: Bucket) -> int:
        """Return how many of the differences are in a bucket."""
        return sum(line.count for line in self.lines if line.sort.bucket is bucket)


@dataclass(slots=True)
class Branch:
    """One segment of paths, with what lies below it."""

    name: str
    leaf: Leaf | None = None
    below: dict[str, Branch] = field(default_factory=dict)
    counts: Counter[tuple[Kind, Bucket]] = field(default_factory=Counter)
    """Of everything below."""


class Tree:
    """Where answers differ."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, Sort]]] = {}
        self._samples: dict[str, dict[Bucket, list[Sample]]] = {}

    def add(self, organization: str, *differences: Difference, source: str = "") -> None:
        """Count differences of one organization's rows; `source` says which pair they are of."""
        for one in differences:
            path = one.path if one.path in self._counts or len(self._counts) < LEAVES else _fold(one.path)
            sort = Sort(one.kind, one.bucket, one.excuse, one.origin)
            self._counts.setdefault(path, Counter())[organization, sort] += 1
            samples = self._samples.setdefault(path, {}).setdefault(one.bucket, [])
            if len(samples) < SAMPLES:
                samples.append(_sample(organization, one, source))

    def merge(self, other: Tree) -> None:
        """Take in another tree; its samples come after those that are here."""
        for path, counts in other._counts.items():
            self._counts.setdefault(path, Counter()).update(counts)
        for path, by_bucket in other._samples.items():
            for bucket, samples in by_bucket.items():
                mine = self._samples.setdefault(path, {}).setdefault(bucket, [])
                mine += samples[: SAMPLES - len(mine)]

    def leaves(self, organization: str | None = None) -> list[Leaf]:
        """Return every field that differs, in the order of a reply; None: of all organizations."""
        found = [self._leaf(path, organization) for path in sorted(self._counts, key=in_reply_order)]
        return [leaf for leaf in found if leaf.count]

    def branches(self, organization: str | None = None) -> Branch:
        """Return the same as a tree, one level a segment."""
        root = Branch("")
        for leaf in self.leaves(organization):
            branch = root
            for name in ("", *leaf.path.split(".")):
                branch = branch.below.setdefault(name, Branch(name)) if name else branch
                for line in leaf.lines:
                    branch.counts[line.sort.kind, line.sort.bucket] += line.count
            branch.leaf = leaf
        return root

    def organizations(self) -> list[str]:
        """Return everyone whose rows differ."""
        return sorted({organization for counts in self._counts.values() for organization, _ in counts})

    def _leaf(self, path: str, wanted: str | None) -> Leaf:
        by_sort: Counter[Sort] = Counter()
        by_organization: Counter[str] = Counter()
        for (organization, sort), count in self._counts[path].items():
            if wanted in {None, organization}:
                by_sort[sort] += count
                by_organization[organization] += count
        lines = sorted(
            (Line(sort, count) for sort, count in by_sort.items()), key=lambda line: (-line.count, line.sort)
        )
        samples = tuple(one for one in self._list_samples(path) if wanted in {None, one.organization})
        owners = dict(sorted(by_organization.items()))
        return Leaf(path, by_sort.total(), tuple(lines), owners, samples[:SAMPLES])

    def _list_samples(self, path: str) -> Iterator[Sample]:
        for bucket in (Bucket.DIFFERENT, Bucket.EXCUSED):
            yield from self._samples[path].get(bucket, ())


def _sample(organization: str, one: Difference, source: str) -> Sample:
    return Sample(source, organization, one.address, one.kind, one.bucket, _clip(one.legacy), _clip(one.bridge))


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST_SAMPLE else text[:LONGEST_SAMPLE] + "…"


def _fold(path: str) -> str:
    return f"{path.partition('.')[0]}.{BEYOND}"
