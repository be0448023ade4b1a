"""A journal whose writes wait out a store in trouble."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bridge.errors import CannotTakeNow
from bridge.journal import FinishBatch, Journal, StaleCall
from bridge.journal.patient import DISTRUST_SECONDS, PatientJournal

CHANGE = FinishBatch("b", b"{}", 1.0)


@dataclass
class Store:
    """A store that fails as often as it is told to."""

    failures: list[Exception] = field(default_factory=list)
    written: list[Any] = field(default_factory=list)
    reachable: bool = True

    def may_send(self, seconds: float) -> bool:
        return self.reachable

    async def write(self, *changes: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.written += changes


@dataclass
class Time:
    """A clock that moves only when somebody sleeps."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def make(*failures: Exception) -> tuple[PatientJournal, Store, Time]:
    store, time = Store(list(failures)), Time()
    return PatientJournal(cast("Journal", store), clock=time, sleep=time.sleep), store, time


async def test_work_that_is_ours_waits_until_it_can_be_written() -> None:
    """With growing pauses, ten seconds at most; it is written once."""
    journal, store, time = make(*[CannotTakeNow()] * 8)
    await journal.write(CHANGE)
    assert store.written == [CHANGE]
    assert time.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    assert journal.trusted


async def test_a_store_that_is_away_is_not_trusted_though_no_write_has_failed() -> None:
    """A replica with nothing to write must not look ready while every new batch would be refused."""
    journal, store, _ = make()
    assert journal.trusted
    store.reachable = False
    assert not journal.trusted


async def test_new_work_does_not_wait() -> None:
    """The caller is told at once, and the store is not trusted for a while."""
    journal, store, time = make(CannotTakeNow())
    with pytest.raises(CannotTakeNow):
        await journal.write_now(CHANGE)
    trusted = [journal.trusted]
    time.now += DISTRUST_SECONDS + 0.1
    trusted.append(journal.trusted)
    assert trusted == [False, True], "somebody must try again some time"
    assert store.written == []


async def test_a_success_restores_trust_at_once() -> None:
    """One write that works is proof enough."""
    journal, _, _ = make(CannotTakeNow())
    with pytest.raises(CannotTakeNow):
        await journal.write_now(CHANGE)
    await journal.write_now(CHANGE)
    assert journal.trusted


async def test_other_errors_are_not_waited_out() -> None:
    """What the journal refuses for good is not tried again."""
    journal, _, time = make(StaleCall())
    with pytest.raises(StaleCall):
        await journal.write(CHANGE)
    assert time.pauses == []


async def test_a_store_that_says_it_is_back_is_written_to_at_once() -> None:
    """Nobody waits for the end of a pause that has grown during the outage; afterwards pauses are short again."""
    store, pauses = Store([CannotTakeNow()] * 4), []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0 if len(pauses) != 3 else 3600)

    journal = PatientJournal(cast("Journal", store), clock=time.monotonic, sleep=sleep)
    writing = asyncio.create_task(journal.write(CHANGE))
    async with asyncio.timeout(5):
        while len(pauses) < 3:  # noqa: ASYNC110 - of a fake
            await asyncio.sleep(0)
        assert not writing.done()
        journal.try_again()
        await writing
    assert pauses == [0.2, 0.4, 0.8, 0.2]
    assert store.written == [CHANGE]


async def test_a_write_that_is_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    """Neither a sleeper nor somebody who waits for news."""
    before = asyncio.all_tasks()
    journal = PatientJournal(cast("Journal", Store([CannotTakeNow()])), clock=time.monotonic, sleep=asyncio.sleep)
    writing = asyncio.create_task(journal.write(CHANGE))
    await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
