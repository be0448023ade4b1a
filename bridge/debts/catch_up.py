"""A catch-up batch: rows that only the modern system has, as their callers wrote them, in one legacy batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from bridge.batch import CATCH_UP, OBJECTNAMES, Address
from bridge.journal import RowRecord, StoredBatch
from bridge.legacy.reader import RowReader
from bridge.legacy.sharing import write_sub_batch

CREDITOR = "creditor"
Place = tuple[str, Address]
"""(batch id, address)."""


class Why(StrEnum):
    """Why a row is not written into the catch-up batch."""

    IN_DOUBT = "in_doubt"
    PENDING = "pending"
    ERASED = "erased"
    NO_PROFILE = "no_profile"
    NO_CREDITOR = "no_creditor"
    UNREADABLE = "unreadable"
    TWIN = "twin"
    STILL_MODERN = "still_modern"


@dataclass(frozen=True, slots=True)
class Dialect:
    """What must be known of a profile to repeat its rows."""

    creditor_fields: Mapping[str, str]
    """By objectname: the field in which a row names its creditor."""
    creditor_names: Sequence[str]
    """Fields of a creditor row that say whom it is about; the first that is there does."""


@dataclass(frozen=True, slots=True)
class OwedRow:
    """A row that the modern system took and the legacy host has not seen."""

    batch_id: str
    sender: str
    address: Address
    ledgerref: str
    operation: str
    unique_id: str
    creditor: str
    """Whose it is, by its number."""
    raw: bytes = field(repr=False)
    """As its caller wrote it; with its creditor where that stood elsewhere in its batch."""
    creditor_row: tuple[str, bytes] | None = field(default=None, repr=False)
    """The creditor row of its batch that is about its creditor, by its number."""
    by_modern_id: bool = False
    """Whether it names its claim by an id that the modern system gave."""

    @property
    def place(self) -> Place:
        """Return where it came."""
        return self.batch_id, self.address


class Repeater:
    """Gives the rows of one batch as they can be sent in another one."""

    def __init__(
        self,
        stored: StoredBatch,
        dialect: Dialect,
        raws: Mapping[str, Sequence[msgspec.Raw]],
        creditors: Sequence[str],
    ) -> None:
        self._stored = stored
        self._dialect = dialect
        self._raws = raws
        self._creditors = creditors
        self._creditor_rows = [(_peek(raw, dialect.creditor_names), bytes(raw)) for raw in raws.get(CREDITOR, ())]

    def repeat(self, row: RowRecord) -> OwedRow | Why:
        """Return a row as it can be sent again, or why it cannot."""
        raws = self._raws.get(row.address.objectname, ())
        if row.address.objectindex >= len(raws):
            return Why.UNREADABLE
        raw = bytes(raws[row.address.objectindex])
        name = self._dialect.creditor_fields.get(row.address.objectname, "")
        creditor = _peek(raw, (name,)) if name else ""
        if not creditor:
            creditor = self._stand_in()
            if not creditor:
                return Why.NO_CREDITOR
            if name and (self._creditor_rows or len(self._creditors) > 1):
                named = _name_creditor(raw, name, creditor)
                if named is None:
                    return Why.UNREADABLE
                raw = named
        batch = self._stored.batch
        return OwedRow(
            batch_id=batch.id,
            sender=batch.sender,
            address=row.address,
            ledgerref=row.ledgerref,
            operation=row.operation,
            unique_id=row.unique_id,
            creditor=creditor,
            raw=raw,
            creditor_row=next((each for each in reversed(self._creditor_rows) if each[0] == creditor), None),
            by_modern_id=_is_by_modern_id(row),
        )

    def _stand_in(self) -> str:
        """Return whose a row is that names nobody: the only creditor row's, or the organization's only creditor."""
        if len(self._creditor_rows) == 1:
            return self._creditor_rows[0][0]
        return self._creditors[0] if len(self._creditors) == 1 else ""


def write_catch_up(export: str, rows: Sequence[OwedRow]) -> bytes:
    """Return one sender's rows as a legacy batch: creditors first, then each kind of row in the order they came."""
    creditors = dict(row.creditor_row for row in rows if row.creditor_row is not None)
    return write_sub_batch(f"{CATCH_UP}{export}", _list_rows(creditors, rows)) + b"\n"


def _list_rows(creditors: Mapping[str, bytes], rows: Sequence[OwedRow]) -> Iterator[tuple[Address, bytes]]:
    for index, number in enumerate(sorted(creditors)):
        yield Address(CREDITOR, index), creditors[number]
    for objectname in OBJECTNAMES[1:]:
        yield from ((row.address, row.raw) for row in rows if row.address.objectname == objectname)


def _peek(raw: bytes | msgspec.Raw, names: Sequence[str]) -> str:
    """Return the first of these fields that a raw row has, as text."""
    found = dict(_READER.peek(raw, {name: name for name in names}))
    return next((found[name].strip() for name in names if name in found), "")


def _name_creditor(raw: bytes, name: str, creditor: str) -> bytes | None:
    """Return a raw row that names its creditor, all else digit for digit; None for one that cannot be taken apart."""
    try:
        members = _take_apart(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    others = {key: value for key, value in members.items() if key.lower() != name.lower()}
    return msgspec.json.encode({name: creditor, **others})


class _Names(msgspec.Struct):
    """What the journal says of how a row names its claim, as far as it matters here (`packing`)."""

    invoice_id: str = ""
    case_id: str = ""


def _is_by_modern_id(row: RowRecord) -> bool:
    names = _read_names(row.reference) if row.reference else _Names()
    return bool(names.invoice_id or names.case_id)


_READER = RowReader({})
_take_apart = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_read_names = msgspec.json.Decoder(_Names).decode
