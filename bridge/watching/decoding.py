"""One side of an exchange, as it went over the wire, back to JSON."""

from __future__ import annotations

import asyncio

from bridge.errors import CallerError
from bridge.exchanges import Message
from bridge.legacy.body import Inflater, decode_body

LARGE_BYTES = 512 * 1024
"""From this size on a body is decoded in a thread, so that it holds nobody up."""


async def decode(message: Message, most_bytes: int) -> bytes:
    """Return a body as UTF-8 JSON; raises CallerError for one that is no JSON by its headers, or too large inflated."""
    if len(message.body) < LARGE_BYTES and not message.content_encoding:
        return decode_body(message.body, message.content_type)
    return await asyncio.to_thread(_decode, message, most_bytes)


def _decode(message: Message, most_bytes: int) -> bytes:
    inflater = Inflater(message.content_encoding or None)
    inflated = bytearray()
    for piece in inflater.feed(message.body):
        inflated += piece
        if len(inflated) > most_bytes:
            raise CallerError("too large to be watched")
    inflater.finish()
    return decode_body(bytes(inflated), message.content_type)
