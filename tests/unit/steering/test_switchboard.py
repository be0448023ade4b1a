"""The switches in memory: read, kept up with, and kept while they cannot be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from structlog.testing import capture_logs

from bridge.errors import CannotTakeNow
from bridge.journal import Books
from bridge.modes import Mode, Switch
from bridge.steering import switchboard
from bridge.steering.switchboard import Outlook, Switchboard, find_turn

LEGACY, SHADOW, MODERN = Mode.LEGACY, Mode.SHADOW, Mode.MODERN


@dataclass
class History:
    """The part of the books that knows switches."""

    switched: list[Switch] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    batches: dict[str, list[str]] = field(default_factory=dict)
    during: Callable[[], None] | None = None

    def add(
        self, organization: str, mode: Mode, other: Mode | None = None, percent: float = 0, *, recording: bool = False
    ) -> Switch:
        number = len(self.switched) + 1
        switch = Switch(organization, mode, other, percent, recording, number, 1000.0 + number, "Kari")
        self.switched.append(switch)
        return switch

    async def switches(self) -> list[Switch]:
        self.asked.append("switches")
        if self.during is not None:
            during, self.during = self.during, None
            during()
        if self.failures:
            raise self.failures.pop(0)
        return list({one.organization: one for one in self.switched}.values())

    async def switch_history(self, organization: str = "") -> list[Switch]:
        self.asked.append("history")
        return [one for one in self.switched if organization in ("", one.organization)]

    async def batches_of(self, organization: str, since: float) -> list[str]:
        self.asked.append(f"batches of {organization}")
        if self.failures:
            raise self.failures.pop(0)
        return self.batches.get(organization, [])


def make(
    history: History,
    first_mode: Mode = LEGACY,
    *,
    has_legacy_host: bool = True,
    shown: list[Switch] | None = None,
    seconds_a_question: float = 0.0,
) -> Switchboard:
    return Switchboard(
        cast("Books", history),
        ["a", "b"],
        first_mode,
        has_legacy_host=has_legacy_host,
        clock=lambda: len(history.asked) * seconds_a_question,
        show=(shown if shown is not None else []).append,
    )


@asynccontextmanager
async def at_work(board: Switchboard) -> AsyncIterator[Switchboard]:
    await board.refresh()
    running = asyncio.create_task(board.run())
    try:
        yield board
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a table rings no bell
            await asyncio.sleep(0.001)


async def test_nobody_has_switched() -> None:
    """The first mode holds, of unknown organizations as well."""
    board = make(History(), SHADOW)
    await board.refresh()
    assert board.current("a") == Switch("a", SHADOW)
    assert board.current("stranger").mode is SHADOW
    assert board.history("a") == (Switch("a", SHADOW),)


async def test_the_newest_switch_is_in_force() -> None:
    """Each organization has its own."""
    history = History()
    history.add("a", SHADOW)
    newest = history.add("a", SHADOW, MODERN, 25)
    board = make(history)
    await board.refresh()
    assert board.current("a") == newest
    assert board.current("b").mode is LEGACY


async def test_without_a_legacy_host_everything_is_modern() -> None:
    """Whatever the journal says; the operator is told, and nothing is polled."""
    history = History()
    history.add("a", LEGACY)
    history.add("b", MODERN)
    board = make(history, LEGACY, has_legacy_host=False)
    with capture_logs() as logs:
        await board.refresh()
    await asyncio.wait_for(board.run(), 1)
    assert board.current("a") == Switch("a", MODERN)
    assert board.outlook(["a"]) == Outlook(frozenset({MODERN}), was_modern=True, was_legacy=False, recording=False)
    assert [(entry["event"], entry["organization"], entry["state"]) for entry in logs] == [
        ("switch_ignored", "a", "legacy")
    ]
    assert board.age_seconds == 0
    assert history.asked == ["switches", "history"]


async def test_a_start_without_a_readable_journal_fails() -> None:
    """The table must be known before the first request."""
    with pytest.raises(CannotTakeNow):
        await make(History(failures=[CannotTakeNow()])).refresh()


async def test_the_history_is_read_only_after_a_change() -> None:
    """What is asked twice a second is cheap."""
    history = History()
    history.add("a", SHADOW)
    board = make(history)
    for _ in range(3):
        await board.refresh()
    assert history.asked == ["switches", "history", "switches", "switches"]


async def test_a_switch_is_found_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """News may get lost."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 0.001)
    history, shown = History(), list[Switch]()
    async with at_work(make(history, shown=shown)) as board:
        with capture_logs() as logs:
            switch = history.add("a", SHADOW)
            await until(lambda: board.current("a") == switch)
    assert [(entry["event"], entry["organization"], entry["state"]) for entry in logs] == [("switched", "a", "shadow")]
    assert shown == [Switch("a", LEGACY), Switch("b", LEGACY), switch]


