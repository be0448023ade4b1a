from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modern.schedule import CEILING_SECONDS, FLOOR_SECONDS, UNIT_SECONDS, next_delay


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
