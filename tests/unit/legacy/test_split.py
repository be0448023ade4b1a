"""A body split into its envelope and raw rows."""

import contextlib
import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import OBJECTNAMES
from bridge.errors import UnreadableBatch
from bridge.legacy.body import Envelope, split

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def written(envelope: Envelope, name: str) -> list[bytes]:
    return [bytes(raw) for raw in envelope.rows[name]]


def test_an_empty_object_is_an_empty_batch() -> None:
    """Every array is there and empty; no batchid, not offline, nothing unknown."""
    envelope = split(b" {} ")
    assert envelope == Envelope("", False, {name: [] for name in OBJECTNAMES}, ())
    assert envelope.row_count == 0


def test_rows_stay_raw_and_in_order() -> None:
    """Each element keeps its bytes, whatever it is."""
    envelope = split(b'{"invoice":[{"a":1.00}, 5, null,"x"],"payment":null,"action":[{}]}')
    assert written(envelope, "invoice") == [b'{"a":1.00}', b"5", b"null", b'"x"']
    assert envelope.rows["payment"] == []
    assert envelope.row_count == 5


def test_names_match_in_any_letter_case() -> None:
    """Top-level names are found however they are spelled, and others are reported."""
    envelope = split(b'{"BatchId":"7","OFFLINE":true,"Invoice":[1],"extra":1,"e\\u0000":2}')
    assert (envelope.batchid, envelope.offline, envelope.row_count) == ("7", True, 1)
    assert envelope.unknown == ("extra", "e?")


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"invoice":[1],"Invoice":[2]}', [b"2"]),
        (b'{"Invoice":[1],"invoice":null}', []),
        (b'{"invoice":[1],"Invoice":[2],"invoice":[3]}', [b"3"]),
        (b'{"invoice":[1],"invoice":[4]}', [b"4"]),
    ],
)
def test_the_last_spelling_wins(body: Any, rows: Any) -> None:
    """Of several spellings of one array the last counts, even when the first comes again."""
    assert written(split(body), "invoice") == rows


@pytest.mark.parametrize(
    ("token", "batchid"),
    [(b'" A-1 "', "A-1"), (b"12", "12"), (b"12.50", "12.50"), (b"-1e400", "-1e400"), (b"null", ""), (b'"  "', "")],
)
def test_a_batchid_is_text_or_a_number(token: Any, batchid: Any) -> None:
    """Texts are trimmed; numbers keep the digits they were written with."""
    assert split(b'{"batchid":' + token + b"}").batchid == batchid


@pytest.mark.parametrize(
    "token", [b"true", b"[]", b"{}", b'"' + b"x" * 501 + b'"', b'"\\u0000"', b'"\\ud800"', b'"\xff"']
)
def test_any_other_batchid_is_unreadable(token: Any) -> None:
    """What cannot name a batch is refused, by its name."""
    with pytest.raises(UnreadableBatch, match=r"^batchid: "):
        split(b'{"batchid":' + token + b"}")


@pytest.mark.parametrize(
    ("token", "offline"),
    [
        (b"true", True),
        (b'" True "', True),
        (b"1", True),
        (b'"1"', True),
        (b"false", False),
        (b"0", False),
        (b"null", False),
        (b'""', False),
        (b'"FALSE"', False),
    ],
)
def test_offline_is_read_leniently(token: Any, offline: Any) -> None:
    """Booleans, their texts, and 1 and 0 are understood; nothing means no."""
    assert split(b'{"offline":' + token + b"}").offline is offline


@pytest.mark.parametrize("token", [b"2", b'"yes"', b"[]", b"{}", b'"\\ud800"', b"[" * 5000 + b"]" * 5000])
def test_any_other_offline_is_unreadable(token: Any) -> None:
    """What is neither yes nor no is refused, by its name."""
    with pytest.raises(UnreadableBatch, match=r"^offline: "):
        split(b'{"offline":' + token + b"}")


