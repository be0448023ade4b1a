"""What reading back is made of: claims by any name, case histories, numbered settlements, hooks and their news."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from bridge.batch import Address, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import (
    CaseEvent,
    Claim,
    ClerkChange,
    DecideRows,
    FinishBatch,
    Hook,
    LearnClaims,
    News,
    NoteRebuild,
    NumberedSettlement,
    Office,
    Rebuild,
    RegisterSettlements,
)
from bridge.journal.opening import open_office
from bridge.journal.postgres import PostgresJournal, PostgresOffice, open_postgres_journal
from bridge.journal.postgres import crossreference as in_postgres
from bridge.journal.postgres.connections import READING, connect
from bridge.journal.postgres.lifeline import MESSAGE_BYTES, pack_news
from bridge.journal.sqlite import crossreference as in_sqlite

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

Until = Callable[[Callable[[], bool]], Awaitable[None]]

NORDLYS = Claim("nordlys", "i1", "1001", "unique-0", "order-9981", "c1", "case-1", "b1", 0, "m1")
PAUSED = CaseEvent("nordlys", "case-1", "c1", 20.0, "CASE_UPDATED", "PAUSED", ("status", "amounts"))
OPENED = CaseEvent("nordlys", "case-1", "c1", 10.0, "CASE", "OPEN")


@pytest.fixture
async def office(journal: Store, storage_url: str) -> AsyncIterator[Office]:
    opened = open_office(storage_url, base=Path("/"))
    yield opened
    await opened.close()


def listen(journal: Store) -> list[tuple[News, str]]:
    heard: list[tuple[News, str]] = []
    told = {News.FINISHED, News.HINT, News.CHANGED}
    journal.listen(lambda news, name: heard.append((news, name)) if news in told else None)
    return heard


# --- claims --------------------------------------------------------------------------------------------------------


async def test_a_claim_is_found_anywhere_by_any_of_its_names_and_batches(journal: Store, make: Make) -> None:
    """Ids, numbers, references, and the batches it came in by our name, the ERP's, or the modern one's."""
    claim = replace(NORDLYS, organization=make.organization)
    decided = DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.ACCEPTED)])
    await journal.write(make.opening("b1"), decided, LearnClaims([claim, Claim("other", "i2", "2002", "unique-0")]))
    for name in ("i1", "1001", "order-9981", "c1", "case-1", "b1", "B1", "m1"):
        assert await journal.find_claims(name) == [claim], name
    assert len(await journal.find_claims("unique-0")) == 2
    assert len(await journal.find_claims("unique-0", limit=1)) == 1
    assert await journal.find_claims("") == await journal.find_claims("nobody") == []


async def test_ten_thousand_claims_are_read_at_once(journal: Store, office: Office) -> None:
    """By their modern ids, those of the organization only; the office has taught them beside the journal."""
    claims = [Claim("nordlys", f"i{number}", str(number), f"u{number}") for number in range(10_000)]
    await office.write(LearnClaims(claims))
    await journal.write(LearnClaims([Claim("other", "i5", "5"), Claim("other", "elsewhere")]))
    asked = [*(claim.invoice_id for claim in claims), "elsewhere", "nobody", "", "i7"]
    assert await journal.claims_of("nordlys", asked) == {claim.invoice_id: claim for claim in claims}
    assert await journal.claims_of("nordlys", []) == {}


async def test_claims_are_found_anywhere_by_index(journal: Store) -> None:
    """In a cross-reference of millions nothing is read from end to end, whatever the name is."""
    if isinstance(journal, PostgresJournal):
        connection = await connect(journal._url, READING)
        plan = [line for (line,) in await connection.fetch(f"EXPLAIN {in_postgres._FIND_ANYWHERE}", "x", 100)]
        await connection.close()
        full = [line for line in plan if "Seq Scan" in line and "subquery" not in line.lower()]
    else:
        explain = f"EXPLAIN QUERY PLAN {in_sqlite._FIND_ANYWHERE}"
        plan = await journal._read(lambda file: [row[3] for row in file.execute(explain, ("x", 100))])
        full = [line for line in plan if line.startswith("SCAN") and "subquery" not in line]
    assert len(plan) > 10
    assert full == []


async def test_the_newest_batch_of_a_label_is_found(journal: Store, make: Make) -> None:
    """Of this sender; an empty label names nothing."""
    for name, sender, batchid in (
        ("b1", "ERP-1", "W1"),
        ("b2", "ERP-1", "W1"),
        ("b3", "ERP-2", "W1"),
        ("b4", "ERP-1", ""),
    ):
        await journal.write(make.opening(name, sender=sender, batchid=batchid))
    found = await journal.newest_labelled("ERP-1", "W1")
    assert found is not None
    assert (found.id, found.payload) == ("b2", make.batch().payload)
    assert await journal.newest_labelled("ERP-1", "") is None
    assert await journal.newest_labelled("ERP-2", "W2") is None


async def test_the_office_teaches_claims_with_the_progress_of_a_rebuild(journal: Store, office: Office) -> None:
    """Both or neither; what it is told again changes nothing."""
    begun = Rebuild("nordlys", 1.0, "page-2", 1)
    for _ in range(2):
        await office.write(LearnClaims([NORDLYS]), NoteRebuild(begun))
    assert await journal.find_claims("i1") == [NORDLYS]
    assert await journal.rebuilds() == [begun]
    done, other = replace(begun, page_token="", claims=2, finished_at=9.0), Rebuild("alfa", 2.0, "", 0)
    await journal.write(NoteRebuild(done), NoteRebuild(other))
    assert await office.rebuilds() == [other, done]
    with pytest.raises(ValueError, match=r"surrogates|does not take"):
        await office.write(LearnClaims([Claim("nordlys", "\ud800")]), NoteRebuild(begun))
    assert await office.rebuilds() == [other, done]
    await office.write(LearnClaims([replace(NORDLYS, invoice_id="i2", unique_source_invoice_id="")]))
    assert len(await journal.find_claims("1001")) == 2


@pytest.mark.parametrize("store", ["sqlite"])
async def test_the_bridge_writes_beside_an_office_that_imports(journal: Store, office: Office) -> None:
    """SQLite knows no queue: the office leaves gaps, and the bridge looks for them."""
    importing = True

    async def import_claims() -> None:
        number = 0
        while importing:
            await office.write(LearnClaims([Claim("nordlys", f"i{number + n}") for n in range(500)]))
            number += 500

    task = asyncio.ensure_future(import_claims())
    for number in range(30):
        async with asyncio.timeout(5):
            await journal.write(LearnClaims([Claim("other", f"i{number}")]))
    importing = False
    await task
    assert len(await journal.claims_of("other", [f"i{number}" for number in range(30)])) == 30


@pytest.mark.parametrize("store", ["postgres"])
async def test_an_office_tries_again_when_a_replica_is_in_the_way(
    journal: Store, office: PostgresOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few times; then the operator is told."""
    place, deadlocks = office._place, 2

    async def place_later(changes: tuple[ClerkChange, ...]) -> None:
        nonlocal deadlocks
        deadlocks -= 1
        if deadlocks >= 0:
            raise asyncpg.DeadlockDetectedError
        await place(changes)

    monkeypatch.setattr(office, "_place", place_later)
    await office.write(LearnClaims([NORDLYS]))
    assert await journal.find_claims("i1") == [NORDLYS]
    deadlocks = 99
    with pytest.raises(CannotTakeNow, match="again and again"):
        await office.write(LearnClaims([NORDLYS]))


