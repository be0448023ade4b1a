"""What makes a batch the same batch again."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from bridge.errors import ChangedContent
from bridge.identity import has_lapsed, identify, refuse_changed
from bridge.journal import BatchRecord
from bridge.senders import Sender

UNIQUE = Sender("ERP", "autocollect", ("org",), 25, "unique", 24)
LABEL = replace(UNIQUE, batchid="label")
NO_WINDOW = replace(UNIQUE, resend_window_hours=0)
RECORD = BatchRecord("b", "ERP", "autocollect", "", "content:c0ffee", "c0ffee", 1000.0, False, 0, None, b"{}", 1001.0)


@pytest.fixture
def new_id() -> object:
    numbers = count()
    return lambda: str(next(numbers))


@pytest.mark.parametrize(
    ("sender", "batchid", "identity"),
    [
        (UNIQUE, "B1", "batchid:B1"),
        (UNIQUE, "", "content:c0ffee"),
        (LABEL, "B1", "content:c0ffee"),
        (LABEL, "", "content:c0ffee"),
        (NO_WINDOW, "B1", "batchid:B1"),
    ],
)
def test_the_identity_is_the_batchid_or_the_content(
    sender: Sender, batchid: str, identity: str, new_id: object
) -> None:
    """The batchid where it is unique, else the content."""
    assert identify(sender, batchid, "c0ffee", new_id) == identity  # type: ignore[arg-type]  # a plain counter


def test_without_a_window_no_two_batches_are_the_same(new_id: object) -> None:
    """Each gets an identity of its own."""
    identities = {identify(NO_WINDOW, "", "c0ffee", new_id) for _ in range(3)}  # type: ignore[arg-type]  # as above
    assert len(identities) == 3


def test_a_batchid_cannot_pass_for_a_content(new_id: object) -> None:
    """Whatever an ERP calls its batch, it does not meet another one's digest."""
    assert identify(UNIQUE, "content:c0ffee", "x", new_id) != "content:c0ffee"  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("record", "now", "lapsed"),
    [
        (RECORD, 1000 + 24 * 3600, False),
        (RECORD, 1001 + 24 * 3600, True),
        (replace(RECORD, reply=None, finished_at=None), 1e9, False),
        (replace(RECORD, identity="batchid:B1"), 1e9, False),
    ],
    ids=["within the window", "after it", "still open", "by batchid"],
)
def test_only_the_content_of_a_finished_batch_lapses(record: BatchRecord, now: float, lapsed: bool) -> None:
    """The window counts from when the batch was received."""
    assert has_lapsed(record, UNIQUE, now) is lapsed


def test_changed_content_is_refused_with_both_remedies() -> None:
    """The ERP can send a new batchid, the operator can make it a label."""
    refuse_changed(RECORD, "c0ffee")
    with pytest.raises(ChangedContent, match=r'new batchid.*batchid = "label"'):
        refuse_changed(RECORD, "other")
