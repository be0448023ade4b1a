"""The regular rounds go on whatever happens in one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from structlog.testing import capture_logs

from bridge.errors import CannotTakeNow
from bridge.journal import Journal
from bridge.journal.interface import Redact
from bridge.workshop.housekeeping import Housekeeping
from bridge.workshop.office import Office
from bridge.workshop.workshop import Workshop


@dataclass
class Rounds:
    """A workshop and a journal that count, and fail as often as they are told to."""

    done: list[str] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    erased: list[float] = field(default_factory=list)
    erasable: int = 0
    counted: int = 0
    shown: list[Mapping[str, int]] = field(default_factory=list)
    redacted: bytes = b""
    during_orders: Callable[[], None] | None = None
    guarded: int = 0

    async def take_over(self) -> None:
        self.done.append("take over")
        if self.failures:
            raise self.failures.pop(0)

    async def carry_out_orders(self) -> None:
        self.done.append("orders")
        if self.during_orders is not None:
            during, self.during_orders = self.during_orders, None
            during()

    async def guard(self) -> None:
        self.guarded += 1
        if self.guarded == 2:
            raise CannotTakeNow

    async def doubts(self) -> dict[str, int]:
        if self.failures:
            raise self.failures.pop(0)
        self.counted += 1
        return {"org": self.counted}

    async def erase(self, finished_before: float, redact: Redact) -> int:
        self.redacted = redact(b'{"statuscode":2,"errors":[],"responses":[]}', [], "")
        self.erased.append(finished_before)
        return self.erasable


@asynccontextmanager
async def keep(rounds: Rounds, round_seconds: float, retention_seconds: float = 100) -> AsyncIterator[Housekeeping]:
    housekeeping = Housekeeping(
        cast("Workshop", rounds),
        cast("Office", rounds),
        cast("Journal", rounds),
        rounds.guard,
        show_doubts=rounds.shown.append,
        retention_seconds=retention_seconds,
        clock=lambda: 1000.0,
        round_seconds=round_seconds,
    )
    running = asyncio.create_task(housekeeping.run())
    try:
        yield housekeeping
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - lists ring no bell
            await asyncio.sleep(0.001)


async def test_rounds_are_made_regularly() -> None:
    """Orphans first, then orders, again and again."""
    rounds = Rounds()
    async with keep(rounds, 0.001):
        await until(lambda: len(rounds.done) >= 6)
    assert rounds.done[:4] == ["take over", "orders", "take over", "orders"]


async def test_an_order_hurries_the_next_round() -> None:
    """It is not left lying until the regular time."""
    rounds = Rounds()
    async with keep(rounds, 3600) as housekeeping:
        await until(lambda: len(rounds.done) == 2)
        housekeeping.hurry()
        await until(lambda: len(rounds.done) == 4)
        await asyncio.sleep(0.01)
    assert len(rounds.done) == 4


async def test_an_order_that_comes_in_the_middle_of_a_round_begins_another() -> None:
    """The round may have read the orders before it came."""
    rounds = Rounds()
    async with keep(rounds, 3600) as housekeeping:
        rounds.during_orders = housekeeping.hurry
        await until(lambda: len(rounds.done) == 4)


@pytest.mark.parametrize(
    ("failure", "event"), [(CannotTakeNow(), "round_failed"), (RuntimeError("secret"), "unexpected")]
)
async def test_a_duty_that_fails_keeps_neither_the_others_nor_the_next_round(failure: Exception, event: str) -> None:
    """The store may be in trouble for a while, and the program may have a fault."""
    rounds = Rounds(failures=[failure])
    with capture_logs() as logs:
        async with keep(rounds, 0.001):
            await until(lambda: len(rounds.done) >= 4)
    assert rounds.done[:4] == ["take over", "orders", "take over", "orders"]
    assert [entry["event"] for entry in logs if entry["log_level"] in {"warning", "error"}] == [event]


@pytest.mark.parametrize(("erasable", "logged"), [(0, 0), (3, 1)])
async def test_what_is_past_its_retention_is_erased_at_the_start(erasable: int, logged: int) -> None:
    """Finished before now less retention; told only when there was something."""
    rounds = Rounds(erasable=erasable)
    with capture_logs() as logs:
        async with keep(rounds, 3600):
            await until(lambda: rounds.erased)
            await asyncio.sleep(0)
    assert rounds.erased == [900.0]
    assert rounds.redacted == b'{"statuscode":2,"errors":[],"responses":[]}'
    assert len([entry for entry in logs if entry["event"] == "payloads_erased"]) == logged


async def test_rows_in_doubt_are_counted_at_their_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the metric; a store that cannot be asked now is asked again."""
    monkeypatch.setattr("bridge.workshop.housekeeping.COUNT_EVERY_SECONDS", 0.001)
    rounds = Rounds()
    async with keep(rounds, 3600):
        await until(lambda: len(rounds.shown) >= 2)
        rounds.failures.append(CannotTakeNow())
        before = len(rounds.shown)
        await until(lambda: not rounds.failures and len(rounds.shown) > before)
    assert rounds.shown[:2] == [{"org": 1}, {"org": 2}]
    assert len(rounds.done) == 2


async def test_guardrails_are_looked_at_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """At their own pace, also after a look that failed."""
    monkeypatch.setattr("bridge.workshop.housekeeping.GUARD_EVERY_SECONDS", 0.001)
    rounds = Rounds()
    async with keep(rounds, 3600):
        await until(lambda: rounds.guarded >= 4)
    assert len(rounds.done) == 2


async def test_erasing_goes_on_at_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hour, whatever the rounds do."""
    monkeypatch.setattr("bridge.workshop.housekeeping.ERASE_EVERY_SECONDS", 0.001)
    rounds = Rounds()
    async with keep(rounds, 3600):
        await until(lambda: len(rounds.erased) >= 3)
    assert len(rounds.done) == 2


async def test_a_retention_shorter_than_an_hour_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lies for an hour that is to be erased after moments."""
    monkeypatch.setattr("bridge.workshop.housekeeping.LEAST_ERASE_SECONDS", 0.001)
    rounds = Rounds()
    async with keep(rounds, 3600, retention_seconds=0.002):
        await until(lambda: len(rounds.erased) >= 3)
