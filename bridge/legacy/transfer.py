"""Media type and charset of a body, undone: bytes in, UTF-8 JSON bytes out."""

from __future__ import annotations

import codecs

from bridge.errors import NotJson, UnreadableBatch

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
