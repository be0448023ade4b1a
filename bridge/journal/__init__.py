"""The durable record of every batch, row, call and attempt: what the bridge can be asked about and resumes from.

One interface (`Journal`), one implementation a store. Whatever belongs together is written together: `write` takes any
number of changes and makes them durable in one transaction, or none of them. When `write` returns, the changes have
survived a power cut (docs: durability, sections 1 and 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bridge.batch import Address, CallState, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One legacy batch as it was taken."""

    id: str
    sender: str
    profile: str
    batchid: str
    """What the ERP called it; may be empty."""
    identity: str
    """What makes it the same batch again, unique per sender."""
    content: str
    """Hex digest of the canonical content."""
    received_at: float
    """Unix seconds."""
    offline: bool
    row_count: int
    payload: bytes | None
    """The body, UTF-8 JSON; None once retention has erased it."""
    reply: bytes | None = None
    """The final answer's bytes; None while the batch is open."""
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class RowRecord:
    """One row of a batch; `item` is its translation (JSON), with the unique id given to it once and for all."""

    address: Address
    verdict: Verdict
    message: str = ""
    ledgerref: str = ""
    organization: str = ""
    operation: str = ""
    unique_id: str = ""
    item: bytes | None = None
    reference: bytes | None = None
    """The claim it waits for, and the names others may know it by, as JSON of the pipeline's own making."""
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One write to the modern API, known before its first byte leaves. Its id is its idempotency key."""

    id: str
    batch_id: str
    organization: str
    operation: str
    path: str
    """With every placeholder filled."""
    rows: tuple[Address, ...]
    """In the order the rows stand in the call's body."""
    state: CallState
    modern_batch: str = ""
    planned_at: float = 0.0
    submitted_at: float | None = None
    """When the last attempt began; None before the first."""
    why: str = ""
    """What the last transition was for, in words for an operator."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of the append-only record of what was done about a call."""

    call_id: str
    at: float
    state: CallState
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The ids of one claim (cross-reference), empty where not known; an empty one never replaces a known one."""

    organization: str
    invoice_id: str = ""
    invoice_number: str = ""
    unique_source_invoice_id: str = ""
    ledgerref: str = ""
    case_number: str = ""
    case_id: str = ""
    batch_id: str = ""
    objectindex: int = -1
    """Row of the invoice in that legacy batch; -1 when it did not come through the bridge."""


# --- changes: what `write` takes ----------------------------------------------------------------------------------


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


class Settlement(StrEnum):
    """What an operator found out about rows in doubt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RESEND = "resend"


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
)


class LostBatch(Exception):
    """The batch is not ours any more: another replica took it over when this one was thought dead. Stop working it."""


class IdentityTaken(Exception):
    """Another batch of this sender holds the identity."""


class StaleCall(Exception):
    """The call has moved on in the meantime; the caller's view of it is out of date."""


# --- what can be read ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch with everything that belongs to it."""

    batch: BatchRecord
    rows: tuple[RowRecord, ...]
    """In reply order."""
    calls: tuple[CallRecord, ...]
    """In the order they were planned."""


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """One line of `bridge batches list`."""

    id: str
    sender: str
    batchid: str
    received_at: float
    finished_at: float | None
    rows: int
    accepted: int
    refused: int
    pending: int
    in_doubt: int


@dataclass(frozen=True, slots=True)
class BooksFault:
    """One row that breaks the books."""

    batch: str
    objectname: str
    objectindex: int
    why: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The conservation proof: `accepted` (rows taken) = `final` + `pending` + `in_doubt`, or `unaccounted` says why."""

    accepted: int
    final: int
    pending: int
    in_doubt: int
    in_doubt_rows: tuple[tuple[str, Address], ...]
    """(batch id, address)."""
    unaccounted: tuple[BooksFault, ...]


@dataclass(frozen=True, slots=True)
class UnknownField:
    """How often a sender sent a field that its profile does not know."""

    sender: str
    objectname: str
    field: str
    count: int
    last_seen: float


@dataclass(frozen=True, slots=True)
class SeenCreditor:
    """A creditor that a sender mentioned."""

    sender: str
    idnumber: str
    known: bool
    fields: tuple[str, ...]
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's word on rows in doubt, as recorded; `fulfilled_at` is None until it was carried out."""

    id: str
    batch_id: str
    rows: tuple[Address, ...]
    settlement: Settlement
    actor: str
    reason: str
    at: float
    fulfilled_at: float | None = None
    result: str = ""


