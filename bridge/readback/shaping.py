"""From cases and invoices to the bytes of legacy entries, slice by slice; and what the cross-reference learns by it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from bridge.errors import CannotTakeNow
from bridge.journal import CLAIMS_AT_ONCE, CaseEvent, Claim, Journal, LearnClaims
from bridge.logs import Event, get_log
from bridge.mapping.reading import ReadProfile
from bridge.modern.reading import text
from bridge.modern.requests import plain_copy
from bridge.organizations import Organization
from bridge.readback.found import Entry, Found
from bridge.readback.gathering import Harvest

log = get_log()

SLICE_ENTRIES = 50
"""Entries made and encoded before the event loop gets a turn: about a millisecond's worth."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def encode(entries: Any) -> bytes:
    """Return JSON; amounts are numbers, digit for digit, without an exponent: not every ERP reads one."""
    encoded = _encode(entries)
    if b"E+" in encoded or b"E-" in encoded:  # a text may hold that, too: it costs time only
        return _encode(plain_copy(entries))
    return encoded


@dataclass(frozen=True, slots=True)
class View:
    """How one caller sees an organization's claims."""

    language: str
    includeclosed: bool
    creditorid: str = ""
    """Only this one of the organization's creditors."""
    names_wanted: bool = False
    """Whether the names of the claims are needed as well."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The legacy entries of an organization's claims, ready to be sent."""

    fragments: tuple[bytes, ...]
    """JSON, several entries each, every entry led by a comma."""
    count: int
    names: frozenset[str] = frozenset()
    """What the claims go by (`names_of`), closed ones included; empty unless wanted."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """Whose creditor's what goes by a name is, all creditors and closed cases included; empty for a name that several
    share. Only of an organization with several creditors."""

    @property
    def weight_bytes(self) -> int:
        """Return about how much memory it takes."""
        entries = sum(map(len, self.fragments)) + 100 * len(self.fragments)
        return 200 + entries + 100 * len(self.names) + 200 * len(self.owners)


def creditor_of(told: Mapping[str, Any], organization: Organization) -> str:
    """Return which of the organization's creditors a case or settlement is of; empty when that is not known."""
    number = text(told.get("creditorNumber"))
    if number in organization.creditors:
        return number
    return next(iter(organization.creditors)) if len(organization.creditors) == 1 else ""


def describe_creditor(idnumber: str, organization: Organization) -> Entry:
    """Return a creditor as a mapping's source."""
    return {"idnumber": idnumber or None, "name": organization.name or None, "organization": organization.id}


def describe_claim(claim: Claim | None) -> Entry:
    """Return the ids of a claim as a mapping's source: those that are known."""
    if claim is None:
        return {}
    return {name: value for name, value in claim.names.items() if value}


def names_of(kind: str, values: Iterable[str]) -> set[str]:
    """Return names that settlements are found by: `case` numbers, `invoice` ids, invoice `number`s."""
    return {f"{kind} {value}" for value in values if value}


class Shaper:
    """Make entries of what was gathered, by a profile."""

    def __init__(self, reading: ReadProfile, journal: Journal) -> None:
        self._reading = reading
        self._journal = journal

    async def shape(self, harvest: Harvest, organization: Organization, view: View) -> Sheet:
        """Return the entries of all that is gathered."""
        slip = _Slip(self._reading, organization, view)
        async with aclosing(harvest) as slices:
            async for some in slices:
                await self._add(slip, some)
                if len(slip.lessons) >= CLAIMS_AT_ONCE:
                    await self._teach(slip)
        await self._teach(slip)
        return Sheet(tuple(slip.fragments), slip.count, frozenset(slip.names), slip.owners)

    async def _add(self, slip: _Slip, some: Sequence[Found]) -> None:
        slip.note_owners(some)
        some = [one for one in some if slip.concerns(one)]
        organization = slip.organization.id
        ids = [key for one in some for key in one.invoice_ids if key]
        known = await self._journal.claims_of(organization, ids) if ids else {}
        history: Mapping[str, Sequence[CaseEvent]] = {}
        if "history" in self._reading.case.sources:
            cases = [one.case_id for one in some if one.case_id]
            history = await self._journal.case_history(organization, cases) if cases else {}
        for start in range(0, len(some), SLICE_ENTRIES):
            part = some[start : start + SLICE_ENTRIES]
            slip.write(part, known, history)
            await asyncio.sleep(0)
            slip.lessons += learn(organization, part, known)

    async def _teach(self, slip: _Slip) -> None:
        """Add to the cross-reference; a reader need not wait for better days for that."""
        claims, slip.lessons = slip.lessons, []
        if not claims:
            return
        try:
            await self._journal.write(LearnClaims(claims))
        except CannotTakeNow as reason:
            log.warning(Event.CLAIMS_NOT_KEPT, count=len(claims), why=str(reason))


