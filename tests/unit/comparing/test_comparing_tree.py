"""Many comparisons put together: exact counts, samples, organizations, the use of rules."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from bridge.batch import Address
from bridge.comparing import (
    Bucket,
    Difference,
    Findings,
    Judge,
    Kind,
    Tree,
    compare,
    describe_tree,
    read_rules,
)
from bridge.comparing.paths import BEYOND
from bridge.comparing.tree import LEAVES, LONGEST_SAMPLE, SAMPLES

Make = Callable[..., Any]
TODAY = date(2026, 11, 20)
ONE = Difference("invoice.fee", Kind.VALUE, Address("invoice", 0), "1", "2", Bucket.DIFFERENT, "", "made so")


def test_three_planted_fields(answer: Make, taken: Make) -> None:
    """Of 1,000 pairs with three planted fields the tree has exactly these three leaves, with exact counts."""
    chance = random.Random(7)
    findings, planted = Findings(), dict.fromkeys(("ledgerref", "status_statuscode", "caseNumber"), 0)
    for number in range(1000):
        rows = [taken(index) for index in range(chance.randrange(1, 6))]
        others = [dict(row) for row in rows]
        for row in others:
            for field in planted:
                if chance.random() < 0.05:
                    planted[field] += 1
                    row[field] = "planted"
        legacy, bridge = answer(responses=others), answer(responses=rows)
        findings.take(compare(legacy, bridge, Judge()), lambda _: "A", f"pair {number}")
    leaves = findings.tree.leaves()
    assert {leaf.path: leaf.count for leaf in leaves} == {f"invoice.{name}": n for name, n in planted.items()}
    assert [leaf.path for leaf in leaves] == ["invoice.caseNumber", "invoice.ledgerref", "invoice.status_statuscode"]
    assert all(len(leaf.samples) == SAMPLES and leaf.organizations == {"A": leaf.count} for leaf in leaves)
    assert findings.rows_in(Bucket.SAME) + findings.rows_in(Bucket.DIFFERENT) == findings.rows.total()
    assert findings.batches == {Bucket.SAME: 1000}
    assert findings.differs


def test_leaves(answer: Make) -> None:
    """A leaf tells each way in which its field differs, the most frequent first, unexcused samples before others."""
    tree = Tree()
    excused = replace(ONE, bucket=Bucket.EXCUSED, excuse="rule", legacy="9")
    for number in range(SAMPLES + 1):
        tree.add("A", excused, source=f"p{number}")
    tree.add("B", replace(ONE, kind=Kind.MISSING), ONE, ONE, source="last")
    (leaf,) = tree.leaves()
    assert (leaf.path, leaf.count, leaf.organizations) == ("invoice.fee", 9, {"A": 6, "B": 3})
    assert [(line.sort.kind.value, line.sort.excuse, line.count) for line in leaf.lines] == [
        ("value", "rule", 6),
        ("value", "", 2),
        ("missing", "", 1),
    ]
    assert [sample.legacy for sample in leaf.samples] == ["1", "1", "1", "9", "9"]
    assert (leaf.count_of(Bucket.DIFFERENT), leaf.count_of(Bucket.EXCUSED), leaf.count_of(Bucket.SAME)) == (3, 6, 0)


def test_one_organization() -> None:
    """The tree of one organization holds its part only."""
    tree = Tree()
    tree.add("A", ONE, replace(ONE, path="batch.traceId", address=None))
    tree.add("B", ONE)
    assert [(leaf.path, leaf.count) for leaf in tree.leaves("A")] == [("batch.traceId", 1), ("invoice.fee", 1)]
    assert [(leaf.path, leaf.samples[0].organization) for leaf in tree.leaves("B")] == [("invoice.fee", "B")]
    assert tree.leaves("C") == []
    assert tree.organizations() == ["A", "B"]


def test_branches() -> None:
    """As a tree, each segment knows what is below it."""
    tree = Tree()
    for path in ("invoice.ids.a", "invoice.ids.b", "invoice.ids", "http.status"):
        tree.add("A", replace(ONE, path=path))
    root = tree.branches()
    assert list(root.below) == ["http", "invoice"]
    ids = root.below["invoice"].below["ids"]
    assert list(ids.below) == ["a", "b"]
    assert ids.leaf is not None
    assert ids.leaf.count == 1
    assert [branch.counts[Kind.VALUE, Bucket.DIFFERENT] for branch in (root, root.below["invoice"], ids)] == [4, 3, 3]


def test_order() -> None:
    """Fields stand in the order of a reply, whatever order they came in."""
    tree = Tree()
    for path in (
        "other.x",
        "action.message",
        "creditor.row",
        "invoice.b",
        "invoice.a",
        "batch.statuscode",
        "http.body",
    ):
        tree.add("A", replace(ONE, path=path))
    assert [leaf.path for leaf in tree.leaves()] == [
        "http.body", "batch.statuscode", "creditor.row", "invoice.a", "invoice.b", "action.message", "other.x",
    ]  # fmt: skip


def test_merge() -> None:
    """Two trees put together are what one tree of everything is."""
    chance = random.Random(3)
    some = [
        (chance.choice("AB"), replace(ONE, path=f"invoice.f{chance.randrange(4)}", kind=chance.choice(list(Kind))))
        for _ in range(200)
    ]
    whole, first, second = Tree(), Tree(), Tree()
    for number, (organization, one) in enumerate(some):
        whole.add(organization, one)
        (first if number < 90 else second).add(organization, one)
    first.merge(second)
    assert describe_tree(first) == describe_tree(whole)
    assert describe_tree(first, "A") == describe_tree(whole, "A")


def test_long_values_and_many_fields() -> None:
    """Samples are short, and there are only so many leaves, whatever names members have."""
    tree = Tree()
    tree.add("A", replace(ONE, legacy="x" * 1000))
    assert len(tree.leaves()[0].samples[0].legacy) == LONGEST_SAMPLE + 1
    for number in range(LEAVES + 10):
        tree.add("A", replace(ONE, path=f"invoice.x{number}"))
    leaves = {leaf.path: leaf.count for leaf in tree.leaves()}
    assert len(leaves) == LEAVES + 1
    assert leaves[f"invoice.{BEYOND}"] == 11


def test_samples_tell_where(answer: Make, taken: Make) -> None:
    """As a document, a sample names its pair and its row; one of the batch names no row."""
    found = compare(answer(responses=[taken(3, ledgerref="A")], statuscode=1), answer(responses=[taken(3)]), Judge())
    findings = Findings()
    findings.take(found, lambda _: "A", "pair 7")
    batch, row = [leaf["samples"][0] for leaf in describe_tree(findings.tree)]
    assert (batch["pair"], batch["objectname"], batch["objectindex"]) == ("pair 7", None, None)
    assert (row["pair"], row["objectname"], row["objectindex"], row["legacy"]) == ("pair 7", "invoice", 3, '"A"')


@pytest.fixture
def rule_text() -> str:
    def rule(name: str, path: str, expires: str) -> str:
        return (
            f'[[rule]]\nid = "{name}"\npath = "{path}"\ndoes = "ignore"\nowner = "o"\nreason = "r"\n'
            f"expires = {expires}\n"
        )

    return (
        rule("used", "invoice.ledgerref", "2027-01-01")
        + rule("unused", "payment.ledgerref", "2027-01-01")
        + rule("old", "invoice.message", "2026-01-01")
        + rule("old and unused", "payment.message", "2026-01-01")
    )


def test_the_use_of_rules(answer: Make, taken: Make, refused: Make, rule_text: str) -> None:
    """Rules that excused something are counted, those that did nothing listed, and what expired ones would do."""
    rules, _ = read_rules(rule_text)
    judge = Judge(rules, on=TODAY, noise={("", "invoice.status_statuscode")}, unsure=frozenset({Address("invoice", 3)}))
    legacy = answer(
        responses=[taken(0, ledgerref="x"), taken(1, status_statuscode="x"), taken(3, ledgerref="x")],
        errors=[refused(2, "a")],
    )
    findings = Findings()
    bridge = answer(responses=[taken(0), taken(1), taken(3)], errors=[refused(2, "b")])
    findings.take(compare(legacy, bridge, judge), judge.organization_of)
    assert [(rule.id, count) for rule, count in findings.used(rules)] == [("used", 1)]
    assert [rule.id for rule in findings.unused(rules, TODAY)] == ["unused"]
    assert [(rule.id, count) for rule, count in findings.expired(rules, TODAY)] == [("old", 1), ("old and unused", 0)]
    assert findings.excuses == {"used": 1, "noise": 1, "not predicted": 1}
    assert findings.not_predicted == 1
    assert (findings.rows_in(Bucket.EXCUSED), findings.rows_in(Bucket.DIFFERENT)) == (3, 1)


def test_one_organization_of_a_mixed_batch(answer: Make, taken: Make) -> None:
    """With `only`, other organizations' rows are left aside, and so is a batch that is not the organization's alone."""

    def whose(address: Address | None) -> str:
        return "" if address is None else "AB"[address.objectindex]

    legacy = answer(responses=[taken(0, ledgerref="x"), taken(1, ledgerref="x")], statuscode=1)
    comparison = compare(legacy, answer(responses=[taken(0), taken(1)]), Judge())
    findings = Findings()
    findings.take(comparison, whose, only="B")
    assert findings.rows == {("B", Bucket.DIFFERENT): 1}
    assert findings.batches == {}
    assert [leaf.path for leaf in findings.tree.leaves()] == ["invoice.ledgerref"]
    assert not Findings().differs
