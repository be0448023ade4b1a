"""What a legacy row may look like: field names and types, as a profile's mapping files declare them.

The values here stand between two rooms that do not know each other: `mapping` reads them from files, `legacy`
builds its schemas from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FieldType(StrEnum):
    """The type of one legacy field, and the Python value it is read into."""

    TEXT = "text"
    """`str`, trimmed, never empty (an empty string counts as absent)."""
    DECIMAL = "decimal"
    """`Decimal`, exact; numbers or strings."""
    INTEGER = "integer"
    """`int`; numbers or strings."""
    BOOLEAN = "boolean"
    """`bool`; also "true"/"false"/1/0."""
    DATE = "date"
    """`str` YYYY-MM-DD."""
    DATETIME = "datetime"
    """`str`: `YYYY-MM-DDTHH:MM:SS[.ffffff]`, with `Z` when the caller gave an instant (Z or an offset), without any
    suffix when the caller gave a date or a wall clock only; which zone that means is the mapping's decision."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a legacy row: a scalar (`type`), or an object (`fields`); `many` makes it an array of those."""

    name: str
    type: FieldType | None = None
    fields: tuple[Field, ...] = ()
    many: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """All fields of one kind of legacy row; unknown ones are reported, or refuse the row."""

    objectname: str
    fields: tuple[Field, ...]
    refuse_unknown: bool = False
