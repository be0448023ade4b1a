"""The values a batch is made of on its way down: rows, calls, outcomes, the reply. Frozen; a step returns new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

CATCH_UP = "bridge-catch-up-"
"""How the batchid of a batch begins that carries to the legacy host what only the modern system has."""
OBJECTNAMES = ("creditor", "invoice", "payment", "action")
"""The four arrays of a legacy batch, in the order of dependency and of the reply."""
WHOLE_BATCH = "batch"
"""The objectname of an error about no single row."""


class Address(NamedTuple):
    """Where a row stands in the request: array name and zero-based position."""

    objectname: str
    objectindex: int

    def __str__(self) -> str:
        return f"{self.objectname} {self.objectindex}"


@dataclass(frozen=True, slots=True)
class Row:
    """One legacy row that could be read: declared fields in declared spelling with typed values, absent ones left out.

    Values are `str`, `int`, `bool`, `Decimal`, lists and dicts; see `shape.FieldType`. `unknown` holds the paths of
    fields the profile does not know (`debtors[].shoeSize`), each once.
    """

    address: Address
    fields: dict[str, Any]
    unknown: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What became of one row."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one row; `message` says why it was refused, and what to do."""

    address: Address
    verdict: Verdict
    message: str = ""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Modern ids learnt with the verdict: invoiceId, invoiceNumber, caseNumber, caseId."""
    ledgerref: str = ""
    """What the legacy host calls a row that it has accepted; elsewhere the row's own reference stands in the reply."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind of write to the modern API, as a mapping file declares it."""

    name: str
    path: str
    """Below the base URL, with `{organizationId}` and, for a case action, `{caseId}`."""
    collection: str = ""
    """Name of the array the rows of a call travel in; empty: one row a call, and the item is the body."""
    unique_id: str = ""
    """Item field that carries the caller's unique id; empty when the modern API offers none."""
    distinct: tuple[str, ...] = ()
    """Item fields whose values must differ between the rows of one call, or results could not be told apart."""


LEGACY = Operation("legacy-batch", "/webapi/api/Batch")
"""The one write to the legacy host: raw rows, of any organizations, of a batch that both systems share.

No mapping file can give its operation a name with a hyphen.
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """The claim another row belongs to."""

    target: str
    """`invoice` (needs its invoiceId) or `case` (needs its caseId)."""
    into: str = ""
    """Item field that takes the id; empty: it goes into the path."""
    id: str = ""
    """The modern id, where the row itself carries it."""
    keys: tuple[tuple[str, str], ...] = ()
    """(kind, value) in order of trust; kind is uniqueSourceInvoiceId, invoiceNumber or ledgerref."""


@dataclass(frozen=True, slots=True)
class Translation:
    """One row in the modern language."""

    operation: Operation
    item: dict[str, Any]
    reference: Reference | None = None
    """For payments, corrections and actions: the claim they belong to."""
    keys: tuple[tuple[str, str], ...] = ()
    """For invoices: (kind, value) under which other rows may refer to this one."""
    plain: bool = False
    """Whether `str` writes every Decimal of the item without exponent; to know it spares a search for them."""


class RowRefused(Exception):
    """Tell that a row cannot be carried over: each fault is "field: what was expected", never a field's value."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class CallState(StrEnum):
    """The life of one call: PLANNED → SUBMITTING → SUBMITTED → DONE, with IN_DOUBT beside and REFUSED at the end."""

    PLANNED = "PLANNED"
    SUBMITTING = "SUBMITTING"
    SUBMITTED = "SUBMITTED"
    IN_DOUBT = "IN_DOUBT"
    DONE = "DONE"
    REFUSED = "REFUSED"


TRANSITIONS: Mapping[CallState, frozenset[CallState]] = {
    CallState.PLANNED: frozenset({CallState.SUBMITTING, CallState.REFUSED}),
    CallState.SUBMITTING: frozenset(
        # back to PLANNED and on to REFUSED only when the write was certainly not taken (durability, rule 4)
        {CallState.SUBMITTED, CallState.DONE, CallState.IN_DOUBT, CallState.PLANNED, CallState.REFUSED}
    ),
    CallState.SUBMITTED: frozenset(
        # in doubt when the finished modern batch is silent about a row that nothing else can tell of
        {CallState.DONE, CallState.IN_DOUBT}
    ),
    CallState.IN_DOUBT: frozenset({CallState.SUBMITTED, CallState.DONE, CallState.PLANNED, CallState.REFUSED}),
    CallState.DONE: frozenset(),
    CallState.REFUSED: frozenset(),
}
"""Which state may follow which; anything else is a fault of the program."""


def advance(current: CallState, following: CallState) -> CallState:
    """Return `following` if it may follow `current`, else raise ValueError."""
    if following not in TRANSITIONS[current]:
        raise ValueError(f"a call cannot go from {current} to {following}")
    return following


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the reply's `errors` or `responses`."""

    address: Address
    verdict: Verdict
    ledgerref: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class LegacyHalf:
    """The rows of one batch that the legacy host decides, while the bridge decides the others."""

    rows: Mapping[Address, str]
    """Address → organization; creditor rows included."""
    authorization: str = field(default="", repr=False)
    """The caller's credentials, for the legacy host."""
