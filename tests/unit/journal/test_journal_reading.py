"""What can be asked of the books."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import (
    BatchSummary,
    Claim,
    CountUnknown,
    DecideRows,
    FinishBatch,
    LearnClaims,
    MoveCall,
    SeeCreditor,
    SeenCreditor,
    UnknownField,
)
from bridge.journal.sqlite import SqliteJournal
from bridge.journal.sqlite.crossreference import find_claims

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store


async def test_what_was_never_written_is_not_found(journal: Store) -> None:
    """Unknown ids and identities answer None, and an empty journal empty lists."""
    assert await journal.find("ERP-1", "batchid:b1") is None
    assert await journal.load("b1") is None
    assert await journal.open_batches() == []
    assert await journal.attempts("b1") == []
    assert await journal.summaries() == []
    assert await journal.unknown_fields() == []
    assert await journal.creditors() == []


async def test_a_written_batch_is_found_at_once(journal: Store, make: Make) -> None:
    """Whoever comes after the write sees it, although reading and writing use different connections."""
    for number in range(50):
        await journal.write(make.opening(f"b{number}"))
        found = await journal.find("ERP-1", f"batchid:b{number}")
        assert found is not None
        assert found.payload == b'{"invoice": []}'
        assert await journal.find("ERP-2", f"batchid:b{number}") is None


async def test_find_asks_the_other_connection_when_its_own_is_busy(sqlite_journal: SqliteJournal, make: Make) -> None:
    """A short look-up that fails is repeated where waiting harms nobody."""
    await sqlite_journal.write(make.opening())
    sqlite_journal._probe.close()
    found = await sqlite_journal.find("ERP-1", "batchid:b1")
    assert found is not None


async def test_open_batches_come_oldest_first(journal: Store, make: Make) -> None:
    """Received first, resumed first, whatever the order of writing."""
    await journal.write(make.opening("late", received_at=20.0))
    await journal.write(make.opening("early", received_at=10.0))
    await journal.write(make.opening("done", rows=0), FinishBatch("done", b"", 1.0))
    assert await journal.open_batches() == ["early", "late"]


async def test_attempts_tell_every_state_a_call_entered(journal: Store, make: Make) -> None:
    """The record is complete and in order, even when the clock was set back."""
    await journal.write(make.opening(rows=2), make.planning(), make.planning("c2", rows=(1,), planned_at=1006.0))
    await journal.write(MoveCall("c1", CallState.PLANNED, CallState.SUBMITTING, 1005.0))
    await journal.write(MoveCall("c1", CallState.SUBMITTING, CallState.IN_DOUBT, 900.0, "time-out"))
    await journal.write(MoveCall("c1", CallState.IN_DOUBT, CallState.DONE, 1010.0, "found by its key"))
    told = [(attempt.call_id, attempt.at, attempt.state, attempt.why) for attempt in await journal.attempts("b1")]
    assert told == [
        ("c1", 1001.0, CallState.PLANNED, ""),
        ("c1", 1005.0, CallState.SUBMITTING, ""),
        ("c1", 900.0, CallState.IN_DOUBT, "time-out"),
        ("c2", 1006.0, CallState.PLANNED, ""),
        ("c1", 1010.0, CallState.DONE, "found by its key"),
    ]


async def test_summaries_tell_where_the_rows_of_the_newest_batches_stand(journal: Store, make: Make) -> None:
    """Newest first, no more than asked for; every row is counted once."""
    await journal.write(make.opening("empty", rows=0), FinishBatch("empty", b"", 1009.0))
    await journal.write(
        make.opening(rows=4),
        make.planning(rows=(3,), state=CallState.SUBMITTING),
        MoveCall("c1", CallState.SUBMITTING, CallState.IN_DOUBT, 1002.0),
        DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.ACCEPTED)]),
        DecideRows("b1", [Outcome(Address("invoice", 1), Verdict.REFUSED)]),
    )
    first = BatchSummary("b1", "ERP-1", "B1", 1000.0, None, 4, accepted=1, refused=1, pending=1, in_doubt=1)
    second = BatchSummary("empty", "ERP-1", "EMPTY", 1000.0, 1009.0, 0, 0, 0, 0, 0)
    assert await journal.summaries() == [first, second]
    assert await journal.summaries(limit=1) == [first]


async def test_unknown_fields_are_counted_per_sender(journal: Store) -> None:
    """Counts add up; the last sighting is kept."""
    await journal.write(CountUnknown("ERP-1", "invoice", {"shoeSize": 2, "debtors[].hat": 1}, 10.0))
    await journal.write(
        CountUnknown("ERP-1", "invoice", {"shoeSize": 3}, 5.0), CountUnknown("A", "action", {"x": 1}, 1.0)
    )
    assert await journal.unknown_fields() == [
        UnknownField("A", "action", "x", 1, 1.0),
        UnknownField("ERP-1", "invoice", "debtors[].hat", 1, 10.0),
        UnknownField("ERP-1", "invoice", "shoeSize", 5, 10.0),
    ]


async def test_the_creditor_register_remembers_what_was_seen(journal: Store) -> None:
    """Field names add up; first and last sighting are kept; whether it is known is the newest answer."""
    await journal.write(SeeCreditor("ERP-1", "984842252", known=False, fields=("name", "idnumber"), at=10.0))
    await journal.write(SeeCreditor("ERP-1", "984842252", known=True, fields=("phone", "name"), at=20.0))
    assert await journal.creditors() == [
        SeenCreditor(
            "ERP-1", "984842252", known=True, fields=("idnumber", "name", "phone"), first_seen=10.0, last_seen=20.0
        )
    ]


NORDLYS = Claim("nordlys", "i1", "1001", "u1", "order-9981", "c1", "case-1", "b1", 0)


async def claims(journal: Store, kind: str, value: str, organization: str = "nordlys") -> list[Claim]:
    return await journal.claims(organization, kind, value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("invoiceId", "i1"),
        ("invoiceNumber", "1001"),
        ("uniqueSourceInvoiceId", "u1"),
        ("caseNumber", "c1"),
        ("ledgerref", "order-9981"),
    ],
)
async def test_a_claim_is_found_by_each_of_its_names(journal: Store, kind: str, value: str) -> None:
    """Within its organization, and by exactly this name."""
    await journal.write(LearnClaims([NORDLYS, Claim("nordlys", "i2", "1002", "u2", "", "c2")]))
    assert await claims(journal, kind, value) == [NORDLYS]
    assert await claims(journal, kind, value, "other") == []
    assert await claims(journal, kind, value + "0") == []
    assert await claims(journal, kind, "") == []


async def test_a_ledgerref_is_what_the_erp_knows_the_row_by(journal: Store) -> None:
    """The row's own, else the unique id or the invoice number, but those only where the row carried none."""
    bare = Claim("nordlys", "i2", "1002", "u2")
    await journal.write(LearnClaims([NORDLYS, bare]))
    assert await claims(journal, "ledgerref", "u2") == [bare]
    assert await claims(journal, "ledgerref", "1002") == [bare]
    assert await claims(journal, "ledgerref", "u1") == []
    assert await claims(journal, "ledgerref", "1001") == []