@pytest.mark.parametrize("token", [b"{}", b"1", b'"x"', b"true", b'"\\ud800"', b'{"a":"\\ud800"}'])
def test_an_array_field_that_is_no_array_is_unreadable(token: Any) -> None:
    """The message names the field."""
    with pytest.raises(UnreadableBatch, match=r"^payment: not an array"):
        split(b'{"Payment":' + token + b"}")


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_unreadable(body: Any) -> None:
    """JSON of another kind is told apart from text that is not JSON."""
    with pytest.raises(UnreadableBatch, match="not a JSON object"):
        split(body)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b"", "line 1, column 1 (byte 0)"),
        (b'{"a":1,}', "line 1, column 8 (byte 7)"),
        (b'{"secret":\n  oops}', "line 2, column 3 (byte 13)"),
        (b'{"invoice":[{"a":01}]}', "byte 18"),
        (b'{"invoice":[1 2]}', "byte 14"),
        (b'{"a":1} x', "byte 8"),
        (b'{"a" 1}', "byte 5"),
        (b"{a:1}", "byte 1"),
        (b'{"a":"\\ud800", "b":[1,}', "byte 23"),
        (b'{"a":"\\ud800"', "byte 13"),
        (b'{"a":"\\ud800","b":}', "byte"),
        (b'{"a":"\\ud800",,}', "byte"),
        (b'{"\\q":1}', "byte"),
        (b'{"a":"\\ud800","invoice":[1,2', "byte"),
        (b'{"a":"\\ud800","invoice":[1,oops]}', "byte"),
        (b'{"a":"\\ud800","invoice":[1 2]}', "byte"),
        (b'{"a":"\\ud800","invoice":[01],"Invoice":[]}', "byte"),
        (b'{"a":"\\ud800","\xff":1}', "byte"),
        (b"\xff", "byte"),
        (b'{"a', "byte"),
        (b"{" + b"[" * 100_000, "byte"),
        (b'{"a":' + b"[" * 100_000, "byte"),
        (b'{"a":' + b'{"a":' * 100_000, "byte"),
    ],
)
def test_text_that_is_not_json_is_unreadable(body: Any, place: Any) -> None:
    """The message tells where, and never repeats what stands there."""
    with pytest.raises(UnreadableBatch) as refusal:
        split(body)
    assert place in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "oops" not in str(refusal.value)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800 \\\\ud800"}',
        b'{"\\ud800":1}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_one_row_that_cannot_be_decoded_leaves_the_others_alone(bad: Any) -> None:
    """Half a surrogate pair, or brackets without end, are one row's affair: valid JSON, so the batch is taken."""
    envelope = split(b'{"invoice":[{"b":"]"} , ' + bad + b', {"c":"\\""}],"payment":[1],"x":"\\udfff"}')
    assert written(envelope, "invoice") == [b'{"b":"]"}', bad, b'{"c":"\\""}']
    assert written(envelope, "payment") == [b"1"]
    assert envelope.unknown == ("x",)


def test_a_name_with_half_a_surrogate_pair_is_reported() -> None:
    """A top-level name that is not Unicode is an unknown one."""
    assert split(b'{"\\ud800":1,"invoice":[]}').unknown == ("\ufffd",)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":"' + b'\\"' * 500_000,
        b'{"a":"\\ud800","b":[' + b'"\\"' * 100_000,
        b'{"a":"\\ud800","invoice":[' + b"1," * 100_000 + b"1]}",
        b'{"invoice":[' + b'{"a":"\\ud800"},' * 20_000 + b"1]}",
    ],
)
def test_hostile_bodies_cost_little(body: Any) -> None:
    """Brackets, quotes and backslashes by the hundred thousand are worked in linear time."""
    started = time.perf_counter()
    with contextlib.suppress(UnreadableBatch):
        split(body)
    assert time.perf_counter() - started < 2


def test_unknown_names_are_bounded() -> None:
    """A body of nothing but strange properties cannot fill a report."""
    envelope = split(json.dumps({f"{number:04}" * 50: 1 for number in range(1000)}).encode())
    assert len(envelope.unknown) == 50
    assert max(map(len, envelope.unknown)) < 70


@given(st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_splitting_never_fails_otherwise(body: Any) -> None:
    """Any bytes give an envelope or say that they are unreadable."""
    with contextlib.suppress(UnreadableBatch):
        split(body)


@given(st.dictionaries(st.sampled_from([*OBJECTNAMES, "other", '"', "ø"]), st.lists(JSON, max_size=4)))
def test_every_element_comes_back(batch: Any) -> None:
    """What was sent in an array is what stands in the envelope, element by element, on both ways of splitting."""
    body = msgspec.json.encode(batch)
    doubtful = b'{"\\ud800":1' + b"," * bool(batch) + body[1:]
    for envelope in (split(body), split(doubtful)):
        for name in OBJECTNAMES:
            assert [json.loads(bytes(raw)) for raw in envelope.rows[name]] == json.loads(body).get(name, [])