# --- webhooks ------------------------------------------------------------------------------------------------------


async def test_a_webhook_teaches_once_and_everybody_hears_of_it(journal: Store) -> None:
    """Inbox, claims and case history are one step; a delivery that is repeated changes nothing."""
    heard = listen(journal)
    hook = Hook("k1", 30.0, "nordlys", claims=(Claim("nordlys", "i1", case_id="case-1"),), events=(PAUSED,))
    assert await journal.note_hook(hook)
    assert not await journal.note_hook(replace(hook, claims=(Claim("nordlys", "i9"),), events=(OPENED,)))
    assert await journal.find_claims("case-1") == [Claim("nordlys", "i1", case_id="case-1")]
    assert await journal.find_claims("i9") == []
    assert await journal.case_history("nordlys", ["case-1"]) == {"case-1": [PAUSED]}
    await asyncio.sleep(0)
    assert heard == [(News.CHANGED, "nordlys")]


@pytest.mark.parametrize(
    ("hook", "news"),
    [
        (Hook("k", 1.0, "nordlys", "m1"), [(News.HINT, "m1")]),
        (Hook("k", 1.0, "nordlys"), [(News.CHANGED, "nordlys")]),
        (Hook("k", 1.0, "nordlys", "m1", events=(OPENED,)), [(News.HINT, "m1"), (News.CHANGED, "nordlys")]),
        (Hook("k", 1.0, "", claims=(NORDLYS,)), []),
    ],
)
async def test_what_a_webhook_is_about_is_told(journal: Store, hook: Hook, news: list[tuple[News, str]]) -> None:
    """A batch that is done says nothing about claims until its result is read."""
    heard = listen(journal)
    assert await journal.note_hook(hook)
    await asyncio.sleep(0)
    assert heard == news