async def test_a_claim_is_not_looked_up_by_an_unknown_kind(journal: Store) -> None:
    """A wrong kind is a fault of the program."""
    with pytest.raises(ValueError, match="claims are found by invoiceId"):
        await claims(journal, "colour", "red")


async def test_a_claim_is_completed_and_never_emptied(journal: Store) -> None:
    """What is learnt later is added; an empty value replaces nothing."""
    await journal.write(
        LearnClaims([Claim("nordlys", unique_source_invoice_id="u1", ledgerref="r", batch_id="b1", objectindex=4)])
    )
    await journal.write(LearnClaims([Claim("nordlys", "i1", "1001", "u1")]))
    await journal.write(LearnClaims([Claim("nordlys", "i1", case_number="c1", case_id="case-1")]))
    whole = Claim("nordlys", "i1", "1001", "u1", "r", "c1", "case-1", "b1", 4)
    assert await claims(journal, "invoiceId", "i1") == [whole]
    assert await claims(journal, "uniqueSourceInvoiceId", "u1") == [whole]


async def test_two_records_of_one_claim_become_one(journal: Store) -> None:
    """Learnt apart under the invoiceId and under the unique id, then together."""
    await journal.write(LearnClaims([Claim("nordlys", "i1", case_number="new")]))
    await journal.write(
        LearnClaims([Claim("nordlys", unique_source_invoice_id="u1", ledgerref="r", case_number="old")])
    )
    await journal.write(LearnClaims([Claim("nordlys", "i1", unique_source_invoice_id="u1")]))
    whole = Claim("nordlys", "i1", "", "u1", "r", "new")
    for kind, value in (("invoiceId", "i1"), ("uniqueSourceInvoiceId", "u1"), ("ledgerref", "r")):
        assert await claims(journal, kind, value) == [whole]


