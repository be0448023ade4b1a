"""Content coding and charset of a request body."""

import codecs
import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BatchTooLarge, CallerError, NotJson, UnreadableBatch
from bridge.legacy.body import Inflater, decode_body

BODY = '{"batchid": "Tromsø €"}'
MEGABYTE = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def inflate(body: bytes, coding: str | None, limit_bytes: int) -> bytes:
    """Undo a coding as whoever reads a body does: each piece is counted before it is kept."""
    inflater, out = Inflater(coding), bytearray()
    for piece in inflater.feed(body):
        out += piece
        if len(out) > limit_bytes:
            raise BatchTooLarge
    inflater.finish()
    return bytes(out)


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    " GZIP ": gzip.compress,
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_compressed_body_is_inflated(coding: Any) -> None:
    """gzip and deflate are undone, whatever the letter case."""
    assert inflate(CODINGS[coding](BODY.encode()), coding, MEGABYTE) == BODY.encode()


def test_deflate_without_its_wrapping_is_inflated() -> None:
    """Raw deflate, as old clients send it, is understood."""
    assert inflate(raw_deflate(BODY.encode()), "deflate", MEGABYTE) == BODY.encode()


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "three gzip members": ("gzip", lambda data: b"".join(map(gzip.compress, (data[:9], b"", data[9:])))),
}


@pytest.mark.parametrize("cut", [1, 2, 3, 7, MEGABYTE])
@pytest.mark.parametrize(("coding", "pack"), PACKERS.values(), ids=PACKERS)
def test_a_body_is_inflated_however_it_is_cut(coding: str, pack: Any, cut: int) -> None:
    """It comes over the network in pieces of any size; what comes out is never more than a piece at a time."""
    body = bytes(range(256)) * 300 + bytes(3 * MEGABYTE)
    packed = pack(body)
    inflater = Inflater(coding)
    out = [made for start in range(0, len(packed), cut) for made in inflater.feed(packed[start : start + cut])]
    inflater.finish()
    assert b"".join(out) == body
    assert max(map(len, out)) <= MEGABYTE // 4
    assert all(out)


@pytest.mark.parametrize("coding", [None, "", "identity"])
def test_a_plain_body_is_left_alone(coding: Any) -> None:
    """No coding means the bytes as they are, up to the limit."""
    assert inflate(b"{}", coding, 2) == b"{}"
    with pytest.raises(BatchTooLarge):
        inflate(b"{} ", coding, 2)


def test_a_body_of_several_gzip_members_is_inflated() -> None:
    """Members one after the other make one body."""
    assert inflate(gzip.compress(b'{"a"') + gzip.compress(b":1}"), "gzip", 7) == b'{"a":1}'


def test_gzip_members_count_together_against_the_limit() -> None:
    """The limit holds for the sum of all members."""
    with pytest.raises(BatchTooLarge):
        inflate(gzip.compress(b"12345") + gzip.compress(b"6789"), "gzip", 8)


def test_a_body_of_very_many_gzip_members_is_refused() -> None:
    """Each member costs work, so their number is bounded."""
    with pytest.raises(UnreadableBatch, match="members"):
        inflate(gzip.compress(b"") * 101, "gzip", MEGABYTE)


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress, raw_deflate])
def test_the_limit_is_on_the_inflated_size(pack: Any) -> None:
    """Exactly the limit passes; one byte more does not."""
    coding = "gzip" if pack is gzip.compress else "deflate"
    assert len(inflate(pack(b"x" * 1000), coding, 1000)) == 1000
    with pytest.raises(BatchTooLarge):
        inflate(pack(b"x" * 1001), coding, 1000)


