"""From evidence to the report."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.readiness.coverage import gather_coverage
from bridge.readiness.differences import gather_differences, gather_rules
from bridge.readiness.evidence import Evidence, Terms
from bridge.readiness.reasons_of_state import find_state_reasons
from bridge.readiness.reasons_of_traffic import find_traffic_reasons
from bridge.readiness.report import Reason, Report, Severity
from bridge.readiness.traffic import gather_traffic


def assess(evidence: Evidence, terms: Terms) -> Report:
    """Return what speaks against going, and what else whoever decides should know."""
    traffic = gather_traffic(evidence)
    differences = gather_differences(evidence, terms)
    coverage = gather_coverage(evidence)
    rules = gather_rules(evidence)

    def find() -> Iterator[Reason]:
        yield from find_traffic_reasons(evidence, terms, traffic, differences, rules)
        yield from find_state_reasons(evidence, coverage)

    order = list(Severity)
    return Report(
        organization=evidence.organization,
        name=evidence.name,
        window=evidence.window,
        terms=terms,
        current=evidence.current,
        reasons=tuple(sorted(find(), key=lambda reason: order.index(reason.severity))),
        traffic=traffic,
        differences=differences,
        coverage=coverage,
        rules=rules,
        switches=tuple(one for one in reversed(evidence.history) if evidence.window.holds(one.at)),
    )
