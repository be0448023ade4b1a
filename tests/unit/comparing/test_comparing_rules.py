"""Rules: what each excuses, and what none of them ever does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from bridge.batch import Address
from bridge.comparing import Bucket, Comparison, Judge, Rules, compare, read_rules

Make = Callable[..., Any]
TODAY = date(2026, 11, 20)
FIELDS = '[fields]\nundocumented = ["invoice.fee", "invoice.at", "invoice.case", "invoice.ids", "batch.trace"]\n'


def rules(*tables: str) -> Rules:
    text = FIELDS
    for number, table in enumerate(tables):
        text += f'[[rule]]\nid = "r{number}"\nowner = "o"\nreason = "r"\n{table}\n'
        text += "" if "expires" in table else "expires = 2027-06-30\n"
    found, faults = read_rules(text)
    assert faults == []
    return found


def judged(comparison: Comparison) -> list[tuple[str, str, str]]:
    return [(one.path, one.bucket.value, one.excuse) for one in comparison.differences]


def test_ignore(answer: Make, taken: Make) -> None:
    """A rule hides the differences at its path, whatever the letter case, and nothing else."""
    judge = Judge(rules('path = "Invoice.LedgerRef"\ndoes = "ignore"'), on=TODAY)
    legacy, bridge = taken(ledgerref="A"), taken(ledgerref="B", status_statuscode="PENDING")
    found = compare(answer(responses=[legacy]), answer(responses=[bridge]), judge)
    assert judged(found) == [
        ("invoice.ledgerref", "excused", "r0"),
        ("invoice.status_statuscode", "different", ""),
    ]
    assert found.rows == {Address("invoice", 0): Bucket.DIFFERENT}


def test_kinds(answer: Make, taken: Make) -> None:
    """A rule for some kinds of difference leaves the others alone."""
    judge = Judge(rules('path = "*.fee"\ndoes = "ignore"\nkinds = ["missing"]'), on=TODAY)
    with_fee, other, without = (answer(responses=[taken(**fee)]) for fee in ({"fee": 1}, {"fee": 2}, {}))
    assert judged(compare(with_fee, without, judge)) == [("invoice.fee", "excused", "r0")]
    assert judged(compare(without, with_fee, judge)) == [("invoice.fee", "different", "")]
    assert judged(compare(with_fee, other, judge)) == [("invoice.fee", "different", "")]


def test_organization(answer: Make, taken: Make) -> None:
    """A rule of one organization hides nothing of another one."""
    one_rule = rules('path = "invoice.ledgerref"\ndoes = "ignore"\norganization = "A"')
    judge = Judge(
        one_rule, organization_of=lambda address: "A" if address and not address.objectindex else "B", on=TODAY
    )
    legacy = answer(responses=[taken(0, ledgerref="x"), taken(1, ledgerref="x")])
    bridge = answer(responses=[taken(0), taken(1)])
    assert compare(legacy, bridge, judge).rows == {
        Address("invoice", 0): Bucket.EXCUSED,
        Address("invoice", 1): Bucket.DIFFERENT,
    }


def test_the_first_rule_that_fits(answer: Make, taken: Make) -> None:
    """Rules are tried in the order of the file, and one that does not fit leaves it to the next."""
    judge = Judge(
        rules('path = "invoice.fee"\ndoes = "tolerance"\namount = 1', 'path = "*.fee"\ndoes = "ignore"'), on=TODAY
    )
    near, far = answer(responses=[taken(fee=2)]), answer(responses=[taken(fee=3)])
    assert judged(compare(answer(responses=[taken(fee=1)]), near, judge)) == [("invoice.fee", "excused", "r0")]
    assert judged(compare(answer(responses=[taken(fee=1)]), far, judge)) == [("invoice.fee", "excused", "r1")]


@pytest.mark.parametrize("does", ["ignore", 'ignore"\nkinds = ["missing", "extra", "value", "type'])
@pytest.mark.parametrize("path", ["*.message", "invoice.*", "*.*"])
def test_no_verdict_is_hidden_by_the_way(answer: Make, taken: Make, refused: Make, path: str, does: str) -> None:
    """Neither a verdict, nor a missing row, nor the status or number of the batch is hidden by a wildcard."""
    kinds = f'path = "{path}"\ndoes = "{does}"' if does == "ignore" else f'path = "{path}"\ndoes = "{does}"]'
    judge = Judge(rules(kinds), on=TODAY)
    legacy = answer(statuscode=0, responses=[taken(0), taken(1)], status=201)
    found = compare(legacy, answer(statuscode=2, errors=[refused(0)]), judge)
    assert {one.path for one in found.differences} == {
        "http.status", "batch.statuscode", "invoice.verdict", "invoice.row",
    }  # fmt: skip
    assert {one.bucket for one in found.differences} == {Bucket.DIFFERENT}


def test_a_verdict_by_name(answer: Make, taken: Make, refused: Make) -> None:
    """A rule that names path and kind may hide a verdict; one that names the row, a missing row."""
    judge = Judge(
        rules(
            'path = "*.verdict"\ndoes = "ignore"\nkinds = ["verdict"]',
            'path = "payment.row"\ndoes = "ignore"',
            'path = "batch.statuscode"\ndoes = "ignore"',
            'path = "http.status"\ndoes = "ignore"',
        ),
        on=TODAY,
    )
    legacy = answer(statuscode=0, responses=[taken(0)], status=201)
    bridge = answer(statuscode=1, errors=[refused(0)], responses=[taken(0, "payment")])
    found = compare(legacy, bridge, judge)
    assert set(found.rows.values()) == {Bucket.EXCUSED}
    assert found.whole is Bucket.EXCUSED


def test_expired(answer: Make, taken: Make) -> None:
    """A rule holds through its last day; then it hides nothing, and the difference says so."""
    old = rules('path = "invoice.ledgerref"\ndoes = "ignore"\nexpires = 2026-11-20')
    sides = answer(responses=[taken(ledgerref="A")]), answer(responses=[taken(ledgerref="B")])
    assert judged(compare(*sides, Judge(old, on=TODAY))) == [("invoice.ledgerref", "excused", "r0")]
    late = compare(*sides, Judge(old, on=date(2026, 11, 21)))
    assert judged(late) == [("invoice.ledgerref", "different", "expired: r0")]
    assert set(late.rows.values()) == {Bucket.DIFFERENT}


@pytest.mark.parametrize(
    ("legacy", "bridge", "hidden"),
    [
        (1, 1.01, True),
        (1, 1.02, False),
        ("10.00", "10.01", True),
        ("10.00", "ten", False),
        ("nan", "NaN", False),
        ("inf", "Infinity", False),
        ("inf", "1", False),
    ],
)
def test_amounts_near_enough(answer: Make, taken: Make, legacy: Any, bridge: Any, hidden: bool) -> None:
    """Two numbers, or texts that are numbers, may be as far apart as the rule says, and not further."""
    judge = Judge(rules('path = "invoice.fee"\ndoes = "tolerance"\namount = 0.01'), on=TODAY)
    found = compare(answer(responses=[taken(fee=legacy)]), answer(responses=[taken(fee=bridge)]), judge)
    assert [one.bucket is Bucket.EXCUSED for one in found.differences] == [hidden]


def test_what_is_no_amount(answer: Make, taken: Make) -> None:
    """True and false are not a distance of one apart, and neither are deep values."""
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    judge = Judge(rules('path = "invoice.fee"\ndoes = "tolerance"\namount = 5'), on=TODAY)
    found = compare(answer(responses=[taken(fee=True)]), answer(responses=[taken(fee=False)]), judge)
    assert judged(found) == [("invoice.fee", "different", "")]
    nested = "invoice.ids" + "[]" * 31
    judge = Judge(rules(f'path = "{nested}"\ndoes = "tolerance"\namount = 5'), on=TODAY)
    found = compare(answer(responses=[taken(ids=deep)]), answer(responses=[taken(ids=[deep])]), judge)
    assert judged(found) == [(nested, "different", "")]


@pytest.mark.parametrize(
    ("legacy", "bridge", "hidden"),
    [
        ("2026-11-20T10:00:00Z", "2026-11-20T11:00:05+01:00", True),
        ("2026-11-20T10:00:00Z", "2026-11-20T10:00:05.000001Z", False),
        ("2026-11-20T10:00:05", "2026-11-20T10:00:00", True),
        ("2026-11-20T10:00:00", "2026-11-20T10:00:01Z", False),
        ("2026-11-20T10:00:00Z", "now", False),
        (5, 6, False),
    ],
)
def test_times_near_enough(answer: Make, taken: Make, legacy: Any, bridge: Any, hidden: bool) -> None:
    """Two date-times are compared as instants; without an offset only with each other."""
    judge = Judge(rules('path = "invoice.at"\ndoes = "tolerance"\nseconds = 5'), on=TODAY)
    found = compare(answer(responses=[taken(at=legacy)]), answer(responses=[taken(at=bridge)]), judge)
    assert [one.bucket is Bucket.EXCUSED for one in found.differences] == [hidden]


def test_null_is_absent(answer: Make, taken: Make) -> None:
    """Null on one side and nothing on the other is hidden, either way; another value is not."""
    judge = Judge(rules('path = "invoice.fee"\ndoes = "null_is_absent"'), on=TODAY)
    null, none, zero = (answer(responses=[taken(**fee)]) for fee in ({"fee": None}, {}, {"fee": 0}))
    for legacy, bridge in ((null, none), (none, null)):
        assert judged(compare(legacy, bridge, judge)) == [("invoice.fee", "excused", "r0")]
    for legacy, bridge in ((zero, none), (null, zero)):
        assert judged(compare(legacy, bridge, judge)) == [("invoice.fee", "different", "")]


def test_rules_for_nested_values(answer: Make, taken: Make) -> None:
    """A path goes down to members and elements."""
    judge = Judge(rules('path = "invoice.ids.lines[].sum"\ndoes = "ignore"'), on=TODAY)
    legacy = answer(responses=[taken(ids={"lines": [{"sum": 1}]})])
    bridge = answer(responses=[taken(ids={"lines": [{"sum": 2}]})])
    assert judged(compare(legacy, bridge, judge)) == [("invoice.ids.lines[].sum", "excused", "r0")]


def test_many_paths(answer: Make, taken: Make) -> None:
    """However many fields there are, rules are found for each of them."""
    judge = Judge(rules('path = "invoice.fee"\ndoes = "ignore"'), on=TODAY)
    legacy = [taken(row, **{f"field{row}x{number}": 1 for number in range(400)}) for row in range(12)]
    legacy.append(taken(12, fee=1))
    found = compare(answer(responses=legacy), answer(responses=[taken(row) for row in range(13)]), judge)
    assert [one.path for one in found.differences if one.bucket is Bucket.EXCUSED] == ["invoice.fee"]
    assert len(found.differences) == 4801


def test_too_many_differences_in_one_row(answer: Make, taken: Make) -> None:
    """Of a row that differs in thousands of places a bounded number is told, and the rest as one that nothing hides."""
    judge = Judge(rules('path = "*.*"\ndoes = "ignore"'), on=TODAY)
    many = taken(**{f"field{number}": number for number in range(5000)})
    found = compare(answer(responses=[many]), answer(responses=[taken()]), judge)
    assert len(found.differences) == 501
    assert judged(found)[-1] == ("invoice.(further fields)", "different", "")
    assert set(found.rows.values()) == {Bucket.DIFFERENT}
