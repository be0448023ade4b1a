"""Who answers for a creditor: by mode, by percentage, and for ever in the same place in the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modes import BUCKETS, Mode, Switch, place_in_line
from bridge.steering.switchboard import share_of

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
organizations = st.text(min_size=1, max_size=40)
creditors = st.text(max_size=20)
hundredths = st.integers(min_value=0, max_value=10_000)


def split(percent: float, organization: str = ORG) -> Switch:
    return Switch(organization, Mode.SHADOW, Mode.MODERN, percent)


@given(organizations, creditors, hundredths, hundredths)
def test_raising_a_percentage_moves_nobody_back(organization: str, creditor: str, one: int, other: int) -> None:
    """Whoever went at a lower percentage goes at a higher one."""
    lower, higher = sorted((one / 100, other / 100))
    if split(lower, organization).mode_of(creditor) is Mode.MODERN:
        assert split(higher, organization).mode_of(creditor) is Mode.MODERN


@given(organizations, creditors)
def test_the_ends_of_the_line_are_exact(organization: str, creditor: str) -> None:
    """Nobody goes at 0 percent, everybody at 100."""
    assert split(0, organization).mode_of(creditor) is Mode.SHADOW
    assert split(100, organization).mode_of(creditor) is Mode.MODERN


@given(creditors, hundredths)
def test_a_creditor_has_one_mode(creditor: str, percent: int) -> None:
    """It is one of the two, the same whenever it is asked."""
    switch = split(percent / 100)
    assert switch.mode_of(creditor) is switch.mode_of(creditor)
    assert switch.mode_of(creditor) in switch.modes


@pytest.mark.parametrize("percent", [0.5, 1, 10, 25, 33.33, 50, 90])
def test_percentages_hit_their_share(percent: float) -> None:
    """Of 20,000 creditor numbers that follow each other, so many go, give or take one in a hundred."""
    switch, numbers = split(percent), [str(910_000_000 + number) for number in range(20_000)]
    share = sum(switch.mode_of(number) is Mode.MODERN for number in numbers) * 100 / len(numbers)
    assert share == pytest.approx(percent, abs=1)


def test_a_hundredth_of_a_percent_counts() -> None:
    """The first place in the line goes at 0.01 percent, the second at 0.02."""
    first = next(name for name in map(str, range(200_000)) if place_in_line(ORG, name) == 0)
    second = next(name for name in map(str, range(200_000)) if place_in_line(ORG, name) == 1)
    assert [split(0.01).mode_of(name) for name in (first, second)] == [Mode.MODERN, Mode.SHADOW]
    assert split(0.02).mode_of(second) is Mode.MODERN


def test_every_organization_has_its_own_line() -> None:
    """A creditor number is first in line for one and not for another."""
    places = {place_in_line(f"org-{number}", "984842252") for number in range(50)}
    assert len(places) > 40
    assert all(0 <= place < BUCKETS for place in places)


@pytest.mark.parametrize(
    ("switch", "modes", "words", "shares"),
    [
        (Switch(ORG, Mode.LEGACY), {Mode.LEGACY}, "legacy", (100, 0, 0)),
        (split(0), {Mode.SHADOW}, "shadow, 0 % modern", (0, 100, 0)),
        (split(12.5), {Mode.SHADOW, Mode.MODERN}, "shadow, 12.5 % modern", (0, 87.5, 12.5)),
        (split(100), {Mode.MODERN}, "shadow, 100 % modern", (0, 0, 100)),
        (Switch(ORG, Mode.LEGACY, Mode.SHADOW, 10), {Mode.LEGACY, Mode.SHADOW}, "legacy, 10 % shadow", (90, 10, 0)),
    ],
)
def test_a_switch_says_what_it_does(switch: Switch, modes: set[Mode], words: str, shares: tuple[float, ...]) -> None:
    """Which modes there are, in words, and how many creditors are in each."""
    assert switch.modes == modes
    assert switch.describe() == words
    assert tuple(share_of(switch, mode) for mode in Mode) == shares
