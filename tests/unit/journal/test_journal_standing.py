"""What may be said of a batch: nothing that is not durable, and everything that is, whoever asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from bridge.batch import Address, Outcome, Verdict
from bridge.journal import DecideRows, FinishBatch, Standing
from bridge.journal.opening import open_books

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.journal.conftest import Make, Store

REFUSED = Outcome(Address("invoice", 1), Verdict.REFUSED, "no such debtor")


async def test_the_decided_rows_of_an_open_batch_stand_among_the_others(journal: Store, make: Make) -> None:
    """All rows in reply order, with verdict and message of those that have one."""
    await journal.write(make.opening(rows=3), make.opening("b2"))
    rows = tuple((Address("invoice", index), f"ref-{index}") for index in range(3))
    assert await journal.standing("b1") == Standing(None, rows, {})
    await journal.write(DecideRows("b1", [REFUSED]))
    assert await journal.standing("b1") == Standing(None, rows, {REFUSED.address: REFUSED})


async def test_a_final_answer_stands_for_all_rows(journal: Store, make: Make) -> None:
    """Its bytes are told, and no row is read; a batch without rows has nothing but that."""
    decided = [Outcome(Address("invoice", index), Verdict.ACCEPTED) for index in range(2)]
    await journal.write(make.opening(rows=2), DecideRows("b1", decided), FinishBatch("b1", b"{}", 2000.0))
    await journal.write(make.opening("empty", rows=0))
    assert await journal.standing("b1") == Standing(b"{}", (), {})
    assert await journal.standing("empty") == Standing(None, (), {})
    assert await journal.standing("unknown") is None


async def test_a_verdict_is_told_elsewhere_from_the_moment_it_is_written(
    open_store: Callable[[], Awaitable[Store]], storage_url: str, make: Make, tmp_path: Path
) -> None:
    """Whoever else reads the same books has it as soon as the write has returned, and so can never say less."""
    journal, elsewhere = await open_store(), open_books(storage_url, base=tmp_path)
    try:
        await journal.write(make.opening(rows=30))
        for index in range(30):
            await journal.write(DecideRows("b1", [Outcome(Address("invoice", index), Verdict.ACCEPTED)]))
            standing = await elsewhere.standing("b1")
            assert standing is not None
            assert len(standing.outcomes) == index + 1
    finally:
        await elsewhere.close()
        await journal.close()
