"""What is kept beside a batch, and how seldom."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest

from bridge.intake.desk import CreditorSeen, Intake
from bridge.journal import BatchRecord, Change, CountUnknown, SeeCreditor
from bridge.notes import NEW_MENTIONS, NOTED_SECONDS, Notes

ROW = CreditorSeen("1", True, ("fullname", "idnumber"))
MENTION = CreditorSeen("2", False, ("action.creditorid",))


@dataclass
class Desk:
    """Takes notes of batches that come one after the other."""

    notes: Notes
    now: list[float]

    def batch(self, intake: Intake, *, kept: bool = True, sender: str = "ERP") -> list[Change]:
        record = BatchRecord("b", sender, "autocollect", "", "", "", self.now[0], False, 1, None)
        changes = self.notes.take(record.sender, record.received_at, intake)
        if kept:
            self.notes.keep(changes)
        return changes


@pytest.fixture
def desk() -> Desk:
    now = [1_700_000_000.0]
    return Desk(Notes(lambda: now[0]), now)


def test_fields_nobody_reads_and_creditor_rows_are_noted_every_time(desk: Desk) -> None:
    """They are counted, or hold more than a number."""
    intake = Intake(unknown={"invoice": Counter({"shoeSize": 2})}, creditors=[ROW])
    at = desk.now[0]
    expected = [
        CountUnknown("ERP", "invoice", Counter({"shoeSize": 2}), at),
        SeeCreditor("ERP", "1", True, ROW.fields, at),
    ]
    assert desk.batch(intake) == desk.batch(intake) == expected


def test_a_creditor_that_rows_name_is_noted_once_an_hour(desk: Desk) -> None:
    """A sender that repeats one creditor costs nothing; after an hour it is seen anew."""
    intake = Intake(mentioned=[MENTION])
    assert desk.batch(intake) == [SeeCreditor("ERP", "2", False, MENTION.fields, desk.now[0])]
    assert desk.batch(intake) == []
    desk.now[0] += NOTED_SECONDS
    assert desk.batch(intake) == [SeeCreditor("ERP", "2", False, MENTION.fields, desk.now[0])]


def test_another_sender_or_field_is_another_mention(desk: Desk) -> None:
    """Each is worth its note."""
    desk.batch(Intake(mentioned=[MENTION]))
    assert len(desk.batch(Intake(mentioned=[MENTION]), sender="ERP-2")) == 1
    assert len(desk.batch(Intake(mentioned=[replace(MENTION, fields=("payment.creditorid",))]))) == 1
    assert len(desk.batch(Intake(mentioned=[replace(MENTION, known=True)]))) == 1


def test_what_was_not_kept_is_noted_with_the_next_batch(desk: Desk) -> None:
    """A batch that the journal did not take leaves no trace."""
    intake = Intake(mentioned=[MENTION])
    assert desk.batch(intake, kept=False) == desk.batch(intake) != []


def test_a_batch_that_names_thousands_notes_a_part_of_them(desk: Desk) -> None:
    """A column gone wrong must not flood the register; the rest follows with later batches."""
    intake = Intake(mentioned=[CreditorSeen(str(number), False, ()) for number in range(NEW_MENTIONS + 5)])
    assert len(desk.batch(intake)) == NEW_MENTIONS
    assert len(desk.batch(intake)) == 5
