"""What `write` takes: one value for each way the books can change, and the reasons a store may refuse one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.batch import Address, CallState, Outcome
from bridge.journal.cutover import Observation, PassedBatch, Sample
from bridge.journal.records import (
    BatchRecord,
    CallRecord,
    CaseEvent,
    Claim,
    Rebuild,
    RowRecord,
    Settlement,
)
from bridge.modes import Switch

SAMPLES_KEPT = 5
"""How many samples of one kind of difference are kept."""


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
    """Give rows their final verdict, and the legacy host's reference where it told one. A decided row keeps both."""

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


@dataclass(frozen=True, slots=True)
class SetSwitch:
    """Change how an organization's rows go. Raises StaleSwitch unless its newest switch is still number `expected`.

    One that is recorded already, to the moment and the actor, stays as it is: an unsure writer may repeat it.
    """

    switch: Switch
    """Its `number` is given by the journal."""
    expected: int
    """0: nobody has switched the organization before."""


@dataclass(frozen=True, slots=True)
class NotePassed:
    """Remember batches that went to the legacy host; one that is known gets the newer time."""

    batches: Sequence[PassedBatch]


@dataclass(frozen=True, slots=True)
class Observe:
    """Add to what was seen: counts of the same organization, span, topic and subject add up."""

    observations: Sequence[Observation]


@dataclass(frozen=True, slots=True)
class KeepSamples:
    """Keep samples of differences: the first `SAMPLES_KEPT` of each organization, path and kind."""

    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class HandOver:
    """Note that a catch-up batch carries these rows to the legacy system; raises HandedOverBefore if one is carried.

    What is recorded already, with the same rows, moment and actor, stays as it is: an unsure writer may repeat it.
    """

    export: str
    organization: str
    rows: Sequence[tuple[str, Address]]
    """(batch id, address)."""
    actor: str
    at: float


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
    | SetSwitch
    | NotePassed
    | Observe
    | KeepSamples
    | HandOver
)

ClerkChange = PlaceOrder | LearnClaims | NoteRebuild | SetSwitch | HandOver
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


class StaleSwitch(Exception):
    """The organization was switched by somebody else in the meantime: look again before you decide."""


class HandedOverBefore(Exception):
    """A row is in a catch-up batch already; it must not be carried to the legacy system twice."""


class IdentityTaken(Exception):
    """Another batch of this sender holds the identity."""


class StaleCall(Exception):
    """The call has moved on in the meantime; the caller's view of it is out of date."""
