"""Switches of organizations, and notes of batches that went to the legacy host: one history, heard at once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.errors import CannotTakeNow
from bridge.identity import BATCHID, CONTENT
from bridge.journal import (
    CountUnknown,
    News,
    NotePassed,
    Office,
    PassedBatch,
    SetSwitch,
    StaleSwitch,
)
from bridge.journal.opening import open_books, open_office
from bridge.journal.postgres import PostgresJournal, open_postgres_journal
from bridge.modes import Mode, Switch

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Store

Until = Callable[[Callable[[], bool]], Awaitable[None]]

SHADOW = Switch("nordlys", Mode.SHADOW, Mode.MODERN, 12.5, recording=True, at=10.0, actor="kari", reason="wave 1")

# what a command does, in a process of its own: one switch, then the time it was durable
COMMAND = """
import asyncio, sys, time
from pathlib import Path
from bridge.journal import SetSwitch
from bridge.journal.opening import open_office
from bridge.modes import Mode, Switch

async def main():
    office = open_office(sys.argv[1], base=Path("/"))
    await office.write(SetSwitch(Switch("nordlys", Mode.LEGACY, at=20.0, actor="ola", reason="back"), 0))
    print(time.time(), flush=True)
    await office.close()

asyncio.run(main())
"""


@pytest.fixture
async def office(journal: Store, storage_url: str) -> AsyncIterator[Office]:
    """The command line's way in, beside the running bridge."""
    opened = open_office(storage_url, base=Path("/"))
    yield opened
    await opened.close()


def listen(journal: Store) -> list[str]:
    """Return who was switched, as it is told."""
    heard: list[str] = []
    journal.listen(lambda news, name: heard.append(name) if news is News.SWITCHED else None)
    return heard


def numbered(switch: Switch, found: Switch) -> Switch:
    return replace(switch, number=found.number)


# --- switches ------------------------------------------------------------------------------------------------------


async def test_nobody_has_switched_an_organization_at_first(journal: Store) -> None:
    """There is no switch to be told of."""
    assert await journal.switches() == await journal.switch_history() == await journal.switch_history("nordlys") == []


async def test_a_switch_is_kept_with_everything_that_was_said(journal: Store, office: Office) -> None:
    """The newest counts, the others are history; numbers grow over all organizations."""
    await journal.write(SetSwitch(SHADOW, 0))
    (first,) = await journal.switches()
    assert first == replace(SHADOW, number=first.number)
    other = Switch("alfa", Mode.MODERN, at=5.0, actor="ola", reason="")
    await office.write(SetSwitch(other, 0))
    back = Switch("nordlys", Mode.LEGACY, at=4.0, actor="guardrail", reason="12 of 40 rows differ")
    await journal.write(SetSwitch(back, first.number))
    second, third = await office.switches()
    assert (second, third) == (numbered(other, second), numbered(back, third))
    assert 0 < first.number < second.number < third.number
    assert await journal.switch_history() == [first, second, third]
    assert await office.switch_history("nordlys") == [first, third]


@pytest.mark.parametrize("expected", [0, 1, 99])
async def test_a_switch_on_a_state_that_is_not_there_any_more_is_refused(
    journal: Store, office: Office, expected: int
) -> None:
    """Whoever looked before somebody else switched must look again; what was written beside it is not kept."""
    await journal.write(SetSwitch(SHADOW, 0))
    (newest,) = await journal.switches()
    later = replace(SHADOW, mode=Mode.LEGACY, other=None, percent=0.0, at=30.0)
    await journal.write(SetSwitch(later, newest.number))
    wrong = SetSwitch(replace(later, at=40.0), expected)
    for writer in (journal, office):
        with pytest.raises(StaleSwitch, match="nordlys was switched in the meantime"):
            await writer.write(SetSwitch(replace(SHADOW, organization="alfa"), 0), wrong)
    assert [switch.organization for switch in await journal.switch_history()] == ["nordlys", "nordlys"]


async def test_a_switch_that_is_recorded_already_stays_as_it_is(journal: Store, office: Office) -> None:
    """Whoever does not know whether it arrived may write it again."""
    for writer in (office, office, journal):
        await writer.write(SetSwitch(SHADOW, 0))
    assert len(await journal.switch_history()) == 1


