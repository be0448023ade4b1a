"""`kill -9` at any instant: what a returned write promised is in the file, and no write is there by halves."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.batch import CallState, Verdict
from bridge.journal.sqlite import open_sqlite_journal
from bridge.journal.sqlite.books import SqliteBooks, open_sqlite_books

CHILD = '''
import asyncio, sys
from pathlib import Path
from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import *
from bridge.journal.sqlite import SqliteJournal, open_sqlite_journal

ROWS = 3

async def live(journal: SqliteJournal, name: str):
    """Take a batch, submit it, and finish it; report each write when it has returned."""
    addresses = tuple(Address("invoice", index) for index in range(ROWS))
    sent = {"organization": "o", "operation": "invoices"}
    rows = [RowRecord(address, Verdict.PENDING, item=b"{}", **sent) for address in addresses]
    call = CallRecord("c" + name, name, "o", "invoices", "/x", addresses, CallState.SUBMITTING)
    await journal.write(
        OpenBatch(BatchRecord(name, "s", "p", name, name, "", 1.0, False, ROWS, b"x" * 3000), rows), PlanCall(call)
    )
    print("opened", name, flush=True)
    await journal.write(MoveCall(call.id, CallState.SUBMITTING, CallState.SUBMITTED, 2.0, modern_batch="m" + name))
    print("submitted", name, flush=True)
    done = [Outcome(address, Verdict.ACCEPTED) for address in addresses]
    await journal.write(
        MoveCall(call.id, CallState.SUBMITTED, CallState.DONE, 3.0), DecideRows(name, done),
        LearnClaims([Claim("o", "i" + name, batch_id=name)]), FinishBatch(name, b"answer", 4.0)
    )
    print("finished", name, flush=True)

async def work(journal: SqliteJournal, worker, life):
    for number in range(1_000_000):
        await live(journal, f"{life}-{worker}-{number}")

async def main():
    journal = open_sqlite_journal(Path(sys.argv[1]))
    await asyncio.gather(*(work(journal, worker, sys.argv[2]) for worker in range(8)))

asyncio.run(main())
'''


def run_and_kill(path: Path, life: int, chance: random.Random) -> dict[str, set[str]]:
    """Let a process write until it is killed in the middle; return what it reported, by kind."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path), str(life)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(chance.randrange(1, 400))]
    time.sleep(chance.uniform(0.0, 0.003))  # anywhere within a commit; nothing is waited for
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    reported: dict[str, set[str]] = {"opened": set(), "submitted": set(), "finished": set()}
    for line in [*lines, *rest.splitlines(keepends=True)]:
        if line.endswith("\n"):  # the last line may be cut
            kind, name = line.split()
            reported[kind].add(name)
    assert reported["opened"]
    return reported


async def expect_whole(books: SqliteBooks, reported: dict[str, set[str]], life: int) -> None:
    """Every reported write is there, and every write is there with all of its changes or none."""
    for name in reported["opened"]:
        assert await books.load(name) is not None
    for summary in await books.summaries(limit=1_000_000):
        if not summary.id.startswith(f"{life}-"):
            continue
        stored = await books.load(summary.id)
        assert stored is not None
        assert stored.batch.payload is not None
        (call,) = stored.calls
        assert len(stored.rows) == 3
        assert {row.call_id for row in stored.rows} == {call.id}
        assert len(stored.batch.payload) == 3000
        is_done = call.state is CallState.DONE
        assert {row.verdict for row in stored.rows} == {Verdict.ACCEPTED if is_done else Verdict.PENDING}
        assert (stored.batch.reply is not None) == is_done
        assert len(await books.claims("o", "invoiceId", "i" + summary.id)) == is_done
        if summary.id in reported["finished"]:
            assert is_done
        if summary.id in reported["submitted"]:
            assert call.modern_batch == "m" + summary.id


@pytest.mark.parametrize("seed", range(4))
async def test_a_killed_process_loses_no_returned_write(path: Path, seed: int) -> None:
    """Three lives on one journal, each killed at random; the books are read before and after the next start."""
    chance = random.Random(seed)
    for life in range(3):
        reported = run_and_kill(path, life, chance)
        books = open_sqlite_books(path)
        await expect_whole(books, reported, life)
        ledger = await books.ledger()
        await books.close()
        assert ledger.unaccounted == ()
        assert ledger.accepted == ledger.final + ledger.pending + ledger.in_doubt
    journal = open_sqlite_journal(path)
    assert await journal.ledger() == ledger
    await journal.close()
