"""How far callers have got, in the numbers of the bridge or of the legacy host; none of theirs is taken for ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.journal import NumberedSettlement
from bridge.readback.counterpart import last_before, sort_ids
from bridge.readback.marks import SHIFT, Mark, read_number


def settled(*ids: str) -> list[NumberedSettlement]:
    return [NumberedSettlement(number, "legacy:E", ident, "") for number, ident in enumerate(ids, start=1)]


@pytest.mark.parametrize(
    ("text", "with_past", "number", "shift"),
    [
        ("", False, 0, 0),
        ("", True, 0, SHIFT),
        ("17", False, 17, 0),
        ("000000000017", True, 17, 0),
        ("900000000017", False, 17, SHIFT),
        ("900000000017", True, 17, SHIFT),
        ("0", False, 0, 0),
    ],
)
def test_our_numbers_are_read(text: str, with_past: bool, number: int, shift: int) -> None:
    """As they were shown; a caller is shown the next ones alike."""
    mark = read_number(text, with_past=with_past)
    assert mark is not None
    assert (mark.number, mark.shift) == (number, shift)


@pytest.mark.parametrize("text", ["98123", "1", "0000000000000098123", "123456789012", "abc", "²", "1" * 19])
def test_the_legacy_hosts_marks_are_not_ours(text: str) -> None:
    """Of callers with a past there; the highest that is not ours stands below ours."""
    assert read_number(text, with_past=True) is None


@given(st.integers(1, 10**9), st.booleans())
def test_what_is_shown_is_understood(number: int, shifted: bool) -> None:
    """Whoever sends it back, with a past or, later, without; and it sorts alike as text and as a number."""
    mark = Mark(0, "", SHIFT if shifted else 0)
    text = mark.write(number)
    assert text is not None
    assert len(text) == 12
    for with_past in (True, False):
        again = read_number(text, with_past=with_past)
        assert again is not None
        assert (again.number, again.write(number)) == (number, text)
    following = mark.write(number + 1)
    assert following is not None
    assert text < following


def test_a_mark_stays_as_it_is() -> None:
    """Where an answer leaves things out."""
    assert Mark(0, "98123", SHIFT, is_foreign=True).stay() == "98123"
    assert Mark(5, "5").stay() == "000000000005"
    assert Mark(0, "").stay() is None


def test_the_legacy_host_is_asked_for_what_came_after() -> None:
    """After the last id the caller has had; before anything it may have missed."""
    assert last_before(settled(), 5) == ""
    assert last_before(settled("40", "41", "42"), 2) == "41"
    assert last_before(settled("42", "40", "41"), 1) == ""
    assert last_before(settled("9", "10", "11"), 3) == "11"
    assert last_before(settled("b", "a", "c"), 2) == "a"


@given(st.permutations(range(1, 8)), st.integers(0, 7))
def test_nothing_that_was_not_told_is_left_behind(order: list[int], number: int) -> None:
    """Whatever the order in which ids were numbered."""
    asked = last_before(settled(*map(str, order)), number)
    assert all(one > int(asked or 0) for one in order[number:])


def test_ids_are_numbered_in_the_legacy_hosts_order() -> None:
    """Numbers by their value, others as they came."""
    assert sort_ids(["10", "9"]) == ["9", "10"]
    assert sort_ids(["b", "9", "a"]) == ["b", "9", "a"]
