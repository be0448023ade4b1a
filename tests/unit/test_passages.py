"""What went to the legacy host is known at once, written in groups, and found again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge import passages as room
from bridge.errors import CannotTakeNow
from bridge.journal import PassedBatch
from bridge.passages import Passages
from bridge.senders import Sender

ERP = Sender("ERP-1", "autocollect", ("org",), 25, "unique", 24)
HOUR = 3600.0


@dataclass
class Shelf:
    """A journal that holds notes, or cannot."""

    notes: dict[tuple[str, str], float] = field(default_factory=dict)
    writes: list[int] = field(default_factory=list)
    away: bool = False
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def write(self, change: Any) -> None:
        await self.gate.wait()
        if self.away:
            raise CannotTakeNow("the disk is full")
        self.writes.append(len(change.batches))
        for batch in change.batches:
            self.notes[batch.sender, batch.identity] = batch.passed_at

    async def passed(self, sender: str, identity: str) -> PassedBatch | None:
        if self.away:
            raise CannotTakeNow("the disk cannot be read")
        at = self.notes.get((sender, identity))
        return None if at is None else PassedBatch(sender, identity, at)


@dataclass
class Losses:
    """Counts what is lost."""

    lost: int = 0

    def notes_lost(self, count: int) -> None:
        self.lost += count


@dataclass
class Place:
    shelf: Shelf = field(default_factory=Shelf)
    losses: Losses = field(default_factory=Losses)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.passages = Passages(self.shelf, observer=self.losses, clock=lambda: self.now)  # type: ignore[arg-type]  # as much of a journal as is asked

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.passages.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    """Return as soon as a condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.002)


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_note_is_known_at_once_and_written_with_others(place: Place) -> None:
    """Nobody waits for the journal; a crowd of notes is one write."""
    for number in range(100):
        place.passages.note(ERP, f"batchid:{number}")
    assert await place.passages.knows(ERP, "batchid:7")
    assert not await place.passages.knows(ERP, "batchid:no")
    async with place.running():
        await until(lambda: place.shelf.writes)
    assert place.shelf.writes == [100]
    assert await Passages(place.shelf, observer=place.losses, clock=lambda: 1.0).knows(ERP, "batchid:7")  # type: ignore[arg-type]  # as above


async def test_a_note_is_known_while_it_is_written(place: Place) -> None:
    """Between memory and journal there is no moment in which it is in neither."""
    place.shelf.gate.clear()
    async with place.running():
        place.passages.note(ERP, "batchid:1")
        await until(lambda: place.passages._writing)
        assert await place.passages.knows(ERP, "batchid:1")
        place.shelf.gate.set()
        await until(lambda: place.shelf.writes)
        assert await place.passages.knows(ERP, "batchid:1")


async def test_a_batch_on_its_way_counts_as_gone(place: Place) -> None:
    """It may arrive at any moment; once it is sure not to, it does not."""
    with place.passages.leaving(ERP, "batchid:1"), place.passages.leaving(ERP, "batchid:1"):
        assert await place.passages.knows(ERP, "batchid:1")
    assert not await place.passages.knows(ERP, "batchid:1")


async def test_a_batch_that_leaves_while_the_journal_is_read_is_known(place: Place) -> None:
    """Whoever asks hears of it, however the two fall."""
    passed = place.shelf.passed

    async def read(sender: str, identity: str) -> PassedBatch | None:
        found = await passed(sender, identity)
        place.passages.note(ERP, identity)
        return found

    place.shelf.passed = read  # type: ignore[method-assign]  # a journal that is slow at the wrong moment
    assert await place.passages.knows(ERP, "batchid:1")


@pytest.mark.parametrize(("identity", "known"), [("content:x", False), ("batchid:x", True)])
async def test_content_is_forgotten_after_the_window(place: Place, identity: str, known: bool) -> None:
    """In memory and in the journal alike; a batchid never is."""
    place.passages.note(ERP, identity)
    place.now += 23 * HOUR
    assert await place.passages.knows(ERP, identity)
    place.now += 2 * HOUR
    assert await place.passages.knows(ERP, identity) is known
    await place.passages.close(1)
    assert place.shelf.writes == [1]
    assert await place.passages.knows(ERP, identity) is known