async def test_a_stale_switch_leaves_its_neighbours_in_the_group_alone(journal: Store) -> None:
    """Of ten who switch at once one comes first; all else that was written beside them is there."""
    seen = [CountUnknown("ERP-1", "invoice", {"x": 1}, 1.0) for _ in range(20)]
    switches = [SetSwitch(replace(SHADOW, actor=f"actor {number}"), 0) for number in range(10)]
    outcomes = await asyncio.gather(
        *map(journal.write, seen, switches), *map(journal.write, seen), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType"] * 21 + ["StaleSwitch"] * 9
    assert len(await journal.switch_history()) == 1
    assert [field.count for field in await journal.unknown_fields()] == [21]


async def switch_at_random(writer: Store | Office, name: str, chance: random.Random) -> list[tuple[str, int, str]]:
    """Look and switch, again and again; return what was written: organization, on which number, and by whom."""
    written: list[tuple[str, int, str]] = []
    for turn in range(8):
        known = {switch.organization: switch.number for switch in await writer.switches()}
        organizations = chance.sample(["a", "b", "c"], chance.choice([1, 1, 2]))
        marks = [(each, known.get(each, 0), f"{name} {turn}") for each in organizations]
        mode = chance.choice(list(Mode))
        changes = [SetSwitch(Switch(each, mode, at=1.0, actor=mark), number) for each, number, mark in marks]
        try:
            await writer.write(*changes)
        except StaleSwitch:
            continue
        written += marks
    return written


async def expect_one_history(writers: Sequence[Store | Office], seed: int) -> None:
    """Every switch that was taken stands in the history once, right after the one its writer had seen."""
    chance = random.Random(seed)
    async with asyncio.timeout(60):
        taken = await asyncio.gather(
            *(switch_at_random(writer, f"{number}", chance) for number, writer in enumerate(writers))
        )
    history = await writers[0].switch_history()
    numbers = [switch.number for switch in history]
    assert numbers == sorted(set(numbers))
    newest: dict[str, int] = {}
    found: list[tuple[str, int, str]] = []
    for switch in history:
        found.append((switch.organization, newest.get(switch.organization, 0), switch.actor))
        newest[switch.organization] = switch.number
    assert sorted(found) == sorted(mark for marks in taken for mark in marks)
    assert {switch.organization: switch.number for switch in await writers[0].switches()} == newest


@pytest.mark.parametrize("seed", range(3))
async def test_many_who_switch_at_once_keep_one_history(journal: Store, storage_url: str, seed: int) -> None:
    """A bridge and several commands, on the same organizations."""
    offices = [open_office(storage_url, base=Path("/")) for _ in range(3)]
    await expect_one_history([journal, journal, *offices], seed)
    for each in offices:
        await each.close()


@pytest.mark.parametrize("seed", range(2))
async def test_replicas_that_switch_at_once_keep_one_history(postgres_url: str, seed: int) -> None:
    """A lower number never becomes visible after a higher one."""
    journals: list[PostgresJournal] = [await open_postgres_journal(postgres_url) for _ in range(3)]
    try:
        await expect_one_history(journals, seed)
    finally:
        for each in journals:
            await each.close()


# --- news of switches ----------------------------------------------------------------------------------------------


async def test_a_switch_is_told_once_to_whoever_wrote_it(journal: Store) -> None:
    """At once."""
    heard = listen(journal)
    await journal.write(SetSwitch(SHADOW, 0), SetSwitch(replace(SHADOW, organization="alfa"), 0))
    await asyncio.sleep(0)
    assert sorted(heard) == ["alfa", "nordlys"]


async def test_a_switch_of_another_process_is_heard_within_a_second(
    journal: Store, storage_url: str, until: Until
) -> None:
    """Whoever sends a batch a second after the command has ended has it treated as ordered."""
    heard = listen(journal)
    times: list[float] = []
    journal.listen(lambda news, _: times.append(time.time()) if news is News.SWITCHED else None)
    await until(lambda: journal.may_send(0.0))
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", COMMAND, storage_url], capture_output=True, text=True, check=True
    )
    await until(lambda: bool(heard))
    assert heard == ["nordlys"]
    assert times[0] - float(done.stdout) < 1.0
    assert [switch.mode for switch in await journal.switches()] == [Mode.LEGACY]


async def test_a_switch_is_heard_by_every_replica(postgres_url: str, until: Until) -> None:
    """Once each, whether a replica has written it or a command."""
    journals = [await open_postgres_journal(postgres_url) for _ in range(3)]
    heard = [listen(journal) for journal in journals]
    await until(lambda: all(journal.may_send(0) for journal in journals))
    async with asyncio.timeout(1.0):
        await journals[0].write(SetSwitch(SHADOW, 0))
        await until(lambda: heard == [["nordlys"]] * 3)
    for journal in journals:
        await journal.close()


