"""Tie the entries of a batch result, or of an error body, to the rows of the call they speak of (contract, section 3).

An entry names its row by `uniqueSourceInvoiceId` or `uniqueSourcePaymentId`, else `invoiceNumber`, else `invoiceId`,
else `index` (zero-based within the call). A name that no row, or more than one row, goes by says nothing, and the next
one is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.batch import Address, Outcome, Verdict
from bridge.modern import faults, reading
from bridge.modern.answers import Conflict, Refused
from bridge.modern.results import ModernBatch

_NESTED = ("invoice", "payment", "correction", "item")
_SILENT = "the modern system refused it without saying why"
_IDS = {"invoiceId": "invoiceid", "invoiceNumber": "invoicenumber", "caseNumber": "casenumber", "caseId": "caseid"}


@dataclass(frozen=True, slots=True)
class SentRow:
    """What a row of a call goes by; empty where it has no such name. In the order of the call's body."""

    address: Address
    unique_id: str = ""
    invoice_number: str = ""
    invoice_id: str = ""


@dataclass(frozen=True, slots=True)
class Correlation:
    """What a finished batch says of the rows of its call."""

    outcomes: Mapping[Address, Outcome]
    unmentioned: tuple[Address, ...]
    """Rows it says nothing of: to be looked up."""
    unmatched: int
    """Entries that belong to no row."""


def correlate(rows: Sequence[SentRow], batch: ModernBatch) -> Correlation:
    """Return the outcome of every row a finished batch mentions.

    - A row that is both in `succeeded` and in `failed` counts as accepted: money may have moved, and an ERP that is
      told "refused" would send it again.
    - FAILED without an entry for any row refuses them all; plain texts in `failed` are about the only row of a call.
      SUCCESS without one accepts payments, corrections and actions, for which there is no look-up; invoices stay
      unmentioned. As soon as one row is mentioned, or an entry contradicts the status, the silent ones stay so.
    """
    names = _Names(rows)
    accepted, astray = names.sort(batch.succeeded)
    refused, lost = names.sort(batch.failed)
    outcomes = {
        address: Outcome(address, Verdict.REFUSED, faults.fault_text(entry) or _SILENT)
        for address, entry in refused.items()
    }
    outcomes |= {
        address: Outcome(address, Verdict.ACCEPTED, ids=_read_ids(entry)) for address, entry in accepted.items()
    }
    if not outcomes:
        outcomes = _judge_all(rows, batch)
    unmentioned = tuple(row.address for row in rows if row.address not in outcomes)
    return Correlation(outcomes, unmentioned, len(astray) + len(lost))


def mentions_all(rows: Sequence[SentRow], batch: ModernBatch) -> bool:
    """Tell whether a batch names every one of these rows by its unique id; any other name may be somebody else's."""
    named = {_identify(entry)[0] for entry in (*batch.succeeded, *batch.failed)}
    return all(row.unique_id and row.unique_id in named for row in rows)


def blame(rows: Sequence[SentRow], answer: Refused | Conflict) -> dict[Address, str]:
    """Return what is wrong with each row that an error body names; empty when it names none of them."""
    names = _Names(rows)
    told: dict[Address, list[str]] = {}
    for entry in answer.faults:
        if (address := names.find(entry)) is not None:
            told.setdefault(address, []).append(faults.fault_text(entry))
    return {address: faults.bounded("; ".join(filter(None, texts))) or _SILENT for address, texts in told.items()}


class _Names:
    """The names the rows of one call go by."""

    def __init__(self, rows: Sequence[SentRow]) -> None:
        self._rows = rows
        self._by_unique_id = _only_once((row.unique_id, row) for row in rows)
        self._by_number = _only_once((row.invoice_number, row) for row in rows)
        self._by_invoice_id = _only_once((row.invoice_id.lower(), row) for row in rows)

    def sort(self, entries: Sequence[dict[str, Any]]) -> tuple[dict[Address, dict[str, Any]], list[dict[str, Any]]]:
        """Return the entries by row, the first one where a row has several, and those that belong to no row."""
        sorted_: dict[Address, dict[str, Any]] = {}
        astray = []
        for entry in entries:
            address = self.find(entry)
            if address is None and len(entries) == len(self._rows) == 1 and not self._contradicts(entry):
                address = self._rows[0].address
            if address is None:
                astray.append(entry)
            else:
                sorted_.setdefault(address, entry)
        return sorted_, astray

    def find(self, entry: dict[str, Any]) -> Address | None:
        """Return the row an entry names."""
        unique_id, number, invoice_id = _identify(entry)
        row = self._by_unique_id.get(unique_id) or self._by_number.get(number) or self._by_invoice_id.get(invoice_id)
        if row is not None:
            return row.address
        index = reading.position(entry.get("index"))
        return self._rows[index].address if index is not None and index < len(self._rows) else None

    def _contradicts(self, entry: dict[str, Any]) -> bool:
        """Tell whether an entry names something else than the only row of the call."""
        row = self._rows[0]
        known = (row.unique_id, row.invoice_number, row.invoice_id)
        named = any(ours and theirs for ours, theirs in zip(known, _identify(entry), strict=True))
        return named or reading.position(entry.get("index")) is not None


def _only_once(pairs: Iterable[tuple[str, SentRow]]) -> dict[str, SentRow]:
    found: dict[str, SentRow] = {}
    shared = set()
    for name, row in pairs:
        if name in found:
            shared.add(name)
        found[name] = row
    return {name: row for name, row in found.items() if name and name not in shared}


def _identify(entry: dict[str, Any]) -> tuple[str, str, str]:
    """Return unique id, invoice number and invoice id of an entry, or of the row it echoes."""
    for candidate in (entry, *(reading.lower_keys(entry.get(name)) for name in _NESTED)):
        unique_id = reading.first_text(candidate, "uniquesourcepaymentid", "uniquesourceinvoiceid")
        number = reading.text(candidate.get("invoicenumber"))
        invoice_id = reading.text(candidate.get("invoiceid")).lower()
        if unique_id or number or invoice_id:
            return unique_id, number, invoice_id
    return "", "", ""


def _read_ids(entry: dict[str, Any]) -> dict[str, str]:
    return {name: found for name, key in _IDS.items() if (found := reading.text(entry.get(key)))}


def _judge_all(rows: Sequence[SentRow], batch: ModernBatch) -> dict[Address, Outcome]:
    """Return the outcomes that the status alone allows; none where an entry contradicts it."""
    texts = batch.failed_texts if len(rows) == 1 else ()  # of several rows nobody knows whom a text is about
    failed = batch.status == "FAILED" or (batch.status == "PARTIAL" and texts and not batch.failed)
    if failed and not batch.succeeded:
        why = faults.bounded("; ".join(filter(None, [*map(faults.fault_text, batch.failed), *texts]))) or _SILENT
        return {row.address: Outcome(row.address, Verdict.REFUSED, why) for row in rows}
    if batch.status == "SUCCESS" and not batch.failed:
        silent = [row.address for row in rows if row.address.objectname != "invoice"]
        return {address: Outcome(address, Verdict.ACCEPTED) for address in silent}
    return {}
