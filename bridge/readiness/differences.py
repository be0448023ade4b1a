"""Where the answers differ, as it is to be judged on the day of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

from bridge.comparing import NOISE, NOT_PREDICTED, Bucket, Rule, in_reply_order
from bridge.readiness.evidence import Evidence, Terms
from bridge.readiness.report import FieldDifference, RuleUse, State, Way
from bridge.steering.observing import Topic

_Sort = tuple[str, State, str, str]
"""(kind, state, excuse, origin)."""


def gather_differences(evidence: Evidence, terms: Terms) -> tuple[FieldDifference, ...]:
    """Return every field that differs, in the order of a reply."""
    rules = {rule.id: rule for rule in evidence.rules.rules}
    fields: dict[str, Counter[_Sort]] = {}
    for seen in evidence.observations:
        if seen.topic == Topic.DIFFERENCE and evidence.window.holds(seen.since):
            path, kind, bucket, excuse, origin = seen.subject
            state = _judge(bucket, excuse, rules, evidence, terms)
            fields.setdefault(path, Counter())[kind, state, excuse, origin] += seen.count
    return tuple(_field(path, fields[path], evidence) for path in sorted(fields, key=in_reply_order))


def gather_rules(evidence: Evidence) -> tuple[RuleUse, ...]:
    """Return the rules that concern the organization, in the order of the file."""
    excused: Counter[str] = Counter()
    for seen in evidence.observations:
        if seen.topic == Topic.DIFFERENCE and evidence.window.holds(seen.since):
            excused[seen.subject[3]] += seen.count
    return tuple(
        RuleUse(
            rule,
            excused[rule.id],
            excused[f"expired: {rule.id}"] + excused[f"breached: {rule.id}"],
            (rule.expires - evidence.window.on).days,
        )
        for rule in evidence.rules.rules
        if rule.organization in {"", evidence.organization}
    )


def _judge(bucket: str, excuse: str, rules: Mapping[str, Rule], evidence: Evidence, terms: Terms) -> State:
    """Return what an excuse of then is worth on the day of the report."""
    if bucket == Bucket.DIFFERENT:
        return State.DIFFERENT
    if excuse in {NOISE, NOT_PREDICTED}:
        return State.EXCUSED
    rule = rules.get(excuse)
    on = evidence.window.on
    if rule is None or rule.expires < on:
        return State.LAPSED
    return State.EXPIRING if rule.expires <= on + timedelta(days=terms.expiry_days) else State.EXCUSED


def _field(path: str, found: Counter[_Sort], evidence: Evidence) -> FieldDifference:
    ways = [Way(*sort, count) for sort, count in found.items()]
    ways.sort(key=lambda way: (-way.count, way.kind, way.state, way.excuse, way.origin))
    samples = [one for one in evidence.samples if one.path == path and evidence.window.holds(one.at)]
    samples.sort(key=lambda one: (one.kind, one.at, one.sender, one.address or ("", 0), one.legacy, one.bridge))
    return FieldDifference(path, tuple(ways), tuple(samples))
