"""Which faults strike a request: the deck is drawn from once a request, in the order of the script."""

from __future__ import annotations

import fnmatch
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from .script import Fault, Refuse, Script, Unmention

_Kind = TypeVar("_Kind")


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that strikes this request, and the rows it strikes."""

    fault: Fault
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Strikes:
    """All faults that strike one request, in the order of the script."""

    all: tuple[Strike, ...] = ()

    def of(self, kind: type[_Kind]) -> Iterator[tuple[_Kind, tuple[int, ...]]]:
        """Walk through the faults of one kind with their rows."""
        for strike in self.all:
            if isinstance(strike.fault, kind):
                yield strike.fault, strike.rows

    def last(self, kind: type[_Kind]) -> _Kind | None:
        """Return the fault of this kind that comes last in the script: it overrules those before it."""
        return next((strike.fault for strike in reversed(self.all) if isinstance(strike.fault, kind)), None)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds, for the request log."""
        return tuple(strike.fault.kind for strike in self.all)


@dataclass(slots=True)
class _Card:
    """One fault with its counters and its own chance, so that one fault's luck never shifts another's."""

    fault: Fault
    chance: random.Random
    matched: int = 0
    struck: int = 0

    def is_spent(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def draw(self, operation: str, rows: Sequence[Any], page: int) -> Strike | None:
        fault = self.fault
        if operation not in fault.operations or fault.page not in {None, page} or self.is_spent():
            return None
        struck_rows = self._choose(rows)
        if struck_rows is None:
            return None
        self.matched += 1
        if self.matched <= fault.skip or (fault.probability < 1 and self.chance.random() >= fault.probability):
            return None
        self.struck += 1
        return Strike(fault, struck_rows)

    def _choose(self, rows: Sequence[Any]) -> tuple[int, ...] | None:
        """Return the rows it would strike; None when it depends on rows and none fits."""
        fault = self.fault
        chosen = tuple(index for index, row in enumerate(rows) if _fits(fault, index, row))
        if isinstance(fault, Refuse | Unmention):
            if fault.share < 1:
                chosen = tuple(index for index in chosen if self.chance.random() < fault.share)
            return chosen or None
        return None if fault.is_conditional and not chosen else chosen


class Deck:
    """The faults of the current script, with how often each has struck."""

    def __init__(self, script: Script, seed: int) -> None:
        self._seed = seed
        self.script = script
        self._cards = [self._card(position, fault) for position, fault in enumerate(script.fault)]

    def draw(self, operation: str, rows: Sequence[Any] = (), page: int = 0) -> Strikes:
        """Return what strikes this request; `page` is which page of a list it asks for, 0 for anything else."""
        if not self._cards:
            return Strikes()
        return Strikes(
            tuple(strike for card in self._cards if (strike := card.draw(operation, rows, page)) is not None)
        )

    def extend(self, script: Script) -> None:
        """Add faults behind the present ones, which keep their counters; take over the behaviour stated."""
        start = len(self._cards)
        self._cards += [self._card(start + position, fault) for position, fault in enumerate(script.fault)]
        self.script = self.script.extended_by(script)

    def describe(self) -> list[dict[str, Any]]:
        """Return each fault with its counters, as the admin endpoint shows them."""
        return [
            card.fault.model_dump(mode="json", exclude_defaults=True) | {"matched": card.matched, "struck": card.struck}
            for card in self._cards
        ]

    def _card(self, position: int, fault: Fault) -> _Card:
        chance = random.Random(f"{self._seed} fault {position}")  # noqa: S311 - chances must repeat with the seed
        return _Card(fault, chance)


def _fits(fault: Fault, index: int, row: Any) -> bool:
    if fault.rows and index not in fault.rows:
        return False
    return all(_matches(row, path, pattern) for path, pattern in fault.where.items())


def _matches(row: Any, path: str, pattern: str) -> bool:
    matcher = _matcher(pattern)
    values = _leaves(row) if path == "*" else _values_at(row, path.replace("[]", "").split("."))
    return any(matcher(_as_text(value)) for value in values)


@lru_cache(maxsize=1024)
def _matcher(pattern: str) -> Callable[[str], object]:
    if pattern.startswith("re:"):
        return re.compile(pattern.removeprefix("re:")).search
    return re.compile(fnmatch.translate(pattern)).match


def _values_at(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for element in value:
            yield from _values_at(element, steps)
    elif not steps:
        yield value
    elif isinstance(value, Mapping) and steps[0] in value:
        yield from _values_at(value[steps[0]], steps[1:])


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    else:
        yield value


def _as_text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return str(value)
