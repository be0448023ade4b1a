"""By what names a row finds its claim or is found itself: packed for the journal, and unpacked again."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bridge.batch import Operation, Reference
from bridge.journal import RowRecord
from bridge.plan import Names, PlannedRow


def pack_row(row: PlannedRow) -> bytes | None:
    """Encode by what names a row finds its claim or is found itself, for the journal."""
    if not row.keys and not row.reference_target:
        return None
    packed = _Packed(row.keys, row.reference, row.reference_target, row.invoice_number, row.invoice_id, row.case_id)
    return _encode(packed)


def pack_names(names: Names) -> bytes:
    """Encode the names of a row that is not submitted."""
    return _encode(_Packed(names))


class _Packed(msgspec.Struct, omit_defaults=True):
    """By what names a row is known, as the journal keeps it."""

    keys: Names = ()
    reference: Reference | None = None
    target: str = ""
    invoice_number: str = ""
    invoice_id: str = ""
    case_id: str = ""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Packed).decode


def unpack_names(record: RowRecord) -> Names:
    """Return the names other rows may know a journalled row by."""
    return _unpack(record).keys


def unpack_row(record: RowRecord, operations: Mapping[str, Operation]) -> PlannedRow:
    """Rebuild a row from the journal; raises KeyError when the profile lost its operation."""
    names = _unpack(record)
    return PlannedRow(
        address=record.address,
        organization=record.organization,
        operation=operations[record.operation],
        item=record.item or b"{}",
        unique_id=record.unique_id,
        invoice_number=names.invoice_number,
        invoice_id=names.invoice_id,
        case_id=names.case_id,
        reference=names.reference,
        reference_target=names.target,
        keys=names.keys,
    )


def _unpack(record: RowRecord) -> _Packed:
    return _decode(record.reference) if record.reference else _Packed()
