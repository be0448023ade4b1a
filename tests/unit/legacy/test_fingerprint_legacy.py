"""What makes two contents the same."""

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import OBJECTNAMES
from bridge.legacy import fingerprint
from bridge.legacy.fingerprint import Fingerprint

NAMES = st.text(alphabet="abcøÆ1 ", min_size=1, max_size=4)
ROWS = st.dictionaries(
    NAMES,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.text(max_size=5)
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


def digest(*rows: bytes, objectname: str = "invoice") -> str:
    taken = Fingerprint()
    taken.update(objectname, list(rows))
    return taken.hexdigest()


def disguise(value: Any, chance: Any) -> Any:
    """Shuffle properties, change the letter case of their names, at every depth."""
    if isinstance(value, list):
        return [disguise(element, chance) for element in value]
    if not isinstance(value, dict):
        return value
    members = [(chance.choice((name.upper(), name.lower())), disguise(inner, chance)) for name, inner in value.items()]
    chance.shuffle(members)
    return dict(members)


def distinct_names(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(distinct_names, value))
    if not isinstance(value, dict):
        return True
    return len({name.upper().lower() for name in value}) == len(value) and all(map(distinct_names, value.values()))


@given(row=ROWS.filter(distinct_names), chance=st.randoms(use_true_random=False))
def test_order_case_and_white_space_do_not_matter(row: Any, chance: Any) -> None:
    """However properties are ordered, spelled or spread out, the content is the same."""
    plain = json.dumps(row, ensure_ascii=False).encode()
    disguised = json.dumps(disguise(row, chance), indent=2).encode()
    assert digest(plain) == digest(disguised)


@given(one=ROWS, other=ROWS)
def test_different_rows_differ(one: Any, other: Any) -> None:
    """Rows that say different things have different digests."""
    lowered = [
        msgspec.json.encode(fingerprint._fold(row), order="sorted") for row in (one, other) if distinct_names(row)
    ]
    if len(lowered) == 2 and lowered[0] != lowered[1]:
        assert digest(json.dumps(one).encode()) != digest(json.dumps(other).encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1}', b'{"a":"1"}'),
        (b'{"a":1}', b'{"a":2}'),
        (b'{"a":9007199254740993.01}', b'{"a":9007199254740993.02}'),
        (b'{"a":1}', b'{"a":true}'),
        (b'{"a":null}', b"{}"),
        (b'{"a":[1,2]}', b'{"a":[2,1]}'),
        (b'{"a":"x"}', b'{"a":"X"}'),
        (b'{"a":"x"}', b'{"a":"x "}'),
        (b'{"a":"\\ud800"}', b'{"a":"\\ud801"}'),
        (b'{"a":1e99999999999999999999}', b'{"a":1e99999999999999999998}'),
        (b"1", b"2"),
    ],
)
def test_everything_else_matters(one: Any, other: Any) -> None:
    """Types, digits, the letter case of texts and the order of elements make another content."""
    assert digest(one) != digest(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b'{"a":1,"A":2}', b'{"a":2}'),
        (b'{"A":2,"a":1,"A":3}', b'{"a":3}'),
        (b'{"x":[{"A":2,"a":1,"b":1.0}]}', b'{"x":[{"b":1.0,"a":1}]}'),
        (b'{"a":"\\u00f8"}', '{"a":"ø"}'.encode()),
    ],
)
def test_the_last_spelling_counts(one: Any, other: Any) -> None:
    """Of several spellings of a property the last is the content."""
    assert digest(one) == digest(other)


def test_rows_are_kept_apart() -> None:
    """Where one row ends and the next begins, which array they stand in, and their order all matter."""
    contents = [
        digest(b"1", b"2"),
        digest(b"2", b"1"),
        digest(b"12"),
        digest(b"1", b"2", objectname="payment"),
        digest(),
    ]
    assert len(set(contents)) == len(contents)


def test_a_row_that_cannot_be_decoded_is_no_other() -> None:
    """A row's raw bytes never look like another row's canonical form."""
    assert digest(b'"\\ud800"', b"1") != digest(b'"\\ud800"\n1')
    assert digest(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}") != digest(b"{}")


@given(st.lists(ROWS.map(msgspec.json.encode), max_size=6), st.integers(0, 6))
def test_slices_do_not_matter(rows: Any, cut: Any) -> None:
    """However the arrays are sliced and interleaved, the digest is the same."""
    sliced, whole = Fingerprint(), Fingerprint()
    for name in reversed(OBJECTNAMES):
        sliced.update(name, rows[:cut])
    for name in OBJECTNAMES:
        sliced.update(name, rows[cut:])
        whole.update(name, rows)
    assert sliced.hexdigest() == whole.hexdigest()


def test_an_empty_array_is_no_array() -> None:
    """Taking in no rows changes nothing."""
    taken = Fingerprint()
    taken.update("action", [])
    assert taken.hexdigest() == Fingerprint().hexdigest()


def test_the_memo_of_names_is_bounded(monkeypatch: Any) -> None:
    """A sender of ever new names cannot fill the memory."""
    monkeypatch.setattr(fingerprint, "_NAMES_KEPT", 10)
    names = [f"n{number}" for number in range(100)]
    random.Random(1).shuffle(names)
    for name in names:
        digest(b'{"%b":1}' % name.encode())
    assert len(fingerprint._lowered) <= 10


@given(st.binary(max_size=40))
def test_any_bytes_have_a_fingerprint(data: Any) -> None:
    """Nothing a caller sends makes it fail."""
    assert len(digest(data)) == 64
