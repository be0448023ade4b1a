"""The bodies of requests: read piece by piece, bounded each and all together, turned into UTF-8 JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.errors import BatchTooLarge, CannotTakeNow, UnreadableBatch
from bridge.legacy.body import decode_body, inflate

LARGE_BODY_BYTES = 512 * 1024
"""A body beyond this is decoded in a thread, so that it holds nobody up."""
EXPANSION = 3
"""A body takes about so many times its size until it is journalled: as it came, decoded, and split into rows."""
PAUSE_SECONDS = 60.0
"""Longest pause within a body; aiohttp itself waits for ever, also behind a chunk that it cannot read."""


class Room:
    """The memory one body takes of what all bodies may take together."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.taken = 0

    def take(self, count: int) -> None:
        """Take so many bytes; raises CannotTakeNow when there is no room, unless this body is the only one."""
        self.taken += count
        self._bodies.in_use += count
        if self._bodies.in_use > self._bodies.max_reading_bytes and self._bodies.in_use > self.taken:
            raise CannotTakeNow("too many large batches at once: send the same batch again in a few seconds")


class Bodies:
    """Read bodies of at most `max_body_bytes` (after inflating), all together within `max_reading_bytes`."""

    def __init__(self, *, max_body_bytes: int, max_reading_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self.max_reading_bytes = max_reading_bytes
        self.in_use = 0

    @asynccontextmanager
    async def read_json(self, request: web.Request) -> AsyncIterator[bytes]:
        """Yield the body as UTF-8 JSON; its room is given back when the context ends."""
        with self._room() as room:
            raw = await read_bounded(request, self._max_body_bytes, room)
            yield await self._decode(request, raw, room)

    async def _decode(self, request: web.Request, raw: bytes, room: Room) -> bytes:
        encoding, content_type = request.headers.get("Content-Encoding"), request.headers.get("Content-Type")
        if len(raw) <= LARGE_BODY_BYTES and not encoding:
            return decode_body(raw, content_type)
        inflated = await asyncio.to_thread(inflate, raw, encoding, self._max_body_bytes)
        room.take(max(0, len(inflated) - len(raw)) * EXPANSION)
        return await asyncio.to_thread(decode_body, inflated, content_type)

    @contextmanager
    def _room(self) -> Iterator[Room]:
        room = Room(self)
        try:
            yield room
        finally:
            self.in_use -= room.taken


async def read_bounded(request: web.Request, limit_bytes: int, room: Room | None = None) -> bytes:
    """Read a body; raises BatchTooLarge as soon as it is known to pass the limit."""
    if (request.content_length or 0) > limit_bytes:
        raise BatchTooLarge(_too_large(limit_bytes))
    pieces = bytearray()
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(PAUSE_SECONDS) as patience:
            async for piece in request.content.iter_any():
                patience.reschedule(now() + PAUSE_SECONDS)
                pieces += piece
                if len(pieces) > limit_bytes:
                    raise BatchTooLarge(_too_large(limit_bytes))
                if room is not None:
                    room.take(len(piece) * EXPANSION)
    except (HttpProcessingError, ConnectionError, TimeoutError) as broken:
        raise UnreadableBatch("the body broke off: send it again") from broken
    return bytes(pieces)


def _too_large(limit_bytes: int) -> str:
    return f"the body is larger than {limit_bytes // (1024 * 1024)} MB: split the batch"
