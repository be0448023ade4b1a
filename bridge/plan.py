"""Rows to calls: who waits for whom, which rows may share a call, how many fit in one. No I/O.

Within one batch and organization the waves go in the order of `batch.OBJECTNAMES`: invoices, then payments and
corrections, then actions (creditor rows make no call). A row that names an invoice of the same batch waits for that
one row; see `depend`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from urllib.parse import quote, unquote

from bridge.batch import Address, Operation, Outcome, Reference, RowRefused, Verdict

CASE_PLACEHOLDER = "{caseId}"
ORGANIZATION_PLACEHOLDER = "{organizationId}"


Names = tuple[tuple[str, str], ...]
"""(kind, value) under which a claim is known; kind is uniqueSourceInvoiceId, invoiceNumber or ledgerref."""

Carrier = TypeVar("Carrier", bound="Carries")
Found = TypeVar("Found")

ELSEWHERE = (
    "which the legacy host decides, so the modern system does not have it; send a creditorid that is on the legacy "
    "host, too, or the reference of an invoice that the modern system has"
)
"""What is wrong with a reference across the two halves of a batch."""


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One translated row, ready to be put into a call once what it waits for is known."""

    address: Address
    organization: str
    operation: Operation
    item: bytes
    """The modern object, encoded; complete unless `reference` is set."""
    unique_id: str = ""
    invoice_number: str = ""
    invoice_id: str = ""
    case_id: str = ""
    reference: Reference | None = None
    """The claim that must be found before the row can go; None when nothing is missing."""
    reference_target: str = ""
    """`invoice` or `case` for a row that belongs to a claim, also once that is found."""
    keys: Names = ()
    """Names under which other rows of the batch may refer to this invoice."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A call that has not been given an identity yet."""

    organization: str
    operation: Operation
    path: str
    rows: tuple[PlannedRow, ...]


def waves(rows: Iterable[PlannedRow]) -> dict[str, list[list[PlannedRow]]]:
    """Group rows by organization into the waves that must follow each other; empty waves are left out."""
    grouped: dict[str, dict[str, list[PlannedRow]]] = {}
    for row in rows:
        grouped.setdefault(row.organization, {}).setdefault(row.address.objectname, []).append(row)
    return {organization: list(by_objectname.values()) for organization, by_objectname in grouped.items()}


def draft_calls(rows: Sequence[PlannedRow], max_rows_per_call: int) -> list[Draft]:
    """Put rows of one organization and wave into as few calls as their limits allow, keeping their order."""
    groups: dict[tuple[str, str], list[PlannedRow]] = {}
    for row in rows:
        path = call_path(row) if row.case_id else ""  # nothing else tells the paths of an operation apart
        groups.setdefault((row.operation.name, path), []).append(row)
    drafts: list[Draft] = []
    for group in groups.values():
        operation, path = group[0].operation, call_path(group[0])
        size = max_rows_per_call if operation.collection else 1
        drafts.extend(
            Draft(group[0].organization, operation, path, tuple(chunk))
            for layer in _told_apart(group)
            for chunk in _chunks(layer, size)
        )
    return drafts


def call_path(row: PlannedRow) -> str:
    """Return the row's path below the base URL with every placeholder filled."""
    path = row.operation.path.replace(ORGANIZATION_PLACEHOLDER, quote(row.organization, safe=""))
    return path.replace(CASE_PLACEHOLDER, quote(row.case_id, safe=""))


def case_in(operation: Operation, path: str) -> str:
    """Return the case id that a filled path holds; empty when the operation is not about a case."""
    places = dict(zip(operation.path.split("/"), path.split("/"), strict=False))
    return unquote(places.get(CASE_PLACEHOLDER, ""))


class Carries(Protocol):
    """Whatever carries rows: a draft, or the call made of it."""

    @property
    def rows(self) -> tuple[PlannedRow, ...]:
        """The rows in the order of the call's body."""
        ...


def in_sequence(calls: Sequence[Carrier]) -> list[list[Carrier]]:
    """Split calls into lanes: lanes may run side by side, the calls within one must follow each other.

    Actions on the same case form a lane, in row order: a pause and a resume that overtake each other end wrongly.
    """
    lanes: dict[object, list[Carrier]] = {}
    for call in calls:
        case_id = call.rows[0].case_id.lower()  # an id is the same in any letter case
        lanes.setdefault(("case", case_id) if case_id else call.rows[0].address, []).append(call)
    return [sorted(lane, key=lambda call: call.rows[0].address.objectindex) for lane in lanes.values()]


def halves(draft: Draft) -> tuple[Draft, Draft]:
    """Split a call whose faulty rows are unknown; repeated, k faulty rows of n are found in about 2·k·log2(n) calls."""
    middle = len(draft.rows) // 2
    return replace(draft, rows=draft.rows[:middle]), replace(draft, rows=draft.rows[middle:])


