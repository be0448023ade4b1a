from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modern.schedule import CEILING_SECONDS, FLOOR_SECONDS, UNIT_SECONDS, Allowance, next_delay


def poll_times(until: float) -> list[float]:
    times = [next_delay(0.0)]
    while times[-1] < until:
        times.append(times[-1] + next_delay(times[-1]))
    return times


@given(st.floats(-10, 1e9))
def test_every_delay_is_within_its_bounds(elapsed: float) -> None:
    """A delay is never shorter than the floor nor longer than the ceiling."""
    assert FLOOR_SECONDS <= next_delay(elapsed) <= CEILING_SECONDS


@pytest.mark.parametrize("seconds", [0.1, 1.0, 25.0, 600.0])
def test_the_number_of_polls_grows_with_the_root_of_the_time(seconds: float) -> None:
    """Waiting for t seconds costs about sqrt(2t / unit) polls: 50 for a caller's whole 25 seconds."""
    assert len(poll_times(seconds)) <= sqrt(2 * seconds / UNIT_SECONDS) + 6


@given(st.floats(0.02, 3600.0))
def test_a_result_is_seen_soon_after_it_is_there(ready: float) -> None:
    """The poll that finds a result comes late by no more than the delay that belongs to its age."""
    seen = next(moment for moment in poll_times(ready) if moment >= ready)
    assert seen - ready <= next_delay(ready)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 40)), max_size=50))
def test_no_more_is_spent_than_allowed(steps: list[tuple[float, int]]) -> None:
    """Whoever spends only what is left never exceeds the burst and the rate over the whole time."""
    now, spent = 0.0, 0
    allowance = Allowance(lambda: now, per_second=10, most=100)
    for pause, wanted in steps:
        now += pause
        polls = min(wanted, int(allowance.left()))
        allowance.spend(polls)
        spent += polls
    assert spent <= 100 + 10 * now + 1e-6


def test_what_was_overspent_is_earned_again() -> None:
    """After spending too much one waits for the debt and the poll; a clock set back earns nothing."""
    now = 0.0
    allowance = Allowance(lambda: now, per_second=10, most=100)
    allowance.spend(119)
    assert allowance.seconds_until(1) == pytest.approx(2.0, abs=1e-3)
    now = 2.0 + 1e-3
    assert allowance.left() >= 1
    assert allowance.seconds_until(1) == 0.0
    now = -1000.0
    assert 1 <= allowance.left() < 2


@pytest.mark.parametrize(("elapsed", "delay"), [(-5.0, 0.004), (0.0, 0.004), (1.0, 0.2), (100.0, 2.0), (1e9, 30.0)])
def test_the_spacing_is_the_documented_one(elapsed: float, delay: float) -> None:
    """sqrt(2 · 20 ms · t), between 4 ms and half a minute; a clock set back counts as no time."""
    assert next_delay(elapsed) == pytest.approx(delay)


def test_a_long_lull_earns_no_more_than_the_most() -> None:
    """An hour of silence is no reason for thousands of polls at once."""
    now = 0.0
    allowance = Allowance(lambda: now, per_second=10, most=100)
    allowance.spend(50)
    now = 3600.0
    assert allowance.left() == 100
