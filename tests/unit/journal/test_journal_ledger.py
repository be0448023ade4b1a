"""The conservation proof: sound books have no faults, and every way to break them is told, row by row."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from bridge.batch import Address, CallState, Outcome, Verdict
from bridge.journal import BooksFault, DecideRows, FinishBatch, Ledger, MoveCall, OpenBatch, OrganizationBooks, proof

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Make, Store


@pytest.fixture
async def books(journal: Store, make: Make) -> Store:
    """Sound books: b1 finished (accepted, refused), b2 open (pending, in doubt, submitted), b3 finished and empty."""
    await journal.write(
        OpenBatch(
            make.batch("b1", rows=3),
            [
                *(make.row(0), make.row(1)),
                make.row(0, "creditor", operation="", organization="", verdict=Verdict.ACCEPTED),
            ],
        ),
        make.planning("c1", "b1", state=CallState.SUBMITTING),
    )
    await journal.write(
        MoveCall("c1", CallState.SUBMITTING, CallState.DONE, 1002.0),
        DecideRows("b1", [Outcome(Address("invoice", 0), Verdict.ACCEPTED)]),
        DecideRows("b1", [Outcome(Address("invoice", 1), Verdict.REFUSED, "dueDate: not a date")]),
        FinishBatch("b1", b"answer", 1003.0),
    )
    await journal.write(
        make.opening("b2", rows=3),
        make.planning("c2", "b2", rows=(1,), state=CallState.SUBMITTING),
        make.planning("c3", "b2", rows=(2,), state=CallState.SUBMITTING),
        MoveCall("c2", CallState.SUBMITTING, CallState.IN_DOUBT, 1002.0),
        MoveCall("c3", CallState.SUBMITTING, CallState.SUBMITTED, 1002.0, modern_batch="m3"),
    )
    await journal.write(make.opening("b3", rows=0), FinishBatch("b3", b"answer", 1003.0))
    return journal


async def test_sound_books_balance(books: Store, make: Make) -> None:
    """Rows accepted = final + pending + in doubt, for each organization and in all; a row in doubt is named."""
    assert await books.ledger() == Ledger(
        accepted=6,
        final=3,
        pending=2,
        in_doubt=1,
        in_doubt_rows=(("b2", Address("invoice", 1)),),
        unaccounted=(),
        organizations=(OrganizationBooks("", 1, 1, 0, 0), OrganizationBooks(make.organization, 5, 2, 2, 1)),
    )


async def test_rows_in_doubt_are_counted_by_organization(books: Store, make: Make) -> None:
    """As the ledger counts them, but cheaply; a decided row of the same call is in doubt no more."""
    assert await books.doubts() == {make.organization: 1}
    rows = [make.row(index, organization=OTHER) for index in range(3)]
    plan = make.planning("c4", "b4", (0, 1, 2), organization=OTHER, path="/x", state=CallState.SUBMITTING)
    await books.write(OpenBatch(make.batch("b4", rows=3), rows), plan)
    await books.write(
        MoveCall("c4", CallState.SUBMITTING, CallState.IN_DOUBT, 1002.0),
        DecideRows("b4", [Outcome(Address("invoice", 1), Verdict.REFUSED)]),
    )
    assert await books.doubts() == {make.organization: 1, OTHER: 2}
    assert {one.organization: one.in_doubt for one in (await books.ledger()).organizations if one.in_doubt} == {
        make.organization: 1,
        OTHER: 2,
    }


async def test_an_empty_journal_balances(journal: Store) -> None:
    """Nothing taken, nothing owed."""
    assert await journal.doubts() == {}
    assert await journal.ledger() == Ledger(0, 0, 0, 0, (), ())


ORG, OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
B1, B2, B3 = (f"(SELECT number FROM batch WHERE id = '{name}')" for name in ("b1", "b2", "b3"))

BROKEN = {
    "a row is gone": (
        f"DELETE FROM row WHERE batch = {B2} AND objectindex = 0",
        [("b2", "invoice", 0, "was taken with its batch, but is not in the journal")],
    ),
    "all rows are gone": (
        f"DELETE FROM row WHERE batch = {B1}",
        [("b1", "invoice", 0, "was taken"), ("b1", "invoice", 1, "was taken"), ("b1", "creditor", 0, "was taken")],
    ),
    "a row nobody took": (
        f"INSERT INTO row VALUES ({B3}, 'payment', 7, 0, 'refused', '', '', '', '', '', NULL)",
        [("b3", "payment", 7, "was not taken with its batch")],
    ),
    "a row has changed its address": (
        f"UPDATE row SET objectname = 'payment', position = 9 WHERE batch = {B2} AND objectindex = 0",
        [("b2", "invoice", 0, "was taken"), ("b2", "payment", 0, "was not taken")],
    ),
    "rows have lost their order": (
        f"UPDATE row SET position = 0 WHERE batch = {B2}",
        [("b2", "batch", 0, "lost their order")],
    ),
    "the row count was changed": (
        "UPDATE batch SET row_count = 5 WHERE id = 'b2'",
        [("b2", "batch", 0, "says it has 5 rows, but was taken with 3")],
    ),
    "a row has gone over to another organization": (
        f"UPDATE row SET organization = '{OTHER}' WHERE batch = {B2} AND objectindex = 0",
        [("b2", "invoice", 0, f"was taken for organization {ORG}, but stands under organization {OTHER}")],
    ),
    "a row has lost its organization": (
        f"UPDATE row SET organization = '' WHERE batch = {B2} AND objectindex = 1",
        [("b2", "invoice", 1, f"was taken for organization {ORG}, but stands under no organization")],
    ),
    "a row of nobody was given to an organization": (
        f"UPDATE row SET organization = '{OTHER}' WHERE batch = {B1} AND objectname = 'creditor'",
        [("b1", "creditor", 0, f"was taken for no organization, but stands under organization {OTHER}")],
    ),
    "a call goes to another organization than its row": (
        f"UPDATE call SET organization = '{OTHER}', path = '/orgs/{OTHER}/invoices' WHERE id = 'c2'",
        [("b2", "invoice", 1, f"belongs to organization {ORG}, but its call c2 goes to organization {OTHER}")],
    ),
    "a call is addressed to another organization": (
        f"UPDATE call SET path = '/orgs/{OTHER}/invoices' WHERE id = 'c2'",
        [("b2", "invoice", 1, f"call c2 is one for organization {ORG}, but its path is another's")],
    ),
    "the record of whose the rows were was changed": (
        f"UPDATE taken SET row_count = 4 WHERE batch = {B2}",
        [("b2", "batch", 0, f"4 of its rows are said to belong to organization {ORG}, but 3 were taken")],
    ),
    "a part of that record is gone": (
        f"DELETE FROM taken WHERE batch = {B1} AND organization = ''",
        [("b1", "creditor", 0, "whose row it was when it was taken is not recorded")],
    ),
    "a batch is gone with all its rows and calls, but not the record of its taking": (
        "".join(f"DELETE FROM {table} WHERE batch = {B2};" for table in ("row", "call", "attempt"))
        + "DELETE FROM batch WHERE id = 'b2'",
        [
            ("", "organization", 1, f"organization {ORG}: 5 rows were taken, but there are 2 final"),
            ("", "batch", 0, "3 "),
        ],
    ),
    "a batch is gone": (
        "DELETE FROM batch WHERE id = 'b1'",
        [
            ("number 1", "invoice", 0, "its batch is not in the journal"),
            ("number 1", "invoice", 1, "its batch is not in the journal"),
            ("number 1", "creditor", 0, "its batch is not in the journal"),
        ],
    ),
    "a batch without rows of its own but with a call is gone": (
        "DELETE FROM row WHERE batch = 2; DELETE FROM batch WHERE id = 'b2'",
        [("number 2", "invoice", 1, "belongs to a batch that"), ("number 2", "invoice", 2, "belongs to a batch that")],
    ),
    "a verdict that does not exist": (
        f"UPDATE row SET verdict = 'lost' WHERE batch = {B2} AND objectindex = 0",
        [("b2", "invoice", 0, "verdict is none that exists")],
    ),
    "a pending row of a finished batch": (
        f"UPDATE row SET verdict = 'pending' WHERE batch = {B1} AND objectname = 'invoice' AND objectindex = 1",
        [("b1", "invoice", 1, "is pending, but its batch is finished")],
    ),
    "a pending row of a finished call": (
        f"""UPDATE row SET call = 0 WHERE batch = {B1} AND objectname = 'invoice';
        UPDATE row SET verdict = 'pending' WHERE batch = {B1} AND objectindex = 1;
        UPDATE batch SET finished_at = NULL, reply = NULL WHERE id = 'b1'""",
        [("b1", "invoice", 1, "is pending, but its call c1 is DONE")],
    ),
    "a pending row of a refused call": (
        """UPDATE call SET state = 'REFUSED' WHERE id = 'c2';
        UPDATE attempt SET state = 'REFUSED' WHERE state = 'IN_DOUBT'""",
        [("b2", "invoice", 1, "is pending, but its call c2 is REFUSED")],
    ),
    "a decided row of a call that would still be sent": (
        f"""UPDATE row SET verdict = 'accepted' WHERE batch = {B2} AND objectindex = 2;
        UPDATE call SET state = 'PLANNED' WHERE id = 'c3';
        UPDATE attempt SET state = 'PLANNED' WHERE call = 1""",
        [("b2", "invoice", 2, "is accepted, but its call c3 is still PLANNED")],
    ),
    "a row accepted without having travelled": (
        f"UPDATE row SET verdict = 'accepted' WHERE batch = {B2} AND objectindex = 0",
        [("b2", "invoice", 0, "no call ever carried it")],
    ),
    "a call is gone": (
        "DELETE FROM call WHERE id = 'c2'",
        [("b2", "invoice", 1, "its call is not in the journal")],
    ),
    "an open call of a finished batch": (
        "UPDATE call SET state = 'SUBMITTED' WHERE id = 'c1'; UPDATE attempt SET state = 'SUBMITTED' WHERE batch = 1",
        [("b1", "invoice", 0, "call c1 is still SUBMITTED, but its batch is finished")],
    ),
    "a state that does not exist": (
        "UPDATE call SET state = 'LOST' WHERE id = 'c3'",
        [("b2", "invoice", 2, "is in a state that does not exist")],
    ),
    "a state that nobody recorded": (
        "UPDATE call SET state = 'IN_DOUBT' WHERE id = 'c3'",
        [("b2", "invoice", 2, "call c3 is IN_DOUBT, but the record of attempts ends otherwise")],
    ),
    "attempts are gone": (
        "DELETE FROM attempt WHERE batch = 2 AND call = 0",
        [("b2", "invoice", 1, "the record of attempts ends otherwise")],
    ),
    "an answer is gone": (
        "UPDATE batch SET reply = NULL WHERE id = 'b3'",
        [("b3", "batch", 0, "its answer is not stored")],
    ),
    "an answer without an end": (
        "UPDATE batch SET finished_at = NULL WHERE id = 'b3'",
        [("b3", "batch", 0, "it is not finished")],
    ),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_broken_books_name_the_row(books: Store, tamper: Callable[[str], Awaitable[None]], how: str) -> None:
    """Each way to break the books names exactly the rows that are wrong, once, and says why."""
    statement, expected = BROKEN[how]
    await tamper(statement)
    found = (await books.ledger()).unaccounted
    assert {(fault.batch, fault.objectname, fault.objectindex) for fault in found} == {
        (batch, objectname, objectindex) for batch, objectname, objectindex, _ in expected
    }
    assert len(found) == len(expected)
    for fault, (*_, why) in zip(sorted(found, key=by_address), sorted(expected, key=str), strict=True):
        assert why in fault.why


def by_address(fault: BooksFault) -> str:
    return str((fault.batch, fault.objectname, fault.objectindex))


async def test_books_that_do_not_balance_say_so_in_numbers(
    books: Store, tamper: Callable[[str], Awaitable[None]]
) -> None:
    """What was taken is counted apart from what is there."""
    await tamper(f"DELETE FROM row WHERE batch = {B2} AND objectindex = 0")
    ledger = await books.ledger()
    assert ledger.accepted == 6
    assert ledger.final + ledger.pending + ledger.in_doubt == 5
    assert ledger.organizations == (OrganizationBooks("", 1, 1, 0, 0), OrganizationBooks(ORG, 5, 2, 1, 1))


async def test_each_organization_of_a_batch_has_its_own_books(journal: Store, make: Make) -> None:
    """What was taken for one can only be made up for by rows of the same one."""
    rows = [make.row(index, organization=(ORG, OTHER, "")[index % 3]) for index in range(6)]
    await journal.write(OpenBatch(make.batch("b1", rows=6), rows), make.planning("c1", "b1", rows=(0, 3)))
    await journal.write(DecideRows("b1", [Outcome(Address("invoice", 2), Verdict.REFUSED)]))
    ledger = await journal.ledger()
    assert ledger.unaccounted == ()
    assert ledger.organizations == (
        OrganizationBooks("", 2, 1, 1, 0),
        OrganizationBooks(ORG, 2, 0, 2, 0),
        OrganizationBooks(OTHER, 2, 0, 2, 0),
    )


async def test_batches_of_an_older_version_are_counted_by_their_rows(
    books: Store, tamper: Callable[[str], Awaitable[None]]
) -> None:
    """Nobody wrote down whose their rows were when they were taken; what is missing is named all the same."""
    before = await books.ledger()
    await tamper("DELETE FROM taken")
    assert await books.ledger() == before
    await tamper(f"DELETE FROM row WHERE batch = {B2} AND objectindex = 0")
    assert [fault.objectindex for fault in (await books.ledger()).unaccounted] == [0]


def test_sums_that_do_not_add_up_are_named_even_if_no_row_is() -> None:
    """What every question overlooked: an organization's equation, and that all organizations make up the whole."""
    ledger = proof.close_ledger(5, [("", 1), (ORG, 3)], [("", 1, 0, 0), (ORG, 1, 1, 0)], [], [])
    assert (ledger.accepted, ledger.final, ledger.pending) == (5, 2, 1)
    assert [(fault.objectname, fault.objectindex, fault.why) for fault in ledger.unaccounted] == [
        (
            "organization",
            1,
            f"organization {ORG}: 3 rows were taken, but there are 1 final + 1 pending + 0 in doubt",
        ),
        ("batch", 0, "5 rows were taken, but 4 by all organizations together"),
    ]


async def test_the_proof_holds_beside_a_writer_at_work(journal: Store, make: Make) -> None:
    """Each proof sees one state of the books, so they balance while batches come and go."""
    stop = asyncio.Event()

    async def work(worker: int) -> int:
        number = 0
        while not stop.is_set():
            name, call = f"{worker}-{number}", f"c-{worker}-{number}"
            plan = make.planning(call, name, rows=(0, 1, 2), state=CallState.SUBMITTING)
            await journal.write(make.opening(name, rows=3), plan)
            done = [Outcome(Address("invoice", index), Verdict.ACCEPTED) for index in range(3)]
            move = MoveCall(call, CallState.SUBMITTING, CallState.DONE, 1002.0)
            await journal.write(move, DecideRows(name, done), FinishBatch(name, b"answer", 1003.0))
            number += 1
        return number

    workers = [asyncio.ensure_future(work(worker)) for worker in range(5)]
    seen: set[int] = set()
    while len(seen) < 20:
        ledger = await journal.ledger()
        assert ledger.unaccounted == ()
        assert ledger.accepted == ledger.final + ledger.pending + ledger.in_doubt
        seen.add(ledger.accepted)
    stop.set()
    await asyncio.gather(*workers)