@dataclass(frozen=True, slots=True)
class Depends:
    """A row waits for an invoice row of the same batch."""

    invoice: Address


def kinds_meant(kind: str) -> tuple[str, ...]:
    """Return as what an invoice may carry a name of this kind; a ledgerref is whatever the ERP knows it by."""
    return ("ledgerref", "uniqueSourceInvoiceId", "invoiceNumber") if kind == "ledgerref" else (kind,)


class BatchClaims:
    """The invoices of one batch, by the names other rows may use for them."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], list[Address]] = {}
        self._elsewhere: dict[tuple[str, str, str], Address] = {}

    def add(self, row: PlannedRow) -> None:
        """Remember a row under its names."""
        for kind, value in row.keys:
            self._known.setdefault((row.organization, kind, value), []).append(row.address)

    def add_refused(self, address: Address, names: Names) -> None:
        """Remember an invoice that was refused before it was planned: whoever names it is refused with it."""
        for kind, value in names:
            self._known.setdefault(("", kind, value), []).append(address)

    def add_elsewhere(self, organization: str, address: Address, names: Names) -> None:
        """Remember an invoice that the legacy host decides: no row of the modern system can belong to it."""
        for kind, value in names:
            self._elsewhere.setdefault((organization, kind, value), address)

    def depend(self, organization: str, reference: Reference) -> Depends | None:
        """Return the invoice row that `reference` names, or None when the batch has none.

        Raises RowRefused when a name fits several invoices of the batch: a payment on the wrong claim is worse than
        a refused one; and when it fits only one that the legacy host decides.
        """
        for kind, value in reference.keys:
            found = _find(self._known, organization, kind, value)
            if found and len(found) > 1:
                places = ", ".join(str(address) for address in found)
                raise RowRefused(f"{kind}: names several invoices of this batch ({places}); use one that is unique")
            if found:
                return Depends(found[0])
            if elsewhere := _find(self._elsewhere, organization, kind, value):
                raise RowRefused(f"{kind}: not submitted: it names {elsewhere} of this batch, {ELSEWHERE}")
        return None


def _find(known: Mapping[tuple[str, str, str], Found], organization: str, kind: str, value: str) -> Found | None:
    for name in kinds_meant(kind):
        # an invoice that was never routed is remembered under no organization
        if found := known.get((organization, name, value)) or known.get(("", name, value)):
            return found
    return None


def refuse_with(invoice: Outcome, dependent: Address) -> Outcome:
    """Refuse a row because the invoice it belongs to was refused."""
    message = f"not submitted: it belongs to {invoice.address} of this batch, which was refused"
    return Outcome(dependent, Verdict.REFUSED, message)


class UniqueIds:
    """The unique ids of one batch; the second row with the same one would be the same claim twice."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, str, str], Address] = {}

    def claim(self, row: PlannedRow) -> None:
        """Reserve the row's unique id; raises RowRefused when an earlier row of the batch has it."""
        if not row.unique_id:
            return
        kind = row.operation.unique_id
        holder = self._holders.setdefault((row.organization, kind, row.unique_id), row.address)
        if holder != row.address:
            raise RowRefused(f"{kind}: already used by {holder} of this batch; a row is sent once")


def _told_apart(rows: list[PlannedRow]) -> list[list[PlannedRow]]:
    """Spread rows of one operation over layers; within a layer no two share a value results are told apart by."""
    names = _distinct_attributes(rows[0].operation)
    if all(_all_differ([_mark(row, name) for row in rows]) for name in names):
        return [rows]  # as good as always, and many times faster
    uses: dict[tuple[str, str], int] = {}
    layers: list[list[PlannedRow]] = []
    for row in rows:
        marks = [(name, value) for name in names if (value := _mark(row, name))]
        layer = max([uses.get(mark, 0) for mark in marks], default=0)
        for mark in marks:
            uses[mark] = layer + 1
        while len(layers) <= layer:
            layers.append([])
        layers[layer].append(row)
    return layers


def _mark(row: PlannedRow, name: str) -> str:
    """Return by what a result may name a row; an invoiceId is the same in any letter case."""
    value: str = getattr(row, name)
    return value.lower() if name == "invoice_id" else value


def _distinct_attributes(operation: Operation) -> list[str]:
    """Return which attributes of a row hold the values by which its result is told apart from its neighbours'."""
    holders = {"invoiceNumber": "invoice_number", "invoiceId": "invoice_id", operation.unique_id: "unique_id"}
    return [holders[name] for name in operation.distinct if name in holders]


def _all_differ(values: Iterable[str]) -> bool:
    present = list(filter(None, values))
    return len(set(present)) == len(present)


def _chunks(rows: Sequence[PlannedRow], size: int) -> Iterator[Sequence[PlannedRow]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
