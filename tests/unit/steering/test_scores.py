"""What is counted for guardrails: under which switch, in which bucket, and each batch once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import pytest

from bridge.batch import Verdict
from bridge.journal import BatchRecord
from bridge.modes import Mode, Switch
from bridge.steering.observing import Observatory, Topic
from bridge.steering.scores import LATE, Scores
from bridge.steering.switchboard import Switchboard

SWITCHED_AT = 1000.0


@dataclass
class Seen:
    """An observatory and a switchboard."""

    turns: dict[str, Switch]
    counts: Counter[tuple[str, str, tuple[str, ...]]] = field(default_factory=Counter)

    def see(self, organization: str, topic: Topic, subject: tuple[str, ...], count: int = 1) -> None:
        self.counts[organization, topic.value, subject] += count

    def turn(self, organization: str) -> Switch:
        return self.turns.get(organization, Switch(organization, Mode.MODERN))


@dataclass
class Open:
    """A batch without a final answer."""

    record: BatchRecord
    names: list[str]

    def organizations(self) -> list[str]:
        return self.names


def modern(organization: str, number: int = 7) -> Switch:
    return Switch(organization, Mode.SHADOW, Mode.MODERN, 25, number=number, at=SWITCHED_AT)


def record(name: str = "b", received_at: float = 1001.0) -> BatchRecord:
    return BatchRecord(name, "s", "p", "", "i", "c", received_at, offline=False, row_count=1, payload=None)


def make(seen: Seen, **budgets: float) -> Scores:
    return Scores(cast("Observatory", seen), cast("Switchboard", seen), budgets)


def test_rows_are_counted_by_verdict_under_the_switch() -> None:
    """Each organization under its own."""
    seen = Seen({"a": modern("a", 7), "b": modern("b", 9)})
    verdicts = {("a", Verdict.ACCEPTED): 2, ("a", Verdict.REFUSED): 1, ("b", Verdict.REFUSED): 1}
    make(seen).rows_decided(1001.0, verdicts)
    assert seen.counts == {
        ("a", "answered", ("accepted", "7")): 2,
        ("a", "answered", ("refused", "7")): 1,
        ("b", "answered", ("refused", "9")): 1,
    }


@pytest.mark.parametrize(
    ("turn", "received_at"),
    [
        (modern("a"), 999.9),
        (Switch("a", Mode.MODERN), 1001.0),
        (Switch("a", Mode.SHADOW, number=7, at=SWITCHED_AT), 1001.0),
        (Switch("", Mode.MODERN), 1001.0),
    ],
    ids=["received before the switch", "never switched", "nothing is modern", "no organization"],
)
def test_what_a_switch_is_not_to_blame_for_is_not_counted(turn: Switch, received_at: float) -> None:
    """Rows, answers, errors and late batches alike."""
    seen = Seen({"a": turn})
    scores = make(seen, a=1.0)
    scores.rows_decided(received_at, {("a", Verdict.REFUSED): 1})
    scores.batch_answered(record(received_at=received_at), ["a"], 3.0)
    scores.batch_failed(["a"], received_at)
    scores.look_at([Open(record(received_at=received_at), ["a"])], 5000.0)
    assert seen.counts == {}


@pytest.mark.parametrize(
    ("seconds", "bound"), [(0.0, "0.1"), (0.1, "0.1"), (0.11, "0.25"), (25.5, "30"), (3601, "inf"), (7.5, "10")]
)
def test_answers_are_counted_under_the_next_bound(seconds: float, bound: str) -> None:
    """As a histogram has it."""
    seen = Seen({"a": modern("a")})
    make(seen).batch_answered(record(), ["a"], seconds)
    assert seen.counts == {("a", "answer", (bound, "7")): 1}


@pytest.mark.parametrize(("seconds", "bound"), [(7.0, "7.5"), (7.5, "7.5"), (7.51, "10")])
def test_a_budget_is_a_bound(seconds: float, bound: str) -> None:
    """So that what is within the budget and what is not are never counted together."""
    seen = Seen({"a": modern("a")})
    make(seen, a=7.5).batch_answered(record(), ["a"], seconds)
    assert seen.counts == {("a", "answer", (bound, "7")): 1}


def test_failures_are_counted_for_everyone_they_may_concern() -> None:
    """Whose rows a batch holds that could not be taken is not known."""
    seen = Seen({"a": modern("a"), "b": modern("b")})
    make(seen).batch_failed(["a", "b"], 1001.0)
    assert seen.counts == {("a", "answer", ("error", "7")): 1, ("b", "answer", ("error", "7")): 1}


def test_a_batch_that_is_open_too_long_counts_as_late_once() -> None:
    """While it is open, not only when it ends; and not again then."""
    seen = Seen({"a": modern("a")})
    scores, batch = make(seen, a=10.0), Open(record(received_at=1001.0), ["a"])
    scores.look_at([batch], 1011.0)
    assert seen.counts == {}
    for now in (1011.1, 1013.0, 2000.0):
        scores.look_at([batch], now)
    scores.batch_answered(batch.record, ["a"], 1000.0)
    assert seen.counts == {("a", "answer", (LATE, "7")): 1}


def test_each_organization_of_a_batch_has_its_own_patience() -> None:
    """It is late for one, and in time for another; one without a budget is counted when the batch ends."""
    seen = Seen({name: modern(name) for name in "abc"})
    scores, batch = make(seen, a=10.0, b=60.0), Open(record(received_at=1000.0), ["a", "b", "c"])
    for now in (1030.0, 1031.0):
        scores.look_at([batch], now)
    assert seen.counts == {("a", "answer", (LATE, "7")): 1}
    scores.batch_answered(batch.record, ["a", "b", "c"], 40.0)
    assert seen.counts == {
        ("a", "answer", (LATE, "7")): 1,
        ("b", "answer", ("45", "7")): 1,
        ("c", "answer", ("45", "7")): 1,
    }


def test_nothing_is_remembered_of_batches_that_are_gone() -> None:
    """Another replica may have taken them over."""
    seen = Seen({"a": modern("a")})
    scores = make(seen, a=10.0)
    scores.look_at([Open(record("lost"), ["a"])], 2000.0)
    scores.look_at([], 2000.0)
    assert scores._late == {}
    make(seen).look_at([Open(record("without a budget"), ["a"])], 9000.0)
    assert sum(seen.counts.values()) == 1