class _Slip:
    """What one sheet is written on."""

    def __init__(self, reading: ReadProfile, organization: Organization, view: View) -> None:
        self.organization = organization
        self.fragments: list[bytes] = []
        self.names: set[str] = set()
        self.owners: dict[str, str] = {}
        self.lessons: list[Claim] = []
        self.count = 0
        self._mapping = reading.case
        self._is_closed = reading.is_closed
        self._view = view
        self._creditors: dict[str, Entry] = {}

    def concerns(self, found: Found) -> bool:
        """Tell whether a claim is of the creditor asked for, or may be."""
        wanted = self._view.creditorid
        return not wanted or creditor_of(found.case, self.organization) in {"", wanted}

    def note_owners(self, some: Sequence[Found]) -> None:
        """Note whose the cases are, for their settlements: those do not say it."""
        if len(self.organization.creditors) < 2:
            return
        for found in some:
            creditor = self._creditor(found.case)["idnumber"]
            for name in _names(found) if creditor else ():
                if self.owners.setdefault(name, creditor) != creditor:
                    self.owners[name] = ""

    def write(
        self, some: Sequence[Found], known: Mapping[str, Claim], history: Mapping[str, Sequence[CaseEvent]]
    ) -> None:
        """Encode the entries of a slice."""
        entries: list[Entry] = []
        for found in some:
            if self._view.names_wanted:
                self.names |= _names(found)
            if not self._view.includeclosed and self._is_closed(found.case or found.invoices[0]):
                continue
            sources: dict[str, Any] = {
                "case": found.case,
                "creditor": self._creditor(found.case),
                "history": [_describe_event(event) for event in history.get(found.case_id, ())],
            }
            entries += self._entries(found, sources, known)
        if entries:
            self.count += len(entries)
            self.fragments.append(b"," + encode(entries)[1:-1])

    def _entries(self, found: Found, sources: Entry, known: Mapping[str, Claim]) -> Iterable[Entry]:
        """Yield one entry for each invoice, where the shape has it so, else one for the case; none is left out."""
        render, language = self._mapping.render, self._view.language
        if not found.invoices or (not self._mapping.each and len(found.invoices) != 1):
            yield render({**sources, "invoice": {}, "claim": {}}, language)
            return
        for key, invoice in zip(found.invoice_ids, found.invoices, strict=True):
            yield render({**sources, "invoice": invoice, "claim": describe_claim(known.get(key))}, language)

    def _creditor(self, case: Entry) -> Entry:
        number = creditor_of(case, self.organization)
        if number not in self._creditors:
            self._creditors[number] = describe_creditor(number, self.organization)
        return self._creditors[number]


def learn(organization: str, some: Iterable[Found], known: Mapping[str, Claim]) -> Iterable[Claim]:
    """Yield what the cross-reference does not know yet of these claims."""
    for found in some:
        for key, invoice in zip(found.invoice_ids, found.invoices, strict=True):
            claim = known.get(key)
            if key and (claim is None or not _is_complete(claim)):
                told = _claim(organization, found, key, invoice)
                if claim is None or _adds(told, claim):
                    yield told


LEARNT = ("invoice_number", "unique_source_invoice_id", "case_number", "case_id", "modern_batch")
"""What reading can add to a claim."""


def _claim(organization: str, found: Found, key: str, invoice: Entry) -> Claim:
    return Claim(
        organization,
        invoice_id=key,
        invoice_number=text(invoice.get("invoiceNumber")),
        unique_source_invoice_id=text(invoice.get("uniqueSourceInvoiceId")),
        case_number=found.case_number or text(invoice.get("collectionCaseNumber")),
        case_id=found.case_id,
        modern_batch=text(invoice.get("batchId")),
    )


def _is_complete(claim: Claim) -> bool:
    return all(getattr(claim, name) for name in LEARNT)


def _adds(told: Claim, claim: Claim) -> bool:
    """Tell whether something is told that the claim does not say."""
    return any(getattr(told, name) and not getattr(claim, name) for name in LEARNT)


def _names(found: Found) -> set[str]:
    numbers = {found.case_number, *(text(one.get("collectionCaseNumber")) for one in found.invoices)}
    return (
        names_of("case", numbers)
        | names_of("invoice", found.invoice_ids)
        | names_of("number", (text(one.get("invoiceNumber")) for one in found.invoices))
    )


def _describe_event(event: CaseEvent) -> Entry:
    moment = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="seconds")
    return {
        "kind": event.kind,
        "at": moment.replace("+00:00", "Z"),
        "status": event.status,
        "fields": list(event.fields),
    }
