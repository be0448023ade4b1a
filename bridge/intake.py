"""From bytes to rows that are ready to be planned: read, route, translate, give unique ids. No I/O, nothing is kept.

A large batch is worked in slices that give the event loop back, so that a 10,000-row batch holds nobody up.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bridge.batch import OBJECTNAMES, Address, Operation, Outcome, Reference, Row, RowRefused, Translation, Verdict
from bridge.journal import RowRecord
from bridge.legacy.body import Envelope
from bridge.legacy.fingerprint import Fingerprint
from bridge.legacy.reader import RowReader
from bridge.mapping.library import Profile
from bridge.modern.requests import encode_item
from bridge.organizations import Directory
from bridge.plan import PlannedRow, same_twice
from bridge.senders import Sender

SLICE_ROWS = 50
"""Rows worked before the event loop gets a turn: about a millisecond."""


@dataclass(frozen=True, slots=True)
class CreditorSeen:
    """A creditor row, for the register: its idnumber, whether it is configured, the names of the fields it had."""

    idnumber: str
    known: bool
    fields: tuple[str, ...]


@dataclass(slots=True)
class Intake:
    """What one batch became: every row exactly once, in `decided` or in `planned`."""

    ledgerrefs: dict[Address, str] = field(default_factory=dict)
    decided: dict[Address, Outcome] = field(default_factory=dict)
    planned: list[PlannedRow] = field(default_factory=list)
    refused_keys: dict[Address, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Refused invoices by the names other rows may know them by, as far as they could be read."""
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    creditors: list[CreditorSeen] = field(default_factory=list)

    def refuse(self, address: Address, message: str, ledgerref: str = "") -> None:
        """Give a row its final verdict before it is sent anywhere."""
        self.ledgerrefs[address] = ledgerref
        self.decided[address] = Outcome(address, Verdict.REFUSED, message)

    def in_order(self) -> Iterator[RowRecord]:
        """Yield the record of every row, in reply order."""
        planned = {row.address: row for row in self.planned}
        rank = {name: position for position, name in enumerate(OBJECTNAMES)}
        for address in sorted(self.ledgerrefs, key=lambda one: (rank[one.objectname], one.objectindex)):
            yield self._record(address, planned.get(address))

    def _record(self, address: Address, row: PlannedRow | None) -> RowRecord:
        ledgerref = self.ledgerrefs[address]
        if row is None:
            outcome = self.decided[address]
            keys = self.refused_keys.get(address, ())
            return RowRecord(
                address,
                outcome.verdict,
                outcome.message,
                ledgerref,
                reference=msgspec.json.encode(_Names(keys=keys)) if keys else None,
            )
        return RowRecord(
            address,
            Verdict.PENDING,
            ledgerref=ledgerref,
            organization=row.organization,
            operation=row.operation.name,
            unique_id=row.unique_id,
            item=row.item,
            reference=pack_names(row),
        )


class Desk:
    """Where the batches of one profile are read: its readers and mappings, and the directory of organizations."""

    def __init__(self, profile: Profile, directory: Directory) -> None:
        self.profile = profile
        self.reader = RowReader({name: mapping.shape for name, mapping in profile.objects.items()})
        self._directory = directory

    async def take(self, sender: Sender, envelope: Envelope, seed: str) -> Intake:
        """Work every row of a batch; `seed` is what derived unique ids are made from, with the row's address."""
        intake = Intake()
        creditors: list[str] = []
        for objectname in OBJECTNAMES:
            raws = envelope.rows.get(objectname, [])
            for start in range(0, len(raws), SLICE_ROWS):
                piece = raws[start : start + SLICE_ROWS]
                results = self.reader.read_many(objectname, start, piece)
                for result, raw in zip(results, piece, strict=True):
                    if isinstance(result, Outcome):
                        self._refuse_unread(intake, result, raw)
                    elif objectname == "creditor":
                        creditors.append(self._take_creditor(intake, sender, result))
                    else:
                        self._take_row(intake, sender, result, creditors, seed)
                if len(raws) > SLICE_ROWS:
                    await asyncio.sleep(0)
            if objectname == "creditor" and len(creditors) != len(raws):
                creditors.extend([""] * (len(raws) - len(creditors)))  # an unreadable creditor row is one, too
        _refuse_repeated(intake)
        return intake

    def _refuse_unread(self, intake: Intake, outcome: Outcome, raw: msgspec.Raw) -> None:
        intake.ledgerrefs[outcome.address] = ""
        intake.decided[outcome.address] = outcome
        if keys := self.reader.peek(raw, self._key_fields(outcome.address.objectname)):
            intake.refused_keys[outcome.address] = keys

    def _key_fields(self, objectname: str) -> Mapping[str, str]:
        mapping = self.profile.objects.get(objectname)
        return mapping.key_fields if mapping and objectname == "invoice" else {}

    def _take_creditor(self, intake: Intake, sender: Sender, row: Row) -> str:
        """Check a creditor row against the configured ones; the modern API could not take more from it."""
        idnumber = self.profile.objects["creditor"].reply_reference(row.fields)
        known = self._directory.knows(sender, idnumber)
        intake.creditors.append(CreditorSeen(idnumber, known, tuple(sorted(row.fields))))
        self._count_unknown(intake, row)
        if known:
            intake.ledgerrefs[row.address] = idnumber
            intake.decided[row.address] = Outcome(row.address, Verdict.ACCEPTED)
        else:
            message = f"idnumber: creditor {idnumber} is not configured for this sender; ask the operator to onboard it"
            intake.refuse(row.address, message, idnumber)
        return idnumber

    def _take_row(self, intake: Intake, sender: Sender, row: Row, creditors: Sequence[str], seed: str) -> None:
        mapping = self.profile.objects[row.address.objectname]
        self._count_unknown(intake, row)
        ledgerref = mapping.reply_reference(row.fields)
        try:
            organization = self._directory.route(sender, mapping.creditor(row.fields), creditors)
            translation = mapping.translate(row.fields)
            planned = _planned(row.address, organization.id, translation, seed)
        except RowRefused as refusal:
            intake.refuse(row.address, str(refusal), ledgerref)
            if keys := tuple(
                (kind, row.fields.get(name)) for kind, name in self._key_fields(row.address.objectname).items()
            ):
                intake.refused_keys[row.address] = tuple((kind, str(value)) for kind, value in keys if value)
            return
        intake.ledgerrefs[row.address] = ledgerref
        intake.planned.append(planned)

    @staticmethod
    def _count_unknown(intake: Intake, row: Row) -> None:
        if row.unknown:
            intake.unknown.setdefault(row.address.objectname, Counter()).update(row.unknown)


