"""Read pages of batches, invoices and cases. Only the first fields of each are documented; names vary by generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from bridge.modern import reading
from bridge.modern.results import FINISHED

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `next_token` is empty on the last one."""

    entries: tuple[T, ...]
    next_token: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What an entry in the list of batches is good for: a hint. Its result may be trimmed there."""

    batch_id: str
    finished: bool


@dataclass(frozen=True, slots=True)
class ModernInvoice:
    """One invoice the modern system holds; empty where the answer does not say."""

    id: str
    invoice_number: str = ""
    unique_source_invoice_id: str = ""
    case_number: str = ""
    case_id: str = ""
    batch_id: str = ""
    status: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class ModernCase:
    """One case, with its invoices."""

    id: str
    number: str = ""
    status: str = ""
    invoices: tuple[ModernInvoice, ...] = ()


def read_page(body: bytes, read_entry: Callable[[dict[str, Any]], T | None]) -> Page[T] | None:
    """Return a page of what `read_entry` makes of its entries; None when the answer is no page, or an entry unreadable.

    What cannot be read must not pass for "not there": a write is sent again when its rows are nowhere to be found.
    """
    answer = reading.lower_keys(reading.decode(body))
    summary = reading.lower_keys(answer.get("summary"))
    data = answer.get("data")
    if data is None and reading.text(summary.get("status")).upper() == "SUCCESS":
        data = []
    if not isinstance(data, list):
        return None
    found = [read_entry(entry) for entry in reading.objects(data)]
    if any(entry is None for entry in found):
        return None
    token = reading.text(summary.get("nextpagetoken")) or reading.text(answer.get("nextpagetoken"))
    return Page(tuple(entry for entry in found if entry is not None), token)


def read_invoice(body: bytes) -> ModernInvoice | None:
    """Return the invoice in an answer of GetInvoiceById; None when there is none to be read."""
    answer = reading.lower_keys(reading.decode(body))
    return invoice_from(reading.lower_keys(answer.get("data")) or answer)


def invoice_from(data: dict[str, Any]) -> ModernInvoice | None:
    """Return the invoice an object (names in lower case) describes; None without an id."""
    invoice_id = reading.first_text(data, "invoiceid", "id")
    if not invoice_id:
        return None
    return ModernInvoice(
        id=invoice_id,
        invoice_number=reading.text(data.get("invoicenumber")),
        unique_source_invoice_id=reading.text(data.get("uniquesourceinvoiceid")),
        case_number=reading.first_text(data, "collectioncasenumber", "casenumber"),
        case_id=reading.first_text(data, "caseid", "collectioncaseid"),
        batch_id=reading.text(data.get("batchid")),
        status=reading.text(data.get("status")).upper(),
        created_at=reading.first_text(data, "createdat", "registeredat"),
    )


def case_from(data: dict[str, Any]) -> ModernCase | None:
    """Return the case an object (names in lower case) describes; None without an id."""
    case_id = reading.first_text(data, "caseid", "id")
    if not case_id:
        return None
    invoices = (invoice_from(entry) for entry in reading.objects(data.get("invoices")))
    return ModernCase(
        id=case_id,
        number=reading.first_text(data, "casenumber", "collectioncasenumber"),
        status=reading.text(data.get("status")).upper(),
        invoices=tuple(invoice for invoice in invoices if invoice is not None),
    )


def sighting_from(data: dict[str, Any]) -> Sighting:
    """Return what an object (names in lower case) says of a batch; a hint about none when it names none."""
    finished = reading.text(data.get("status")).upper() in FINISHED
    return Sighting(reading.first_text(data, "batchid", "id"), finished)


def read_moment(value: str) -> float | None:
    """Return a date-time of the API as Unix seconds (UTC where it names no zone); None when it is none."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