async def test_news_make_it_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the next look."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 3600)
    history = History()
    async with at_work(make(history)) as board:
        switch = history.add("a", SHADOW)
        board.hear("a")
        await until(lambda: board.current("a") == switch)


async def test_news_that_come_while_it_reads_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it reads may be from before them."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 3600)
    history = History()
    board = make(history)

    def switch_too_late() -> None:
        board.hear("a")

    async with at_work(board):
        await until(lambda: "batches of b" in history.asked)
        seen = len(history.asked)
        history.during = switch_too_late
        board.hear("a")
        await until(lambda: len(history.asked) == seen + 2)


async def test_while_the_journal_cannot_be_read_the_last_table_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once, and read again as soon as it can be; also after a fault of the program."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 0.001)
    history = History()
    history.add("a", SHADOW)
    async with at_work(make(history)) as board:
        await until(lambda: "batches of b" in history.asked)
        with capture_logs() as logs:
            history.failures += [CannotTakeNow("away"), CannotTakeNow("away"), RuntimeError("odd")]
            await until(lambda: not history.failures)
            assert board.current("a").mode is SHADOW
            switch = history.add("a", MODERN)
            await until(lambda: board.current("a") == switch)
            history.failures += [CannotTakeNow("away again")]
            await until(lambda: not history.failures)
            await until(lambda: history.asked[-3:] == ["switches"] * 3)
    assert [entry["event"] for entry in logs] == ["switches_not_read", "unexpected", "switched", "switches_not_read"]


async def test_the_age_of_the_table_is_known() -> None:
    """It counts from the beginning of the last good read."""
    history = History()
    board = make(history, seconds_a_question=1.0)
    await board.refresh()
    assert board.age_seconds == 2
    history.failures.append(CannotTakeNow())
    with pytest.raises(CannotTakeNow):
        await board.refresh()
    assert board.age_seconds == 3


