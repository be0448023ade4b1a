"""Rows by their addresses, as people and as scripts read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.batch import OBJECTNAMES, Address
from bridge.legacy.faults import name_safely

MOST_REFERENCES = 5
"""How many references of one batch's rows of a kind are shown."""


def name_places(addresses: Iterable[Address]) -> str:
    """Return addresses as briefly as `invoice 0-3, 7; payment 2`."""
    by_name: dict[str, list[int]] = {}
    for address in addresses:
        by_name.setdefault(address.objectname, []).append(address.objectindex)
    return "; ".join(f"{name} {_write_spans(indexes)}" for name, indexes in by_name.items())


def name_rows(rows: Iterable[tuple[Address, str]]) -> str:
    """Return rows with their callers' own references, of many the first few: `invoice 0-1 (10240, 10241)`."""
    by_name: dict[str, dict[int, str]] = {}
    for address, reference in rows:
        by_name.setdefault(address.objectname, {})[address.objectindex] = reference
    return "; ".join(
        f"{name} {_write_spans(found)}{_write_references([found[index] for index in sorted(found)])}"
        for name, found in by_name.items()
    )


def address_fields(address: Address) -> dict[str, Any]:
    """Return an address under the names it has in a reply."""
    return {"objectname": address.objectname, "objectindex": address.objectindex}


def read_place(text: str) -> Address:
    """Read an address as it is typed, `invoice:0`; ValueError for anything else."""
    name, _, index = text.strip().partition(":")
    if name not in OBJECTNAMES or not (index.isascii() and index.isdecimal()):
        raise ValueError(f"{text}: write OBJECT:INDEX, such as invoice:0; objects are {', '.join(OBJECTNAMES)}")
    return Address(name, int(index))


def _write_references(references: Sequence[str]) -> str:
    if not any(references):
        return ""
    shown = [name_safely(one) or "-" for one in references[:MOST_REFERENCES]]
    if len(references) > MOST_REFERENCES:
        shown.append(f"… {len(references) - MOST_REFERENCES:,} more")
    return f" ({', '.join(shown)})"


def _write_spans(indexes: Iterable[int]) -> str:
    spans: list[tuple[int, int]] = []
    for index in sorted(indexes):
        if spans and index == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], index)
        else:
            spans.append((index, index))
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
