"""GO or NO-GO: each thing that speaks against going, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from bridge.journal import OrganizationBooks, SeenCreditor, UnknownField
from bridge.modes import Mode, Switch
from bridge.readiness import Evidence, Reason, Severity, Terms, assess
from bridge.steering.observing import Topic

See = Callable[..., Any]
ON = date(2026, 11, 20)
BLOCKS, LOOK, NOTE = Severity.BLOCKS, Severity.LOOK, Severity.NOTE
DIFFERENT = ("invoice.message", "value", "different", "", "autocollect/invoice.toml: carry x")


def find(evidence: Evidence, terms: Terms, code: str) -> Reason:
    (found,) = [reason for reason in assess(evidence, terms).reasons if reason.code == code]
    return found


def codes(evidence: Evidence, terms: Terms) -> list[tuple[str, Severity]]:
    return [(reason.code, reason.severity) for reason in assess(evidence, terms).reasons]


def test_enough_equal_traffic_is_a_go(good: Evidence, terms: Terms) -> None:
    """With nothing against it there is no reason at all."""
    report = assess(good, terms)
    assert (report.verdict, report.reasons) == ("GO", ())
    assert (report.traffic.total("same"), report.traffic.days) == (1500, 5)


@pytest.mark.parametrize(("name", "value"), [("min_rows", 1501), ("min_days", 6)])
def test_too_little_traffic_blocks(good: Evidence, terms: Terms, name: str, value: int) -> None:
    """Rows and days must both be enough; exactly enough is."""
    assert codes(good, replace(terms, min_rows=1500, min_days=5)) == []
    reason = find(good, replace(terms, **{name: value}), "too_little_traffic")
    assert reason.severity is BLOCKS
    assert "1,500 rows on 5 days" in reason.what


def test_what_lies_outside_of_the_window_does_not_count(good: Evidence, terms: Terms, seen: See) -> None:
    """Neither what came before it nor what came after the day of the report."""
    outside = [seen(Topic.DIFFERENCE, *DIFFERENT, day=day) for day in (0, 15)]
    assert codes(replace(good, observations=[*good.observations, *outside]), terms) == []
    inside = [seen(Topic.DIFFERENCE, *DIFFERENT, day=day) for day in (1, 14)]
    evidence = replace(good, observations=[*good.observations, *inside])
    assert dict(find(evidence, terms, "unexplained_differences").figures)["differences"] == 2


def test_a_difference_without_excuse_blocks(spoil: See, terms: Terms, seen: See) -> None:
    """Each is told with path, count, kind, and the line that made it; the most frequent first."""
    evidence = spoil(
        seen(Topic.DIFFERENCE, *DIFFERENT, count=2),
        seen(Topic.DIFFERENCE, *DIFFERENT, count=3, day=2),
        seen(Topic.DIFFERENCE, "payment.row", "missing", "different", "expired: old", "", count=7),
    )
    reason = find(evidence, terms, "unexplained_differences")
    assert (reason.severity, dict(reason.figures)) == (BLOCKS, {"differences": 12, "fields": 2})
    assert reason.details == (
        "payment.row: 7 missing (expired: old)",
        "invoice.message: 5 value ← autocollect/invoice.toml: carry x",
    )
    assert not assess(evidence, terms).is_go


def test_a_newer_rule_is_hinted_at(spoil: See, terms: Terms, seen: See, rule: See, rules: See) -> None:
    """A rule that came after the difference was seen does not excuse it, but the report knows it."""
    evidence = spoil(seen(Topic.DIFFERENCE, *DIFFERENT), rules=rules(rule("new", "invoice.message")))
    assert "did not when it was seen: new" in find(evidence, terms, "unexplained_differences").do
    wrong_kind = spoil(
        seen(Topic.DIFFERENCE, "invoice.message", "type", "different", "", ""),
        rules=rules(rule("new", "invoice.message")),
    )
    assert "did not when" not in find(wrong_kind, terms, "unexplained_differences").do


@pytest.mark.parametrize(
    ("days", "code"),
    [(-1, "lapsed_excuses"), (0, "expiring_excuses"), (14, "expiring_excuses"), (15, ""), (None, "lapsed_excuses")],
)
def test_an_excuse_is_worth_what_its_rule_is(
    spoil: See, terms: Terms, seen: See, rule: See, rules: See, days: int | None, code: str
) -> None:
    """By the day of the report: expired or gone blocks, about to expire is to be looked at, else it holds."""
    excused = seen(Topic.DIFFERENCE, "invoice.ledgerref", "value", "excused", "ids", "", count=4)
    known = [] if days is None else [rule("ids", expires=ON + timedelta(days=days))]
    found = codes(spoil(excused, rules=rules(*known)), terms)
    assert found == ([(code, BLOCKS if code == "lapsed_excuses" else LOOK)] if code else [])


def test_a_rule_that_matched_nothing_is_a_note(spoil: See, terms: Terms, seen: See, rule: See, rules: See) -> None:
    """One that expired, that was breached, or that is another organization's is no such rule."""
    other = replace(rule("theirs"), organization="other")
    evidence = spoil(
        seen(Topic.DIFFERENCE, "invoice.ledgerref", "value", "different", "breached: pairs", ""),
        rules=rules(rule("idle"), rule("gone", expires=ON - timedelta(days=1)), rule("pairs"), other),
    )
    reason = find(evidence, terms, "idle_rules")
    assert (reason.severity, reason.details) == (NOTE, ("idle at invoice.ledgerref, owner kari",))


