"""What `write` takes: one value for each way the books can change, and the reasons a store may refuse one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.batch import Address, CallState, Outcome
from bridge.journal.records import BatchRecord, CallRecord, CaseEvent, Claim, Rebuild, RowRecord, Settlement


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """Take a batch with all its rows. Raises IdentityTaken when this (sender, identity) is held by another batch.

    `supersedes` names a batch whose hold on the identity has lapsed (the resend window is over); it stays in the books.
    """

    batch: BatchRecord
    rows: Sequence[RowRecord]
    supersedes: str = ""


@dataclass(frozen=True, slots=True)
class PlanCall:
    """Write down a call, PLANNED or already SUBMITTING, and tie its rows to it."""

    call: CallRecord
    items: Mapping[Address, bytes] = field(default_factory=dict)
    """Final items of rows that were completed since the batch was opened (a reference was resolved)."""


@dataclass(frozen=True, slots=True)
class MoveCall:
    """Move a call from one state to the next; raises StaleCall when it is not in `before` any more."""

    call_id: str
    before: CallState
    after: CallState
    at: float
    why: str = ""
    modern_batch: str = ""


@dataclass(frozen=True, slots=True)
class DecideRows:
    """Give rows their final verdict. A row that has one already keeps it."""

    batch_id: str
    outcomes: Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class LearnClaims:
    """Add to the cross-reference."""

    claims: Sequence[Claim]


@dataclass(frozen=True, slots=True)
class FinishBatch:
    """Store the final answer."""

    batch_id: str
    reply: bytes
    at: float
    organizations: tuple[str, ...] = ()
    """Whose claims the batch was about: CHANGED is told of them."""


@dataclass(frozen=True, slots=True)
class CountUnknown:
    """Count fields that the sender's profile does not know."""

    sender: str
    objectname: str
    counts: Mapping[str, int]
    at: float


@dataclass(frozen=True, slots=True)
class SeeCreditor:
    """Register that a sender mentioned a creditor in a creditor row."""

    sender: str
    idnumber: str
    known: bool
    fields: tuple[str, ...]
    """Names of the fields it sent; never their values."""
    at: float


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Record an operator's word on rows in doubt; the bridge that works the batch carries it out (`FulfilOrder`).

    Written by the command line beside a running bridge. Raises ValueError when one of the rows is not in doubt.
    """

    id: str
    batch_id: str
    rows: tuple[Address, ...]
    """Never empty."""
    settlement: Settlement
    actor: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class FulfilOrder:
    """Note that an order was carried out, or why it could not be."""

    order_id: str
    at: float
    result: str


@dataclass(frozen=True, slots=True)
class RegisterSettlements:
    """Give numbers to settlements that have none yet, in this order; see `NumberedSettlement`."""

    organization: str
    settlements: Sequence[tuple[str, str]]
    """(modern id, YYYY-MM-DD or empty)."""


@dataclass(frozen=True, slots=True)
class NoteRebuild:
    """Remember how far a rebuild of the cross-reference has come, together with the claims of its last page."""

    progress: Rebuild


Change = (
    OpenBatch
    | PlanCall
    | MoveCall
    | DecideRows
    | LearnClaims
    | FinishBatch
    | CountUnknown
    | SeeCreditor
    | PlaceOrder
    | FulfilOrder
    | RegisterSettlements
    | NoteRebuild
)

ClerkChange = PlaceOrder | LearnClaims | NoteRebuild
"""What the command line may write beside a running bridge."""


@dataclass(frozen=True, slots=True)
class Hook:
    """What a webhook brought: kept once for its key, with everything it taught."""

    key: str
    """Unique per delivery."""
    at: float
    organization: str = ""
    modern_batch: str = ""
    """The batch it says is done; empty for other events."""
    claims: tuple[Claim, ...] = ()
    """For the cross-reference."""
    events: tuple[CaseEvent, ...] = ()
    """For the case history."""


class LostBatch(Exception):
    """The batch is not ours any more: another replica took it over when this one was thought dead. Stop working it."""

    def __init__(self, batch_id: str = "") -> None:
        super().__init__(f"batch {batch_id} is not ours any more: another replica may work it")
        self.batch_id = batch_id


class IdentityTaken(Exception):
    """Another batch of this sender holds the identity."""


class StaleCall(Exception):
    """The call has moved on in the meantime; the caller's view of it is out of date."""