async def test_a_webhook_that_cannot_be_kept_is_kept_in_no_part(journal: Store) -> None:
    """Nor is its key, so that a mended delivery is taken."""
    hook = Hook("k1", 1.0, "nordlys", claims=(NORDLYS,), events=(replace(OPENED, status="\ud800"),))
    with pytest.raises((ValueError, CannotTakeNow)):
        await journal.note_hook(hook)
    assert await journal.find_claims("i1") == []
    assert await journal.note_hook(replace(hook, events=(OPENED,)))


async def test_case_histories_are_read_oldest_first(journal: Store) -> None:
    """Ten thousand cases at once; events of one moment in the order they arrived; other organizations' not."""
    events = [replace(PAUSED, case_id=f"case-{number}") for number in range(10_000)]
    await journal.note_hook(Hook("k1", 1.0, "nordlys", events=tuple(events)))
    await journal.note_hook(Hook("k2", 2.0, "nordlys", events=(OPENED, replace(PAUSED, status="OPEN"))))
    await journal.note_hook(Hook("k3", 3.0, "other", events=(replace(OPENED, organization="other"),)))
    asked = [f"case-{number}" for number in range(9_999, -1, -1)]
    found = await journal.case_history("nordlys", [*asked, "nobody"])
    assert len(found) == 10_000
    assert found["case-1"] == [OPENED, PAUSED, replace(PAUSED, status="OPEN")]
    assert found["case-77"] == [events[77]]


async def test_histories_and_settlements_outlive_the_retention_time(
    journal: Store, open_store: Callable[[], Awaitable[Store]]
) -> None:
    """They hold no personal data; the key of the hook is forgotten."""
    hook = Hook("k1", 1.0, "nordlys", events=(OPENED,))
    await journal.note_hook(hook)
    await journal.write(RegisterSettlements("nordlys", [("s1", "2026-01-05")]))
    await journal.erase(1000.0, lambda reply, _rows, _text: reply)
    assert await journal.case_history("nordlys", ["case-1"]) == {"case-1": [OPENED]}
    assert len(await journal.settlements_after(["nordlys"], 0)) == 1
    assert await journal.note_hook(hook)


# --- settlements ---------------------------------------------------------------------------------------------------


async def test_settlements_are_numbered_in_the_order_they_are_registered(journal: Store) -> None:
    """Over all organizations; a known one keeps its number, whatever is said of it."""
    await journal.write(RegisterSettlements("nordlys", [("s2", "2026-01-05"), ("s1", ""), ("s2", "")]))
    await journal.write(
        RegisterSettlements("other", [("s1", "2026-01-05")]),
        RegisterSettlements("nordlys", [("s1", "2026-01-04"), ("s3", "2026-01-01"), ("s2", "")]),
    )
    await journal.write(RegisterSettlements("nordlys", [("s3", "2026-01-01")]), RegisterSettlements("nordlys", []))
    first, second, third, fourth = await journal.settlements_after(["nordlys", "other"], 0)
    assert first == NumberedSettlement(first.number, "nordlys", "s2", "2026-01-05")
    assert second == NumberedSettlement(second.number, "nordlys", "s1", "2026-01-04")
    assert third == NumberedSettlement(third.number, "other", "s1", "2026-01-05")
    assert fourth == NumberedSettlement(fourth.number, "nordlys", "s3", "2026-01-01")
    assert [one.number for one in (first, second, third, fourth)] == [1, 2, 3, 4]
    assert await journal.settlements_after(["nordlys"], first.number) == [second, fourth]
    assert await journal.settlements_after([], 0) == []


async def test_thousands_of_settlements_are_numbered_at_once(journal: Store) -> None:
    """In their order, without a gap."""
    ids = [(f"s{number}", "") for number in range(3_000)]
    await journal.write(RegisterSettlements("nordlys", ids[:10]))
    await journal.write(RegisterSettlements("nordlys", ids))
    found = await journal.settlements_after(["nordlys"], 0)
    assert [(one.number, one.settlement_id) for one in found] == [(n + 1, f"s{n}") for n in range(3_000)]


