"""What each change does, and what the law of calls and rows forbids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import (
    Change,
    DecideRows,
    FinishBatch,
    IdentityTaken,
    MoveCall,
    OpenBatch,
    PlanCall,
    StaleCall,
    StoredBatch,
)
from bridge.journal.sqlite import SqliteJournal

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store

FIRST = Address("invoice", 0)
SUBMIT = MoveCall("c1", CallState.PLANNED, CallState.SUBMITTING, 1002.0)
TAKEN = MoveCall("c1", CallState.SUBMITTING, CallState.SUBMITTED, 1003.0, modern_batch="m1")
DONE = MoveCall("c1", CallState.SUBMITTED, CallState.DONE, 1004.0, why="modern batch SUCCESS")


def accepted(*addresses: Address) -> list[Outcome]:
    return [Outcome(address, Verdict.ACCEPTED) for address in addresses]


async def load(journal: Store, batch_id: str = "b1") -> StoredBatch:
    stored = await journal.load(batch_id)
    assert stored is not None
    return stored


async def test_a_batch_is_read_back_as_it_was_written(journal: Store, make: Make) -> None:
    """Rows keep their order and content, calls the order of their rows, and the batch every field."""
    rows = [
        make.row(0, "creditor", item=None, reference=None, verdict=Verdict.ACCEPTED, operation=""),
        make.row(0, verdict=Verdict.REFUSED, message="dueDate: not a valid date", item=None),
        *(make.row(index) for index in range(1, 300)),
        make.row(0, "payment", item=b"{}", reference=None),
    ]
    batch = make.batch(rows=len(rows), offline=True)
    plan = make.planning(rows=(7, 3, 4, 5))
    await journal.write(OpenBatch(batch, rows), plan)

    stored = await load(journal)
    tied = dict.fromkeys(plan.call.rows, "c1")
    assert stored.batch == batch
    assert stored.rows == tuple(replace(row, call_id=tied.get(row.address)) for row in rows)
    assert stored.calls == (plan.call,)


async def test_a_batch_without_rows_and_payload_is_kept_too(journal: Store, make: Make) -> None:
    """An empty batch has its place in the books."""
    await journal.write(make.opening(rows=0, payload=None), FinishBatch("b1", b"{}", 1001.0))
    stored = await load(journal)
    assert stored.rows == ()
    assert stored.batch.reply == b"{}"
    assert stored.batch.payload is None


async def test_a_call_goes_through_its_life(journal: Store, make: Make) -> None:
    """Each move is stored with its reason; the modern batch and the time of the attempt are kept."""
    await journal.write(make.opening(), make.planning())
    await journal.write(SUBMIT)
    await journal.write(TAKEN)
    await journal.write(DONE, DecideRows("b1", accepted(FIRST)), FinishBatch("b1", b"answer", 1005.0))

    stored = await load(journal)
    call = stored.calls[0]
    assert (call.state, call.modern_batch, call.submitted_at, call.why) == (
        *(CallState.DONE, "m1", 1002.0),
        "modern batch SUCCESS",
    )
    assert stored.rows[0].verdict is Verdict.ACCEPTED
    assert (stored.batch.reply, stored.batch.finished_at) == (b"answer", 1005.0)
    assert await journal.open_batches() == []


async def test_a_second_batch_of_the_same_identity_is_refused_whole(journal: Store, make: Make) -> None:
    """IdentityTaken leaves nothing of the second batch, nor of the changes beside it."""
    await journal.write(make.opening())
    with pytest.raises(IdentityTaken, match="b2"):
        await journal.write(make.opening("b2", identity="batchid:b1"), make.planning("c2", "b2"))
    assert await journal.load("b2") is None
    assert await journal.find("ERP-1", "batchid:b1") == make.batch()


async def test_the_same_identity_of_another_sender_is_another_batch(journal: Store, make: Make) -> None:
    """Identities are unique per sender only."""
    await journal.write(make.opening())
    await journal.write(make.opening("b2", identity="batchid:b1", sender="ERP-2"))
    assert await journal.open_batches() == ["b1", "b2"]


async def test_a_lapsed_identity_passes_to_the_batch_that_supersedes_it(journal: Store, make: Make) -> None:
    """The older batch stays in the books, under an identity nobody asks for."""
    await journal.write(make.opening())
    await journal.write(replace(make.opening("b2", identity="batchid:b1"), supersedes="b1"))
    found = await journal.find("ERP-1", "batchid:b1")
    assert found is not None
    assert found.id == "b2"
    assert (await load(journal, "b1")).batch.identity == "batchid:b1 superseded b1"
    with pytest.raises(IdentityTaken):  # the loser of a race named a batch that does not hold the identity any more
        await journal.write(replace(make.opening("b3", identity="batchid:b1"), supersedes="b1"))


async def test_a_batch_id_is_used_once(journal: Store, make: Make) -> None:
    """A batch under an id that exists is a fault of the program."""
    await journal.write(make.opening())
    with pytest.raises(ValueError, match="breaks a rule"):
        await journal.write(make.opening(identity="other"))


async def test_a_batch_brings_as_many_rows_as_it_says(journal: Store, make: Make) -> None:
    """A wrong row count would break the books from the start."""
    with pytest.raises(ValueError, match="says it has 2 rows, but brings 1"):
        await journal.write(OpenBatch(make.batch(rows=2), [make.row()]))


async def test_one_failing_change_undoes_the_whole_write(journal: Store, make: Make) -> None:
    """A write is all or nothing."""
    await journal.write(make.opening(), make.planning())
    with pytest.raises(StaleCall):
        await journal.write(DecideRows("b1", accepted(FIRST)), DONE)
    assert (await load(journal)).rows[0].verdict is Verdict.PENDING


async def test_a_call_that_has_moved_on_is_stale(journal: Store, make: Make) -> None:
    """Of two movers one wins; the other learns that its view is out of date."""
    await journal.write(make.opening(), make.planning())
    await journal.write(SUBMIT)
    with pytest.raises(StaleCall, match="c1 is not PLANNED any more"):
        await journal.write(SUBMIT)


async def test_an_unlawful_move_is_refused(journal: Store, make: Make) -> None:
    """The table of transitions rules, whatever state the call is in."""
    await journal.write(make.opening(), make.planning())
    with pytest.raises(ValueError, match="cannot go from PLANNED to DONE"):
        await journal.write(MoveCall("c1", CallState.PLANNED, CallState.DONE, 1002.0))


async def test_a_call_begins_planned_or_submitting(journal: Store, make: Make) -> None:
    """No call is born with a result."""
    with pytest.raises(ValueError, match="cannot begin its life DONE"):
        await journal.write(make.opening(), make.planning(state=CallState.DONE))


async def test_a_row_keeps_its_first_verdict(journal: Store, make: Make) -> None:
    """A later verdict is ignored, and a pending one decides nothing."""
    await journal.write(make.opening(rows=2))
    refused = [Outcome(FIRST, Verdict.REFUSED, "no such creditor")]
    await journal.write(DecideRows("b1", refused))
    pending = Outcome(Address("invoice", 1), Verdict.PENDING)
    await journal.write(DecideRows("b1", [*accepted(FIRST), pending]))
    first, second = (await load(journal)).rows
    assert (first.verdict, first.message) == (Verdict.REFUSED, "no such creditor")
    assert second.verdict is Verdict.PENDING


async def test_a_verdict_on_a_row_that_does_not_exist_is_refused(journal: Store, make: Make) -> None:
    """A verdict that reaches no row is a fault of the program, not a detail."""
    await journal.write(make.opening())
    with pytest.raises(ValueError, match="payment 3 is not a row"):
        await journal.write(DecideRows("b1", accepted(FIRST, Address("payment", 3))))


@pytest.mark.parametrize("change", [DecideRows("b9", []), FinishBatch("b9", b"", 1.0)])
async def test_changes_to_a_batch_that_does_not_exist_are_refused(journal: Store, change: Change) -> None:
    """Nothing is written about a batch that was never taken."""
    with pytest.raises(ValueError, match="b9 is not in the journal"):
        await journal.write(change)


async def test_the_first_answer_stands(journal: Store, make: Make) -> None:
    """Whoever sends the batch again gets the same bytes."""
    await journal.write(make.opening(rows=0), FinishBatch("b1", b"first", 1001.0))
    await journal.write(FinishBatch("b1", b"second", 1002.0))
    batch = (await load(journal)).batch
    assert (batch.reply, batch.finished_at) == (b"first", 1001.0)


async def test_a_batch_with_a_pending_row_is_not_finished(journal: Store, make: Make) -> None:
    """A final answer needs final rows."""
    await journal.write(make.opening(rows=2), DecideRows("b1", accepted(FIRST)))
    with pytest.raises(ValueError, match="invoice 1 is still pending"):
        await journal.write(FinishBatch("b1", b"answer", 1005.0))


async def test_a_row_is_in_one_open_call_at_most(journal: Store, make: Make) -> None:
    """A row in two open calls would be submitted twice; after the first call has ended it may go on in another."""
    await journal.write(make.opening(rows=2), make.planning(rows=(0, 1)))
    with pytest.raises(ValueError, match=r"c2 cannot take all its rows \(invoice 0\): 0 of 1"):
        await journal.write(make.planning("c2"))
    split = MoveCall("c1", CallState.PLANNED, CallState.REFUSED, 1002.0, "isolating the faulty rows")
    await journal.write(split, make.planning("c2", rows=(0,)), make.planning("c3", rows=(1,)))
    stored = await load(journal)
    assert [row.call_id for row in stored.rows] == ["c2", "c3"]
    assert [call.rows for call in stored.calls] == [(FIRST, Address("invoice", 1)), (FIRST,), (Address("invoice", 1),)]


async def test_a_decided_row_is_not_planned_again(journal: Store, make: Make) -> None:
    """A final row never travels again."""
    await journal.write(make.opening(), DecideRows("b1", accepted(FIRST)))
    with pytest.raises(ValueError, match="cannot take all its rows"):
        await journal.write(make.planning())


async def test_a_call_brings_the_items_completed_since_the_batch_was_opened(journal: Store, make: Make) -> None:
    """A resolved reference changes the item of its row, or gives it one."""
    bare = make.row(1, item=None, reference=None)
    await journal.write(OpenBatch(make.batch(rows=2), [make.row(), bare]))
    items = {FIRST: b"resolved", Address("invoice", 1): b"new"}
    await journal.write(replace(make.planning(rows=(0, 1)), items=items))
    stored = await load(journal)
    assert [(row.item, row.reference) for row in stored.rows] == [(b"resolved", b"{}"), (b"new", None)]


async def test_items_of_rows_that_do_not_exist_are_refused(journal: Store, make: Make) -> None:
    """An item without a row would be lost."""
    await journal.write(make.opening())
    with pytest.raises(ValueError, match="brings items of rows that are not in its batch"):
        await journal.write(replace(make.planning(), items={Address("action", 9): b"{}"}))


async def test_text_that_cannot_be_stored_concerns_its_own_write_only(journal: Store, make: Make) -> None:
    """A lone surrogate is refused where it stands."""
    with pytest.raises(ValueError, match=r"surrogates|does not take"):
        await journal.write(make.opening(batchid="\ud800"))
    await journal.write(make.opening())


async def test_nothing_to_write_is_no_work(journal: Store) -> None:
    """An empty write returns without a commit."""
    before = journal.commits
    await journal.write()
    assert journal.commits == before


async def test_a_large_batch_is_written_in_few_statements(sqlite_journal: SqliteJournal, make: Make) -> None:
    """Rows travel in VALUES lists, because every statement must queue for the interpreter lock."""
    statements: list[str] = []
    await sqlite_journal._writer.run(lambda connection: connection.set_trace_callback(statements.append))
    await sqlite_journal.write(make.opening(rows=2000), PlanCall(make.planning(rows=tuple(range(2000))).call))
    await sqlite_journal.write(DecideRows("b1", accepted(*(Address("invoice", index) for index in range(2000)))))
    await sqlite_journal._writer.run(lambda connection: connection.set_trace_callback(None))
    assert len(statements) < 100
