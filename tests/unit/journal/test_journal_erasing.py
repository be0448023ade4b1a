"""Retention takes the personal data and leaves the books."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import Claim, DecideRows, FinishBatch, LearnClaims, MoveCall, OpenBatch, StoredBatch
from bridge.journal.interface import ERASED
from bridge.journal.postgres import erasing as postgres_erasing
from bridge.journal.sqlite import erasing as sqlite_erasing
from bridge.journal.sqlite import open_sqlite_journal

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

SECRET = b'{"name": "Kari Nordmann"}'


WORDS = "debtor Kari Nordmann is under guardianship"


def redact(reply: bytes, rows: Collection[Address], text: str) -> bytes:
    """Answers are of the tests' own making here: a line a row."""
    lines = [f"{address}: {text}" for address in sorted(rows)]
    kept = [line for line in reply.decode().splitlines() if line.partition(":")[0] not in map(str, rows)]
    return "\n".join(kept + lines).encode()


async def load(journal: Store, name: str) -> StoredBatch:
    stored = await journal.load(name)
    assert stored is not None
    return stored


async def finish(journal: Store, make: Make, name: str, at: float, rows: int = 1) -> None:
    opened = [make.row(index, item=SECRET, reference=SECRET) for index in range(rows)]
    plan = make.planning(f"c-{name}", name, tuple(range(rows)), state=CallState.SUBMITTING)
    await journal.write(OpenBatch(make.batch(name, rows, payload=SECRET), opened), plan)
    await journal.write(
        MoveCall(plan.call.id, CallState.SUBMITTING, CallState.DONE, at),
        DecideRows(name, [Outcome(Address("invoice", index), Verdict.ACCEPTED) for index in range(rows)]),
        LearnClaims([Claim(make.organization, f"i-{name}", batch_id=name, objectindex=0)]),
        FinishBatch(name, b"answer", at),
    )


async def test_payload_items_and_references_go_and_the_rest_stays(journal: Store, make: Make) -> None:
    """Reply, verdicts, calls and the cross-reference outlive the payload; nothing breaks the books."""
    await finish(journal, make, "old", 100.0, rows=3)
    before = await load(journal, "old")
    assert await journal.erase(200.0, redact) == 1
    after = await load(journal, "old")
    assert after == replace(
        before,
        batch=replace(before.batch, payload=None),
        rows=tuple(replace(row, item=None, reference=None) for row in before.rows),
    )
    assert len(await journal.claims(make.organization, "invoiceId", "i-old")) == 1
    assert (await journal.ledger()).unaccounted == ()
    assert await journal.erase(200.0, redact) == 0


async def refuse(journal: Store, make: Make, name: str, at: float, rows: int = 3) -> None:
    """Finish a batch whose first row the bridge refused by itself; the modern system did so with the rest."""
    own = make.row(0, verdict=Verdict.REFUSED, message="dueDate: not a date", organization="", operation="")
    sent = tuple(range(1, rows))
    plan = make.planning(f"c-{name}", name, sent, state=CallState.SUBMITTING)
    await journal.write(OpenBatch(make.batch(name, rows), [own, *map(make.row, sent)]), plan)
    addresses = [Address("invoice", index) for index in sent]
    reply = "\n".join(["invoice 0: dueDate: not a date", *(f"{address}: {WORDS}" for address in addresses)])
    await journal.write(
        MoveCall(plan.call.id, CallState.SUBMITTING, CallState.REFUSED, at),
        DecideRows(name, [Outcome(address, Verdict.REFUSED, WORDS) for address in addresses]),
        FinishBatch(name, reply.encode(), at),
    )


async def test_messages_about_rows_that_were_sent_go_from_rows_and_answer(journal: Store, make: Make) -> None:
    """They may be the modern system's words; what the bridge itself said of a row never holds a value, and stays."""
    await refuse(journal, make, "old", 100.0)
    await refuse(journal, make, "young", 300.0)
    young = await load(journal, "young")
    assert await journal.erase(200.0, redact) == 1
    old = await load(journal, "old")
    assert [row.message for row in old.rows] == ["dueDate: not a date", ERASED, ERASED]
    assert {row.verdict for row in old.rows} == {Verdict.REFUSED}
    assert [row.ledgerref for row in old.rows] == ["ref-0", "ref-1", "ref-2"]
    assert (old.batch.reply or b"").decode().splitlines() == [
        "invoice 0: dueDate: not a date",
        f"invoice 1: {ERASED}",
        f"invoice 2: {ERASED}",
    ]
    assert await load(journal, "young") == young
    assert (await journal.ledger()).unaccounted == ()