async def test_claims_repeated_within_one_change_become_one(journal: Store) -> None:
    """The second mention sees the first."""
    await journal.write(LearnClaims([NORDLYS, Claim("nordlys", "i1", case_id="case-9"), Claim("nordlys", "i2")]))
    assert await claims(journal, "invoiceId", "i1") == [replace(NORDLYS, case_id="case-9")]


async def test_a_shared_invoice_number_does_not_make_two_claims_one(journal: Store) -> None:
    """Two creditors may both have an invoice 1001; the reader sees both and can ask back."""
    other = Claim("nordlys", "i2", "1001", "u1")  # even the unique id was given twice: the invoiceIds tell them apart
    await journal.write(LearnClaims([NORDLYS]), LearnClaims([other]))
    assert await claims(journal, "invoiceNumber", "1001") == [NORDLYS, other]


async def test_claims_are_looked_up_by_index(sqlite_journal: SqliteJournal) -> None:
    """Every kind of look-up stays fast in a cross-reference of millions."""

    def explain(connection: sqlite3.Connection) -> list[str]:
        plans = []
        for kind in ("invoiceId", "invoiceNumber", "uniqueSourceInvoiceId", "caseNumber", "ledgerref"):
            statements: list[str] = []
            connection.set_trace_callback(statements.append)
            find_claims(connection, "nordlys", kind, "x")
            connection.set_trace_callback(None)
            plans += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statements[0]}") if "claim" in row[3]]
        return plans

    plans = await sqlite_journal._writer.run(explain)
    assert len(plans) == 7
    assert all(plan.startswith("SEARCH claim USING INDEX") for plan in plans)


async def test_one_read_sees_one_state_of_the_books(journal: Store, make: Make) -> None:
    """A batch that moves on while it is loaded is seen before or after the step, never in between."""
    await journal.write(make.opening(rows=300), make.planning(rows=tuple(range(300)), state=CallState.SUBMITTING))
    done = [Outcome(Address("invoice", index), Verdict.ACCEPTED) for index in range(300)]
    loads = [asyncio.ensure_future(journal.load("b1")) for _ in range(20)]
    move = MoveCall("c1", CallState.SUBMITTING, CallState.DONE, 1002.0)
    await journal.write(move, DecideRows("b1", done))
    for stored in await asyncio.gather(*loads, journal.load("b1")):
        assert stored is not None
        finals = {row.verdict for row in stored.rows}
        expected = Verdict.ACCEPTED if stored.calls[0].state is CallState.DONE else Verdict.PENDING
        assert finals == {expected}


async def test_a_read_that_the_disk_refuses_is_translated(sqlite_journal: SqliteJournal) -> None:
    """Errors of the store reach the caller as CannotTakeNow."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def fail(connection: sqlite3.Connection) -> list[str]:
        raise error

    with pytest.raises(CannotTakeNow, match="the disk reports an error"):
        await sqlite_journal._read(fail)
    assert await sqlite_journal.open_batches() == []