async def test_what_was_not_taken_can_be_withdrawn_once_for_each_note(place: Place) -> None:
    """A second caller's note of the same batch stays."""
    place.passages.note(ERP, "batchid:1")
    place.passages.note(ERP, "batchid:1")
    place.passages.withdraw(ERP, "batchid:1")
    assert await place.passages.knows(ERP, "batchid:1")
    place.passages.withdraw(ERP, "batchid:1")
    assert not await place.passages.knows(ERP, "batchid:1")
    place.passages.withdraw(ERP, "batchid:1")


async def test_what_is_written_cannot_be_withdrawn(place: Place) -> None:
    """The journal's notes are for good."""
    place.passages.note(ERP, "batchid:1")
    await place.passages.close(1)
    place.passages.withdraw(ERP, "batchid:1")
    assert await place.passages.knows(ERP, "batchid:1")


async def test_notes_wait_out_a_store_in_trouble(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tried again and again; written once it is back."""
    monkeypatch.setattr(room, "RETRY_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(room, "RETRY_CEILING_SECONDS", 0.02)
    place.shelf.away = True
    async with place.running():
        place.passages.note(ERP, "batchid:1")
        await asyncio.sleep(0.1)
        assert await place.passages.knows(ERP, "batchid:1")
        place.shelf.away = False
        await until(lambda: place.shelf.notes)
    assert place.losses.lost == 0


async def test_the_oldest_notes_are_lost_when_too_many_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; what is lost is counted."""
    monkeypatch.setattr(room, "MOST_NOTES", 3)
    for number in range(5):
        place.passages.note(ERP, f"batchid:{number}")
    assert place.losses.lost == 2
    place.shelf.away = True
    assert not await place.passages._write_some()
    place.passages.note(ERP, "batchid:5")
    assert place.losses.lost == 3
    place.shelf.away = False
    await place.passages.close(1)
    assert {identity for _, identity in place.shelf.notes} == {"batchid:3", "batchid:4", "batchid:5"}


async def test_the_newest_of_several_notes_counts_whatever_became_of_the_older_one(place: Place) -> None:
    """One that could not be written does not stand in the way of a newer one about the same batch."""
    place.shelf.gate.clear()
    place.passages.note(ERP, "content:x")
    writing = asyncio.create_task(place.passages._write_some())
    await until(lambda: place.passages._writing)
    place.now += HOUR
    place.passages.note(ERP, "content:x")
    place.shelf.away = True
    place.shelf.gate.set()
    assert not await writing
    place.shelf.away = False
    await place.passages.close(1)
    assert place.shelf.notes == {("ERP-1", "content:x"): place.now}


async def test_everything_that_waits_is_written_at_the_end(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """In as many groups as it takes."""
    monkeypatch.setattr(room, "GROUP_NOTES", 2)
    for number in range(5):
        place.passages.note(ERP, f"batchid:{number}")
    await place.passages.close(1)
    assert (place.shelf.writes, place.losses.lost) == ([2, 2, 1], 0)


async def test_what_cannot_be_written_at_the_end_is_told(place: Place) -> None:
    """Neither a store that is away nor one that hangs keeps the bridge from stopping."""
    place.passages.note(ERP, "batchid:1")
    place.shelf.away = True
    await place.passages.close(1)
    assert place.losses.lost == 1
    place.shelf.away = False
    place.shelf.gate.clear()
    place.passages.note(ERP, "batchid:2")
    await place.passages.close(0.01)
    assert place.losses.lost == 2


async def test_a_batch_too_large_to_be_recognized_is_counted(place: Place) -> None:
    """It went, and nobody will know."""
    place.passages.miss()
    assert place.losses.lost == 1


async def test_a_journal_that_cannot_be_read_says_so(place: Place) -> None:
    """Nobody guesses."""
    place.shelf.away = True
    with pytest.raises(CannotTakeNow):
        await place.passages.knows(ERP, "batchid:1")
