"""What the comparison of real traffic says against going."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.comparing import NOISE, NOT_PREDICTED, Kind
from bridge.readiness.evidence import Evidence, Terms
from bridge.readiness.report import FieldDifference, Reason, RuleUse, Severity, State, Traffic
from bridge.readiness.wording import some
from bridge.steering.observing import Topic


def find_traffic_reasons(
    evidence: Evidence,
    terms: Terms,
    traffic: Traffic,
    differences: Sequence[FieldDifference],
    rules: Sequence[RuleUse],
) -> Iterator[Reason]:
    """Yield them, the gravest first."""
    yield from _find_too_little(terms, traffic)
    yield from _find_unexplained(evidence, differences)
    yield from _find_lapsed(differences)
    yield from _find_left_out(terms, traffic)
    yield from _find_expiring(differences, rules, terms)
    yield from _find_not_predicted(differences)
    yield from _find_idle_rules(rules)
    yield from _find_noise(evidence, differences)


def _find_too_little(terms: Terms, traffic: Traffic) -> Iterator[Reason]:
    rows = traffic.total("rows")
    if rows >= terms.min_rows and traffic.days >= terms.min_days:
        return
    figures = (("rows", rows), ("min_rows", terms.min_rows), ("days", traffic.days), ("min_days", terms.min_days))
    yield Reason(
        Severity.BLOCKS,
        "too_little_traffic",
        f"Too little was compared: {some(rows, 'row')} on {some(traffic.days, 'day')}, where "
        f"{some(terms.min_rows, 'row')} on {some(terms.min_days, 'day')} are asked for.",
        figures,
        "Have it in shadow mode until there is more (bridge mode set), or look further back with --days.",
    )


def _find_unexplained(evidence: Evidence, differences: Sequence[FieldDifference]) -> Iterator[Reason]:
    count = sum(each.count_of(State.DIFFERENT) for each in differences)
    if not count:
        return
    newer = sorted(
        {
            rule.id
            for each in differences
            for way in each.ways
            for rule in evidence.rules.about(each.path)
            if way.state is State.DIFFERENT
            and rule.expires >= evidence.window.on
            and rule.is_about(Kind(way.kind), evidence.organization)
        }
    )
    hint = f" Rules that may excuse some by now, but did not when it was seen: {', '.join(newer)}." if newer else ""
    fields = sum(each.count_of(State.DIFFERENT) > 0 for each in differences)
    yield Reason(
        Severity.BLOCKS,
        "unexplained_differences",
        f"Without excuse: {some(count, 'difference')} in {some(fields, 'field')}.",
        (("differences", count), ("fields", fields)),
        "Correct the line of the mapping files that each names, or write a rule with owner, reason and expiry "
        f"(cutover.differences), and let new traffic come.{hint}",
        tuple(_list_ways(differences, State.DIFFERENT)),
    )


def _find_lapsed(differences: Sequence[FieldDifference]) -> Iterator[Reason]:
    if count := sum(each.count_of(State.LAPSED) for each in differences):
        yield Reason(
            Severity.BLOCKS,
            "lapsed_excuses",
            f"Excused by rules that have expired since, or are no more: {some(count, 'difference')}.",
            (("differences", count),),
            "Have the owner of each rule look again: prolong it for a reason, or correct the mapping.",
            tuple(_list_ways(differences, State.LAPSED)),
        )


def _find_left_out(terms: Terms, traffic: Traffic) -> Iterator[Reason]:
    missed, compared = traffic.total("missed"), traffic.total("compared")
    if not missed:
        return
    percent = 100 * missed / (missed + compared)
    is_too_much = percent > terms.left_out_percent
    yield Reason(
        Severity.BLOCKS if is_too_much else Severity.NOTE,
        "left_out",
        f"Not compared: {missed:,} of {some(missed + compared, 'exchange')} with the legacy host ({percent:.1f} %), "
        f"{traffic.left_out:,} left out and {traffic.unreadable:,} unreadable.",
        (
            ("left_out", traffic.left_out),
            ("unreadable", traffic.unreadable),
            ("compared", compared),
            ("percent", round(percent, 1)),
            ("left_out_percent", terms.left_out_percent),
        ),
        "Raise cutover.watch_queue and watch_queue_mb, or see why the shadow target is slow; unreadable is what is no "
        "batch, or has only rows that cannot be placed: they name no creditor, or one that is not onboarded.",
    )


def _find_expiring(differences: Sequence[FieldDifference], rules: Sequence[RuleUse], terms: Terms) -> Iterator[Reason]:
    soon = [use for use in rules if use.excused and 0 <= use.days_left <= terms.expiry_days]
    if not soon:
        return
    count = sum(each.count_of(State.EXPIRING) for each in differences)
    yield Reason(
        Severity.LOOK,
        "expiring_excuses",
        f"Excused by {some(len(soon), 'rule')} about to expire, within {some(terms.expiry_days, 'day')}: "
        f"{some(count, 'difference')}.",
        (("differences", count), ("rules", len(soon)), ("expiry_days", terms.expiry_days)),
        "Have their owners decide now: a rule that has expired excuses nothing.",
        tuple(
            f"{use.rule.id} at {use.rule.path}: expires {use.rule.expires.isoformat()}, {use.excused:,} excused, "
            f"owner {use.rule.owner}"
            for use in soon
        ),
    )


def _find_not_predicted(differences: Sequence[FieldDifference]) -> Iterator[Reason]:
    count = sum(way.count for each in differences for way in each.ways if way.excuse == NOT_PREDICTED)
    if count:
        yield Reason(
            Severity.LOOK,
            "not_predicted",
            f"Not predicted, in rows whose claim nobody here knows: {some(count, 'difference')}.",
            (("differences", count),),
            "Teach the bridge the claims of the legacy host (bridge xref import), or shadow against a target.",
        )


def _find_idle_rules(rules: Sequence[RuleUse]) -> Iterator[Reason]:
    idle = [use.rule for use in rules if not use.excused and not use.failed and use.days_left >= 0]
    if idle:
        yield Reason(
            Severity.NOTE,
            "idle_rules",
            f"Matched nothing: {some(len(idle), 'rule')} for expected differences.",
            (("rules", len(idle)),),
            "Remove them, unless you expect their case still to come.",
            tuple(f"{rule.id} at {rule.path}, owner {rule.owner}" for rule in idle),
        )


def _find_noise(evidence: Evidence, differences: Sequence[FieldDifference]) -> Iterator[Reason]:
    noise: Counter[str] = Counter()
    for seen in evidence.observations:
        if seen.topic == Topic.NOISE and evidence.window.holds(seen.since):
            noise[seen.subject[0]] += seen.count
    excused = sum(way.count for each in differences for way in each.ways if way.excuse == NOISE)
    if noise or excused:
        yield Reason(
            Severity.NOTE,
            "noise",
            f"Noise: {some(len(noise), 'field')} in which two legacy answers to one payload differ, "
            f"{some(excused, 'difference')} excused for that.",
            (("fields", len(noise)), ("differences", excused)),
            "Nothing, if these are times or numbers that the legacy host makes up anew for each answer.",
            tuple(f"{path}: {some(count, 'time')}" for path, count in sorted(noise.items())),
        )


def _list_ways(differences: Sequence[FieldDifference], state: State) -> Iterator[str]:
    found = [(each.path, way) for each in differences for way in each.ways if way.state is state]
    for path, way in sorted(found, key=lambda one: -one[1].count):
        excuse = f" ({way.excuse})" if way.excuse else ""
        origin = f" ← {way.origin}" if way.origin else ""
        yield f"{path}: {way.count:,} {way.kind}{excuse}{origin}"
