"""How far a caller has got with settlements (`lastsettlementid`), in whoever's numbers it says so.

A caller that comes from the legacy host brings that host's mark, and may keep the highest id it was ever told. So
whoever has a past there is shown our numbers above `SHIFT`: higher than any id of that host, and unlike it.
"""

from __future__ import annotations

from dataclasses import dataclass

NUMBER_DIGITS = 12
SHIFT = 900_000_000_000
"""What is added to the numbers of callers who come from the legacy host: they keep their twelve digits."""
LONGEST_MARK = 18
"""Digits of a mark that may be ours: what a store can count to."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a caller has got."""

    number: int
    """Ours; 0: it has had none of those we have numbered."""
    text: str
    """What it said; empty when it said nothing."""
    shift: int = 0
    """What is added to the numbers it is shown."""
    is_foreign: bool = False
    """Whether what it said is the legacy host's id."""

    def write(self, number: int) -> str | None:
        """Return a number as this caller sees it: it sorts alike as text and as a number. None for none."""
        return f"{number + self.shift:0{NUMBER_DIGITS}d}" if number else None

    def stay(self) -> str | None:
        """Return the mark itself, for an answer that leaves things out."""
        return self.text if self.is_foreign else self.write(self.number)


def read_number(text: str, *, with_past: bool) -> Mark | None:
    """Read a mark that may be one of our numbers; None when it is none, or nobody's who could be told here.

    `with_past`: the caller has, or had, organizations at the legacy host.
    """
    if not text:
        return Mark(0, "", SHIFT if with_past else 0)
    if not (text.isascii() and text.isdigit() and len(text.lstrip("0")) <= LONGEST_MARK):
        return None
    number = int(text)
    if number >= SHIFT:
        return Mark(number - SHIFT, text, SHIFT)
    if with_past and not (text.startswith("0") and len(text) == NUMBER_DIGITS):
        return None
    return Mark(number, text)
