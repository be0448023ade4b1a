"""Chapters of the page that are tables and trees: differences, mapping files, rules, switches."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.journal import Sample
from bridge.modes import Switch
from bridge.readiness.describing import write_moment
from bridge.readiness.markup import bullets, code, count, fold, table, text
from bridge.readiness.report import Branch, Coverage, FieldDifference, Report, State, grow

LONGEST_VALUE = 300
_CLASSES = {State.DIFFERENT: "state-different", State.LAPSED: "state-different", State.EXPIRING: "state-look"}


def write_differences(report: Report) -> str:
    """Return the tree of differences."""
    if not report.differences:
        return "<p>Nowhere.</p>"
    branches = grow(report.differences).below.values()
    return '<div class="tree">\n' + "\n".join(map(_write_branch, branches)) + "\n</div>"


def _write_branch(branch: Branch) -> str:
    content = [] if branch.leaf is None else [_write_field(branch.leaf)]
    content += map(_write_branch, branch.below.values())
    counts = ", ".join(
        f'<span class="{_CLASSES.get(state, "quiet")}">{count(branch.counts[state])} {text(state)}</span>'
        for state in State
        if branch.counts[state]
    )
    needs_eyes = bool(branch.counts[State.DIFFERENT] or branch.counts[State.LAPSED])
    return fold(f"{code(branch.name)} {counts}", "\n".join(content), is_open=needs_eyes or not branch.leaf)


def _write_field(each: FieldDifference) -> str:
    ways = table(
        f"Differences at {each.path}",
        ("kind", "count", "bucket", "excuse", "made by"),
        [
            (text(way.kind), count(way.count), text(way.state), text(way.excuse or "-"), text(way.origin or "-"))
            for way in each.ways
        ],
        numbers=(1,),
    )
    samples = _write_samples(each.path, each.samples)
    return f'<div class="leaf">\n{ways}\n{samples}\n</div>'


def _write_samples(path: str, samples: Sequence[Sample]) -> str:
    if not samples:
        return '<p class="quiet">No sample is kept.</p>'
    return table(
        f"Samples of {path}",
        ("at (UTC)", "kind", "sender", "row", "legacy", "bridge"),
        [
            (
                text(write_moment(one.at)),
                text(one.kind),
                text(one.sender),
                text(one.address or "batch"),
                _value(one.legacy),
                _value(one.bridge),
            )
            for one in samples
        ],
    )


def _value(said: str) -> str:
    if not said:
        return '<span class="quiet">(nothing)</span>'
    return code(said if len(said) <= LONGEST_VALUE else said[:LONGEST_VALUE] + "…")


def write_coverage(report: Report) -> str:
    """Return how much of each mapping file was exercised, and what was not."""
    if not report.coverage:
        return "<p>No mapping file of its senders has parts that a row can exercise.</p>"
    overview = table(
        "Parts exercised: operations, rules and codes",
        ("mapping file", "parts", "exercised", ""),
        [(text(_file(each)), count(each.parts), count(each.exercised), _percent(each)) for each in report.coverage],
        numbers=(1, 2, 3),
    )
    idle = [
        fold(f"{text(_file(each))}: {count(len(each.idle))} never exercised", bullets(map(code, each.idle)))
        for each in report.coverage
        if each.idle
    ]
    refusing = [(each, name, used) for each in report.coverage for name, used in each.refusing]
    codes = table(
        "Codes that the bridge refuses",
        ("mapping file", "code", "rows that carried it"),
        [(text(_file(each)), code(name), count(used)) for each, name, used in refusing],
        numbers=(2,),
    )
    return "\n".join((overview, *idle, codes if refusing else ""))


def write_rules(report: Report) -> str:
    """Return the rules with their owners, and what they did."""
    if not report.rules:
        return "<p>There are none.</p>"
    return table(
        "Rules that concern this organization",
        ("rule", "path", "excused", "not excused", "expires", "days left", "owner", "reason"),
        [
            (
                text(use.rule.id),
                code(use.rule.path),
                count(use.excused),
                count(use.failed),
                text(use.rule.expires.isoformat()),
                "expired" if use.days_left < 0 else count(use.days_left),
                text(use.rule.owner),
                text(use.rule.reason),
            )
            for use in report.rules
        ],
        numbers=(2, 3, 5),
    )


def write_switches(report: Report) -> str:
    """Return who switched the organization, newest first."""
    if not report.switches:
        return "<p>There were none.</p>"
    return table(
        "Switches, newest first",
        ("no.", "at (UTC)", "to", "by", "why"),
        [
            (count(one.number), text(write_moment(one.at)), text(_way(one)), text(one.actor), text(one.reason))
            for one in report.switches
        ],
        numbers=(0,),
    )


def _way(one: Switch) -> str:
    return f"{one.describe()}, recorded" if one.recording else one.describe()


def _file(each: Coverage) -> str:
    return f"{each.profile}/{each.objectname}.toml"


def _percent(each: Coverage) -> str:
    return f"{100 * each.exercised / each.parts:.0f} %" if each.parts else "-"