def test_a_bomb_is_not_unpacked() -> None:
    """A small body that would become huge never takes much more memory than the limit."""
    bomb = gzip.compress(bytes(64 * MEGABYTE))
    tracemalloc.start()
    with pytest.raises(BatchTooLarge):
        inflate(bomb, "gzip", MEGABYTE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MEGABYTE


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_damaged_data_is_unreadable(coding: Any) -> None:
    """Truncated data, garbage, and trailing bytes are told apart from a batch."""
    packed = CODINGS[coding](BODY.encode())
    for damaged in (packed[:-3], b"garbage", packed + b"x", b"", packed[:4]):
        with pytest.raises(UnreadableBatch, match="compressed"):
            inflate(damaged, coding, MEGABYTE)


def test_an_unknown_coding_is_not_supported() -> None:
    """A coding other than gzip and deflate answers 415 and names those."""
    with pytest.raises(NotJson, match="gzip, deflate"):
        inflate(b"", "br", MEGABYTE)


@given(data=st.binary(max_size=300), coding=st.sampled_from(["gzip", "deflate", "identity", "br"]))
def test_inflating_never_fails_otherwise(data: Any, coding: Any) -> None:
    """Any bytes give bytes within the limit, or an error for the caller."""
    with contextlib.suppress(CallerError):
        assert len(inflate(data, coding, 100)) <= 100


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/json-patch+json",
        "text/json",
        "application/problem+json",
        "application/*+json",
    ],
)
def test_json_media_types_are_taken(content_type: Any) -> None:
    """Every media type that means JSON is taken, and none at all."""
    assert decode_body(b"{}", content_type) == b"{}"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "image/svg+json", "json", "application/json+xml"]
)
def test_other_media_types_are_not_json(content_type: Any) -> None:
    """Any other media type answers 415."""
    with pytest.raises(NotJson, match="application/json"):
        decode_body(b"{}", content_type)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("iso-8859-15", "iso8859-15"),
        ("windows-1252", "cp1252"),
        ('"Windows-1252"', "cp1252"),
        ("utf-16", "utf-16-le"),
        ("utf-16be", "utf-16-be"),
        ("UTF8", "utf-8"),
    ],
)
def test_the_charset_is_honoured(charset: Any, codec: Any) -> None:
    """A declared charset decides how the bytes are read."""
    assert decode_body(BODY.encode(codec), f"application/json; charset={charset}").decode() == BODY


def test_latin_1_is_honoured() -> None:
    """iso-8859-1 is read as declared."""
    assert decode_body("ø".encode("latin-1"), "application/json;x=y;charset=iso-8859-1").decode() == "ø"


@pytest.mark.parametrize(
    ("mark", "codec"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
@pytest.mark.parametrize("content_type", [None, "application/json; charset=iso-8859-1"])
def test_a_byte_order_mark_decides_first(mark: Any, codec: Any, content_type: Any) -> None:
    """A byte-order mark is taken off and wins over the charset."""
    assert decode_body(mark + BODY.encode(codec), content_type).decode() == BODY


@pytest.mark.parametrize("charset", ["klingon", "unicode_escape", "idna", "zlib_codec", "utf-7", "\0"])
def test_an_unknown_charset_is_unreadable(charset: Any) -> None:
    """A charset outside the list is refused with what to send instead; Python's own odd codecs are outside."""
    with pytest.raises(UnreadableBatch, match="windows-1252"):
        decode_body(b"{}", f"application/json; charset={charset}")


@pytest.mark.parametrize(
    ("body", "content_type", "position"),
    [
        (b"\xff", None, 0),
        (b"abc\xed\xa0\x80", None, 3),
        (b"\x81", "text/json; charset=windows-1252", 0),
        (b"x" * MEGABYTE + b"\xc3", None, MEGABYTE),
        (b"x" * (MEGABYTE - 1) + "ø".encode() + b"\xff", None, MEGABYTE + 1),
        (b"x" * (MEGABYTE - 1) + b"\xc3x", None, MEGABYTE - 1),
    ],
)
def test_bytes_that_do_not_fit_the_charset_are_unreadable(body: Any, content_type: Any, position: Any) -> None:
    """The message tells the byte, also across the chunks the check works in."""
    with pytest.raises(UnreadableBatch, match=rf"\(byte {position}\)"):
        decode_body(body, content_type)


def test_a_large_text_across_chunks_is_taken() -> None:
    """A sign that lies across the border of two chunks is whole."""
    body = b"x" * (MEGABYTE - 1) + "øå".encode()
    assert decode_body(body, None) == body
