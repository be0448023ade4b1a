"""JSON at its edges, in every place of a legacy body: valid text is read, other text is told apart, nothing breaks."""

import contextlib

import pytest

from bridge.batch import OBJECTNAMES, Outcome, Row
from bridge.errors import UnreadableBatch
from bridge.legacy.body import Envelope, decode_body, split
from bridge.legacy.fingerprint import Fingerprint
from bridge.legacy.reader import RowReader
from bridge.shape import Field, FieldType, Shape

VALID = (
    *(b"{}", b"[]", b"[[]   ]", b"0", b"-0", b"-1.5e-3", b"1E22", b"123e65", b"true", b"false", b"null", b'""', b" 1 "),
    *(
        b'"\\u0060\\u012a\\u12AB"',
        b'"\\ud801\\udc37"',
        b'"\\"\\\\\\/\\b\\f\\n\\r\\t"',
        b'"\\uFFFF"',
        b'"\x7f"',
        b'"\\u0000"',
    ),
    *('"€𝄞\u2028"'.encode(), b'{"":0}', b'{"a":1,"a":2}', b'{"a":{"b":[{"c":null}]}}', b"\t[\n1\r, 2 ]", b"9" * 40),
    *(b"1e400", b"-1e400", b"1e-400", b"0." + b"1" * 400, b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\udead":1}'),
    *(b"[" * 500 + b"]" * 500, b"[" * 50_000 + b"]" * 50_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
)
INVALID = (
    *(
        b"[1,]",
        b"[,1]",
        b"[1,,2]",
        b"[1 2]",
        b"[1",
        b"]",
        b"[1]]",
        b"{",
        b"}",
        b'{"a"}',
        b'{"a":}',
        b'{"a":1,}',
        b"{,}",
    ),
    *(
        b"{a:1}",
        b"{'a':1}",
        b'{"a" "b"}',
        b'{"a":1 "b":2}',
        b"{1:1}",
        b"{[:1}",
        b"NaN",
        b"Infinity",
        b"-",
        b"+1",
        b"01",
        b"-01",
    ),
    *(
        b"1.",
        b".5",
        b"1e",
        b"1e+",
        b"0x1",
        b"1_000",
        b"1a",
        b"tru",
        b"True",
        b"nul",
        b"nil",
        b'"',
        b'"\\',
        b'"\\x"',
        b'"\\u12"',
    ),
    *(
        b'"\\u00zz"',
        b'"a\tb"',
        b'"a\nb"',
        b'"\x00"',
        b"'a'",
        b"//c",
        b"1/*c*/",
        b"#",
        b"\x00",
        b"\x0c1",
        b"\xef\xbb\xbf1",
        b"\xe2\x80\x8b1",
    ),
    *(
        b"\xff",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'"\xf4\xbf\xbf\xbf"',
        b'"\xc3"',
        b"[" * 50_000,
        b'[{"a":' * 50_000,
        b"[1}",
        b'{"a":1]',
    ),
)
AROUND = (
    (b'{"invoice":[', b"]}"),
    (b'{"invoice":[{"x":', b"},{}]}"),
    (b'{"invoice":[{"text":', b"},{}]}"),
    (b'{"unknown":', b',"invoice":[{}]}'),
)
TAKES_ANYTHING = Shape("invoice", tuple(Field(kind.value, kind) for kind in FieldType))


def short(text: bytes) -> str:
    return repr(text[:20])


def read(text: bytes) -> tuple[Envelope, list[Row | Outcome]]:
    """Take a body as far as the bridge reads it."""
    envelope = split(decode_body(text, "application/json"))
    digest, reader = Fingerprint(), RowReader({"invoice": TAKES_ANYTHING})
    results: list[Row | Outcome] = []
    for name in OBJECTNAMES:
        digest.update(name, envelope.rows[name])
        results += reader.read_many(name, 0, envelope.rows[name])
    assert len(digest.hexdigest()) == 64
    return envelope, results


@pytest.mark.parametrize("around", AROUND, ids=["row", "unknown field", "field", "unknown property"])
@pytest.mark.parametrize("text", VALID, ids=short)
def test_valid_json_is_read(text: bytes, around: tuple[bytes, bytes]) -> None:
    """Every row of valid JSON is read or refused by itself, whatever stands in it."""
    envelope, results = read(around[0] + text + around[1])
    assert len(results) == envelope.row_count
    if len(results) == 2:
        assert isinstance(results[1], Row), "the neighbour of an odd row is read"


@pytest.mark.parametrize("around", AROUND, ids=["row", "unknown field", "field", "unknown property"])
@pytest.mark.parametrize("text", INVALID, ids=short)
def test_other_text_is_unreadable(text: bytes, around: tuple[bytes, bytes]) -> None:
    """Text that is not JSON is refused as a whole, wherever in the body it stands."""
    with pytest.raises(UnreadableBatch):
        read(around[0] + text + around[1])


@pytest.mark.parametrize("text", VALID + INVALID, ids=short)
@pytest.mark.parametrize("around", [(b"", b""), (b'{"batchid":', b"}"), (b'{"offline":', b"}"), (b'{"action":', b"}")])
def test_nothing_breaks_elsewhere(text: bytes, around: tuple[bytes, bytes]) -> None:
    """As a whole body, as its name, as its wish or as an array: read, or unreadable, and nothing else."""
    with contextlib.suppress(UnreadableBatch):
        read(around[0] + text + around[1])
