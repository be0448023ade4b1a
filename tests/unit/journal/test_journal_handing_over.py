"""Rows that catch-up batches carry to the legacy system: each once, all of a batch or none."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address
from bridge.journal import CountUnknown, HandedOver, HandedOverBefore, HandOver, Office, OpenBatch
from bridge.journal.opening import open_office

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

FIRST, SECOND, THIRD = (Address("invoice", index) for index in range(3))
CATCH_UP = HandOver("export-1", "nordlys", [("b2", SECOND), ("b1", FIRST)], "kari", 9.0)


@pytest.fixture
async def office(journal: Store, storage_url: str) -> AsyncIterator[Office]:
    """The command line's way in, beside the running bridge."""
    opened = open_office(storage_url, base=Path("/"))
    yield opened
    await opened.close()


async def take(journal: Store, make: Make, *names: str) -> None:
    for name in names:
        await journal.write(make.opening(name, rows=3))


async def test_rows_that_were_handed_over_are_told_in_the_order_of_their_batches(
    journal: Store, office: Office, make: Make
) -> None:
    """Of one organization, each with the catch-up batch that carries it."""
    await take(journal, make, "b1", "b2")
    await office.write(CATCH_UP)
    await journal.write(replace(CATCH_UP, export="export-2", rows=[("b1", THIRD)], at=10.0))
    await journal.write(replace(CATCH_UP, organization="other", rows=[("b2", FIRST)]), replace(CATCH_UP, rows=[]))
    expected = [
        HandedOver("b1", FIRST, "export-1", 9.0),
        HandedOver("b1", THIRD, "export-2", 10.0),
        HandedOver("b2", SECOND, "export-1", 9.0),
    ]
    assert await journal.handed_over("nordlys") == await office.handed_over("nordlys") == expected
    assert await journal.handed_over("other") == [HandedOver("b2", FIRST, "export-1", 9.0)]
    assert await journal.handed_over("nobody") == []


async def test_no_row_is_handed_over_twice(journal: Store, office: Office, make: Make) -> None:
    """All or none: the free rows beside it stay free, and what was written beside them is not kept."""
    await take(journal, make, "b1", "b2")
    await office.write(CATCH_UP)
    again = replace(CATCH_UP, export="export-2", rows=[("b1", THIRD), ("b1", FIRST)])
    with pytest.raises(HandedOverBefore, match="invoice 0 of batch b1 is in catch-up batch export-1 already"):
        await office.write(again)
    with pytest.raises(HandedOverBefore):
        await journal.write(CountUnknown("ERP-1", "invoice", {"x": 1}, 1.0), again)
    assert [each.export for each in await journal.handed_over("nordlys")] == ["export-1"] * 2
    assert await journal.unknown_fields() == []
    await office.write(replace(again, rows=[("b1", THIRD)]))


@pytest.mark.parametrize(
    "other",
    [
        replace(CATCH_UP, at=9.5),
        replace(CATCH_UP, actor="ola"),
        replace(CATCH_UP, rows=[*CATCH_UP.rows, ("b1", SECOND)]),
    ],
)
async def test_a_hand_over_that_is_recorded_already_stays_as_it_is(
    journal: Store, office: Office, make: Make, other: HandOver
) -> None:
    """Whoever does not know whether it arrived may write the same again, and nothing that only looks like it."""
    await take(journal, make, "b1", "b2")
    for writer in (office, office, journal):
        await writer.write(CATCH_UP)
    with pytest.raises(HandedOverBefore):
        await office.write(other)
    assert len(await journal.handed_over("nordlys")) == 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("b1", FIRST), ("b9", FIRST)], "invoice 0 of batch b9 is not in the journal"),
        ([("b1", FIRST), ("b1", Address("payment", 0))], "payment 0 of batch b1 is not in the journal"),
        ([("b1", FIRST), ("b1", FIRST)], "export-1 names a row twice"),
    ],
)
async def test_what_cannot_be_carried_is_refused(
    journal: Store, office: Office, make: Make, rows: list[tuple[str, Address]], words: str
) -> None:
    """A row that is not there, or is named twice, is a fault of the program."""
    await take(journal, make, "b1")
    for writer in (journal, office):
        with pytest.raises(ValueError, match=words):
            await writer.write(replace(CATCH_UP, rows=rows))
    assert await journal.handed_over("nordlys") == []


