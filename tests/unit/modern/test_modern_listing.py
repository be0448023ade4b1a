from __future__ import annotations

from bridge.modern.listing import FIRST_REST_SECONDS, LAG_SECONDS, LONGEST_REST_SECONDS, WITNESSES, Listing
from bridge.modern.lists import Sighting


def test_each_failure_in_a_row_doubles_the_rest() -> None:
    """Up to ten minutes; a single success starts anew."""
    listing = Listing()
    rests = []
    for _ in range(12):
        listing.failed(0.0)
        rests.append(next(seconds for seconds in range(10_000) if listing.usable(seconds)))
    assert rests[:3] == [FIRST_REST_SECONDS, 2 * FIRST_REST_SECONDS, 4 * FIRST_REST_SECONDS]
    assert rests[-1] == LONGEST_REST_SECONDS
    listing.served()
    listing.failed(0.0)
    assert listing.usable(FIRST_REST_SECONDS)


def test_a_witness_counts_once_the_list_had_time() -> None:
    """A list may lag a little; what it says too late contradicts what is known, until it says it."""
    listing = Listing()
    listing.testify("b", 100.0)
    unfinished, finished, other = Sighting("b", False), Sighting("b", True), Sighting("x", False)
    assert not listing.contradicts([unfinished, other], 100.0 + LAG_SECONDS)
    assert listing.contradicts([unfinished, other], 100.1 + LAG_SECONDS)
    assert not listing.contradicts([finished, other], 200.0)
    assert not listing.contradicts([unfinished], 200.0)


def test_only_the_latest_witnesses_are_kept() -> None:
    """Their number is bounded."""
    listing = Listing()
    for number in range(WITNESSES + 1):
        listing.testify(str(number), 0.0)
    assert not listing.contradicts([Sighting("0", False)], 100.0)
    assert listing.contradicts([Sighting("1", False)], 100.0)


def test_the_first_rest_is_two_seconds() -> None:
    """A hiccup of the list costs little."""
    listing = Listing()
    listing.failed(100.0)
    assert [listing.usable(moment) for moment in (101.9, 102.0)] == [False, True]


def test_a_list_may_fail_for_ever() -> None:
    """Thousands of failures in a row are counted as well."""
    listing = Listing()
    for _ in range(2000):
        listing.failed(0.0)
    assert [listing.usable(moment) for moment in (599.9, 600.0)] == [False, True]


def test_sixty_four_witnesses_are_kept() -> None:
    """Enough to find out a list that stands still, in an organization where much goes on."""
    listing = Listing()
    for number in range(64):
        listing.testify(str(number), 0.0)
    assert listing.contradicts([Sighting("0", False)], 100.0)