async def read_each_once(journals: Sequence[Store], expected: int) -> list[str]:
    """Keep the highest number and ask again and again, as a connector does, until all are there."""
    seen: list[str] = []
    highest, turn = 0, 0
    while len(seen) < expected:
        for one in await journals[turn % len(journals)].settlements_after(["a", "b", "c"], highest):
            assert one.number > highest
            highest = one.number
            seen.append(one.settlement_id)
        turn += 1
    return seen


async def register_all(journals: Sequence[Store], chance: random.Random) -> set[str]:
    """Have many registrars find overlapping settlements, beside other work of all sizes."""
    everything = [f"s{number}" for number in range(300)]

    async def register(journal: Store, organization: str, mark: str) -> None:
        ids = [f"{organization}-{name}" for name in everything]
        chance.shuffle(ids)
        while ids:
            count = chance.choice([1, 3, 20])
            some, ids = ids[:count], ids[count:]
            register = RegisterSettlements(organization, [(name, "") for name in some])
            other = LearnClaims([Claim(organization, f"{mark}{name}") for name in some * chance.choice([0, 1])])
            await journal.write(*chance.choice([(register,), (register, other), (other, register)]))

    await asyncio.gather(
        *(register(journal, each, f"{n}") for n, journal in enumerate(journals) for each in ("a", "b", "c") * 2)
    )
    return {f"{organization}-{name}" for organization in ("a", "b", "c") for name in everything}


async def expect_each_once(journals: Sequence[Store], seed: int) -> None:
    reading = [asyncio.ensure_future(read_each_once(journals[number:], 900)) for number in range(len(journals))]
    async with asyncio.timeout(60):
        everything = await register_all(journals, random.Random(seed))
        for seen in await asyncio.gather(*reading):
            assert len(seen) == 900
            assert set(seen) == everything


async def test_whoever_keeps_the_highest_number_gets_each_settlement_once(journal: Store) -> None:
    """However many register at once."""
    await expect_each_once([journal], 1)


@pytest.mark.parametrize("seed", range(3))
async def test_numbers_of_several_replicas_become_visible_in_their_order(postgres_url: str, seed: int) -> None:
    """A transaction that commits late must not bring a lower number than one that was seen."""
    journals: list[PostgresJournal] = [await open_postgres_journal(postgres_url) for _ in range(3)]
    try:
        await expect_each_once(journals, seed)
    finally:
        for each in journals:
            await each.close()


# --- news ----------------------------------------------------------------------------------------------------------


async def test_a_final_answer_tells_whose_claims_have_changed(journal: Store, make: Make) -> None:
    """After the answer itself, each organization once."""
    heard = listen(journal)
    await journal.write(make.opening("b1", rows=0), FinishBatch("b1", b"", 1.0, ("nordlys", "other")))
    await asyncio.sleep(0)
    assert heard == [(News.FINISHED, "b1"), (News.CHANGED, "nordlys"), (News.CHANGED, "other")]


async def test_the_other_replicas_hear_of_many_organizations(postgres_url: str, make: Make, until: Until) -> None:
    """A message of PostgreSQL holds 8000 bytes: what is longer comes in several."""
    journals = [await open_postgres_journal(postgres_url) for _ in range(2)]
    heard = [listen(journal) for journal in journals]
    await until(lambda: all(journal.may_send(0) for journal in journals))
    names = tuple(f"organization-{number:026}" for number in range(500))
    await journals[0].write(make.opening("b1", rows=0), FinishBatch("b1", b"", 1.0, names))
    expected = [(News.FINISHED, "b1"), *((News.CHANGED, name) for name in names)]
    await until(lambda: all(len(list_) >= 501 for list_ in heard))
    assert heard == [expected, expected]
    for journal in journals:
        await journal.close()


def test_news_are_told_once_in_messages_that_fit() -> None:
    """A hundred batches of one organization name it once; news that fit nowhere are left out, and only they."""
    news = [each for n in range(100) for each in ((News.FINISHED, f"batch-{n}"), (News.CHANGED, "nordlys"))]
    (message,) = pack_news(7, news)
    assert message.count("nordlys") == 1
    assert message.startswith('[7,[["finished","batch-0"],["changed","nordlys"],')
    assert list(pack_news(7, [(News.HINT, "x" * 9000)])) == list(pack_news(7, [])) == []
    longest = [(News.HINT, f"{n}" + "æ" * 600) for n in range(50)]
    messages = list(pack_news(7, [*longest, (News.HINT, "x" * 9000)]))
    assert sum(message.count("hint") for message in messages) == 50
    assert all(len(message.encode()) < MESSAGE_BYTES + 100 for message in messages)
