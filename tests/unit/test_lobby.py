"""Callers wait for their batch, for so long, and for nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from bridge.lobby import Lobby

FAR = 3600.0


@dataclass
class Books:
    """What a look finds; counts the looks."""

    answer: bytes | None = None
    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)

    async def look(self) -> bytes | None:
        self.looks += 1
        self.looked.set()
        return self.answer


def make(look_seconds: float = FAR, clock: Callable[[], float] = time.monotonic) -> Lobby:
    return Lobby(clock=clock, look_seconds=look_seconds)


def soon(seconds: float = FAR) -> float:
    return time.monotonic() + seconds


async def test_an_answer_that_is_there_already_is_not_waited_for() -> None:
    """The first look is at once, also when the time is up."""
    lobby, books = make(), Books(b"answer")
    assert await lobby.wait("b", soon(-1), books.look) == b"answer"
    assert books.looks == 1
    assert lobby._seats == {}


async def test_news_of_the_batch_end_the_wait_of_all_its_callers() -> None:
    """Each looks once more; callers of another batch are left alone."""
    lobby, books, other = make(), Books(), Books()
    callers = [asyncio.create_task(lobby.wait("b", soon(), books.look)) for _ in range(3)]
    stranger = asyncio.create_task(lobby.wait("other", soon(), other.look))
    await other.looked.wait()
    books.answer = b"answer"
    lobby.stir("b")
    async with asyncio.timeout(5):
        assert await asyncio.gather(*callers) == [b"answer"] * 3
    assert (books.looks, other.looks, stranger.done()) == (6, 1, False)
    assert list(lobby._seats) == ["other"]
    stranger.cancel()


async def test_news_without_an_answer_do_not_end_the_wait() -> None:
    """A batch may be told of more than once before it is answered."""
    lobby, books = make(), Books()
    caller = asyncio.create_task(lobby.wait("b", soon(), books.look))
    for _ in range(3):
        books.looked.clear()
        lobby.stir("b")
        lobby.stir("b")
        await asyncio.wait_for(books.looked.wait(), 5)
    assert not caller.done()
    books.answer = b"answer"
    lobby.stir("b")
    assert await asyncio.wait_for(caller, 5) == b"answer"


async def test_news_that_come_while_a_caller_looks_are_not_missed() -> None:
    """One caller is still reading old books when the other one is woken already: it looks again as well."""
    lobby, answer, reading = make(), [None, None], asyncio.Event()
    began: list[int] = []

    async def look_slowly() -> bytes | None:
        began.append(1)
        found = answer[0]
        if len(began) == 1:
            await reading.wait()
        return found

    async def look() -> bytes | None:
        return answer[0]

    slow = asyncio.create_task(lobby.wait("b", soon(), look_slowly))
    quick = asyncio.create_task(lobby.wait("b", soon(), look))
    await asyncio.sleep(0)
    answer[0] = b"answer"  # type: ignore[call-overload]  # bytes after None
    lobby.stir("b")
    assert await asyncio.wait_for(quick, 5) == b"answer"
    reading.set()
    assert await asyncio.wait_for(slow, 5) == b"answer"


async def test_without_news_a_caller_looks_again_and_again() -> None:
    """Another replica may have the answer, and its news may be lost."""
    lobby, books = make(look_seconds=0.01), Books()
    caller = asyncio.create_task(lobby.wait("b", soon(), books.look))
    for _ in range(4):
        books.looked.clear()
        await asyncio.wait_for(books.looked.wait(), 5)
    books.answer = b"answer"
    assert await asyncio.wait_for(caller, 5) == b"answer"


async def test_a_caller_waits_until_its_deadline() -> None:
    """Not less, and not until the next regular look."""
    began = time.monotonic()
    assert await make().wait("b", began + 0.05, Books().look) is None
    assert 0.05 <= time.monotonic() - began < 5


async def test_a_deadline_is_looked_at_once_more() -> None:
    """An answer that came without news is found in the end."""
    lobby, books = make(), Books()
    caller = asyncio.create_task(lobby.wait("b", soon(0.05), books.look))
    await books.looked.wait()
    books.answer = b"answer"
    assert await caller == b"answer"


async def test_a_caller_that_hangs_up_leaves_no_seat() -> None:
    """Nor does one whose look fails; news of the batch go nowhere then."""

    async def fail() -> bytes | None:
        raise RuntimeError

    lobby, books = make(), Books()
    caller = asyncio.create_task(lobby.wait("b", soon(), books.look))
    await books.looked.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    with pytest.raises(RuntimeError):
        await lobby.wait("b", soon(), fail)
    assert lobby._seats == {}
    lobby.stir("b")


async def test_one_of_two_that_hangs_up_keeps_the_seat_of_the_other() -> None:
    """News still reach who is left."""
    lobby, books = make(), Books()
    gone, left = (asyncio.create_task(lobby.wait("b", soon(), books.look)) for _ in range(2))
    await books.looked.wait()
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    books.answer = b"answer"
    lobby.stir("b")
    assert await asyncio.wait_for(left, 5) == b"answer"


async def test_an_empty_lobby_is_cleared_at_once() -> None:
    """Also when it may take no time at all."""
    lobby = make()
    await asyncio.wait_for(lobby.clear(FAR), 5)
    await asyncio.wait_for(lobby.clear(0), 5)
    with lobby.visit():
        pass
    await asyncio.wait_for(lobby.clear(FAR), 5)


async def test_clearing_waits_for_callers_that_get_their_answer_in_time() -> None:
    """Nobody is sent away early, and clearing ends with the last one."""
    lobby, books = make(), Books()

    async def visit() -> bytes | None:
        with lobby.visit():
            return await lobby.wait("b", soon(), books.look)

    callers = [asyncio.create_task(visit()) for _ in range(2)]
    await books.looked.wait()
    clearing = asyncio.create_task(lobby.clear(FAR))
    await asyncio.sleep(0.01)
    assert not clearing.done()
    books.answer = b"answer"
    lobby.stir("b")
    await asyncio.wait_for(clearing, 5)
    assert [caller.result() for caller in callers] == [b"answer"] * 2


async def test_beyond_the_time_callers_are_sent_away_with_what_is_known() -> None:
    """None means that the answer is not there; whoever comes later does not wait either."""
    lobby, books = make(), Books()

    async def visit() -> bytes | None:
        with lobby.visit():
            return await lobby.wait("b", soon(), books.look)

    caller = asyncio.create_task(visit())
    await books.looked.wait()
    await asyncio.wait_for(lobby.clear(0.02), 1.5)
    assert caller.done()
    assert caller.result() is None
    assert await asyncio.wait_for(lobby.wait("c", soon(), books.look), 5) is None


async def test_a_caller_that_steps_out_for_a_moment_is_still_waited_for() -> None:
    """Between giving its batch and waiting for the answer it is in no room; it must not be forgotten there."""
    lobby, books, given = make(), Books(), asyncio.Event()

    async def call() -> bytes | None:
        with lobby.visit():
            await given.wait()
        with lobby.visit():
            return await lobby.wait("b", soon(), books.look)

    caller = asyncio.create_task(call())
    await asyncio.sleep(0)
    clearing = asyncio.create_task(lobby.clear(FAR))
    await asyncio.sleep(0)
    given.set()
    await books.looked.wait()
    await asyncio.sleep(0.01)
    assert not clearing.done()
    books.answer = b"answer"
    lobby.stir("b")
    await asyncio.wait_for(clearing, 5)
    assert await caller == b"answer"


async def test_a_caller_that_cannot_be_answered_does_not_hold_the_end_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last word's time the bridge stops without it."""
    monkeypatch.setattr("bridge.lobby.LAST_WORD_SECONDS", 0.02)
    lobby = make()
    with lobby.visit():
        await asyncio.wait_for(lobby.clear(0.01), 5)


async def test_callers_whose_waiting_is_useless_are_sent_away() -> None:
    """After a last look; those who wait for another batch, or come later, are left alone."""
    lobby, books, other = make(), Books(), Books()
    caller = asyncio.create_task(lobby.wait("b", soon(), books.look))
    stranger = asyncio.create_task(lobby.wait("other", soon(), other.look))
    await books.looked.wait()
    lobby.dismiss("b")
    lobby.dismiss("nobody waits for this one")
    async with asyncio.timeout(5):
        assert await caller is None
    assert (books.looks, stranger.done()) == (2, False)
    books.looked.clear()
    later = asyncio.create_task(lobby.wait("b", soon(), books.look))
    await books.looked.wait()
    await asyncio.sleep(0)
    assert not later.done()
    stranger.cancel()
    later.cancel()
