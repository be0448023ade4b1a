"""Outcomes to one reply."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import OBJECTNAMES, Address, Entry, Outcome, Verdict
from bridge.folding import fold, statuscode


@dataclass(frozen=True)
class Codes:
    all_accepted: int = 0
    some_refused: int = 1
    all_refused: int = 2
    some_pending: int = 3


addresses = st.lists(st.builds(Address, st.sampled_from(OBJECTNAMES), st.integers(0, 50)), unique=True, max_size=30)


@given(addresses, st.data())
def test_every_row_is_answered_exactly_once_in_order(rows: list[Address], data: st.DataObject) -> None:
    """Whatever is known of whichever rows, each row of the request has one entry, in the order of the request."""
    outcomes = {
        address: Outcome(address, data.draw(st.sampled_from(list(Verdict))))
        for address in rows
        if data.draw(st.booleans())
    }
    entries = fold([(address, str(address)) for address in rows], outcomes)
    assert [entry.address for entry in entries] == rows
    assert [entry.ledgerref for entry in entries] == [str(address) for address in rows]


def test_a_row_without_an_outcome_is_pending() -> None:
    """What is not known is pending, never an error."""
    [entry] = fold([(Address("invoice", 0), "ref")], {})
    assert entry == Entry(Address("invoice", 0), Verdict.PENDING, "ref")


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 0),
        ([Verdict.ACCEPTED], 0),
        ([Verdict.REFUSED], 2),
        ([Verdict.REFUSED, Verdict.ACCEPTED], 1),
        ([Verdict.PENDING], 3),
        ([Verdict.PENDING, Verdict.ACCEPTED], 3),
        ([Verdict.PENDING, Verdict.REFUSED], 1),
        ([Verdict.REFUSED, Verdict.PENDING, Verdict.ACCEPTED], 1),
    ],
)
def test_the_status_code_follows_the_verdicts(verdicts: list[Verdict], code: int) -> None:
    """Refused rows win over pending ones; only when every row is refused is the batch refused."""
    entries = [Entry(Address("invoice", index), verdict) for index, verdict in enumerate(verdicts)]
    assert statuscode(entries, Codes()) == code
