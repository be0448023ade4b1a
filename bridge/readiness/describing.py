"""The report as a JSON document, for scripts; the same report gives the same document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bridge.journal import Sample
from bridge.modes import Switch
from bridge.readiness.report import Coverage, FieldDifference, Reason, Report, RuleUse


def describe_report(report: Report) -> dict[str, Any]:
    """Return everything it says."""
    traffic = report.traffic
    return {
        "organization": report.organization,
        "name": report.name,
        "verdict": report.verdict,
        "from": report.window.first.isoformat(),
        "to": report.window.on.isoformat(),
        "terms": asdict(report.terms),
        "mode": report.current.describe(),
        "reasons": [_describe_reason(reason) for reason in report.reasons],
        "rows": {name: traffic.total(name) for name in ("same", "different", "excused")},
        "exchanges": {
            "compared": traffic.total("compared"),
            "left_out": traffic.left_out,
            "unreadable": traffic.unreadable,
        },
        "days": traffic.days,
        "spans": [asdict(span) for span in traffic.spans],
        "differences": [_describe_field(each) for each in report.differences],
        "coverage": [_describe_coverage(each) for each in report.coverage],
        "rules": [_describe_rule(use) for use in report.rules],
        "switches": [_describe_switch(one) for one in report.switches],
    }


def write_moment(seconds: float) -> str:
    """Return a moment (Unix seconds) in ISO form, by UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _describe_reason(reason: Reason) -> dict[str, Any]:
    return {
        "severity": reason.severity,
        "code": reason.code,
        "what": reason.what,
        "figures": dict(reason.figures),
        "do": reason.do,
        "details": list(reason.details),
    }


def _describe_field(each: FieldDifference) -> dict[str, Any]:
    return {
        "path": each.path,
        "ways": [asdict(way) for way in each.ways],
        "samples": [_describe_sample(sample) for sample in each.samples],
    }


def _describe_sample(sample: Sample) -> dict[str, Any]:
    address = sample.address
    return {
        "at": write_moment(sample.at),
        "kind": sample.kind,
        "sender": sample.sender,
        "objectname": None if address is None else address.objectname,
        "objectindex": None if address is None else address.objectindex,
        "legacy": sample.legacy,
        "bridge": sample.bridge,
    }


def _describe_coverage(each: Coverage) -> dict[str, Any]:
    return {
        "profile": each.profile,
        "objectname": each.objectname,
        "parts": each.parts,
        "exercised": each.exercised,
        "idle": list(each.idle),
        "refusing": dict(each.refusing),
    }


def _describe_rule(use: RuleUse) -> dict[str, Any]:
    return {
        "id": use.rule.id,
        "path": use.rule.path,
        "does": use.rule.does,
        "owner": use.rule.owner,
        "reason": use.rule.reason,
        "expires": use.rule.expires.isoformat(),
        "days_left": use.days_left,
        "excused": use.excused,
        "failed": use.failed,
    }


def _describe_switch(one: Switch) -> dict[str, Any]:
    return {
        "number": one.number,
        "at": write_moment(one.at),
        "to": one.describe(),
        "actor": one.actor,
        "reason": one.reason,
    }
