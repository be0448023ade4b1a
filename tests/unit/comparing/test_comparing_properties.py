"""What holds for whatever two systems may answer."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address
from bridge.comparing import Answer, Bucket, Findings, Judge, Kind, Rules, compare, read_rules

RULES = """
[fields]
undocumented = ["invoice.x", "payment.x"]
[[rule]]
id = "wild"
path = "*.*"
does = "ignore"
owner = "o"
reason = "r"
expires = 2027-01-01
[[rule]]
id = "pairs"
path = "*.x"
does = "reference"
owner = "o"
reason = "r"
expires = 2027-01-01
"""
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, "1", "", "Å", 10**30, -0.0])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "X", "y"]), inner, max_size=3),
    max_leaves=6,
)
ENTRIES = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {
            "objectname": st.sampled_from(["invoice", "Invoice", "payment", "batch", "thing"]),
            "objectindex": st.sampled_from([0, 1, 1.0, "1", -1]),
        },
        optional={"message": SCALARS, "ledgerref": SCALARS, "status_statuscode": SCALARS, "x": VALUES},
    ),
)
BODIES = st.one_of(
    st.builds(
        dict,
        statuscode=SCALARS,
        errors=st.lists(ENTRIES, max_size=4) | VALUES,
        responses=st.lists(ENTRIES, max_size=4) | VALUES,
    ).map(json.dumps),
    VALUES.map(json.dumps),
    st.text(max_size=20),
)
ANSWERS = st.builds(
    Answer, st.sampled_from([200, 201, 400, 503]), BODIES.map(lambda text: text.encode("utf-8", "replace"))
)
JUDGES = st.builds(
    Judge,
    rules=st.sampled_from([Rules(), read_rules(RULES)[0]]),
    on=st.sampled_from([date(2026, 1, 1), date(2028, 1, 1)]),
    unsure=st.frozensets(st.builds(Address, st.sampled_from(["invoice", "payment"]), st.integers(0, 1))),
    noise=st.sampled_from([(), {("", "invoice.ledgerref"), ("", "invoice.x")}]),
)


def addresses_in(answer: Answer) -> set[Address]:
    """Read the rows of an answer in another way than the bridge does."""
    try:
        content: Any = json.loads(answer.body)
    except ValueError:
        return set()
    found = set()
    for name in ("errors", "responses"):
        entries = content.get(name) if isinstance(content, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("objectname") and "objectindex" in entry:
                found.add(Address(entry["objectname"].lower(), int(entry["objectindex"])))
    return {address for address in found if address.objectname != "batch"}


@given(ANSWERS, ANSWERS, JUDGES)
def test_every_row_is_in_one_bucket(legacy: Answer, bridge: Answer, judge: Judge) -> None:
    """Every row of either answer is in exactly one bucket, which follows from its differences; so does the batch's."""
    found = compare(legacy, bridge, judge)
    assert found.rows.keys() == addresses_in(legacy) | addresses_in(bridge)
    for address, bucket in [*found.rows.items(), (None, found.whole)]:
        buckets = {one.bucket for one in found.differences if one.address == address}
        assert buckets <= {Bucket.DIFFERENT, Bucket.EXCUSED}
        if bucket is Bucket.SAME:
            assert buckets == set()
        elif bucket is Bucket.EXCUSED:
            assert buckets == {Bucket.EXCUSED} or (not buckets and address in judge.unsure)
        else:
            assert Bucket.DIFFERENT in buckets


@given(ANSWERS, ANSWERS, JUDGES)
def test_findings_add_up(legacy: Answer, bridge: Answer, judge: Judge) -> None:
    """Nothing gets lost in the sums: rows, batches and leaves count what the comparison told."""
    found, findings = compare(legacy, bridge, judge), Findings()
    findings.take(found, judge.organization_of)
    assert sum(findings.rows_in(bucket) for bucket in Bucket) == len(found.rows)
    assert findings.batches.total() == 1
    assert sum(leaf.count for leaf in findings.tree.leaves()) == len(found.differences)
    differing = {one.bucket for one in found.differences}
    assert findings.differs == (Bucket.DIFFERENT in differing)


@given(ANSWERS, JUDGES)
def test_an_answer_does_not_differ_from_itself(answer: Answer, judge: Judge) -> None:
    """An answer is the same as itself, in every row."""
    found = compare(answer, answer, judge)
    assert found.differences == ()
    assert found.whole is Bucket.SAME


@given(ANSWERS, ANSWERS)
def test_the_other_way_round(legacy: Answer, bridge: Answer) -> None:
    """What is missing one way is extra the other way, and everything else stays."""
    turned = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING}
    there, back = compare(legacy, bridge, Judge()), compare(bridge, legacy, Judge())
    assert there.rows == back.rows
    one = sorted(
        (turned.get(each.kind, each.kind), each.path.lower(), each.bridge, each.legacy) for each in there.differences
    )
    other = sorted((each.kind, each.path.lower(), each.legacy, each.bridge) for each in back.differences)
    assert one == other


@given(ANSWERS, ANSWERS)
def test_no_wildcard_hides_a_verdict(legacy: Answer, bridge: Answer) -> None:
    """However answers differ, a rule for everything hides neither a verdict nor a row."""
    found = compare(legacy, bridge, Judge(read_rules(RULES)[0]))
    guarded = (".verdict", ".row")
    assert all(one.bucket is Bucket.DIFFERENT for one in found.differences if one.path.endswith(guarded))
