"""How much was compared, hour by hour or day by day."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from bridge.comparing import Bucket
from bridge.readiness.evidence import Evidence
from bridge.readiness.report import Span, Traffic
from bridge.steering.observing import Topic

LONGEST_BY_HOUR = 3
"""Up to how many days are told by the hour."""
COMPARED, LEFT_OUT, UNREADABLE = "compared", "left_out", "unreadable"


def gather_traffic(evidence: Evidence) -> Traffic:
    """Return what was compared in the window; spans without traffic are there as well."""
    window = evidence.window
    by_hour = window.days <= LONGEST_BY_HOUR
    seconds = 3600 if by_hour else 86_400
    counts: Counter[tuple[int, str, str]] = Counter()
    days = set()
    for seen in evidence.observations:
        if seen.topic in {Topic.COMPARED, Topic.PAIR} and window.holds(seen.since):
            counts[int((seen.since - window.since) // seconds), seen.topic, seen.subject[0]] += seen.count
            if seen.topic == Topic.COMPARED:
                days.add(int((seen.since - window.since) // 86_400))
    spans = tuple(
        _span(counts, number, window.since + number * seconds, by_hour=by_hour)
        for number in range(window.days * 86_400 // seconds)
    )
    lost = {
        what: sum(counts[number, Topic.PAIR, what] for number in range(len(spans))) for what in (LEFT_OUT, UNREADABLE)
    }
    return Traffic(spans, by_hour, len(days), lost[LEFT_OUT], lost[UNREADABLE])


def _span(counts: Counter[tuple[int, str, str]], number: int, since: float, *, by_hour: bool) -> Span:
    label = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:00" if by_hour else "%Y-%m-%d")
    return Span(
        label=label,
        same=counts[number, Topic.COMPARED, Bucket.SAME],
        different=counts[number, Topic.COMPARED, Bucket.DIFFERENT],
        excused=counts[number, Topic.COMPARED, Bucket.EXCUSED],
        compared=counts[number, Topic.PAIR, COMPARED],
        missed=counts[number, Topic.PAIR, LEFT_OUT] + counts[number, Topic.PAIR, UNREADABLE],
    )
