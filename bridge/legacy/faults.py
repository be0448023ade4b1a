"""One message for all faults of a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_FAULTS = 20
_LONGEST_NAME = 64


def tell(messages: Any) -> str:
    """Flatten marshmallow's nested messages: `debtors[0].addresses[1].zipCode: not a text; dueDate: …`."""
    faults = list(_walk(messages, ""))
    more = len(faults) - MOST_FAULTS
    return "; ".join(faults[:MOST_FAULTS]) + (f"; … and {more} more" if more > 0 else "")


def name_safely(name: str) -> str:
    """Return a caller's own property name, fit for one line of a message or a report."""
    clipped = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
    return "".join(sign if sign.isprintable() else "?" for sign in clipped)


def _walk(messages: Any, path: str) -> Iterator[str]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _walk(inner, _join(path, key))
    else:
        for message in messages:
            yield f"{path}: {message}" if path else message


def _join(path: str, key: str | int) -> str:
    """Extend a path; `_schema` is marshmallow's word for the object itself."""
    if key == "_schema":
        return path
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{name_safely(key)}" if path else name_safely(key)
