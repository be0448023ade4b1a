"""Ids that each system generates, and noise of the legacy system: what is learnt on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bridge.batch import Address
from bridge.comparing import Bucket, Comparison, Judge, References, Rules, compare, learn_noise, read_rules

Make = Callable[..., Any]
TODAY = date(2026, 11, 20)


def reference_rules(expires: str = "2027-06-30", kinds: str = "") -> Rules:
    found, faults = read_rules(
        f"""
        [fields]
        undocumented = ["invoice.case", "payment.case"]
        [[rule]]
        id = "cases"
        path = "*.case"
        does = "reference"
        owner = "o"
        reason = "r"
        {kinds}
        expires = {expires}
        """
    )
    assert faults == []
    return found


Pair = Callable[..., Comparison]


@pytest.fixture
def pair(answer: Make, taken: Make) -> Pair:
    """Compare one row after the other, by one memory of references."""
    references = References()

    def make(
        legacy: Any, bridge: Any, organization: str = "A", objectname: str = "invoice", rules: Rules | None = None,
        **more: Any,
    ) -> Comparison:  # fmt: skip
        judge = Judge(
            rules or reference_rules(), organization_of=lambda _: organization, on=TODAY, references=references, **more
        )
        left, right = (answer(responses=[taken(0, objectname, case=value)]) for value in (legacy, bridge))
        return compare(left, right, judge)

    return make


def bucket(comparison: Comparison) -> Bucket:
    (found,) = comparison.rows.values()
    return found


def test_ids_that_come_together(pair: Pair) -> None:
    """Two ids that always come together are excused, however often, and in every kind of row."""
    for _ in range(3):
        assert bucket(pair("C-1", "f00d")) is Bucket.EXCUSED
    assert bucket(pair("C-1", "f00d", objectname="payment")) is Bucket.EXCUSED
    assert bucket(pair("C-2", "beef")) is Bucket.EXCUSED


@pytest.mark.parametrize(("legacy", "bridge"), [("C-1", "beef"), ("C-2", "f00d")])
def test_ids_that_part(pair: Pair, legacy: str, bridge: str) -> None:
    """The same legacy id with another one of the bridge, or the other way round, is a difference and says why."""
    pair("C-1", "f00d")
    found = pair(legacy, bridge)
    assert bucket(found) is Bucket.DIFFERENT
    assert [one.excuse for one in found.differences] == ["breached: cases"]
    assert bucket(pair("C-1", "f00d")) is Bucket.EXCUSED


def test_equal_values_are_pairs_too(pair: Pair) -> None:
    """An id that both give alike belongs to itself; where it belonged to another one before, that is a difference."""
    assert bucket(pair("X", "X")) is Bucket.SAME
    assert bucket(pair("X", "Y")) is Bucket.DIFFERENT
    pair("C-1", "f00d")
    found = pair("f00d", "f00d")
    assert [(one.path, one.kind.value, one.excuse) for one in found.differences] == [
        ("invoice.case", "value", "breached: cases")
    ]


def test_organizations_have_ids_of_their_own(pair: Pair) -> None:
    """What comes together is known within an organization only."""
    pair("1", "f00d", "A")
    assert bucket(pair("1", "beef", "B")) is Bucket.EXCUSED


def test_expired_references(pair: Pair) -> None:
    """An expired rule pairs nothing any more, also no equal values."""
    late = reference_rules("2026-11-19")
    assert [one.excuse for one in pair("C-1", "f00d", rules=late).differences] == ["expired: cases"]
    assert bucket(pair("C-1", "C-1", rules=late)) is Bucket.SAME
    assert bucket(pair("C-1", "beef")) is Bucket.EXCUSED


def test_ids_of_other_types(pair: Pair) -> None:
    """A number for a text is hidden only by a rule that names the kind."""
    assert bucket(pair(1, "f00d")) is Bucket.DIFFERENT
    assert bucket(pair(1, "f00d", rules=reference_rules(kinds='kinds = ["value", "type"]'))) is Bucket.EXCUSED


def test_unsure_rows_teach_nothing(pair: Pair) -> None:
    """Of a row nobody can tell, no pair is remembered."""
    unsure = frozenset({Address("invoice", 0)})
    pair("C-1", "made-up", unsure=unsure)
    pair("f00d", "f00d", unsure=unsure)
    assert bucket(pair("C-1", "f00d")) is Bucket.EXCUSED


def test_long_rows(pair: Pair) -> None:
    """In a row of thousands of equal values a difference is still found where it is."""
    case = [str(number) for number in range(2000)]
    found = pair(case, [*case[:-1], "other"])
    assert [one.path for one in found.differences] == ["invoice.case[]"]


def test_memory_is_bounded() -> None:
    """At least as many pairs are remembered as said, at most twice as many."""
    references = References(most=10)
    assert all(references.agree("r", "o", f"l{number}", f"b{number}") for number in range(1000))
    assert not any(references.agree("r", "o", f"l{number}", "other") for number in range(990, 1000))
    assert references.agree("r", "o", "l0", "b-new")


# --- noise ------------------------------------------------------------------------------------------------------------


def test_noise_is_learnt_from_values(answer: Make, taken: Make) -> None:
    """A field that two legacy answers to one payload give differently is noise, with the row it was seen in."""
    first = answer(responses=[taken(0, at="10:00"), taken(1, fee=1)], trace="a")
    second = answer(responses=[taken(0, at="10:05"), taken(1)], trace="b")
    assert set(learn_noise(first, second)) == {(None, "batch.trace"), (Address("invoice", 0), "invoice.at")}


def test_no_noise(answer: Make, taken: Make, refused: Make) -> None:
    """Verdicts, rows, the number of the batch and refused batches are never noise."""
    first = answer(responses=[taken(0), taken(1)], statuscode=0)
    second = answer(errors=[refused(0)], statuscode=2)
    assert list(learn_noise(first, second)) == []
    assert list(learn_noise(answer(trace="a"), answer(trace="b", status=500))) == []
    assert list(learn_noise(answer(trace="a", status=503), answer(trace="b"))) == []


def test_noise_excuses_values_of_its_organization(answer: Make, taken: Make, refused: Make) -> None:
    """Noise hides another value at its path, of its organization, and neither an absence nor a verdict."""
    noise = {("A", "invoice.ledgerref"), ("A", "invoice.verdict"), ("A", "invoice.row")}
    judge = Judge(organization_of=lambda _: "A", noise=noise)
    legacy = answer(responses=[taken(0, ledgerref="x")])
    (one,) = compare(legacy, answer(responses=[taken(0)]), judge).differences
    assert (one.bucket, one.excuse) == (Bucket.EXCUSED, "noise")
    without = {name: value for name, value in taken(0).items() if name != "ledgerref"}
    for bridge in (answer(responses=[without]), answer(errors=[refused(0)]), answer()):
        assert bucket(compare(legacy, bridge, judge)) is Bucket.DIFFERENT
    other = Judge(organization_of=lambda _: "B", noise=noise)
    assert bucket(compare(legacy, answer(responses=[taken(0)]), other)) is Bucket.DIFFERENT
