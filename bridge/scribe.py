"""Exchanges with the legacy host on their way into a recording: redacted in slices, then written in a thread.

Nobody waits for it. What comes faster than it can be redacted or written is left out, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass

from bridge.discretion import open_redactor
from bridge.exchanges import Exchange
from bridge.logs import Event, get_log
from bridge.mapping import Profile
from bridge.recording import Recorder, Redacted, Redactor, make_line
from bridge.settings import Settings

log = get_log()

MOST_WAITING = 200
MOST_WAITING_BYTES = 32 * 1024 * 1024
CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Page:
    exchange: Exchange
    organizations: tuple[str, ...]
    request: bytes
    reply: bytes

    @property
    def size(self) -> int:
        return len(self.request) + len(self.reply)


class Scribe:
    """Writes exchanges down, with pseudonyms for everything personal."""

    def __init__(self, redactor: Redactor, recorder: Recorder, new_id: Callable[[], str]) -> None:
        self._redactor, self._recorder, self._new_id = redactor, recorder, new_id
        self._waiting: deque[_Page] = deque()
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None
        self._left_out = 0

    @property
    def dropped(self) -> int:
        """Return how many exchanges were left out so far."""
        return self._left_out + self._recorder.dropped

    def scrub(self, request: bytes, text: str) -> str:
        """Return a piece of an answer to `request` with pseudonyms for personal data."""
        return self._redactor.scrub(text, request)

    def record(self, exchange: Exchange, organizations: Sequence[str], request: bytes, reply: bytes) -> None:
        """Have a decoded exchange written down; never waits, never raises."""
        page = _Page(exchange, tuple(organizations), request, reply)
        if len(self._waiting) >= MOST_WAITING or self._bytes + page.size > MOST_WAITING_BYTES:
            self._left_out += 1
            return
        self._waiting.append(page)
        self._bytes += page.size
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_down())

    async def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write down what waits, for so long at most."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._left_out += len(self._waiting)
        self._waiting.clear()
        await asyncio.to_thread(self._recorder.close, seconds)

    async def _write_down(self) -> None:
        while self._waiting:
            page = self._waiting.popleft()
            try:
                redacted = await _in_slices(self._redactor.steps(page.request, page.exchange.status, page.reply))
                self._offer(page, redacted)
            except Exception:
                self._left_out += 1
                log.exception(Event.UNEXPECTED, sender=page.exchange.sender)
            finally:
                self._bytes -= page.size

    def _offer(self, page: _Page, redacted: Redacted) -> None:
        exchange = page.exchange
        line = make_line(
            redacted,
            id=self._new_id(),
            at=exchange.at,
            sender=exchange.sender,
            profile=exchange.profile,
            organizations=page.organizations,
            status=exchange.status,
            seconds=exchange.seconds,
        )
        self._recorder.offer(line)


def open_scribe(
    settings: Settings, profiles: Iterable[Profile], *, clock: Callable[[], float], new_id: Callable[[], str]
) -> Scribe:
    """Return the scribe of a configuration; it needs `recording.key` and opens nothing before the first exchange."""
    recorder = Recorder(settings.recording.folder, clock, tell=_tell)
    return Scribe(open_redactor(settings, profiles), recorder, new_id)


def _tell(fault: OSError | None) -> None:
    if fault is not None:
        log.error(Event.RECORDING_FAILED, why=fault.strerror or type(fault).__name__)


async def _in_slices(steps: Generator[None, None, Redacted]) -> Redacted:
    """Work a generator step by step, and let others have a turn after each."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            redacted: Redacted = end.value
            return redacted
        await asyncio.sleep(0)
