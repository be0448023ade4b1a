"""Code tables: one code in, one value out, and a stated rule for codes without a row."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bridge.mapping.document import Fallback, Scalar, TablePart
from bridge.mapping.transforms import Kind, Unfit

_QUOTABLE = re.compile(r"[A-Za-z0-9_.+-]{1,32}")

_KINDS: dict[type, Kind] = {str: Kind.TEXT, bool: Kind.BOOLEAN, int: Kind.INTEGER}


@dataclass(frozen=True, slots=True)
class CodeTable:
    """A code table ready for use; codes are compared as text, in any letter case."""

    name: str
    values: dict[str, Scalar]
    refusals: dict[str, str]
    unmapped: str | Fallback = "reject"
    notice: Callable[[str], None] | None = field(default=None, compare=False)
    """Told every code that had a row, while examples are counted."""

    def look_up(self, value: Any) -> Any:
        """Return the value of a code; raise Unfit for one that is refused or has no row."""
        code = fold_code(value)
        if self.notice is not None and (code in self.values or code in self.refusals):
            self.notice(describe_code(self.name, code))
        found = self.values.get(code)
        if found is not None:
            return found
        if code in self.refusals:
            raise Unfit(f"{_quote(value)} is refused: {self.refusals[code]}")
        if isinstance(self.unmapped, Fallback):
            return self.unmapped.value
        if self.unmapped == "keep":
            return value
        raise Unfit(f"{_quote(value)} is not a code this profile knows")


def open_table(name: str, part: TablePart, notice: Callable[[str], None] | None = None) -> CodeTable:
    """Make a table of what the file says."""
    values = {fold_code(row.code): row.value for row in part.rows if row.value is not None}
    refusals = {fold_code(row.code): row.refused for row in part.rows if row.refused}
    return CodeTable(name, values, refusals, part.unmapped, notice)


def fold_code(value: Any) -> str:
    """Return a code as it is compared."""
    return str(value).strip().casefold()


def describe_code(table: str, code: str) -> str:
    """Name a code row in messages."""
    return f'table "{table}" code "{code}"'


def table_kinds(part: TablePart, kept: Kind) -> set[Kind]:
    """Return every kind a table may give, `kept` being the kind of what is put in."""
    values = [row.value for row in part.rows if row.value is not None]
    if isinstance(part.unmapped, Fallback):
        values.append(part.unmapped.value)
    kinds = {kind_of(value) for value in values}
    return kinds | {kept} if part.unmapped == "keep" else kinds


def kind_of(value: Scalar) -> Kind:
    """Return the kind of a constant; a number with a fraction is a decimal."""
    return _KINDS.get(type(value), Kind.DECIMAL)


def _quote(value: Any) -> str:
    """Quote what looks like a code; anything longer may be somebody's words."""
    text = str(value).strip()
    return f"code {text}" if _QUOTABLE.fullmatch(text) else "its code"
