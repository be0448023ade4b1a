"""What exists only in the modern system when an organization goes back to the legacy host.

Pure: batches as the journal holds them go in. Every row that the modern system took comes out once: to be written into
a catch-up batch, or named with the reason why it cannot be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bridge.batch import LEGACY, Address, CallState, Verdict
from bridge.debts.catch_up import Dialect, OwedRow, Place, Repeater, Why
from bridge.errors import UnreadableBatch
from bridge.journal import RowRecord, StoredBatch
from bridge.legacy.body import split
from bridge.modes import Mode, Switch

CLOCKS_APART_SECONDS = 60.0
"""By how much the clock of whoever switched may be ahead of the one that batches are taken by."""


@dataclass(frozen=True, slots=True)
class Period:
    """When some rows of an organization went to the bridge: Unix seconds; `end` None while they still do."""

    start: float
    """0 when it has been so from the first."""
    end: float | None
    earlier_end: float | None = None
    """When the period before it ended; None: there was none."""

    @property
    def since(self) -> float:
        """Return from when on received batches belong to it, two clocks being what they are."""
        return max(self.start - CLOCKS_APART_SECONDS, self.earlier_end or 0.0)


class NamedRow(NamedTuple):
    """A row by its address, and by its caller's own reference; empty where it has none."""

    address: Address
    ledgerref: str


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Rows of one batch that are not written, for one reason."""

    why: Why
    batch_id: str
    rows: tuple[NamedRow, ...]


@dataclass(frozen=True, slots=True)
class Debt:
    """What an organization owes to the legacy host."""

    rows: tuple[OwedRow, ...]
    """In the order they came."""
    unwritten: tuple[Unwritten, ...]
    refused: int
    """Rows that the modern system refused: its caller knows, and nobody owes them."""
    carried: tuple[OwedRow, ...]
    """Rows that catch-up batches have carried already."""

    @property
    def senders(self) -> list[str]:
        """Return who sent what is owed."""
        return sorted({row.sender for row in self.rows})


def find_period(history: Sequence[Switch], first_mode: Mode) -> Period | None:
    """Return the last period in which any row went to the bridge; None when none ever did. `history`: oldest first."""
    found: list[tuple[float, float | None]] = []
    before = frozenset({first_mode})
    if Mode.MODERN in before:
        found.append((0.0, None))
    for switch in history:
        if Mode.MODERN in switch.modes and Mode.MODERN not in before:
            found.append((switch.at, None))
        elif Mode.MODERN in before and Mode.MODERN not in switch.modes:
            found[-1] = (found[-1][0], switch.at)
        before = switch.modes
    if not found:
        return None
    return Period(*found[-1], earlier_end=found[-2][1] if len(found) > 1 else None)


class Reckoner:
    """Go through an organization's batches, oldest first, and reckon what it owes."""

    def __init__(
        self,
        organization: str,
        creditors: Sequence[str],
        dialects: Mapping[str, Dialect],
        carried: frozenset[Place],
        is_back: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`creditors`: the organization's; `dialects`: by profile, without those that are gone; `carried`: see Debt.

        `is_back` tells of a creditor whether the legacy host answers for it again: before that it is owed nothing.
        """
        self._organization = organization
        self._creditors = creditors
        self._dialects = dialects
        self._carried = carried
        self._is_back = is_back
        self._rows: list[OwedRow] = []
        self._unwritten: list[Unwritten] = []
        self._carried_rows: list[OwedRow] = []
        self._carried_entities: set[tuple[str, str]] = set()
        self._refused = 0

    def take(self, stored: StoredBatch) -> None:
        """Reckon with one batch."""
        accepted = []
        undecided: dict[Why, list[NamedRow]] = {}
        calls = {call.id: call.state for call in stored.calls}
        for row in stored.rows:
            if row.organization != self._organization or row.operation in {"", LEGACY.name}:
                continue
            if row.verdict is Verdict.ACCEPTED:
                accepted.append(row)
            elif row.verdict is Verdict.REFUSED:
                self._refused += 1
            else:
                in_doubt = calls.get(row.call_id or "") is CallState.IN_DOUBT
                undecided.setdefault(Why.IN_DOUBT if in_doubt else Why.PENDING, []).append(_name(row))
        self._note(stored, undecided)
        if accepted:
            self._take_accepted(stored, accepted)

    def remember(self, stored: StoredBatch) -> None:
        """Only note which entities of a batch are carried already."""
        for row in stored.rows:
            if (stored.batch.id, row.address) in self._carried and row.unique_id:
                self._carried_entities.add((row.operation, row.unique_id))

    def reckon(self) -> Debt:
        """Return the debt. What came twice under one unique id is one entity, and is written once."""
        rows: list[OwedRow] = []
        twins: dict[str, list[NamedRow]] = {}
        seen = set(self._carried_entities)
        for row in self._rows:
            entity = row.operation, row.unique_id
            if row.unique_id and entity in seen:
                twins.setdefault(row.batch_id, []).append(_name(row))
            else:
                seen.add(entity)
                rows.append(row)
        named = [Unwritten(Why.TWIN, batch_id, tuple(found)) for batch_id, found in twins.items()]
        return Debt(tuple(rows), (*self._unwritten, *named), self._refused, tuple(self._carried_rows))

    def _take_accepted(self, stored: StoredBatch, accepted: Sequence[RowRecord]) -> None:
        self.remember(stored)
        free = [row.address for row in accepted if (stored.batch.id, row.address) not in self._carried]
        unwritten: dict[Why, list[NamedRow]] = {}
        repeater = self._open(stored)
        for row in accepted:
            found = repeater if isinstance(repeater, Why) else repeater.repeat(row)
            if row.address in free and isinstance(found, OwedRow) and not self._is_back(found.creditor):
                found = Why.STILL_MODERN
            if isinstance(found, OwedRow):
                (self._carried_rows if found.place in self._carried else self._rows).append(found)
            elif row.address in free:
                unwritten.setdefault(found, []).append(_name(row))
        self._note(stored, unwritten)

    def _open(self, stored: StoredBatch) -> Repeater | Why:
        dialect = self._dialects.get(stored.batch.profile)
        if stored.batch.payload is None:
            return Why.ERASED
        if dialect is None:
            return Why.NO_PROFILE
        try:
            raws = split(stored.batch.payload).rows
        except UnreadableBatch:
            return Why.UNREADABLE
        return Repeater(stored, dialect, raws, self._creditors)

    def _note(self, stored: StoredBatch, rows: Mapping[Why, Sequence[NamedRow]]) -> None:
        self._unwritten += [Unwritten(why, stored.batch.id, tuple(named)) for why, named in rows.items()]


def _name(row: RowRecord | OwedRow) -> NamedRow:
    return NamedRow(row.address, row.ledgerref)
