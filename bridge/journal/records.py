"""What the journal holds, and what is read from it: frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

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
    modern_batch: str = ""
    """The modern batch that created it; empty when it did not come through the bridge."""

    @property
    def names(self) -> dict[str, str]:
        """Return what it goes by, under the names of both APIs; empty where not known."""
        return {
            "ledgerref": self.ledgerref,
            "invoiceNumber": self.invoice_number,
            "uniqueSourceInvoiceId": self.unique_source_invoice_id,
            "invoiceId": self.invoice_id,
            "caseId": self.case_id,
            "caseNumber": self.case_number,
        }


@dataclass(frozen=True, slots=True)
class PendingInvoice:
    """An undecided invoice row of an open batch, by one of the names other rows may know it by."""

    batch_id: str
    batchid: str
    """What the ERP called that batch; may be empty."""
    address: Address
    name: tuple[str, str]
    """(kind, value), as the row itself carries it."""


class Settlement(StrEnum):
    """What an operator found out about rows in doubt."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    RESEND = "resend"


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch with everything that belongs to it."""

    batch: BatchRecord
    rows: tuple[RowRecord, ...]
    """In reply order."""
    calls: tuple[CallRecord, ...]
    """In the order they were planned."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What may be said of a batch now: its final answer, or else which of its rows are decided."""

    reply: bytes | None
    rows: tuple[tuple[Address, str], ...]
    """(address, ledgerref) in reply order; none beside a final answer."""
    outcomes: Mapping[Address, Outcome]
    """Of the decided rows."""


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
class OrganizationBooks:
    """The conservation proof for the rows of one organization; an empty one has the rows that belong to none."""

    organization: str
    accepted: int
    final: int
    pending: int
    in_doubt: int


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
    organizations: tuple[OrganizationBooks, ...] = ()
    """In the order of their ids."""


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


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One line of a case's history, as a webhook told it."""

    organization: str
    case_id: str
    case_number: str
    at: float
    """Unix seconds: what the event says of itself, else when it arrived."""
    kind: str
    """The event's name in capitals: CASE, CASE_UPDATED."""
    status: str = ""
    """The case's status afterwards, in the vendor's word."""
    fields: tuple[str, ...] = ()
    """Names of what changed; never values."""


@dataclass(frozen=True, slots=True)
class NumberedSettlement:
    """A settlement and the number the bridge has given it.

    Numbers only grow, over all organizations: what is registered later has a higher one than anything that could be
    read before. So a caller that keeps the highest number gets each settlement once, in whatever order they turn up.
    """

    number: int
    organization: str
    settlement_id: str
    settled_on: str
    """YYYY-MM-DD; empty where the modern system does not say."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """How far `bridge xref rebuild` has come with one organization."""

    organization: str
    started_at: float
    page_token: str
    """Where to go on; empty before the first page, and at the end."""
    claims: int
    """How many claims were read so far."""
    finished_at: float | None = None
