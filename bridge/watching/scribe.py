"""Recordings of what is watched, and samples that people may see: nothing personal in either."""

from __future__ import annotations

from collections.abc import Callable

from bridge.exchanges import Exchange
from bridge.recording import Recorder, Redactor, make_line
from bridge.watching.pace import in_slices


class PenAndKey:
    """The redactor with its key, and where recordings go; without a recorder nothing is written."""

    def __init__(self, redactor: Redactor, recorder: Recorder | None, *, new_id: Callable[[], str]) -> None:
        self._redactor = redactor
        self._recorder = recorder
        self._new_id = new_id

    def scrub(self, text: str, request: bytes) -> str:
        """Return a piece of the answer to a request (UTF-8 JSON) with pseudonyms for what may be personal."""
        return self._redactor.scrub(text, request)

    def scrub_name(self, name: str) -> str:
        """Return the name of a member of an answer in the same way: it may be anything."""
        return self._redactor.scrub_name(name)

    async def record(self, exchange: Exchange, organizations: tuple[str, ...], request: bytes, reply: bytes) -> None:
        """Have a decoded exchange written down, redacted in slices that give the event loop back."""
        if self._recorder is None:
            return
        redacted = await in_slices(self._redactor.steps(request, exchange.status, reply))
        line = make_line(
            redacted,
            id=self._new_id(),
            at=exchange.at,
            sender=exchange.sender,
            profile=exchange.profile,
            organizations=organizations,
            status=exchange.status,
            seconds=exchange.seconds,
        )
        self._recorder.offer(line)
