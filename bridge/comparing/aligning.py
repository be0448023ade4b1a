"""Two JSON values held against each other, member by member: where they differ, and in what way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from bridge.comparing.paths import BEYOND, NAMES
from bridge.comparing.replies import write
from bridge.comparing.values import Kind

DEEPEST = 32
"""How many levels are walked; what lies deeper is compared as one text."""
MOST_FOUND = 500
"""How many differences are told of one row, or of the batch; what is beyond is put together."""
LONGEST_NAME = 64
ABSENT: Any = object()
"""Stands for a value that is not there."""

_TYPES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "number",
    Decimal: "number",
    type(None): "null",
}


@dataclass(frozen=True, slots=True)
class Found:
    """Two values at one place; `kind` None: they are equal."""

    path: str
    kind: Kind | None
    legacy: Any
    bridge: Any


@dataclass(slots=True)
class Walk:
    """What was found on the way through two values."""

    place: str
    """Where the way begins: an objectname, `batch` or `http`."""
    equal_too: bool = False
    """Whether equal scalars are noted as well."""
    found: list[Found] = field(default_factory=list)
    equal: list[Found] = field(default_factory=list)

    def note(self, path: str, kind: Kind | None, legacy: Any, bridge: Any) -> None:
        """Note two values; beyond a bound only that there is more."""
        noted = self.found if kind is not None else self.equal
        if len(noted) < MOST_FOUND:
            noted.append(Found(path, kind, legacy, bridge))
        elif kind is not None and len(noted) == MOST_FOUND:
            noted.append(Found(f"{self.place}.{BEYOND}", kind, legacy, bridge))

    def values(self, path: str, legacy: Any, bridge: Any, depth: int = 0) -> None:
        """Compare two values that are there."""
        kind = _TYPES[type(legacy)]
        if kind != _TYPES[type(bridge)]:
            self.note(path, Kind.TYPE, legacy, bridge)
        elif kind in {"object", "array"}:
            if depth >= DEEPEST:
                self._texts(path, legacy, bridge)
            elif kind == "object":
                self.members(path, legacy, bridge, depth + 1)
            else:
                self._elements(f"{path}[]", legacy, bridge, depth + 1)
        elif legacy != bridge:
            self.note(path, Kind.VALUE, legacy, bridge)
        elif self.equal_too:
            self.note(path, None, legacy, bridge)

    def members(self, path: str, legacy: Mapping[str, Any], bridge: Mapping[str, Any], depth: int = 1) -> None:
        """Compare two objects; the letter case of names does not matter."""
        if legacy.keys() == bridge.keys():
            for name, value in legacy.items():
                self.values(join(path, name), value, bridge[name], depth)
            return
        left, right = _fold(legacy), _fold(bridge)
        for folded, (name, value) in left.items():
            if folded in right:
                self.values(join(path, name), value, right[folded][1], depth)
            else:
                self.note(join(path, name), Kind.MISSING, value, ABSENT)
        for folded, (name, value) in right.items():
            if folded not in left:
                self.note(join(path, name), Kind.EXTRA, ABSENT, value)

    def _elements(self, path: str, legacy: Sequence[Any], bridge: Sequence[Any], depth: int) -> None:
        for left, right in zip(legacy, bridge, strict=False):
            self.values(path, left, right, depth)
        common = min(len(legacy), len(bridge))
        for value in legacy[common:]:
            self.note(path, Kind.MISSING, value, ABSENT)
        for value in bridge[common:]:
            self.note(path, Kind.EXTRA, ABSENT, value)

    def _texts(self, path: str, legacy: Any, bridge: Any) -> None:
        if write(legacy) != write(bridge):
            self.note(path, Kind.VALUE, legacy, bridge)


@lru_cache(maxsize=4096)
def join(path: str, name: str) -> str:
    """Return the path of a member: documented names in their one spelling, strange ones made fit for a line."""
    if name.casefold() in NAMES:
        return f"{path}.{name.casefold()}"
    if name.isascii() and name.isidentifier() and len(name) <= LONGEST_NAME:
        return f"{path}.{name}"
    clipped = name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"
    return f"{path}.{''.join(sign if sign.isprintable() and sign not in '.*' else '?' for sign in clipped)}"


def show(value: Any) -> str:
    """Return a value as JSON; empty for one that is not there."""
    return "" if value is ABSENT else write(value)


def _fold(members: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    return {name.casefold(): (name, value) for name, value in members.items()}