async def test_an_answer_is_redacted_once(journal: Store, make: Make, tamper: Callable[[str], Awaitable[None]]) -> None:
    """Erasing again what is erased changes nothing, as happens after an upgrade."""
    await refuse(journal, make, "old", 100.0)
    await journal.erase(200.0, redact)
    before = await load(journal, "old")
    await tamper("UPDATE batch SET kept = NOT kept")
    assert await journal.erase(200.0, lambda *_: b"redacted again") == 1
    assert await load(journal, "old") == before


async def test_a_batch_without_messages_keeps_its_answer_to_the_byte(journal: Store, make: Make) -> None:
    """Nobody needs to read it."""
    await finish(journal, make, "old", 100.0)
    assert await journal.erase(200.0, lambda *_: b"redacted") == 1
    assert (await load(journal, "old")).batch.reply == b"answer"


async def test_young_and_open_batches_keep_everything(journal: Store, make: Make) -> None:
    """Only what was finished before the given time is erased."""
    await finish(journal, make, "young", 200.0)
    await journal.write(make.opening("open"))
    assert await journal.erase(200.0, redact) == 0
    for name in ("young", "open"):
        stored = await load(journal, name)
        assert stored.batch.payload is not None
        assert stored.rows[0].item is not None


async def test_erased_data_is_gone_from_the_disk(path: Path, make: Make) -> None:
    """Not only from the tables: no byte of it is left in any of the files."""
    journal = open_sqlite_journal(path)
    await finish(journal, make, "old", 100.0, rows=50)
    await refuse(journal, make, "refused", 100.0, rows=50)
    await journal.erase(200.0, redact)
    await journal.close()
    assert all(b"Nordmann" not in file.read_bytes() for file in path.parent.iterdir())


async def test_erased_data_is_gone_from_the_disk_while_the_bridge_runs_on(path: Path, make: Make) -> None:
    """No byte of it stays in the file or the WAL until enough else is written, which can take weeks."""
    journal = open_sqlite_journal(path)
    await finish(journal, make, "old", 100.0, rows=50)
    assert any(b"Nordmann" in file.read_bytes() for file in path.parent.iterdir())
    await journal.erase(200.0, redact)
    assert all(b"Nordmann" not in file.read_bytes() for file in path.parent.iterdir())
    await journal.close()


async def test_a_long_read_delays_only_the_disk(path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody reads old pages they stay; erasing and writing go on, and the next round clears them away."""
    monkeypatch.setattr("bridge.journal.sqlite.connections.FOLD_PAUSE_SECONDS", 0.0)
    journal = open_sqlite_journal(path)
    await finish(journal, make, "old", 100.0, rows=50)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchone()
        assert await journal.erase(200.0, redact) == 1
        await journal.write(make.opening("meanwhile"))
    await journal.erase(200.0, redact)
    assert all(b"Nordmann" not in file.read_bytes() for file in path.parent.iterdir())
    await journal.close()


async def test_a_journal_is_closed_when_nobody_folds_it_any_more(path: Path, make: Make, until: Any) -> None:
    """Whoever was erasing may be gone by then; the last to leave removes what lies beside the file."""
    journal = open_sqlite_journal(path)
    await finish(journal, make, "old", 100.0, rows=50)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchone()
        erasing = asyncio.ensure_future(journal.erase(200.0, redact))
        await until(lambda: journal._folding is not None)
        erasing.cancel()
        reader.execute("COMMIT")
    await asyncio.gather(erasing, return_exceptions=True)
    await journal.close()
    folding = journal._folding
    assert folding is not None
    assert folding.done()
    assert sorted(file.name for file in path.parent.glob("bridge.db*") if "lock" not in file.name) == ["bridge.db"]


async def test_nothing_is_folded_where_nothing_was_erased(path: Path, make: Make) -> None:
    """A round of housekeeping that finds nothing costs nothing."""
    journal = open_sqlite_journal(path)
    await finish(journal, make, "new", 300.0)
    assert await journal.erase(200.0, redact) == 0
    assert journal._folding is None
    await journal.close()


async def test_erasing_goes_in_slices_that_let_other_writes_through(
    journal: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a huge batch nor very many batches hold the writer for long."""
    for erasing in (sqlite_erasing, postgres_erasing):
        monkeypatch.setattr(erasing, "BATCHES_PER_SLICE", 3)
        monkeypatch.setattr(erasing, "ITEMS_PER_SLICE", 10)
    await finish(journal, make, "huge", 50.0, rows=35)
    await refuse(journal, make, "refused", 60.0, rows=25)
    for number in range(7):
        await finish(journal, make, f"b{number}", 100.0)
    before = journal.commits
    task = asyncio.ensure_future(journal.erase(200.0, redact))
    between = 0
    while not task.done():
        await journal.write(make.opening(f"beside-{between}"))
        between += 1
    assert await task == 9
    assert between >= 3
    assert journal.commits - before >= 6
    stored = await load(journal, "huge")
    assert {row.item for row in stored.rows} == {None}
