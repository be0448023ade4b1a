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
    if goes_by_batchid(sender, batchid):
        return BATCHID + batchid
    if sender.resend_window_hours == 0:
        return f"{CONTENT}{content}#{new_id()}"
    return CONTENT + content


def goes_by_batchid(sender: Sender, batchid: str) -> bool:
    """Tell whether a batch is the same again by what its sender calls it, whatever it holds."""
    return bool(batchid) and sender.batchid == "unique"


def is_recognizable(sender: Sender, batchid: str) -> bool:
    """Tell whether a batch can ever be the same as another one."""
    return goes_by_batchid(sender, batchid) or sender.resend_window_hours > 0


def has_lapsed(record: BatchRecord, sender: Sender, now: float) -> bool:
    """Tell whether a finished batch is so old that sameness of content alone no longer makes another one the same."""
    return record.reply is not None and has_lapsed_since(record.received_at, record.identity, sender, now)


def has_lapsed_since(at: float, identity: str, sender: Sender, now: float) -> bool:
    """Tell whether a batch that went somewhere at `at` (Unix seconds) is too old to be recognized by its content."""
    return identity.startswith(CONTENT) and now - at > sender.resend_window_hours * 3600


def refuse_changed(record: BatchRecord, content: str) -> None:
    """Raise ChangedContent when a batch's identity is used for other content."""
    if record.content != content:
        raise ChangedContent(
            f"batchid {record.batchid} was used before with other content, so nothing was submitted: send new rows "
            'under a new batchid, or let the operator set batchid = "label" for a sender that repeats one for ever'
        )
