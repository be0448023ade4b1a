"""What comparing many recorded pairs came to, for people and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bridge.cli.difference_tree import write_tree
from bridge.cli.resends import Survey
from bridge.cli.screen import Screen, bad, good, waiting
from bridge.comparing import Bucket, Findings, Rules, describe_rule, describe_tree

UNREADABLE = "lines that are no recorded exchange"
INCOMPLETE = "pairs of which a side could not be recorded"
STRANGER = "pairs of senders that are not configured"


@dataclass(slots=True)
class Outcome:
    """What the comparison came to."""

    survey: Survey
    findings: Findings = field(default_factory=Findings)
    compared: int = 0
    left_out: Counter[str] = field(default_factory=Counter)


def to_json(outcome: Outcome, rules: Rules, on: date) -> dict[str, Any]:
    """Return it as a document; the same recordings and rules give the same one."""
    findings = outcome.findings
    organizations = sorted({organization for organization, _ in findings.rows} | set(findings.tree.organizations()))
    return {
        "pairs": outcome.compared,
        "left_out": dict(sorted(outcome.left_out.items())),
        "resends": outcome.survey.resends,
        "batches": {bucket: findings.batches[bucket] for bucket in Bucket},
        "rows": {bucket: findings.rows_in(bucket) for bucket in Bucket},
        "not_predicted": findings.not_predicted,
        "organizations": [
            {
                "organization": one,
                "rows": {bucket: findings.rows[one, bucket] for bucket in Bucket},
                "tree": describe_tree(findings.tree, one),
            }
            for one in organizations
        ],
        "tree": describe_tree(findings.tree),
        "noise": sorted({path for _, path in outcome.survey.noise}),
        "rules": {
            "used": [{**describe_rule(rule), "excused": count} for rule, count in findings.used(rules)],
            "unused": [describe_rule(rule) for rule in findings.unused(rules, on)],
            "expired": [{**describe_rule(rule), "would_excuse": count} for rule, count in findings.expired(rules, on)],
        },
    }


def write_outcome(screen: Screen, names: Mapping[str, str], outcome: Outcome, rules: Rules, on: date) -> None:
    """Show it; `names` are those of organizations."""
    findings = outcome.findings
    if not outcome.compared:
        _write_left_out(screen, outcome)
        screen.say(bad("nothing could be compared: name recordings (.jsonl, .jsonl.gz), or a folder of them"))
        return
    _write_counts(screen, outcome, names)
    screen.title("Where they differ" if findings.tree.leaves() else "Nowhere do they differ")
    write_tree(screen, findings.tree)
    _write_rules(screen, findings, rules, on)
    if outcome.survey.noise:
        paths = ", ".join(sorted({path for _, path in outcome.survey.noise}))
        resends = outcome.survey.resends
        screen.heading("Noise")
        screen.say(
            f"  {paths}: two legacy answers to one payload disagree here ({_count(resends, 'resend')} looked at)"
        )
    screen.say()
    _write_left_out(screen, outcome)
    if findings.differs:
        rows, batches = findings.rows_in(Bucket.DIFFERENT), findings.batches[Bucket.DIFFERENT]
        differing = f"{_count(rows, 'row')} and {_count(batches, 'batch', 'es')} as a whole"
        screen.say(bad(f"{_count(outcome.compared, 'pair')}: {differing} differ without excuse"))
    else:
        screen.say(good(f"{_count(outcome.compared, 'pair')}: nothing differs without excuse"))


def _write_left_out(screen: Screen, outcome: Outcome) -> None:
    for reason, count in sorted(outcome.left_out.items()):
        screen.say(waiting(f"left out: {count:,} {reason}"))


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def _write_counts(screen: Screen, outcome: Outcome, names: Mapping[str, str]) -> None:
    findings = outcome.findings
    screen.title(f"{_count(outcome.compared, 'pair')}, legacy answer against the bridge's")
    rows = [("batches as a whole", *(f"{findings.batches[bucket]:,}" for bucket in Bucket))]
    rows.append(("rows", *(f"{findings.rows_in(bucket):,}" for bucket in Bucket)))
    for one in sorted({organization for organization, _ in findings.rows}):
        counts = (f"{findings.rows[one, bucket]:,}" for bucket in Bucket)
        rows.append((f"  of {names.get(one) or one or 'no organization that could be told'}", *counts))
    screen.table(("", *Bucket), rows)
    if findings.not_predicted:
        screen.say(
            f"  {findings.not_predicted:,} of the excused rows belong to claims no recorded batch made: not predicted"
        )


def _write_rules(screen: Screen, findings: Findings, rules: Rules, on: date) -> None:
    if used := findings.used(rules):
        screen.heading("Rules that excused something")
        lines = [(rule.id, f"{count:,}", rule.owner, rule.expires.isoformat(), rule.reason) for rule, count in used]
        screen.table(("rule", "excused", "owner", "expires", "reason"), lines)
    if unused := findings.unused(rules, on):
        screen.heading("Rules that excused nothing: remove them, unless you expect their case still to come")
        screen.table(("rule", "path", "owner"), [(rule.id, rule.path, rule.owner) for rule in unused])
    if expired := findings.expired(rules, on):
        screen.heading("Rules that have expired: they excuse nothing any more")
        lines = [(rule.id, f"{count:,}", rule.owner, rule.expires.isoformat(), rule.reason) for rule, count in expired]
        screen.table(("rule", "would excuse", "owner", "expired", "reason"), lines)
