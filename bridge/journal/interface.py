"""What every store can do: the books that are read, the office an operator writes to, and the whole journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from bridge.batch import Address, Verdict
from bridge.journal.changes import Change, ClerkChange, Hook
from bridge.journal.cutover import HandedOver, Observation, PassedBatch, Sample
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    CaseEvent,
    Claim,
    Ledger,
    NumberedSettlement,
    Order,
    PendingInvoice,
    Rebuild,
    SeenCreditor,
    Standing,
    StoredBatch,
    UnknownField,
)
from bridge.modes import Switch

ERASED = "refused; the reason was erased at the end of the retention time"
"""What stands in the place of an erased message, in the books and in answers given again."""

Redact = Callable[[bytes, Collection[Address], str], bytes]
"""Takes an answer, and returns it with the messages about these rows replaced by a text."""


class News(StrEnum):
    """What replicas tell each other through the store, and the store its own replica."""

    FINISHED = "finished"
    """A batch has its final answer; the id is the batch's."""
    HINT = "hint"
    """A webhook says that a modern batch is done; the id is the modern batch's."""
    CHANGED = "changed"
    """What the modern system says about an organization's claims may have changed; the id is the organization's."""
    ORDERED = "ordered"
    """An operator placed an order; the id is the batch's."""
    LOST = "lost"
    """A batch of ours was taken from us while we were thought dead: stop working it, then `let_go`; a batch id."""
    ASKED = "asked"
    """A caller waits for a batch at a replica that does not work it: whoever does says so if waiting is useless."""
    PARKED = "parked"
    """Waiting for a batch is useless until an operator has settled its rows in doubt; the id is the batch's."""
    SWITCHED = "switched"
    """An organization's rows go another way from now on; the id is the organization's."""
    BACK = "back"
    """The store was out of reach and is back: what waits to be written may try again at once; no id."""


class Books(Protocol):
    """The reading half, also usable beside a running bridge."""

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        """Return the batch that holds this identity."""
        ...

    async def load(self, batch_id: str) -> StoredBatch | None:
        """Return a batch with rows and calls."""
        ...

    async def standing(self, batch_id: str) -> Standing | None:
        """Return what may be said of a batch, all of one moment; whatever was decided before the question is in it."""
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

    async def find_claims(self, name: str, *, limit: int = 100) -> list[Claim]:
        """Find claims of any organization by any of their ids or names, or by the batch they came in."""
        ...

    async def claims_of(self, organization: str, invoice_ids: Sequence[str]) -> Mapping[str, Claim]:
        """Return what is known about these invoices, by their modern id; unknown ones are left out."""
        ...

    async def case_history(self, organization: str, case_ids: Sequence[str]) -> Mapping[str, Sequence[CaseEvent]]:
        """Return what webhooks told about these cases, by case id, oldest first; cases without a word are left out."""
        ...

    async def settlements_after(self, organizations: Sequence[str], number: int) -> list[NumberedSettlement]:
        """Return the settlements of these organizations with a higher number, in the order of their numbers."""
        ...

    async def pending_invoices(self, organization: str, names: Collection[tuple[str, str]]) -> list[PendingInvoice]:
        """Return the undecided invoice rows of open batches of an organization that go by one of these (kind, value).

        One of them may come several times, each time with another of its names. It reads all pending invoice rows,
        however few names are asked for: ask for many at once, and only before a refusal.
        """
        ...

    async def invoice_verdicts(self, batch_id: str) -> Mapping[Address, Verdict]:
        """Return the final verdicts on the invoice rows of a batch; undecided rows are left out."""
        ...

    async def newest_labelled(self, sender: str, batchid: str) -> BatchRecord | None:
        """Return the newest batch that the sender called by this batchid."""
        ...

    async def rebuilds(self) -> list[Rebuild]:
        """Return how far each organization's rebuild of the cross-reference has come."""
        ...

    async def summaries(self, *, limit: int = 50) -> list[BatchSummary]:
        """Return the newest batches."""
        ...

    async def ledger(self) -> Ledger:
        """Count every row, and name the ones that break the books."""
        ...

    async def doubts(self) -> Mapping[str, int]:
        """Return how many rows are in doubt, by organization; cheap enough to be asked every few seconds."""
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

    async def switches(self) -> list[Switch]:
        """Return the newest switch of every organization that has one; cheap enough to be asked twice a second."""
        ...

    async def switch_history(self, organization: str = "") -> list[Switch]:
        """Return every switch, oldest first; with an organization only its own."""
        ...

    async def passed(self, sender: str, identity: str) -> PassedBatch | None:
        """Return what is known of a batch that went to the legacy host as a whole."""
        ...

    async def observations(self, organization: str, since: float, topics: Collection[str] = ()) -> list[Observation]:
        """Return what was seen in spans that begin at `since` (Unix seconds) or later, in order; no topics: of all."""
        ...

    async def samples(self, organization: str) -> list[Sample]:
        """Return the kept samples of differences, by path and kind, oldest first."""
        ...

    async def batches_of(self, organization: str, since: float) -> list[str]:
        """Return the ids of batches received at `since` or later with rows of this organization, oldest first."""
        ...

    async def handed_over(self, organization: str) -> list[HandedOver]:
        """Return the rows that catch-up batches have carried to the legacy system, in the order of their batches."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class Office(Books, Protocol):
    """What the command line may do beside a running bridge, or without one: read, place orders, teach claims."""

    async def write(self, *changes: ClerkChange) -> None:
        """Make changes durable, all or none; what just this writer has recorded already stays as it is.

        Raises ValueError when a row is not in doubt, StaleSwitch, HandedOverBefore, or CannotTakeNow when the store
        cannot be written.
        """
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

    def tell(self, news: News, name: str) -> None:
        """Tell something that no write tells; as much a hint as any news."""
        ...

    async def note_hook(self, hook: Hook) -> bool:
        """Keep a webhook in the inbox with what it taught, in one step; False when its key was kept before.

        Everybody is told: HINT for a modern batch, CHANGED for an organization whose claims it speaks of.
        """
        ...

    async def pending_orders(self) -> list[Order]:
        """Return orders for batches of ours that are not carried out yet, oldest first."""
        ...

    async def write(self, *changes: Change) -> None:
        """Make the changes durable, all or none.

        Raises IdentityTaken, StaleCall, StaleSwitch, HandedOverBefore, LostBatch, or CannotTakeNow when the store
        cannot be written (disk full, read-only, not reachable).
        """
        ...

    async def erase(self, finished_before: float, redact: Redact) -> int:
        """Erase payloads, items and messages of batches finished before (Unix seconds), and other lines as old.

        These are hooks, observations, samples, and notes of batches that passed under an identity made of content.
        A message goes when its row was sent: it may be the modern system's, and hold anything. In the stored answers
        `redact` replaces it. Books and ids stay. Return how many batches were erased.
        """
        ...