@pytest.mark.parametrize("seed", range(3))
async def test_of_many_who_hand_over_at_once_each_gets_all_its_rows_or_none(
    journal: Store, open_store: Callable[[], Awaitable[Store]], storage_url: str, make: Make, seed: int
) -> None:
    """Commands and replicas, on overlapping rows; a refused one leaves its neighbours in the group alone."""
    chance = random.Random(seed)
    await journal.write(*(make.opening(f"b{number}", rows=5) for number in range(8)))
    writers: list[Store | Office] = [journal, *(open_office(storage_url, base=Path("/")) for _ in range(2))]
    if storage_url.startswith("postgres"):
        writers.append(await open_store())
    rows = [(f"b{number}", Address("invoice", index)) for number in range(8) for index in range(5)]
    changes = [HandOver(f"e{n}", "nordlys", chance.sample(rows, chance.choice([1, 3])), "kari", 1.0) for n in range(40)]
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(
            *(chance.choice(writers).write(change) for change in changes), return_exceptions=True
        )
    assert {type(outcome) for outcome in outcomes} == {type(None), HandedOverBefore}
    carried = {(each.batch_id, each.address): each.export for each in await journal.handed_over("nordlys")}
    taken = [change for change, outcome in zip(changes, outcomes, strict=True) if outcome is None]
    assert carried == {row: change.export for change in taken for row in change.rows}
    assert len(carried) == sum(len(change.rows) for change in taken)
    for change in changes:
        assert change in taken or any(row in carried for row in change.rows)
    for each in writers[1:]:
        await each.close()


async def test_ten_thousand_rows_are_handed_over_at_once(journal: Store, office: Office, make: Make) -> None:
    """A whole day's debt."""
    await journal.write(make.opening("b1", rows=10_000))
    rows = [("b1", Address("invoice", index)) for index in range(9_999, -1, -1)]
    await office.write(replace(CATCH_UP, rows=rows))
    assert [each.address.objectindex for each in await journal.handed_over("nordlys")] == list(range(10_000))


# --- whose batches -------------------------------------------------------------------------------------------------


async def test_the_batches_of_an_organization_are_found_by_their_time(
    journal: Store, office: Office, make: Make
) -> None:
    """Oldest first; those that only mention it among others, too; open and finished ones."""
    both = [make.row(0), make.row(1, organization="other")]
    await journal.write(make.opening("late", received_at=30.0), make.opening("old", received_at=9.9))
    await journal.write(OpenBatch(make.batch("mixed", 2, received_at=20.0), both))
    await journal.write(OpenBatch(make.batch("foreign", 1, received_at=25.0), both[1:2]))
    await journal.write(make.opening("first", received_at=10.0), make.opening("empty", rows=0, received_at=26.0))
    assert await office.batches_of(make.organization, 10.0) == ["first", "mixed", "late"]
    assert await journal.batches_of("other", 0.0) == ["mixed", "foreign"]
    assert await journal.batches_of("nobody", 0.0) == await journal.batches_of("other", 26.0) == []


async def test_batches_of_an_older_version_are_found_by_their_rows(
    journal: Store, make: Make, tamper: Callable[[str], Awaitable[None]]
) -> None:
    """It did not record whose the rows were when they were taken."""
    await journal.write(make.opening("b1"), make.opening("b2"))
    await tamper("DELETE FROM taken WHERE batch = (SELECT number FROM batch WHERE id = 'b1')")
    assert await journal.batches_of(make.organization, 0.0) == ["b1", "b2"]
    assert await journal.batches_of("other", 0.0) == []


FILL = {
    "sqlite": """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
        INSERT INTO batch (number, id, sender, identity, profile, batchid, content, received_at, offline, row_count,
            addresses, finished_at, reply)
        SELECT i, 'b' || i, 's', i, 'p', '', '', i, 0, 1, 'invoice 0', i, zeroblob(500) FROM n;
        INSERT INTO taken
        SELECT number, CASE number % 100 WHEN 0 THEN 'rare' ELSE 'often' END, 1, 'invoice 0' FROM batch
    """,
    "postgres": """
        INSERT INTO batch (id, sender, identity, profile, batchid, content, received_at, offline, row_count, addresses,
            finished_at, reply)
        SELECT 'b' || i, 's', i, 'p', '', '', i, false, 1, 'invoice 0', i, repeat('x', 500)::bytea
        FROM generate_series(1, 100000) AS n(i);
        INSERT INTO taken
        SELECT number, CASE received_at::int % 100 WHEN 0 THEN 'rare' ELSE 'often' END, 1, 'invoice 0' FROM batch
    """,
}


async def test_a_hundred_thousand_batches_are_searched_in_a_moment(
    journal: Store, store: str, tamper: Callable[[str], Awaitable[None]]
) -> None:
    """Only those of the time asked about are looked at."""
    await tamper(FILL[store])
    begun = time.monotonic()
    assert len(await journal.batches_of("rare", 0.0)) == 1000
    assert len(await journal.batches_of("often", 99_000.0)) == 990
    assert time.monotonic() - begun < 5.0
