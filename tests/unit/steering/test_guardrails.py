"""Budgets: what breaks one, what it says then, where the organization returns to, and that it happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bridge.errors import CannotTakeNow
from bridge.journal import Books, Journal, Observation, SetSwitch, StaleSwitch
from bridge.modes import Mode, Switch
from bridge.settings import Budgets
from bridge.steering.guardrails import Allowance, Figures, Guardrails, add_up, allow, find_way_back, judge
from bridge.steering.switchboard import Switchboard

LEGACY, SHADOW, MODERN = Mode.LEGACY, Mode.SHADOW, Mode.MODERN
ALLOWED = Allowance(refused_percent=5, different_percent=2, p95_seconds=30, errors=3)


def budgets(**values: float) -> Budgets:
    return Budgets.model_validate(values)


def figures(seconds: float = 900, **more: Any) -> Figures:
    return Figures(seconds, **more)


# --- budgets -------------------------------------------------------------------------------------------------------


def test_without_budgets_there_is_no_limit() -> None:
    """A window and a smallest number of rows are no limits by themselves."""
    assert not allow(budgets(window_minutes=5, min_rows=1), None).any
    assert not allow(budgets(), budgets()).any
    assert judge(figures(rows={"refused": 1000}, errors=1000, batches={3600.0: 1000}), allow(budgets(), None)) == ""


def test_an_organization_s_own_budgets_stand_over_the_general_ones() -> None:
    """One by one."""
    general = budgets(window_minutes=30, refused_percent=5, errors=3)
    allowance = allow(general, budgets(window_minutes=0.5, refused_percent=0, p95_seconds=2))
    assert allowance == Allowance(30.0, 20, refused_percent=0, p95_seconds=2, errors=3)
    assert allow(general, None) == Allowance(1800.0, 20, refused_percent=5, errors=3)
    assert allow(budgets(errors=0), None).any


# --- judging -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (
            {"rows": {"accepted": 46, "refused": 14}},
            "refused 14 of 60 rows (23.3 %) in 15 minutes; budget 5 %",
        ),
        (
            {"compared": {"same": 90, "excused": 7, "different": 3}},
            "different 3 of 100 rows (3.0 %) in 15 minutes; budget 2 %",
        ),
        (
            {"batches": {10.0: 55, 45.0: 2, float("inf"): 3}},
            "no answer within 30 s to 5 of 60 batches (8.3 %) in 15 minutes; budget 5 %",
        ),
        ({"errors": 4}, "4 batches not taken or not answered in 15 minutes; budget 3"),
        (
            {"rows": {"refused": 20}, "errors": 4, "seconds": 65.2},
            (
                "refused 20 of 20 rows (100.0 %) in 66 seconds; budget 5 %. "
                "4 batches not taken or not answered in 66 seconds; budget 3"
            ),
        ),
    ],
)
def test_a_broken_budget_says_its_figures(seen: dict[str, Any], reason: str) -> None:
    """Every one that is broken is named."""
    assert judge(figures(**seen), ALLOWED) == reason


@pytest.mark.parametrize(
    "seen",
    [
        {"rows": {"accepted": 95, "refused": 5}},
        {"rows": {"refused": 19}},
        {"compared": {"same": 98, "different": 2}},
        {"compared": {"different": 19}},
        {"batches": {30.0: 57, 45.0: 3}},
        {"batches": {45.0: 2}},
        {"errors": 3},
        {},
    ],
)
def test_what_is_within_budget_breaks_none(seen: dict[str, Any]) -> None:
    """Spent to the last, or too little to be judged: fewer than 20 rows, fewer than 3 late batches."""
    assert judge(figures(**seen), ALLOWED) == ""


def test_nothing_may_be_refused() -> None:
    """A budget of zero is one."""
    assert judge(figures(rows={"accepted": 999, "refused": 1}), Allowance(refused_percent=0)).startswith("refused 1 of")
    assert judge(figures(errors=1), Allowance(errors=0)).endswith("budget 0")


@given(st.integers(0, 500), st.integers(0, 500), st.floats(0, 100))
def test_a_share_is_broken_exactly_above_its_budget(refused: int, accepted: int, budget: float) -> None:
    """Whatever the numbers."""
    seen = figures(rows={"accepted": accepted, "refused": refused})
    broken = bool(judge(seen, Allowance(refused_percent=budget)))
    assert broken == (accepted + refused >= 20 and refused * 100 > budget * (accepted + refused))


# --- adding up -----------------------------------------------------------------------------------------------------


def saw(topic: str, *subject: str, count: int = 1, since: float = 1020.0) -> Observation:
    return Observation("a", since, topic, subject, count)


def test_what_was_seen_since_the_switch_is_added_up() -> None:
    """By its number; comparisons by the minute, from the first whole one on."""
    turn = Switch("a", MODERN, number=7, at=1000.0)
    seen = [
        saw("answered", "accepted", "7", count=5),
        saw("answered", "accepted", "7", count=1, since=960.0),
        saw("answered", "refused", "7", count=2),
        saw("answered", "refused", "6", count=100),
        saw("answer", "30", "7", count=4),
        saw("answer", "inf", "7"),
        saw("answer", "error", "7", count=3),
        saw("answer", "error", "71", count=100),
        saw("compared", "same", count=8),
        saw("compared", "different", count=9, since=960.0),
    ]
    found = add_up(seen, turn, 1050.0, ALLOWED)
    assert found.seconds == 50.0
    assert found.rows == {"accepted": 6, "refused": 2}
    assert found.batches == {30.0: 4, float("inf"): 1}
    assert found.errors == 3
    assert {bucket: count for bucket, count in found.compared.items() if count} == {"same": 8}
    assert add_up([], turn, 9000.0, ALLOWED).seconds == 900.0


# --- the way back --------------------------------------------------------------------------------------------------


def way(mode: Mode, other: Mode | None = None, percent: float = 0) -> Switch:
    return Switch("a", mode, other, percent)


@pytest.mark.parametrize(
    ("history", "back"),
    [
        ([way(LEGACY), way(SHADOW), way(MODERN)], 1),
        ([way(LEGACY), way(MODERN)], 0),
        ([way(LEGACY), way(SHADOW)], 0),
        ([way(SHADOW), way(SHADOW, MODERN, 10), way(SHADOW, MODERN, 25)], 1),
        ([way(SHADOW), way(SHADOW, MODERN, 10), way(MODERN)], 1),
        ([way(LEGACY), way(LEGACY, SHADOW, 10)], 0),
        ([way(LEGACY), way(SHADOW), way(MODERN), way(SHADOW)], 0),
        ([way(LEGACY), way(SHADOW, MODERN, 10), way(MODERN), way(SHADOW, MODERN, 10)], 0),
        ([way(LEGACY), way(SHADOW), way(MODERN), way(MODERN)], 1),
        ([way(SHADOW, MODERN, 100), way(MODERN)], None),
        ([way(MODERN)], None),
        ([way(MODERN), way(SHADOW), way(LEGACY)], None),
        ([way(MODERN), way(SHADOW)], None),
    ],
)
def test_the_way_back_leads_to_the_last_that_went_less_far(history: list[Switch], back: int | None) -> None:
    """Never further on, never sideways, and from the end of the way nowhere."""
    assert find_way_back(history) is (None if back is None else history[back])


switches = st.builds(
    way, st.sampled_from(Mode), st.one_of(st.none(), st.sampled_from(Mode)), st.sampled_from([0.0, 10.0, 50.0, 100.0])
)


@given(st.lists(switches, min_size=1, max_size=8))
def test_ways_back_come_to_an_end(history: list[Switch]) -> None:
    """Each leads less far than the one before, so guardrails never switch to and fro."""
    steps = 0
    while (back := find_way_back(history)) is not None:
        history, steps = [*history, replace(back)], steps + 1
        assert steps < 20


# --- the duty ------------------------------------------------------------------------------------------------------


@dataclass
class Site:
    """A journal that two replicas share."""

    switched: list[Switch]
    seen: list[Observation] = field(default_factory=list)
    questions: list[tuple[str, float, frozenset[str]]] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    tripped: list[str] = field(default_factory=list)
    now: float = 1050.0

    async def switches(self) -> list[Switch]:
        return list({one.organization: one for one in self.switched}.values())

    async def switch_history(self, organization: str = "") -> list[Switch]:
        return list(self.switched)

    async def batches_of(self, organization: str, since: float) -> list[str]:
        return []

    async def observations(self, organization: str, since: float, topics: Collection[str] = ()) -> list[Observation]:
        self.questions.append((organization, since, frozenset(topics)))
        await asyncio.sleep(0)  # another replica may look at the same time
        return [one for one in self.seen if one.organization == organization and one.since >= since]

    async def write(self, change: SetSwitch) -> None:
        if change.expected != self.switched[-1].number:
            raise StaleSwitch
        self.switched.append(replace(change.switch, number=change.expected + 1))

    async def replica(self, allowance: Allowance = ALLOWED) -> tuple[Guardrails, Switchboard]:
        board = Switchboard(cast("Books", self), ["a"], LEGACY, has_legacy_host=True, clock=lambda: 0.0)
        await board.refresh()
        guardrails = Guardrails(
            cast("Journal", self),
            board,
            {"a": allowance},
            clock=lambda: self.now,
            look_around=self.late.append,
            note_trip=self.tripped.append,
        )
        return guardrails, board


SWITCHED = [
    Switch("a", SHADOW, number=1, at=500.0, actor="Kari", reason="ready"),
    Switch("a", MODERN, recording=True, number=2, at=1000.0, actor="Kari", reason="go"),
]
REFUSED = [saw("answered", "accepted", "2", count=46), saw("answered", "refused", "2", count=14)]


async def test_a_broken_budget_brings_the_organization_back() -> None:
    """To where it came from, signed, with the figures; recording goes on."""
    site = Site([*SWITCHED], [*REFUSED])
    guardrails, _ = await site.replica()
    with capture_logs() as logs:
        await guardrails.look()
    reason = "refused 14 of 60 rows (23.3 %) in 50 seconds; budget 5 %"
    assert site.switched[2:] == [
        Switch("a", SHADOW, recording=True, number=3, at=1050.0, actor="guardrail", reason=reason)
    ]
    assert logs == [
        {
            "event": "guardrail_tripped",
            "log_level": "warning",
            "organization": "a",
            "state": "shadow",
            "why": reason,
        }
    ]
    assert (site.tripped, site.late) == (["a"], [1050.0])


async def test_a_percentage_goes_back_to_its_former_one() -> None:
    """With the creditors it had then."""
    switched = [*SWITCHED[:1], replace(SWITCHED[0], other=MODERN, percent=10.0, number=2, at=1000.0)]
    switched.append(replace(switched[1], percent=50.0, number=3, at=1000.0))
    site = Site(switched, [saw("answered", "refused", "3", count=20)])
    await (await site.replica())[0].look()
    assert (site.switched[-1].describe(), site.switched[-1].number) == ("shadow, 10 % modern", 4)


async def test_it_never_trips_twice_for_the_same_numbers() -> None:
    """What was counted before a switch is not held against it, and a way back from there needs figures of its own."""
    site = Site([*SWITCHED], [*REFUSED])
    for _ in range(3):
        guardrails, board = await site.replica()
        await guardrails.look()
        await board.refresh()
        await guardrails.look()
    assert len(site.switched) == 3
    again = replace(SWITCHED[1], number=4, at=1060.0)
    site.switched.append(again)
    await (await site.replica())[0].look()
    assert site.switched[-1] is again


async def test_two_replicas_do_it_once() -> None:
    """The second one finds it done, and says nothing."""
    site = Site([*SWITCHED], [*REFUSED])
    one, other = (await site.replica())[0], (await site.replica())[0]
    with capture_logs() as logs:
        await asyncio.gather(one.look(), other.look())
    assert (len(site.switched), site.tripped, len(logs)) == (3, ["a"], 1)


async def test_an_operator_who_was_faster_is_right() -> None:
    """A replica that has not heard of a switch yet does not undo it."""
    site = Site([*SWITCHED], [*REFUSED])
    guardrails, _ = await site.replica()
    newest = Switch("a", LEGACY, number=3, at=1049.0, actor="Kari")
    site.switched.append(newest)
    await guardrails.look()
    assert (site.switched[-1], site.tripped) == (newest, [])


async def test_recording_changes_nothing_about_the_count() -> None:
    """It goes on under the number of the switch that rows go by."""
    started = replace(SWITCHED[1], recording=False, number=3, at=1040.0)
    site = Site([*SWITCHED, started], [*REFUSED])
    await (await site.replica())[0].look()
    assert (site.switched[-1].mode, site.switched[-1].number, site.switched[-1].recording) == (SHADOW, 4, False)


async def test_only_the_window_is_looked_at() -> None:
    """And of it what began at most a minute before the switch."""
    site = Site([*SWITCHED])
    await (await site.replica(Allowance(window_seconds=20.0, errors=0)))[0].look()
    await (await site.replica(ALLOWED))[0].look()
    topics = frozenset({"compared", "answered", "answer"})
    assert site.questions == [("a", 1030.0, topics), ("a", 940.0, topics)]


async def test_nothing_is_asked_where_there_is_nothing_to_do() -> None:
    """Without a budget, or without a way back."""
    site = Site([*SWITCHED])
    await (await site.replica(Allowance()))[0].look()
    site.switched = [Switch("a", LEGACY, number=1, at=500.0)]
    await (await site.replica())[0].look()
    site.switched = []
    await (await site.replica())[0].look()
    assert site.questions == []


async def test_a_journal_in_trouble_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The duty says so; housekeeping goes on."""
    site = Site([*SWITCHED], [*REFUSED])
    guardrails, _ = await site.replica()

    async def fail(*_: object) -> list[Observation]:
        raise CannotTakeNow

    monkeypatch.setattr(site, "observations", fail)
    with pytest.raises(CannotTakeNow):
        await guardrails.look()
    assert len(site.switched) == 2
