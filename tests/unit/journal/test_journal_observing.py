"""What was seen of organizations: counts that add up whoever counts, and a few samples of every difference."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address
from bridge.journal import (
    SAMPLES_KEPT,
    Change,
    CountUnknown,
    KeepSamples,
    NotePassed,
    Observation,
    Observe,
    PassedBatch,
    Sample,
)
from bridge.journal.opening import open_books
from bridge.journal.postgres import open_postgres_journal
from bridge.journal.postgres.failures import Failure, classify

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Store

SEEN = Observation("nordlys", 60.0, "compared", ("same",), 3)
SAMPLE = Sample("nordlys", "invoice.verdict", "verdict", 1.0, "ERP-1", Address("invoice", 4), '"ok"', "null")


@pytest.fixture
async def journals(
    journal: Store, open_store: Callable[[], Awaitable[Store]], storage_url: str
) -> AsyncIterator[list[Store]]:
    """All replicas of a bridge; there is one where a file holds the journal."""
    others = [] if storage_url.startswith("sqlite") else [await open_store() for _ in range(2)]
    yield [journal, *others]
    for each in others:
        await each.close()


# --- observations --------------------------------------------------------------------------------------------------


async def test_what_was_seen_is_read_by_organization_time_and_topic(journal: Store, storage_url: str) -> None:
    """In order of the spans, then of topics and subjects; also by a command beside the bridge."""
    later = replace(SEEN, since=120.0, topic="answer", subject=("0.5",))
    nested = replace(SEEN, subject=("a", 'b"\\', "ø\0\ud800", ""))
    other = replace(SEEN, organization="other")
    await journal.write(Observe([later, SEEN, other]), Observe([nested]), Observe([]))
    books = open_books(storage_url, base=Path("/"))
    for each in (journal, books):
        assert await each.observations("nordlys", 0.0) == [nested, SEEN, later]
        assert await each.observations("nordlys", 60.0, {"compared"}) == [nested, SEEN]
        assert await each.observations("nordlys", 60.5) == [later]
        assert await each.observations("nordlys", 0.0, ["answer", "noise"]) == [later]
        assert await each.observations("nordlys", 120.5) == await each.observations("nobody", 0.0) == []
    await books.close()


@pytest.mark.parametrize("seed", range(3))
async def test_counts_add_up_in_any_grouping(journals: list[Store], seed: int) -> None:
    """Several of one write, of one group, of one moment at several replicas; nobody waits in a circle."""
    chance = random.Random(seed)
    totals: Counter[tuple[str, float, str]] = Counter()
    writes = []
    for _ in range(150):
        some = []
        for _ in range(chance.choice([1, 2, 40])):
            one = Observation(chance.choice("ab"), chance.choice([0.0, 60.0]), "x", (chance.choice("pqr"),), 1)
            one = replace(one, count=chance.randrange(1, 9))
            totals[one.organization, one.since, one.subject[0]] += one.count
            some.append(one)
        note = NotePassed([PassedBatch("ERP-1", chance.choice("ab"), 1.0)])
        keep = KeepSamples([replace(SAMPLE, path=chance.choice("ab"))])
        writes.append(chance.choice([(Observe(some),), (note, Observe(some), keep), (keep, Observe(some), note)]))
    async with asyncio.timeout(60):
        await asyncio.gather(*(chance.choice(journals).write(*write) for write in writes))
    found = [one for name in "ab" for one in await journals[-1].observations(name, 0.0)]
    assert {(one.organization, one.since, one.subject[0]): one.count for one in found} == dict(totals)


async def test_replicas_that_count_the_same_never_wait_in_a_circle(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order they saw it, and whatever else they write with it."""
    errors: list[BaseException] = []

    def note(error: BaseException) -> Failure:
        errors.append(error)
        return classify(error)

    monkeypatch.setattr("bridge.journal.postgres.writer.classify", note)
    journals = [await open_postgres_journal(postgres_url, max_group=2) for _ in range(3)]
    chance = random.Random(1)
    seen = [replace(SEEN, subject=(f"{n}",), count=1) for n in range(300)]
    passed = [PassedBatch("ERP-1", f"batchid:{n}", 1.0) for n in range(300)]
    writes: list[list[Change]] = []
    for n in range(90):
        one: list[Change] = [NotePassed(chance.sample(passed, 300)), KeepSamples([replace(SAMPLE, path=f"{n}")])]
        one = [Observe(chance.sample(seen, 300)), *chance.sample(one, chance.choice([0, 0, 1, 2]))]
        writes.append(chance.sample(one, len(one)))
    async with asyncio.timeout(60):
        await asyncio.gather(*(journals[n % 3].write(*write) for n, write in enumerate(writes)))
    assert {one.count for one in await journals[0].observations("nordlys", 0.0)} == {90}
    assert errors == []
    for journal in journals:
        await journal.close()


