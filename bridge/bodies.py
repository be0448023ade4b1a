"""The bodies of requests: read and inflated piece by piece, bounded each and all together, turned into UTF-8 JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.errors import BatchTooLarge, CannotTakeNow, UnreadableBatch
from bridge.legacy.body import Inflater, decode_body

LARGE_BODY_BYTES = 512 * 1024
"""A body beyond this is decoded in a thread, so that it holds nobody up, and shares its room with other large ones."""
EXPANSION = 3
"""A body takes about so many times its size until it is journalled: as it came, decoded, and split into rows."""
LARGE_SHARE = 0.75
"""How much of the room large bodies may take together: the rest is for small ones, however many large ones come."""
PAUSE_SECONDS = 60.0
"""Longest pause within a body; aiohttp itself waits for ever, also behind a chunk that it cannot read."""


class Room:
    """The memory one body takes of what all bodies may take together."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.taken = 0

    @property
    def large(self) -> bool:
        """Tell whether it has outgrown what small bodies take."""
        return self.taken > LARGE_BODY_BYTES * EXPANSION

    def take(self, count: int) -> None:
        """Take so many bytes more; raises CannotTakeNow when there is no room for them."""
        self._change(count)
        if not self._bodies.has_room_for(self):
            raise CannotTakeNow("too many large batches at once: send the same batch again in a few seconds")

    def may_take(self, count: int) -> bool:
        """Take so many bytes more if there is room for them; else give everything back."""
        try:
            self.take(count)
        except CannotTakeNow:
            self.give_back()
            return False
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Give everything back."""
        self._change(-self.taken)

    def shrink(self, count: int) -> None:
        """Keep room for so many bytes at most."""
        self._change(min(count - self.taken, 0))

    def _change(self, count: int) -> None:
        before = self.taken if self.large else 0
        self.taken += count
        self._bodies.in_use += count
        self._bodies.in_use_by_large += (self.taken if self.large else 0) - before


@dataclass(frozen=True, slots=True)
class Whole:
    """A body as it came, to the byte, which may be read as well."""

    raw: bytes
    _headers: Mapping[str, str]
    _limit_bytes: int
    _room: Room

    async def read_json(self) -> bytes:
        """Return it as UTF-8 JSON; raises what `Bodies.read_json` does."""
        inflater = Inflater(self._headers.get("Content-Encoding"))
        if inflater.plain:
            return await decode(self.raw, self._headers.get("Content-Type"))
        arrival = _Arrival(self._limit_bytes, inflater, self._room)
        await arrival.add(self.raw)
        return await decode(arrival.finish(), self._headers.get("Content-Type"))

    def settle(self) -> None:
        """Give back the room for what it was read into."""
        self._room.shrink(len(self.raw))


class Bodies:
    """Read bodies of at most `max_body_bytes` (after inflating), all together within `max_reading_bytes`.

    One body that is not too large by itself always finds room when no other large one is read, and small ones beside
    it: what is too little for that counts as just enough.
    """

    def __init__(self, *, max_body_bytes: int, max_reading_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self.room_for_large = max(int(max_reading_bytes * LARGE_SHARE), max_body_bytes * EXPANSION)
        self.room_for_all = self.room_for_large + int(max_reading_bytes * (1 - LARGE_SHARE))
        self.in_use = 0
        self.in_use_by_large = 0

    @asynccontextmanager
    async def read_json(self, request: web.Request) -> AsyncIterator[bytes]:
        """Yield the body as UTF-8 JSON; its room is given back when the context ends."""
        with self.room() as room:
            inflater = Inflater(request.headers.get("Content-Encoding"))
            body = await read_bounded(request, self._max_body_bytes, inflater, room)
            yield await decode(body, request.headers.get("Content-Type"))

    @asynccontextmanager
    async def read_raw(self, request: web.Request) -> AsyncIterator[bytes]:
        """Yield the body to the byte as it came; its room is given back when the context ends."""
        with self.room() as room:
            yield await read_bounded(request, self._max_body_bytes, room=room)

    @asynccontextmanager
    async def read_whole(self, request: web.Request) -> AsyncIterator[Whole]:
        """Yield the body to the byte as it came, and whatever else it can be read as."""
        with self.room() as room:
            raw = await read_bounded(request, self._max_body_bytes, room=room)
            yield self.keep(raw, request.headers, room)

    def keep(self, raw: bytes, headers: Mapping[str, str], room: Room) -> Whole:
        """Return a body that came in whole, to be read on the account of a room."""
        return Whole(raw, headers, self._max_body_bytes, room)

    def has_room_for(self, room: Room) -> bool:
        """Tell whether what a body has taken was there to be taken."""
        too_much = room.large and self.in_use_by_large > self.room_for_large
        return not too_much and self.in_use <= self.room_for_all

    def room(self) -> Room:
        """Return room for what is kept of a body: a context, at whose end it is given back."""
        return Room(self)


class _Arrival:
    """A body as far as it has arrived, inflated."""

    def __init__(self, limit_bytes: int, inflater: Inflater, room: Room | None) -> None:
        self._limit_bytes = limit_bytes
        self._inflater = inflater
        self._room = room
        self._arrived_bytes = 0
        self.body = bytearray()

    async def add(self, piece: bytes) -> None:
        """Inflate what has just arrived, as far as there is room; what is packed may not pass the limit either."""
        self._arrived_bytes += len(piece)
        self.check(self._arrived_bytes)
        for inflated in self._inflater.feed(piece):
            self.check(len(self.body) + len(inflated))
            if self._room is not None:
                self._room.take(len(inflated) * EXPANSION)
            self.body += inflated
            if not self._inflater.plain:
                await asyncio.sleep(0)  # a small piece may become a thousand times its size: others take their turns

    def finish(self) -> bytes:
        """Return the body after checking that it is whole."""
        self._inflater.finish()
        return bytes(self.body)

    def check(self, count: int) -> None:
        """Raise BatchTooLarge for a size beyond the limit."""
        if count > self._limit_bytes:
            raise BatchTooLarge(f"the body is larger than {self._limit_bytes // (1024 * 1024)} MB: split the batch")


async def read_bounded(
    request: web.Request, limit_bytes: int, inflater: Inflater | None = None, room: Room | None = None
) -> bytes:
    """Read a body, inflated on the way; raises BatchTooLarge as soon as it is known to pass the limit."""
    arrival = _Arrival(limit_bytes, inflater or Inflater(None), room)
    arrival.check(request.content_length or 0)
    try:
        if request.content.is_eof():  # it came with its headers, as small ones do: nothing to wait for
            await arrival.add(request.content.read_nowait())
        else:
            await _take_pieces(request, arrival)
    except (HttpProcessingError, ConnectionError, TimeoutError) as broken:
        raise UnreadableBatch("the body broke off: send it again") from broken
    return arrival.finish()


async def _take_pieces(request: web.Request, arrival: _Arrival) -> None:
    """Take what comes in, as long as no pause gets too long."""
    now = asyncio.get_running_loop().time
    async with asyncio.timeout(PAUSE_SECONDS) as patience:
        async for piece in request.content.iter_any():
            patience.reschedule(now() + PAUSE_SECONDS)
            await arrival.add(piece)


async def decode(body: bytes, content_type: str | None) -> bytes:
    """Return a body as UTF-8 JSON; a large one does not hold up the event loop."""
    if len(body) <= LARGE_BODY_BYTES:
        return decode_body(body, content_type)
    return await asyncio.to_thread(decode_body, body, content_type)