class News(StrEnum):
    """What replicas tell each other through the store."""

    FINISHED = "finished"
    """A batch has its final answer; the id is the batch's."""
    HINT = "hint"
    """A webhook says that a modern batch is done; the id is the modern batch's."""
    ORDERED = "ordered"
    """An operator placed an order; the id is the batch's."""


class Books(Protocol):
    """The reading half, also usable beside a running bridge."""

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        """Return the batch that holds this identity."""
        ...

    async def load(self, batch_id: str) -> StoredBatch | None:
        """Return a batch with rows and calls."""
        ...

    async def open_batches(self) -> list[str]:
        """Return the ids of batches without a final answer, oldest first."""
        ...

    async def attempts(self, batch_id: str) -> list[Attempt]:
        """Return what was done about the calls of a batch, oldest first."""
        ...

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by `invoiceId`, `invoiceNumber`, `uniqueSourceInvoiceId`, `caseNumber` or `ledgerref`.

        `ledgerref` is the reference the ERP knows the row by: it is compared with the row's own ledgerref, and with
        the unique id and the invoice number of claims whose row carried no ledgerref.
        """
        ...

    async def summaries(self, *, limit: int = 50) -> list[BatchSummary]:
        """Return the newest batches."""
        ...

    async def ledger(self) -> Ledger:
        """Count every row, and name the ones that break the books."""
        ...

    async def unknown_fields(self) -> list[UnknownField]:
        """Return what senders sent and nobody reads."""
        ...

    async def creditors(self) -> list[SeenCreditor]:
        """Return the creditor register."""
        ...

    async def orders(self, batch_id: str) -> list[Order]:
        """Return what operators said about a batch, oldest first."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class Journal(Books, Protocol):
    """The whole interface.

    An open batch belongs to one replica at a time: to the one that opened it or took it over. A write that concerns a
    batch which is not ours any more changes nothing and raises LostBatch (fencing by owner and epoch).
    """

    async def take_over(self) -> list[str]:
        """Return the ids of open batches that nobody works on, and make them ours; the owner's death frees them.

        To be called at start, and about twice a second after it.
        """
        ...

    async def let_go(self, batch_id: str) -> None:
        """Give up an open batch without working it further: another replica, or the next start, may take it over."""
        ...

    def may_send(self, seconds: float) -> bool:
        """Tell whether our batches are sure to stay ours for so long (durability, rule 3)."""
        ...

    def listen(self, hear: Callable[[News, str], None]) -> None:
        """Have news told on the event loop, our own and other replicas'; a hint, not a promise: poll as well."""
        ...

    async def note_hook(self, key: str, modern_batch: str, at: float) -> bool:
        """Keep a webhook in the inbox and tell everybody (HINT); False when this key was kept before."""
        ...

    async def pending_orders(self) -> list[Order]:
        """Return orders for batches of ours that are not carried out yet, oldest first."""
        ...

    async def write(self, *changes: Change) -> None:
        """Make the changes durable, all or none.

        Raises IdentityTaken, StaleCall, LostBatch, or CannotTakeNow when the store cannot be written (disk full, read-only).
        """
        ...

    async def erase(self, finished_before: float) -> int:
        """Erase payloads and items of batches finished before (Unix seconds), and hooks received before.

        Books and ids stay. Return how many batches were erased.
        """
        ...