async def test_switches_from_before_are_no_news(
    journal: Store, open_store: Callable[[], Awaitable[Store]], until: Until
) -> None:
    """A bridge that starts reads them; it is told of what comes."""
    await journal.write(SetSwitch(SHADOW, 0))
    await journal.close()
    again = await open_store()
    heard = listen(again)
    await again.write(SetSwitch(replace(SHADOW, organization="alfa"), 0))
    await until(lambda: bool(heard))
    assert heard == ["alfa"]
    await again.close()


# --- what went to the legacy host ----------------------------------------------------------------------------------


async def test_a_batch_that_went_to_the_legacy_host_is_known_by_sender_and_identity(
    journal: Store, storage_url: str
) -> None:
    """Whoever asks, and only by both."""
    notes = [PassedBatch("ERP-1", "batchid:W1", 1.0), PassedBatch("ERP-2", "batchid:W1", 2.0)]
    await journal.write(NotePassed(notes), NotePassed([]))
    books = open_books(storage_url, base=Path("/"))
    for each in (journal, books):
        assert [await each.passed(note.sender, note.identity) for note in notes] == notes
        assert await each.passed("ERP-1", "batchid:W2") is None
        assert await each.passed("ERP-3", "batchid:W1") is None
    await books.close()


@pytest.mark.parametrize("seed", range(3))
async def test_the_newest_time_wins_in_any_order(
    journal: Store, open_store: Callable[[], Awaitable[Store]], storage_url: str, seed: int
) -> None:
    """However notes are grouped, those of one write included, and whoever writes them."""
    chance = random.Random(seed)
    journals = [journal] if storage_url.startswith("sqlite") else [journal, await open_store(), await open_store()]
    notes = [
        PassedBatch("ERP-1", f"batchid:{chance.choice('abcdef')}", float(chance.randrange(99))) for _ in range(300)
    ]
    writes, rest = [], notes
    while rest:
        count = chance.choice([1, 2, 30])
        writes.append(NotePassed(rest[:count]))
        rest = rest[count:]
    async with asyncio.timeout(30):
        await asyncio.gather(*(chance.choice(journals).write(write) for write in writes))
    for identity in {note.identity for note in notes}:
        newest = max(note.passed_at for note in notes if note.identity == identity)
        assert await journal.passed("ERP-1", identity) == PassedBatch("ERP-1", identity, newest)
    for each in journals[1:]:
        await each.close()


async def test_many_who_ask_at_once_get_their_own_answers(journal: Store) -> None:
    """Also about batches nobody knows, beside questions about batches in the journal."""
    await journal.write(
        NotePassed([PassedBatch("ERP-1", f"content:{number}", float(number)) for number in range(2500)])
    )
    found = await asyncio.gather(*(journal.passed("ERP-1", f"content:{number}") for number in range(0, 5000, 50)))
    assert [note and note.passed_at for note in found] == [*map(float, range(0, 2500, 50)), *[None] * 50]


async def test_a_store_that_is_gone_is_told(journal: Store, tamper: Callable[[str], Awaitable[None]]) -> None:
    """Where it is not known whether a batch went to the legacy host, nobody says that it did not."""
    await tamper("DROP TABLE passed")
    with pytest.raises((CannotTakeNow, sqlite3.Error)):
        await journal.passed("ERP-1", "batchid:W1")


async def test_what_a_batchid_names_is_remembered_for_ever(journal: Store) -> None:
    """Sameness of content ends with the retention time; a batchid makes a batch the same for ever."""
    label, old, young = f"{BATCHID}W1", f"{CONTENT}c0ffee", f"{CONTENT}babe"
    notes = [PassedBatch("ERP-1", label, 1.0), PassedBatch("ERP-1", old, 9.0), PassedBatch("ERP-1", young, 10.0)]
    await journal.write(
        NotePassed(notes), NotePassed([PassedBatch("ERP-2", f"{CONTENT}{n}", 1.0) for n in range(2500)])
    )
    await journal.write(SetSwitch(SHADOW, 0))
    assert await journal.erase(10.0, lambda reply, _rows, _text: reply) == 0
    assert await journal.passed("ERP-1", label) == notes[0]
    assert await journal.passed("ERP-1", old) is None
    assert await journal.passed("ERP-1", young) == notes[2]
    assert {await journal.passed("ERP-2", f"{CONTENT}{n}") for n in (0, 1500, 2499)} == {None}
    assert len(await journal.switch_history()) == 1
