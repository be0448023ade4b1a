"""Which parts of the mapping files real traffic has exercised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bridge.readiness.evidence import Evidence, Part
from bridge.readiness.report import Coverage
from bridge.steering.observing import Topic


def gather_coverage(evidence: Evidence) -> tuple[Coverage, ...]:
    """Return it by mapping file, in the order of profiles and objects that `evidence` has."""
    used: Counter[tuple[str, ...]] = Counter()
    for seen in evidence.observations:
        if seen.topic == Topic.RULE and evidence.window.holds(seen.since):
            used[seen.subject] += seen.count
    files: dict[tuple[str, str], list[Part]] = {}
    for part in evidence.parts:
        files.setdefault((part.profile, part.objectname), []).append(part)
    return tuple(_cover(parts, used) for parts in files.values())


def _cover(parts: Sequence[Part], used: Counter[tuple[str, ...]]) -> Coverage:
    counts = {part: used[part.profile, part.objectname, part.name] for part in parts}
    useful = [part for part in counts if not part.refuses]
    return Coverage(
        profile=parts[0].profile,
        objectname=parts[0].objectname,
        exercised=sum(counts[part] > 0 for part in useful),
        idle=tuple(part.name for part in useful if not counts[part]),
        refusing=tuple((part.name, counts[part]) for part in counts if part.refuses),
    )
