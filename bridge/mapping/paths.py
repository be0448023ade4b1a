"""Dotted paths into rows and items: `debtors[].emails[].value` (every element), `debtors[0].name` (one element)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_STEP = re.compile(r"([A-Za-z_$][A-Za-z0-9_$-]*)(?:\[([0-9]{0,3})\])?")


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path; `each` walks every element of its array, `index` names one of them."""

    name: str
    each: bool = False
    index: int | None = None


Path = tuple[Step, ...]


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read a dotted path; raise ValueError saying how one is written."""
    return tuple(_parse_step(part) for part in text.split("."))


def _parse_step(part: str) -> Step:
    match = _STEP.fullmatch(part)
    if match is None:
        raise ValueError('not a path; write one like "name", "contact.email", "debtors[].name" or "debtors[0].name"')
    name, bracket = match.groups()
    if bracket is None:
        return Step(name)
    return Step(name, index=int(bracket)) if bracket else Step(name, each=True)


def array_prefixes(path: Path) -> list[Path]:
    """Return the prefixes of a path that end in an array that is walked, outermost first."""
    return [path[: position + 1] for position, step in enumerate(path) if step.each]


def spell_path(path: Path) -> str:
    """Return the path of a declared field as it is written."""
    return ".".join(step.name + "[]" * step.each for step in path)


def is_under(path: str, parent: str) -> bool:
    """Tell whether a path is `parent` itself or lies within it."""
    return path == parent or path.startswith((f"{parent}.", f"{parent}["))


def values_at(fields: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (path with element numbers, value) for every place a path leads to; None where the last name is absent.

    A parent that is absent yields nothing: what is missing there is the parent.
    """
    yield from _values(fields, path, "")


def _values(value: Any, path: Path, walked: str) -> Iterator[tuple[str, Any]]:
    if not path:
        yield walked, value
        return
    step, rest = path[0], path[1:]
    found = value.get(step.name)
    here = f"{walked}.{step.name}" if walked else step.name
    if step.each and found is not None:
        for number, element in enumerate(found):
            yield from _values(element, rest, f"{here}[{number}]")
    elif found is not None or not rest:
        yield from _values(found, () if found is None else rest, here)
