"""One batch as the legacy host was asked and answered: what there is to be watched. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Message:
    """One side of an exchange, as it went over the wire."""

    body: bytes
    content_type: str | None = None
    content_encoding: str = ""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to the legacy host and its whole answer."""

    sender: str
    profile: str
    at: float
    """When the request came, Unix seconds."""
    request: Message
    status: int
    reply: Message
    seconds: float
    """From the request's arrival to the end of the answer."""

    @property
    def size(self) -> int:
        """Return about how many bytes it holds in memory."""
        return len(self.request.body) + len(self.reply.body)
