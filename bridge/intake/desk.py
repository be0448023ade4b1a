"""From bytes to rows that are ready to be planned: read, route, translate, give unique ids. No I/O, nothing is kept.

A large batch is worked in slices that give the event loop back, so that a 10,000-row batch holds nobody up.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec

from bridge.batch import LEGACY, OBJECTNAMES, Address, Outcome, Row, RowRefused, Translation, Verdict
from bridge.intake.packing import pack_names, pack_row
from bridge.journal import RowRecord
from bridge.legacy.body import Envelope
from bridge.legacy.fingerprint import Fingerprint
from bridge.legacy.reader import RowReader
from bridge.mapping import Profile
from bridge.modern.requests import encode_item
from bridge.organizations import Directory
from bridge.plan import BatchClaims, Names, PlannedRow, UniqueIds
from bridge.senders import Sender

SLICE_ROWS = 50
"""Rows worked before the event loop gets a turn: about a millisecond."""
NOTHING: Mapping[Address, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class CreditorSeen:
    """A creditor for the register: its idnumber, whether it is configured, the names of the fields that told of it."""

    idnumber: str
    known: bool
    fields: tuple[str, ...]


@dataclass(slots=True)
class Intake:
    """What one batch became: each row once, in reply order in `rows`, and in `decided`, `planned` or `relayed`."""

    rows: list[RowRecord] = field(default_factory=list)
    decided: dict[Address, Outcome] = field(default_factory=dict)
    planned: list[PlannedRow] = field(default_factory=list)
    relayed: list[PlannedRow] = field(default_factory=list)
    """Rows that the legacy host decides, each as its caller wrote it."""
    claims: BatchClaims = field(default_factory=BatchClaims)
    unique_ids: UniqueIds = field(default_factory=UniqueIds)
    unknown: dict[str, Counter[str]] = field(default_factory=dict)
    creditors: list[CreditorSeen] = field(default_factory=list)
    """One for each creditor row."""
    named: dict[str, set[str]] = field(default_factory=dict)
    """Creditor → the fields of other rows that name it, such as `action.creditorid`."""
    mentioned: list[CreditorSeen] = field(default_factory=list)
    """One for each creditor that other rows name."""
    refused: Counter[str] = field(default_factory=Counter)
    """Organization → how many of its rows were refused, as far as it can be told whose they are."""

    def decide(self, outcome: Outcome, ledgerref: str = "", names: Names = ()) -> None:
        """Give a row its final verdict before it is sent anywhere; others may know it by `names` all the same."""
        self.decided[outcome.address] = outcome
        self.claims.add_refused(outcome.address, names)
        packed = pack_names(names) if names else None
        self.rows.append(RowRecord(outcome.address, outcome.verdict, outcome.message, ledgerref, reference=packed))

    def refuse(self, address: Address, message: str, ledgerref: str, names: Names = ()) -> None:
        """Refuse a row."""
        self.decide(Outcome(address, Verdict.REFUSED, message), ledgerref, names)

    def relay(self, row: PlannedRow, ledgerref: str, names: Names) -> None:
        """Keep a row that the legacy host will be sent, as it came."""
        self.relayed.append(row)
        self.claims.add_elsewhere(row.organization, row.address, names)
        self.rows.append(_pending(row, ledgerref))

    def plan(self, row: PlannedRow, ledgerref: str) -> None:
        """Keep a row that will be submitted."""
        self.planned.append(row)
        self.claims.add(row)
        self.rows.append(_pending(row, ledgerref, pack_row(row)))


def _pending(row: PlannedRow, ledgerref: str, packed: bytes | None = None) -> RowRecord:
    return RowRecord(
        row.address,
        Verdict.PENDING,
        ledgerref=ledgerref,
        organization=row.organization,
        operation=row.operation.name,
        unique_id=row.unique_id,
        item=row.item,
        reference=packed,
    )


class Desk:
    """Where the batches of one profile are read: its readers and mappings, and the directory of organizations."""

    def __init__(self, profile: Profile, directory: Directory) -> None:
        self.profile = profile
        self.reader = RowReader({name: mapping.shape for name, mapping in profile.objects.items()})
        self._directory = directory
        self._creditor_fields = {
            name: f"{name}.{mapping.document.creditor_field}" for name, mapping in profile.objects.items()
        }

    async def take(
        self, sender: Sender, envelope: Envelope, seed: str, legacy: Mapping[Address, str] = NOTHING
    ) -> Intake:
        """Work every row of a batch; `seed` is what derived unique ids are made from, with the row's address.

        `legacy`: rows that the legacy host decides, and their organizations.
        """
        intake = Intake()
        creditors: list[str] = []
        for objectname in OBJECTNAMES:
            raws = envelope.rows.get(objectname, [])
            for start in range(0, len(raws), SLICE_ROWS):
                piece = raws[start : start + SLICE_ROWS]
                results = self.reader.read_many(objectname, start, piece)
                for result, raw in zip(results, piece, strict=True):
                    if result.address in legacy:
                        ledgerref = self._relay_row(intake, result, raw, legacy[result.address])
                        creditors += [ledgerref] if objectname == "creditor" else []
                    elif objectname == "creditor":
                        creditors.append(self._take_creditor(intake, sender, result))
                    else:
                        self._take_row(intake, sender, result, raw, creditors, seed)
                if len(raws) > SLICE_ROWS:
                    await asyncio.sleep(0)
        intake.mentioned = [
            CreditorSeen(idnumber, self._directory.knows(sender, idnumber), tuple(sorted(fields)))
            for idnumber, fields in intake.named.items()
        ]
        return intake

    def _take_creditor(self, intake: Intake, sender: Sender, result: Row | Outcome) -> str:
        """Check a creditor row against the configured ones, and return whom it names; no modern call takes more."""
        if isinstance(result, Outcome):
            intake.decide(result)
            return ""
        idnumber = self.profile.objects["creditor"].reply_reference(result.fields)
        known = self._directory.knows(sender, idnumber)
        intake.creditors.append(CreditorSeen(idnumber, known, tuple(sorted(result.fields))))
        _count_unknown(intake, result)
        if known:
            intake.decide(Outcome(result.address, Verdict.ACCEPTED), idnumber)
        else:
            message = f"idnumber: creditor {idnumber} is not configured for this sender; ask the operator to onboard it"
            intake.refuse(result.address, message, idnumber)
        return idnumber

    def _take_row(
        self,
        intake: Intake,
        sender: Sender,
        result: Row | Outcome,
        raw: msgspec.Raw,
        creditors: Sequence[str],
        seed: str,
    ) -> None:
        """Route and translate one row, or refuse it; its neighbours do not notice."""
        if isinstance(result, Outcome):
            intake.decide(result, names=self.names_in(result.address, raw))
            self._count_refused(intake, sender, result.address.objectname, raw, creditors)
            return
        mapping = self.profile.objects[result.address.objectname]
        _count_unknown(intake, result)
        ledgerref = mapping.reply_reference(result.fields)
        if creditor := mapping.creditor(result.fields):
            intake.named.setdefault(creditor, set()).add(self._creditor_fields[result.address.objectname])
        try:
            organization = self._directory.route(sender, creditor, creditors)
            row = _complete(result.address, organization.id, mapping.translate(result.fields), seed)
            intake.unique_ids.claim(row)
        except RowRefused as refusal:
            intake.refuse(result.address, str(refusal), ledgerref, self.names_in(result.address, raw))
            self._count_refused(intake, sender, result.address.objectname, raw, creditors)
        else:
            intake.plan(row, ledgerref)

    def _count_refused(
        self, intake: Intake, sender: Sender, objectname: str, raw: msgspec.Raw, creditors: Sequence[str]
    ) -> None:
        """Count a refused row for the organization it would have gone to, if that can be told."""
        mapping = self.profile.objects.get(objectname)
        name = mapping.document.creditor_field if mapping is not None else ""
        named = dict(self.reader.peek(raw, {name: name})).get(name, "") if name else ""
        with suppress(RowRefused):
            intake.refused[self._directory.route(sender, named, creditors).id] += 1

    def _relay_row(self, intake: Intake, result: Row | Outcome, raw: msgspec.Raw, organization: str) -> str:
        """Keep a row for the legacy host, whatever we think of it; return the reference its caller knows it by."""
        mapping = self.profile.objects.get(result.address.objectname)
        if mapping is None:
            ledgerref = ""
        elif isinstance(result, Row):
            ledgerref = mapping.reply_reference(result.fields)
        else:
            names = {name: name for name in mapping.document.reply_reference}
            ledgerref = next((text for _, text in self.reader.peek(raw, names)), "")
        row = PlannedRow(result.address, organization, LEGACY, bytes(raw))
        intake.relay(row, ledgerref, self.names_in(result.address, raw))
        return ledgerref

    def names_in(self, address: Address, raw: msgspec.Raw | bytes) -> Names:
        """Return the names by which other rows may mean a refused invoice, as far as they can be read."""
        if address.objectname != "invoice" or "invoice" not in self.profile.objects:
            return ()
        return self.reader.peek(raw, self.profile.objects["invoice"].key_fields)


def _count_unknown(intake: Intake, row: Row) -> None:
    if row.unknown:
        intake.unknown.setdefault(row.address.objectname, Counter()).update(row.unknown)


def _complete(address: Address, organization: str, translation: Translation, seed: str) -> PlannedRow:
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
        item=encode_item(item, plain=translation.plain),
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


def _with_unique_id(keys: Names, unique_id: str) -> Names:
    if not keys or not unique_id or any(kind == "uniqueSourceInvoiceId" for kind, _ in keys):
        return keys
    return (*keys, ("uniqueSourceInvoiceId", unique_id))