def _planned(address: Address, organization: str, translation: Translation, seed: str) -> PlannedRow:
    """Complete a translated row with its unique id and encode it."""
    operation, item, reference = translation.operation, translation.item, translation.reference
    if reference is not None and not reference.id and not reference.keys:
        raise RowRefused(
            "no reference to an invoice: send its invoiceId, uniqueSourceInvoiceId, invoiceNumber or ledgerref"
        )
    unique_id = ""
    if operation.unique_id:
        unique_id = item.get(operation.unique_id) or derive_unique_id(seed, address)
        item[operation.unique_id] = unique_id
    known = reference.id if reference is not None else ""
    if reference is not None and known and reference.into:
        item[reference.into] = known
    return PlannedRow(
        address=address,
        organization=organization,
        operation=operation,
        item=encode_item(item),
        unique_id=unique_id,
        invoice_number=item.get("invoiceNumber", ""),
        invoice_id=known if reference is not None and reference.target == "invoice" else "",
        case_id=known if reference is not None and reference.target == "case" else "",
        reference=None if known else reference,
        reference_target=reference.target if reference is not None else "",
        keys=_with_unique_id(translation.keys, unique_id),
    )


def derive_unique_id(seed: str, address: Address) -> str:
    """Make the unique id of a row that came without one: the same for every resend of the same batch."""
    digest = hashlib.sha256(f"{seed}\0{address.objectname}\0{address.objectindex}".encode()).hexdigest()
    return f"bridge-{digest[:32]}"


async def fingerprint(envelope: Envelope) -> str:
    """Return the digest of the batch's canonical content."""
    digest = Fingerprint()
    for objectname in OBJECTNAMES:
        raws = envelope.rows.get(objectname, [])
        for start in range(0, len(raws), SLICE_ROWS):
            digest.update(objectname, raws[start : start + SLICE_ROWS])
            if len(raws) > SLICE_ROWS:
                await asyncio.sleep(0)
    return digest.hexdigest()


def pack_names(row: PlannedRow) -> bytes | None:
    """Encode by what names a row finds its claim or is found itself, for the journal."""
    if not row.keys and not row.reference_target:
        return None
    names = _Names(row.keys, row.reference, row.reference_target, row.invoice_number, row.invoice_id, row.case_id)
    return msgspec.json.encode(names)


class _Names(msgspec.Struct, omit_defaults=True):
    """By what names a row is known, as the journal keeps it."""

    keys: tuple[tuple[str, str], ...] = ()
    reference: Reference | None = None
    target: str = ""
    invoice_number: str = ""
    invoice_id: str = ""
    case_id: str = ""


def unpack_keys(record: RowRecord) -> tuple[tuple[str, str], ...]:
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


def _unpack(record: RowRecord) -> _Names:
    return msgspec.json.decode(record.reference, type=_Names) if record.reference else _Names()


def _with_unique_id(keys: tuple[tuple[str, str], ...], unique_id: str) -> tuple[tuple[str, str], ...]:
    if not keys or not unique_id or any(kind == "uniqueSourceInvoiceId" for kind, _ in keys):
        return keys
    return (*keys, ("uniqueSourceInvoiceId", unique_id))


def _refuse_repeated(intake: Intake) -> None:
    """Refuse rows that repeat the unique id of an earlier row of the batch."""
    if repeated := same_twice(intake.planned):
        for address, message in repeated.items():
            intake.refuse(address, message, intake.ledgerrefs[address])
        intake.planned = [row for row in intake.planned if row.address not in repeated]