@pytest.mark.parametrize(("missed", "severity"), [(7, NOTE), (8, BLOCKS)])
def test_exchanges_left_out_block_beyond_their_share(
    spoil: See, terms: Terms, seen: See, missed: int, severity: Severity
) -> None:
    """Up to 5 of 100 are a note: 7 of 157 are, 8 of 158 are not."""
    evidence = spoil(seen(Topic.PAIR, "left_out", count=missed - 1), seen(Topic.PAIR, "unreadable"))
    reason = find(evidence, terms, "left_out")
    assert reason.severity is severity
    assert f"{missed} of {150 + missed} exchanges" in reason.what


def test_books(spoil: See, terms: Terms) -> None:
    """Rows in doubt block; pending ones are to be looked at; settled books say nothing."""
    assert codes(spoil(books=OrganizationBooks("o", 9, 9, 0, 0)), terms) == []
    found = codes(spoil(books=OrganizationBooks("o", 9, 5, 3, 1)), terms)
    assert found == [("rows_in_doubt", BLOCKS), ("rows_pending", LOOK)]


def test_creditors_that_are_not_onboarded_block(spoil: See, terms: Terms, good: Evidence) -> None:
    """While they are still mentioned; those of the past are not."""
    recent = SeenCreditor("ERP-1", "999", False, ("idnumber",), 0.0, good.window.until - 1)
    evidence = spoil(strangers=[recent, replace(recent, idnumber="888", last_seen=good.window.since - 1)])
    reason = find(evidence, terms, "creditors_not_onboarded")
    assert (reason.severity, reason.details) == (BLOCKS, ("creditor 999 of sender ERP-1",))


def test_parts_that_traffic_never_exercised(good: Evidence, terms: Terms) -> None:
    """They are listed by file; a code that refuses need not come."""
    used = [one for one in good.observations if 'carry "vat"' not in one.subject]
    reason = find(replace(good, observations=used), terms, "idle_parts")
    assert (reason.severity, reason.details) == (LOOK, ('autocollect/invoice.toml: carry "vat"',))
    assert dict(reason.figures) == {"parts": 2, "idle": 1}


def test_codes_that_refuse_their_row(spoil: See, terms: Terms, seen: See) -> None:
    """One that real rows carried is to be looked at."""
    evidence = spoil(seen(Topic.RULE, "autocollect", "action", 'table "actions" code "9"', count=4))
    reason = find(evidence, terms, "refusing_codes")
    assert reason.details == ('autocollect/action.toml: table "actions" code "9", 4 rows',)


def test_unknown_fields(spoil: See, terms: Terms, seen: See, good: Evidence) -> None:
    """What shadowed traffic carried counts; the register adds what it knows of these days."""
    at = good.window.since
    evidence = spoil(
        seen(Topic.UNKNOWN, "autocollect", "invoice", "colour", count=2),
        unknown=[
            UnknownField("ERP-1", "invoice", "colour", 900, at),
            UnknownField("ERP-1", "payment", "shoeSize", 5, at),
            UnknownField("ERP-1", "payment", "old", 5, at - 1),
        ],
    )
    reason = find(evidence, terms, "unknown_fields")
    assert reason.details == ("invoice.colour: 2 rows", "payment.shoeSize: 5 rows")


def test_noise_and_rows_nobody_could_predict(spoil: See, terms: Terms, seen: See) -> None:
    """Noise is a note; what could not be predicted is to be looked at; both are excused."""
    evidence = spoil(
        seen(Topic.NOISE, "invoice.ledgerref", count=3),
        seen(Topic.DIFFERENCE, "invoice.ledgerref", "value", "excused", "noise", "", count=5),
        seen(Topic.DIFFERENCE, "payment.verdict", "verdict", "excused", "not predicted", "", count=6),
    )
    assert codes(evidence, terms) == [("not_predicted", LOOK), ("noise", NOTE)]
    assert find(evidence, terms, "noise").details == ("invoice.ledgerref: 3 times",)


def test_switches(spoil: See, terms: Terms, good: Evidence) -> None:
    """A guardrail's switch is to be looked at; an organization that is modern in part is noted."""
    back = Switch("o", Mode.SHADOW, number=3, at=good.window.until - 9, actor="guardrail", reason="errors 3 > 0")
    evidence = spoil(
        history=[replace(back, number=1, at=good.window.since - 1), back],
        current=Switch("o", Mode.SHADOW, Mode.MODERN, 25.0, number=4),
    )
    assert codes(evidence, terms) == [("guardrail_returns", LOOK), ("answered_already", NOTE)]
    assert find(evidence, terms, "guardrail_returns").details == ("to shadow: errors 3 > 0",)
    assert [one.number for one in assess(evidence, terms).switches] == [3]
    assert codes(spoil(current=Switch("o", Mode.MODERN, number=4)), terms) == [("answered_already", NOTE)]


def test_what_blocks_comes_first(spoil: See, terms: Terms, seen: See) -> None:
    """Reasons stand by severity."""
    evidence = spoil(
        seen(Topic.NOISE, "x.y"),
        seen(Topic.DIFFERENCE, *DIFFERENT),
        books=OrganizationBooks("o", 9, 5, 3, 1),
    )
    assert [severity for _, severity in codes(evidence, terms)] == [BLOCKS, BLOCKS, LOOK, NOTE]
