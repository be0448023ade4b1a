"""What happens to a body on the wire, undone: content coding and charset. Bytes in, UTF-8 JSON bytes out."""

from __future__ import annotations

import codecs
import zlib

from bridge.errors import BatchTooLarge, NotJson, UnreadableBatch

_MEDIA_TYPES = frozenset({"", "application/json", "application/json-patch+json", "text/json"})
_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "iso8859-1",
    "iso8859-1": "iso8859-1",
    "iso_8859-1": "iso8859-1",
    "latin1": "iso8859-1",
    "latin-1": "iso8859-1",
    "iso-8859-15": "iso8859-15",
    "iso8859-15": "iso8859-15",
    "windows-1252": "cp1252",
    "cp1252": "cp1252",
    "utf-16": "utf-16-le",  # little-endian unless a byte-order mark says otherwise, as .NET writes it
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
"""Charset name → codec. A list of our own: Python's registry also holds codecs that run for ever on a small body."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHUNK_BYTES = 1 << 20
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
"""zlib's numbers for the three wrappings."""
_MOST_MEMBERS = 100
"""Each member costs a copy of what follows it; a body of empty ones must not keep the bridge busy."""


def inflate(body: bytes, encoding: str | None, limit_bytes: int) -> bytes:
    """Undo a `Content-Encoding`; never make more than `limit_bytes` of it.

    Raises BatchTooLarge past the limit, UnreadableBatch for damaged data, NotJson (415) for a coding not known here.
    A large body keeps the processor busy for a while: call it off the event loop.
    """
    coding = (encoding or "identity").strip().lower()
    if coding in ("", "identity"):
        return _within(body, limit_bytes)
    if coding in ("gzip", "x-gzip"):
        return _inflate_members(body, limit_bytes)
    if coding == "deflate":
        return _inflate_deflate(body, limit_bytes)
    raise NotJson("This Content-Encoding is not supported: send gzip, deflate or no coding at all.")


def decode_body(body: bytes, content_type: str | None) -> bytes:
    """Return the body as UTF-8 without a byte-order mark.

    A byte-order mark decides before `charset` does, which decides before UTF-8. Raises NotJson for another media type,
    UnreadableBatch for an unknown charset or bytes that do not fit it.
    """
    media_type, charset = _parse(content_type or "")
    if media_type not in _MEDIA_TYPES and not (media_type.startswith("application/") and media_type.endswith("+json")):
        raise NotJson
    codec = _CHARSETS.get(charset or "utf-8")
    if codec is None:
        raise UnreadableBatch("The charset in Content-Type is not supported: send utf-8, iso-8859-1 or windows-1252.")
    for mark, marked in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            body, codec = body[len(mark) :], marked
            break
    try:
        return _to_utf8(body, codec)
    except UnicodeDecodeError as fault:
        remedy = "correct the text, or the charset in Content-Type"
        raise UnreadableBatch(f"The body is not {codec} text (byte {fault.start}): {remedy}.") from None


def _parse(content_type: str) -> tuple[str, str]:
    """Return the media type and the charset, both in lower case; empty when there is none."""
    media_type, *parameters = content_type.split(";")
    charset = ""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip("\"'").strip().lower()
    return media_type.strip().lower(), charset


def _to_utf8(body: bytes, codec: str) -> bytes:
    """Re-encode; UTF-8 itself is only checked, in chunks, because a 64 MB body would be 256 MB of text."""
    if codec != "utf-8":
        return body.decode(codec).encode("utf-8")
    if not body.isascii():
        decoder = codecs.getincrementaldecoder("utf-8")()
        for start in range(0, len(body), _CHUNK_BYTES):
            _check_chunk(decoder, body, start)
    return body


def _check_chunk(decoder: codecs.IncrementalDecoder, body: bytes, start: int) -> None:
    pending = len(decoder.getstate()[0])
    chunk = body[start : start + _CHUNK_BYTES]
    try:
        decoder.decode(chunk, final=start + _CHUNK_BYTES >= len(body))
    except UnicodeDecodeError as fault:
        fault.start += start - pending
        raise


def _within(body: bytes, limit_bytes: int) -> bytes:
    if len(body) > limit_bytes:
        raise BatchTooLarge
    return body


def _inflate_members(body: bytes, limit_bytes: int) -> bytes:
    """Undo gzip, which may come in several members one after the other."""
    out, rest = b"", body
    for _ in range(_MOST_MEMBERS):
        more, rest = _inflate_stream(rest, _GZIP, limit_bytes - len(out))
        out += more
        if not rest:
            return out
    raise UnreadableBatch(f"The compressed body has more than {_MOST_MEMBERS} gzip members: send it as one.")


def _inflate_deflate(body: bytes, limit_bytes: int) -> bytes:
    """Undo deflate: with its zlib wrapping, as the standard says, or without, as old clients send it."""
    try:
        out, rest = _inflate_stream(body, _ZLIB, limit_bytes)
    except UnreadableBatch:
        out, rest = _inflate_stream(body, _RAW_DEFLATE, limit_bytes)
    if rest:
        raise UnreadableBatch("The compressed body has bytes after its end: send it again.")
    return out


def _inflate_stream(body: bytes, wrapping: int, limit_bytes: int) -> tuple[bytes, bytes]:
    """Return one stream's content and what follows it."""
    stream = zlib.decompressobj(wrapping)
    try:
        out = stream.decompress(body, limit_bytes + 1)  # + 1: zero would mean no limit
    except zlib.error:
        raise UnreadableBatch("The compressed body is damaged: send it again.") from None
    _within(out, limit_bytes)
    if not stream.eof:
        raise UnreadableBatch("The compressed body ends too early: send it again.")
    return out, stream.unused_data
