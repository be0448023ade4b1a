"""What makes a batch the same batch again (contract, section 2.3)."""

from __future__ import annotations

from collections.abc import Callable

from bridge.errors import ChangedContent
from bridge.journal import BatchRecord
from bridge.senders import Sender

BATCHID = "batchid:"
CONTENT = "content:"


def identify(sender: Sender, batchid: str, content: str, new_id: Callable[[], str]) -> str:
    """Return the identity of a batch: its batchid where that is unique, else the digest of its content.

    With a resend window of 0 every batch without a batchid is a new one.
    """
    if batchid and sender.batchid == "unique":
        return BATCHID + batchid
    if sender.resend_window_hours == 0:
        return f"{CONTENT}{content}#{new_id()}"
    return CONTENT + content


def has_lapsed(record: BatchRecord, sender: Sender, now: float) -> bool:
    """Tell whether a finished batch is so old that sameness of content alone no longer makes another one the same."""
    if not record.identity.startswith(CONTENT) or record.reply is None:
        return False
    return now - record.received_at > sender.resend_window_hours * 3600


def refuse_changed(record: BatchRecord, content: str) -> None:
    """Raise ChangedContent when a batch's identity is used for other content."""
    if record.content != content:
        raise ChangedContent(
            f"batchid {record.batchid} was used before with other content, so nothing was submitted: send new rows "
            'under a new batchid, or let the operator set batchid = "label" for a sender that repeats one for ever'
        )
