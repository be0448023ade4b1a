"""Rules for differences that are expected: what each is about, and when it excuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from bridge.comparing.aligning import ABSENT, Found
from bridge.comparing.paths import matches
from bridge.comparing.values import Kind


class Does(StrEnum):
    """What a rule makes of a difference."""

    IGNORE = "ignore"
    """Excuse it, whatever the values are."""
    TOLERANCE = "tolerance"
    """Excuse it while two numbers or two date-times are near enough."""
    NULL_IS_ABSENT = "null_is_absent"
    """Excuse it when one side says null and the other one nothing."""
    REFERENCE = "reference"
    """Excuse it while the two values always come together: ids that each system generates."""


MAY_EXCUSE: Mapping[Does, frozenset[Kind]] = MappingProxyType(
    {
        Does.IGNORE: frozenset(Kind),
        Does.TOLERANCE: frozenset({Kind.VALUE}),
        Does.NULL_IS_ABSENT: frozenset({Kind.MISSING, Kind.EXTRA}),
        Does.REFERENCE: frozenset({Kind.VALUE, Kind.TYPE}),
    }
)
"""Kinds that a rule may name."""
EXCUSES_BY_ITSELF: Mapping[Does, frozenset[Kind]] = MappingProxyType(
    {
        **MAY_EXCUSE,
        Does.IGNORE: frozenset(Kind) - {Kind.VERDICT},  # nobody hides a refusal without saying so
        Does.REFERENCE: frozenset({Kind.VALUE}),
    }
)
"""Kinds that a rule excuses when it names none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One `[[rule]]`."""

    id: str
    path: str
    does: Does
    owner: str
    reason: str
    expires: date
    """The last day on which it excuses anything."""
    kinds: frozenset[Kind]
    organization: str = ""
    """Empty: of all organizations."""
    amount: Decimal | None = None
    seconds: Decimal | None = None

    def is_about(self, kind: Kind, organization: str) -> bool:
        """Tell whether a difference of this kind at the rule's path is its business."""
        return kind in self.kinds and self.organization in {"", organization}

    def tolerates(self, found: Found) -> bool:
        """Tell whether two values are as the rule expects, references left aside."""
        if self.does is Does.TOLERANCE:
            return self._is_near(found.legacy, found.bridge)
        if self.does is Does.NULL_IS_ABSENT:
            return (found.legacy if found.bridge is ABSENT else found.bridge) is None
        return True

    def _is_near(self, legacy: Any, bridge: Any) -> bool:
        if self.amount is not None:
            return _amounts_apart(legacy, bridge) <= self.amount
        return self.seconds is not None and _seconds_apart(legacy, bridge) <= self.seconds


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a rules file says."""

    rules: tuple[Rule, ...] = ()
    undocumented: tuple[str, ...] = ()
    """Fields of the legacy answer that no page shows, so that rules may speak of them."""
    _about: dict[str, tuple[Rule, ...]] = field(default_factory=dict, compare=False, repr=False)

    def about(self, path: str) -> Sequence[Rule]:
        """Return the rules for a path, in the order of the file."""
        known = self._about.get(path)
        if known is None:
            known = tuple(rule for rule in self.rules if matches(rule.path, path))
            if len(self._about) < _PATHS_REMEMBERED:
                self._about[path] = known
        return known

    def pairs(self, on: date) -> bool:
        """Tell whether any rule matches references, so that equal values must be looked at, too."""
        return any(rule.does is Does.REFERENCE and rule.expires >= on for rule in self.rules)


_PATHS_REMEMBERED = 4096
_FAR = Decimal("Infinity")
_DAY = 86_400


def _amounts_apart(legacy: Any, bridge: Any) -> Decimal:
    """Return how far two numbers, or two texts that are numbers, are apart; infinitely far for anything else.

    Both are of one type: values of different types differ in another way.
    """
    if isinstance(legacy, bool) or not isinstance(legacy, int | str | Decimal):
        return _FAR
    try:
        apart = abs(Decimal(legacy) - Decimal(bridge))
    except InvalidOperation:
        return _FAR
    return apart if apart.is_finite() else _FAR


def _seconds_apart(legacy: Any, bridge: Any) -> Decimal:
    """Return how far two date-times are apart; infinitely far when only one of them has an offset."""
    try:
        apart = datetime.fromisoformat(legacy) - datetime.fromisoformat(bridge)
    except (TypeError, ValueError):
        return _FAR
    return abs(apart.days * _DAY + apart.seconds + Decimal(apart.microseconds).scaleb(-6))
