"""What a `Content-Encoding` did to a body, undone piece by piece, so that nothing is held that nobody has counted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bridge.errors import NotJson, UnreadableBatch

_PIECE_BYTES = 1 << 18
"""The most that comes out at a time, and goes in: what does not come out yet is copied for the next time."""
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
"""zlib's numbers for the three wrappings."""
_MOST_MEMBERS = 100
"""Each gzip member starts a stream of its own; a body of empty ones must not keep the bridge busy."""
_PLAIN, _GZIPPED, _DEFLATED = ("", "identity"), ("gzip", "x-gzip"), ("deflate",)


class Inflater:
    """Undoes one body's coding as it comes in.

    Raises NotJson (415) for a coding not known here, UnreadableBatch for damaged data. How much may come out is for
    the caller to watch: each piece is small.
    """

    def __init__(self, encoding: str | None) -> None:
        self._coding = (encoding or "").strip().lower()
        if self._coding not in (*_PLAIN, *_GZIPPED, *_DEFLATED):
            raise NotJson("This Content-Encoding is not supported: send gzip, deflate or no coding at all.")
        self.plain = self._coding in _PLAIN
        self._stream = zlib.decompressobj(_GZIP) if self._coding in _GZIPPED else None
        self._first = b""
        self._members = 1

    def feed(self, packed: bytes) -> Iterator[bytes]:
        """Yield what a piece of the body becomes, in pieces; take all of them before feeding the next."""
        for start in range(0, len(packed), _PIECE_BYTES):
            piece = packed[start : start + _PIECE_BYTES]
            yield from (piece,) if self.plain else self._inflate(piece)

    def finish(self) -> None:
        """Check that the body was whole."""
        if not self.plain and (self._stream is None or not self._stream.eof):
            raise UnreadableBatch("The compressed body ends too early: send it again.")

    def _inflate(self, packed: bytes) -> Iterator[bytes]:
        stream = self._stream or self._recognize(packed)
        if stream is None:
            return
        packed, self._first = self._first + packed, b""
        held_back = False
        while packed or (held_back and not stream.eof):
            if stream.eof:
                stream = self._stream = self._next_member()
            try:
                out = stream.decompress(packed, _PIECE_BYTES)
            except zlib.error:
                raise UnreadableBatch("The compressed body is damaged: send it again.") from None
            if out:
                yield out
            held_back = len(out) == _PIECE_BYTES
            packed = stream.unused_data if stream.eof else stream.unconsumed_tail

    def _recognize(self, packed: bytes) -> zlib._Decompress | None:
        """Tell deflate with its zlib wrapping, as the standard says, from deflate without, as old clients send it."""
        first = (self._first + packed)[:2]
        if len(first) < 2:
            self._first = first
            return None
        wrapped = first[0] & 15 == 8 and int.from_bytes(first, "big") % 31 == 0
        self._stream = zlib.decompressobj(_ZLIB if wrapped else _RAW_DEFLATE)
        return self._stream

    def _next_member(self) -> zlib._Decompress:
        """Start on what follows a stream: gzip may come in several members, deflate has one end."""
        if self._coding in _DEFLATED:
            raise UnreadableBatch("The compressed body has bytes after its end: send it again.")
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise UnreadableBatch(f"The compressed body has more than {_MOST_MEMBERS} gzip members: send it as one.")
        return zlib.decompressobj(_GZIP)
