"""The states of a call, and the errors' own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import errors
from bridge.batch import TRANSITIONS, Address, CallState, advance


@given(st.sampled_from(list(CallState)), st.sampled_from(list(CallState)))
def test_only_the_table_decides_which_state_may_follow(current: CallState, following: CallState) -> None:
    """A step that is in the table is taken, any other one raises."""
    if following in TRANSITIONS[current]:
        assert advance(current, following) is following
    else:
        with pytest.raises(ValueError, match="cannot go from"):
            advance(current, following)


def test_a_call_in_doubt_is_never_sent_from_there() -> None:
    """A doubtful call must be found never to have arrived (PLANNED) before it may be sent again."""
    assert CallState.SUBMITTING not in TRANSITIONS[CallState.IN_DOUBT]


def test_ended_calls_stay_ended() -> None:
    """Nothing follows DONE or REFUSED."""
    assert not TRANSITIONS[CallState.DONE]
    assert not TRANSITIONS[CallState.REFUSED]


def test_an_address_reads_like_a_person_would_say_it() -> None:
    """Messages name rows as array and position."""
    assert str(Address("invoice", 3)) == "invoice 3"


def test_an_error_without_words_uses_its_docstring() -> None:
    """Every class's docstring is its default message, on one line."""
    assert str(errors.NotJson()) == "The body is not declared as JSON: send Content-Type application/json."
    assert str(errors.ModernRefused("why", status=404)) == "why"
    assert errors.ModernRefused(status=404).status == 404
    assert errors.CannotTakeNow(retry_after_seconds=9).retry_after_seconds == 9
