"""Read pages of batches, invoices and cases. Only the first fields of each are documented; names vary by generation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from msgspec import Raw

from bridge.modern import reading
from bridge.modern.results import FINISHED

T = TypeVar("T")

_NULL = b"null"
_OPENING_BRACE = ord("{")


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
    data = answer.get("data")
    if data is None and _is_success(answer):
        data = []
    token = _read_next_token(answer)
    if not isinstance(data, list) or token is None:
        return None
    found = [read_entry(entry) for entry in reading.objects(data)]
    if any(entry is None for entry in found):
        return None
    return Page(tuple(entry for entry in found if entry is not None), token)


def split_page(body: bytes) -> Page[Raw] | None:
    """Return a page of its entries unread, each a JSON object; None when the answer is no page, or an entry no object.

    Hundreds of whole cases are read one by one, so that nothing else has to wait for all of them.
    """
    parts = reading.split_object(body)
    answer: dict[str, Any] = {name: _decode_part(parts, name) for name in ("summary", "nextpagetoken")}
    data = parts.get("data", _NULL)
    entries = [] if memoryview(data) == _NULL and _is_success(answer) else reading.split_array(data)
    token = _read_next_token(answer)
    if entries is None or token is None or any(memoryview(entry)[0] != _OPENING_BRACE for entry in entries):
        return None
    return Page(tuple(entries), token)


def _decode_part(parts: dict[str, Raw], name: str) -> Any:
    return reading.decode(bytes(parts.get(name, _NULL)))


def _is_success(answer: dict[str, Any]) -> bool:
    """Tell whether an answer without data means that there are none."""
    return reading.text(reading.lower_keys(answer.get("summary")).get("status")).upper() == "SUCCESS"


def _read_next_token(answer: dict[str, Any]) -> str | None:
    """Return the name of the next page, empty when there is none; None when there is one that cannot be read."""
    told = [reading.lower_keys(answer.get("summary")).get("nextpagetoken"), answer.get("nextpagetoken")]
    token = next((reading.text(value) for value in told if reading.text(value)), "")
    return token if token or all(value in (None, "") for value in told) else None


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