async def test_a_process_that_was_frozen_reads_before_it_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it knew when it froze may be out of date; a table that is read regularly costs nothing."""
    history = History()
    board = make(history, seconds_a_question=0.1)
    await board.refresh()
    asked = len(history.asked)
    await board.wake_up()
    assert len(history.asked) == asked
    monkeypatch.setattr(switchboard, "STALE_SECONDS", 0.05)
    switch = history.add("a", MODERN)
    await board.wake_up()
    assert board.current("a") == switch


async def test_waking_up_waits_for_no_journal_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """One request waits a moment, the following ones obey what is known."""
    monkeypatch.setattr(switchboard, "STALE_SECONDS", 0.05)
    monkeypatch.setattr(switchboard, "WAKE_SECONDS", 0.01)
    history = History()
    board = make(history, seconds_a_question=0.1)
    await board.refresh()

    async def hang() -> list[Switch]:
        history.asked.append("switches")
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(history, "switches", hang)
    await board.wake_up()
    asked = len(history.asked)
    await board.wake_up()
    assert len(history.asked) == asked
    assert board.current("a").mode is LEGACY


# --- the outlook ---------------------------------------------------------------------------------------------------


async def search(history: History, board: Switchboard) -> None:
    """Let the switchboard find out what the journal holds."""
    async with at_work(board):
        await until(lambda: not board._unsearched)


async def test_a_pure_legacy_organization_has_no_modern_past() -> None:
    """Once the journal was searched for rows of it."""
    history = History()
    board = make(history)
    await board.refresh()
    assert board.outlook(["a"]).was_modern
    await search(history, board)
    assert board.outlook(["a"]) == Outlook(frozenset({LEGACY}), was_modern=False, was_legacy=True, recording=False)


async def test_rows_from_before_there_were_modes_are_a_modern_past() -> None:
    """The bridge took them before `first_mode` was set to legacy."""
    history = History(batches={"a": ["b-1"]})
    board = make(history)
    await search(history, board)
    assert board.outlook(["a"]).was_modern
    assert not board.outlook(["b"]).was_modern
    history.add("b", SHADOW)
    await board.refresh()
    assert board.outlook(["a", "b"]).was_modern


async def test_while_the_journal_cannot_be_searched_a_modern_past_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better to ask once too often than to double a batch."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 0.001)
    history = History()
    board = make(history)
    await board.refresh()
    running = asyncio.create_task(board.run())
    history.failures += [CannotTakeNow(), CannotTakeNow()]
    assert board.outlook(["b"]).was_modern
    await until(lambda: not board.outlook(["b"]).was_modern)
    running.cancel()
    assert history.failures == []


async def test_a_long_search_lets_others_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """One question that takes long is enough for one look; switches are read in between."""
    monkeypatch.setattr("bridge.steering.switchboard.POLL_SECONDS", 0.001)
    history = History()
    await search(history, make(history, seconds_a_question=1.0))
    assert history.asked == ["switches", "history", "switches", "batches of a", "switches", "batches of b"]


async def test_a_pure_modern_organization_has_no_legacy_past() -> None:
    """Nothing of it can be with the legacy host; the journal need not be searched."""
    history = History()
    board = make(history, MODERN)
    await board.refresh()
    assert board.outlook(["a"]) == Outlook(frozenset({MODERN}), was_modern=True, was_legacy=False, recording=False)
    history.add("a", MODERN, recording=True)
    await board.refresh()
    assert board.outlook(["a"]) == Outlook(frozenset({MODERN}), was_modern=True, was_legacy=False, recording=True)


@pytest.mark.parametrize("now", [LEGACY, MODERN])
async def test_a_past_is_never_over(now: Mode) -> None:
    """An organization that went back and forth may have batches on both sides; so may one that was modern in part."""
    history = History()
    history.add("a", LEGACY, MODERN, 1)
    history.add("a", now)
    board = make(history)
    await board.refresh()
    outlook = board.outlook(["a"])
    assert (outlook.modes, outlook.was_modern, outlook.was_legacy) == (frozenset({now}), True, True)
    await search(history, board)
    assert "batches of a" not in history.asked, "what is known need not be searched for"


async def test_an_outlook_is_about_all_organizations_of_a_sender() -> None:
    """And it is drawn anew when one of them is switched."""
    history = History()
    board = make(history)
    await search(history, board)
    before = board.outlook(["a", "b"])
    assert board.outlook(["a", "b"]) is before
    history.add("b", SHADOW, MODERN, 50, recording=True)
    await board.refresh()
    after = board.outlook(("a", "b"))
    assert after == Outlook(frozenset({LEGACY, SHADOW, MODERN}), was_modern=True, was_legacy=True, recording=True)
    assert not board.outlook(["a"]).recording


# --- turns ---------------------------------------------------------------------------------------------------------


async def test_recording_is_no_turn() -> None:
    """Rows go as they went; whatever is counted since the switch goes on."""
    history = History()
    history.add("a", SHADOW)
    turn = history.add("a", SHADOW, MODERN, 25)
    history.add("a", SHADOW, MODERN, 25, recording=True)
    board = make(history)
    await board.refresh()
    assert board.turn("a") == turn
    assert [one.number for one in board.history("a")] == [0, 1, 2, 3]
    assert board.turn("b").number == 0


def test_the_way_there_and_back_is_two_turns() -> None:
    """Only the last stretch counts, not an earlier one that went alike."""
    modes = [LEGACY, MODERN, LEGACY]
    history = [Switch("a", mode, number=number) for number, mode in enumerate(modes)]
    assert find_turn(history).number == 2


async def test_after_a_switch_replicas_wait_for_each_other() -> None:
    """A batch that comes to two of them at that moment must not go both ways; recording sends nothing elsewhere."""
    history, now = History(), [100.0]
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    board = Switchboard(
        cast("Books", history),
        ["a", "b"],
        LEGACY,
        has_legacy_host=True,
        clock=lambda: now[0],
        settle_seconds=0.7,
        sleep=sleep,
    )
    await board.refresh()
    await board.settle(["a", "b"])
    assert slept == []
    history.add("a", LEGACY, recording=True)
    await board.refresh()
    await board.settle(["a"])
    assert slept == []
    history.add("a", MODERN)
    await board.refresh()
    now[0] += 0.5
    await board.settle(["b"])
    assert slept == []
    await board.settle(["b", "a"])
    assert slept == [pytest.approx(0.2)]
    now[0] += 0.5
    await board.settle(["a"])
    assert len(slept) == 1