async def test_what_is_seen_beside_a_refused_write_is_not_lost(journal: Store) -> None:
    """Nor counted twice: the group is written again without the one that cannot be."""
    writes = [journal.write(Observe([SEEN])) for _ in range(10)]
    refused = journal.write(Observe([SEEN]), CountUnknown("ERP-1", "invoice", {"\ud800": 1}, 1.0))
    outcomes = await asyncio.gather(*writes[:5], refused, *writes[5:], return_exceptions=True)
    assert [outcome is None for outcome in outcomes] == [True] * 5 + [False] + [True] * 5
    assert await journal.observations("nordlys", 0.0) == [replace(SEEN, count=30)]


async def test_thousands_are_counted_at_once(journal: Store) -> None:
    """As many as a busy bridge sees in an hour."""
    many = [replace(SEEN, since=float(n % 60) * 60, subject=(f"field {n}",)) for n in range(5000)]
    for _ in range(2):
        await journal.write(Observe(many))
    found = await journal.observations("nordlys", 0.0)
    assert found == sorted((replace(one, count=6) for one in many), key=lambda one: (one.since, one.subject))


# --- samples -------------------------------------------------------------------------------------------------------


async def test_the_first_samples_of_each_difference_are_kept(journal: Store, storage_url: str) -> None:
    """Of each organization, path and kind, whatever their number in a write; they come back as they were."""
    first = [replace(SAMPLE, at=float(10 - n), legacy=f'"{n}"') for n in range(3)]
    batchwide = replace(SAMPLE, path="batch.statuscode", address=None)
    other = replace(SAMPLE, organization="other")
    await journal.write(KeepSamples([]))
    await journal.write(KeepSamples([first[0], batchwide, other]), KeepSamples([]))
    await journal.write(KeepSamples(first[1:]))
    rest = [replace(SAMPLE, at=20.0 + n) for n in range(9)]
    await journal.write(KeepSamples([*rest, replace(SAMPLE, kind="missing")]))
    await journal.write(KeepSamples(rest))
    kept = [*reversed(first), *rest[: SAMPLES_KEPT - 3]]
    books = open_books(storage_url, base=Path("/"))
    assert await books.samples("nordlys") == [batchwide, replace(SAMPLE, kind="missing"), *kept]
    assert await books.samples("other") == [other]
    assert await books.samples("nobody") == []
    await books.close()


async def test_replicas_together_keep_no_more_than_one_would(journals: list[Store]) -> None:
    """Whoever comes first."""
    writes = [KeepSamples([replace(SAMPLE, at=float(n), path=path) for path in ("x", "y")]) for n in range(60)]
    async with asyncio.timeout(30):
        await asyncio.gather(*(journals[n % len(journals)].write(write) for n, write in enumerate(writes)))
    kept = Counter(sample.path for sample in await journals[-1].samples("nordlys"))
    assert kept == {"x": SAMPLES_KEPT, "y": SAMPLES_KEPT}


# --- retention -----------------------------------------------------------------------------------------------------


async def test_what_is_older_than_the_retention_time_goes(journal: Store) -> None:
    """Observations by the beginning of their span; where samples went there is room for new ones."""
    young, middle = replace(SEEN, since=100.0), [replace(SAMPLE, at=100.0 + n) for n in range(2)]
    old = [replace(SEEN, since=99.0, subject=(f"{n}",)) for n in range(2500)]
    await journal.write(Observe([*old, young]), KeepSamples([*[SAMPLE] * 3, *middle]))
    assert await journal.erase(100.0, lambda reply, _rows, _text: reply) == 0
    assert await journal.observations("nordlys", 0.0) == [young]
    assert await journal.samples("nordlys") == middle
    await journal.write(KeepSamples([replace(SAMPLE, at=200.0)] * 9))
    assert len(await journal.samples("nordlys")) == SAMPLES_KEPT


async def test_counting_stays_cheap_however_much_was_seen(postgres_url: str) -> None:
    """Forty writes that count the same travel as one statement, as every kind of change does."""
    journal = await open_postgres_journal(postgres_url)
    before = journal.commits
    await asyncio.gather(*(journal.write(Observe([SEEN])) for _ in range(200)))
    assert journal.commits - before < 20
    assert await journal.observations("nordlys", 0.0) == [replace(SEEN, count=600)]
    await journal.close()
