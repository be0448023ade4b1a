"""The heads of messages on their way: what travels on does so as it came, what belongs to a connection stays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.http import HttpVersion10, HttpVersion11, RawResponseMessage
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from bridge.errors import NoAnswer
from bridge.passthrough import heads
from bridge.passthrough.heads import HOP_BY_HOP, OURS, Head, write_answer_head, write_request_head

RawHeaders = list[tuple[bytes, bytes]]
NAMES = st.sampled_from(
    [
        b"X-A",
        b"x-a",
        b"X-B",
        b"Host",
        b"TE",
        b"Upgrade",
        b"Keep-Alive",
        b"Transfer-Encoding",
        b"Content-Length",
        b"Expect",
    ]
)
VALUES = st.binary(max_size=12).map(lambda value: value.translate(None, b"\r\n\0"))
NAMED = st.lists(st.sampled_from([b"close", b"keep-alive", b"x-a", b"X-B", b"content-length"]), max_size=3)
HEADERS = st.lists(st.tuples(NAMES, VALUES) | st.tuples(st.just(b"Connection"), NAMED.map(b" , ".join)), max_size=8)


def request(raw: RawHeaders, *, old: bool = False, keep_alive: bool = True) -> web.BaseRequest:
    version = HttpVersion10 if old else HttpVersion11
    told = SimpleNamespace(raw_headers=tuple(raw), method="POST", version=version, keep_alive=keep_alive)
    return cast("web.BaseRequest", told)


def message(raw: RawHeaders, *, chunked: bool = False) -> RawResponseMessage:
    nothing: CIMultiDictProxy[str] = CIMultiDictProxy(CIMultiDict())
    return RawResponseMessage(HttpVersion11, 200, "Fine", nothing, tuple(raw), False, None, False, chunked)


def travelling(raw: RawHeaders, own: frozenset[bytes] = frozenset()) -> list[bytes]:
    """Return the lines that travel on, by the letter of RFC 9110, section 7.6.1."""
    named = {one.strip().lower() for name, value in raw if name == b"Connection" for one in value.split(b",")}
    stays = HOP_BY_HOP | own | (named - {b"close", b"keep-alive"})
    return [b"%b: %b" % (name, value) for name, value in raw if name.lower() not in stays]


def lines(head: Head) -> list[bytes]:
    assert head.text.endswith(b"\r\n\r\n")
    return head.text[:-4].split(b"\r\n")


@given(HEADERS)
def test_a_request_keeps_what_is_not_of_its_connection(raw: RawHeaders) -> None:
    """In its order and spelling, behind the host it goes to; without a length it goes in chunks."""
    head = write_request_head(request(raw), "/a?b", "legacy:1", has_body=True)
    first, host, *rest = lines(head)
    kept = travelling(raw, OURS)
    assert (first, host) == (b"POST /a?b HTTP/1.1", b"Host: legacy:1")
    assert rest == kept + [b"Transfer-Encoding: chunked"] * head.chunked
    assert head.chunked is not any(one.startswith(b"Content-Length") for one in kept)
    assert not write_request_head(request(raw), "/", "h", has_body=False).chunked


@given(HEADERS, st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_an_answer_keeps_what_is_not_of_its_connection(
    raw: RawHeaders, chunked: bool, has_body: bool, old: bool, keep_alive: bool
) -> None:
    """What the caller needs to know where it ends comes behind that, and exactly once."""
    asked = request([], old=old, keep_alive=keep_alive)
    head = write_answer_head(asked, message(raw, chunked=chunked), has_body=has_body)
    kept = travelling(raw, frozenset({b"content-length"}) if chunked else frozenset())
    first, *rest = lines(head)
    assert first == (b"HTTP/1.0 200 Fine" if old else b"HTTP/1.1 200 Fine")
    assert rest[: len(kept)] == kept
    has_length = any(one.startswith(b"Content-Length") for one in kept)
    assert head.chunked is (has_body and not has_length and not old)
    assert head.keeps is (keep_alive and (has_length or not has_body or not old))
    said = [b"Transfer-Encoding: chunked"] * head.chunked
    said += [b"Connection: keep-alive"] * (head.keeps and old) + [b"Connection: close"] * (not head.keeps and not old)
    assert rest[len(kept) :] == said


@pytest.mark.parametrize("value", [b"1\r\nX-B: 2", b"1\nX-B: 2", b"1\rX-B: 2"])
def test_a_value_that_would_be_two_lines_is_refused(value: bytes) -> None:
    """Whatever a parser takes for a line break."""
    with pytest.raises(NoAnswer, match="line break"):
        write_answer_head(request([]), message([(b"X-A", value)]), has_body=False)


def test_names_that_nobody_uses_again_take_no_memory(monkeypatch: Any) -> None:
    """What is remembered of names is bounded; all of them still pass."""
    monkeypatch.setattr(heads, "NAMES_KEPT", 3)
    monkeypatch.setattr(heads, "_names", {})
    raw = [(b"X-%d" % number, b"1") for number in range(10)]
    assert lines(write_request_head(request(raw), "/", "h", has_body=False))[2:] == travelling(raw)
    assert len(heads._names) <= 3
