"""Error texts of the vendor, read tolerantly: no page shows what an error body looks like.

The texts may quote the values they complain about, so they are bounded, and go to the caller of that row only: never
into a log.
"""

from __future__ import annotations

import re
from typing import Any

from bridge.modern import reading

LONGEST_TEXT = 300
"""Characters of a vendor's text that are passed on."""

_HEADLINES = ("message", "error", "reason", "detail", "msg", "title")
# `invoices[1].dueDate`, `$.invoices[1].dueDate` (System.Text.Json), `/invoices/1/dueDate` (JSON pointer), `[1].x`.
# Other arrays (`debtors[0].name`) are positions within a row, not of it.
_ROW_PATH = re.compile(
    r"^[$./]*(?:(?:invoices|payments|corrections|items)(?:\[(\d{1,9})\]|/(\d{1,9}))|\[(\d{1,9})\])[./]?(.*)$",
    re.IGNORECASE,
)


def bounded(text: str) -> str:
    """Collapse white space and cut a text at LONGEST_TEXT characters."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"


def fault_text(value: Any) -> str:
    """Return what an error entry says: `field: message (code)`, several joined by `; `; empty when it says nothing."""
    try:
        return bounded(_say(value))
    except RecursionError:  # JSON nested deeper than anybody means it
        return ""


def read_faults(body: bytes) -> tuple[dict[str, Any], ...]:
    """Return the entries of an error body, each with what it says of its row: `index`, `invoicenumber`, `field`, …

    Understands `{"errors": [{…}, "text"]}`, the same under `data` or `failed`, and the ASP.NET form
    `{"errors": {"invoices[1].dueDate": ["…"]}}`. Property names are in lower case.
    """
    answer = reading.decode(body)
    top = reading.lower_keys(answer)
    entries = answer if isinstance(answer, list) else _listed(top) or _listed(reading.lower_keys(top.get("data")))
    if isinstance(entries, dict):
        return tuple(_placed({"field": path, "errors": told}) for path, told in entries.items())
    return tuple(_placed(entry) for entry in reading.objects(entries))


def read_text(body: bytes) -> str:
    """Return what an error body says as a whole; empty for HTML and anything else that is not JSON."""
    return fault_text(reading.decode(body))


def _listed(top: dict[str, Any]) -> Any:
    return top.get("errors") or top.get("failed") or top.get("failures")


def _placed(entry: dict[str, Any]) -> dict[str, Any]:
    """Split a path that names a row into `index` and `field`."""
    for name in ("field", "path", "pointer", "property", "propertyname"):
        if found := _ROW_PATH.match(reading.text(entry.get(name))):
            index = next(digits for digits in found.groups()[:3] if digits)
            return {"index": index, **entry, "field": found[4]}
    return entry


def _say(value: Any) -> str:
    if isinstance(value, list):
        return _joined(_say(entry) for entry in value)
    if not isinstance(value, dict):
        return reading.text(value)
    entry = reading.lower_keys(value)
    headline = next((said for name in _HEADLINES if (said := _say_headline(entry.get(name)))), "")
    listed = _say_listed(entry.get("errors"))
    # `description` comes last: in an entry that echoes the row it is the row's own, which may be personal.
    said = _joined([headline, listed]) or reading.text(entry.get("description"))
    field = reading.first_text(entry, "field", "property", "propertyname", "path")
    code = reading.first_text(entry, "code", "errorcode")
    return _dressed(said, field, code)


def _say_headline(value: Any) -> str:
    """Say what a message says; of an object in its place, the only text in it if nothing in it has a known name."""
    if (said := _say(value)) or not isinstance(value, dict):
        return said
    texts = [text for inner in value.values() if isinstance(inner, str) and (text := reading.text(inner))]
    return texts[0] if len(texts) == 1 else ""


def _say_listed(errors: Any) -> str:
    if isinstance(errors, dict):  # ASP.NET: field → texts
        return _joined(_dressed(_say(told), field, "") for field, told in errors.items())
    return _say(errors)


def _dressed(said: str, field: str, code: str) -> str:
    said = said or code
    if field and said:
        said = f"{field}: {said}"
    return f"{said} ({code})" if code and code not in said else said


def _joined(texts: Any) -> str:
    return "; ".join(dict.fromkeys(said for said in texts if said))
