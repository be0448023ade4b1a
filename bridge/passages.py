"""Which batches went to the legacy host as a whole: noted beside them, found again before another one is placed.

A note must not hold up what it is about, nor depend on the journal: it is kept in memory at once and written in groups
a moment later. Whoever asks here hears of both.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

from bridge.errors import CannotTakeNow
from bridge.identity import has_lapsed_since
from bridge.journal import Journal, NotePassed, PassedBatch
from bridge.logs import Event, get_log
from bridge.senders import Sender

log = get_log()

GROUP_SECONDS = 0.02
"""How long notes are gathered before they are written together."""
GROUP_NOTES = 2_000
MOST_NOTES = 50_000
"""How many notes may wait for a store in trouble; older ones are lost then."""
RETRY_FIRST_SECONDS = 0.2
RETRY_CEILING_SECONDS = 5.0

Key = tuple[str, str]
"""(sender, identity)."""


class _Note(NamedTuple):
    at: float
    """Unix seconds."""
    times: int
    """How often the batch has left since nothing was written about it."""


class Observer(Protocol):
    """Whom the notes tell what became of them."""

    def notes_lost(self, count: int) -> None:
        """Hear of notes that nobody will find again."""
        ...


class Passages:
    """The batches that went to the legacy host, or are on their way."""

    def __init__(self, journal: Journal, *, observer: Observer, clock: Callable[[], float]) -> None:
        """`clock` tells Unix seconds."""
        self._journal = journal
        self._observer = observer
        self._clock = clock
        self._leaving: Counter[Key] = Counter()
        """Batches on their way to the legacy host, which may not have got them yet."""
        self._waiting: dict[Key, _Note] = {}
        """Notes to be written, the oldest first."""
        self._writing: dict[Key, _Note] = {}
        self._stir = asyncio.Event()
        self._written = asyncio.Event()
        """Set, and replaced, whenever notes are in the journal."""
        self._dropped = 0

    @contextmanager
    def leaving(self, sender: Sender, identity: str) -> Iterator[None]:
        """Have a batch count as gone meanwhile: it may be at any moment."""
        key = (sender.id, identity)
        self._leaving[key] += 1
        try:
            yield
        finally:
            self._leaving[key] -= 1
            if not self._leaving[key]:
                del self._leaving[key]

    def note(self, sender: Sender, identity: str, at: float | None = None) -> None:
        """Remember that a batch has left for the legacy host, now or at `at` (Unix seconds)."""
        key = (sender.id, identity)
        before = self._waiting.pop(key, None)  # the newest note stands last
        self._waiting[key] = _Note(self._clock() if at is None else at, before.times + 1 if before else 1)
        while len(self._waiting) > MOST_NOTES:
            self._drop_oldest()
        self._stir.set()

    def withdraw(self, sender: Sender, identity: str) -> None:
        """Take one note back if it is not written down yet: the legacy host has not taken the batch this time."""
        key = (sender.id, identity)
        note = self._waiting.get(key)
        if note is None:
            return
        if note.times > 1:
            self._waiting[key] = _Note(note.at, note.times - 1)
        else:
            del self._waiting[key]

    def miss(self) -> None:
        """Hear of a batch that has left without a note: there was no room to recognize it on its way."""
        self._observer.notes_lost(1)
        log.error(Event.NOTES_LOST, count=1, why="there was no room to recognize a batch on its way")

    async def knows(self, sender: Sender, identity: str) -> bool:
        """Tell whether a batch went to the legacy host, and still counts as the same batch.

        Raises CannotTakeNow when the journal cannot be read.
        """
        key = (sender.id, identity)
        passed_at = self._passed_at(key)
        if passed_at is None:
            found = await self._journal.passed(*key)
            passed_at = self._passed_at(key)  # it may have left while the journal was read
            if passed_at is None and found is not None:
                passed_at = found.passed_at
        return passed_at is not None and not has_lapsed_since(passed_at, identity, sender, self._clock())

    async def written(self, sender: Sender, identity: str) -> None:
        """Return once what is remembered of a batch is in the journal."""
        key = (sender.id, identity)
        while key in self._waiting or key in self._writing:
            await self._written.wait()

    def _passed_at(self, key: Key) -> float | None:
        """Return when a batch left, as far as memory tells."""
        if key in self._leaving:
            return self._clock()
        note = self._waiting.get(key) or self._writing.get(key)
        return note.at if note is not None else None

    async def run(self) -> None:
        """Write notes down until cancelled."""
        pause = GROUP_SECONDS
        while True:
            await self._stir.wait()
            await asyncio.sleep(pause)
            if await self._write_some():
                pause = GROUP_SECONDS
            else:
                pause = min(max(pause * 2, RETRY_FIRST_SECONDS), RETRY_CEILING_SECONDS)

    async def close(self, seconds: float) -> None:
        """Write down what waits, in so many seconds at most; `run` must have ended."""
        try:
            async with asyncio.timeout(seconds):
                while self._waiting and await self._write_some():
                    pass
        except TimeoutError:
            pass
        if lost := len(self._waiting):
            self._waiting.clear()
            self._tell_lost(lost)

    async def _write_some(self) -> bool:
        """Write the oldest notes; tell whether the journal took them."""
        if not self._waiting:
            self._stir.clear()
            return True
        self._writing = dict(list(self._waiting.items())[:GROUP_NOTES])
        for key in self._writing:
            del self._waiting[key]
        try:
            await self._journal.write(NotePassed([PassedBatch(*key, note.at) for key, note in self._writing.items()]))
        except CannotTakeNow:
            self._put_back()
            return False
        except BaseException:
            self._put_back()
            raise
        self._writing = {}
        self._written.set()
        self._written = asyncio.Event()
        self._recover()
        return True

    def _put_back(self) -> None:
        """Have notes wait again, before those that came after them."""
        self._waiting = {**self._writing, **self._waiting}
        self._writing = {}
        while len(self._waiting) > MOST_NOTES:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        del self._waiting[next(iter(self._waiting))]
        self._observer.notes_lost(1)
        self._dropped += 1
        if self._dropped == 1:
            log.error(Event.NOTES_LOST, why="the journal cannot be written, and too many notes wait for it")

    def _recover(self) -> None:
        """Tell how many notes were lost, once the journal is back."""
        if self._dropped:
            log.error(Event.NOTES_LOST, count=self._dropped, why="the journal could not be written for too long")
            self._dropped = 0

    def _tell_lost(self, count: int) -> None:
        self._observer.notes_lost(count)
        log.error(Event.NOTES_LOST, count=count, why="the journal could not be written before the bridge stopped")
