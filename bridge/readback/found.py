"""A case with its invoices, as the modern system tells them; names differ between its lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.modern.reading import text

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A case with its invoices; or, with an empty case, an invoice that has none."""

    case: Entry
    invoices: tuple[Entry, ...]
    case_id: str
    case_number: str
    invoice_ids: tuple[str, ...]
    """In the order of the invoices; empty where one has no id."""

    @property
    def name(self) -> str:
        """Return what tells it from all others."""
        return " ".join((self.case_id, *self.invoice_ids))


def find(case: Entry, invoices: tuple[Entry, ...]) -> Found:
    """Return a case and its invoices with the ids they carry."""
    return Found(case, invoices, case_id(case), case_number(case), tuple(map(invoice_id, invoices)))


def invoice_id(invoice: Mapping[str, Any]) -> str:
    """Return an invoice's modern id; cases and the invoice list name it differently."""
    return text(invoice.get("invoiceId")) or text(invoice.get("id"))


def case_id(case: Mapping[str, Any]) -> str:
    """Return a case's modern id."""
    return text(case.get("caseId")) or text(case.get("id"))


def case_number(case: Mapping[str, Any]) -> str:
    """Return a case's number as text; some answers carry it as a number."""
    return text(case.get("caseNumber"))


def complete(told: Entry, listed: Entry | None) -> Entry:
    """Return an invoice as its case tells it, with what only the invoice list tells (cases show a currency of `{}`)."""
    if listed is None:
        return told
    return listed | {name: value for name, value in told.items() if value is not None and value != {}}


def inner_invoices(case: Entry) -> list[Entry]:
    """Return the invoices a case lists; none where it does not list any."""
    listed = case.get("invoices")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
