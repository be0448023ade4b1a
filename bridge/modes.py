"""Which system answers for an organization: legacy, shadow or modern; and for which of its creditors otherwise.

Values only. Who reads them for a request is `switchboard`; where they are kept is `journal`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

GUARDRAIL = "guardrail"
"""The actor of switches that nobody made."""
BUCKETS = 10_000
"""Into how many parts the creditors of an organization are spread; a percentage has two decimals."""


class Mode(StrEnum):
    """Who answers."""

    LEGACY = "legacy"
    """The legacy host; the bridge hands on request and answer byte for byte."""
    SHADOW = "shadow"
    """The legacy host; the bridge works the same batch beside it, without writing, and compares."""
    MODERN = "modern"
    """The bridge."""

    @property
    def is_legacy_side(self) -> bool:
        """Tell whether the legacy host answers."""
        return self is not Mode.MODERN


@dataclass(frozen=True, slots=True)
class Switch:
    """How an organization's rows go from one moment on: one line of its history."""

    organization: str
    mode: Mode
    """Of every creditor that `percent` does not take elsewhere."""
    other: Mode | None = None
    """Where `percent` of the creditors go; None with 0 percent."""
    percent: float = 0.0
    """0 to 100, two decimals."""
    recording: bool = False
    """Whether requests and legacy answers are recorded, with pseudonyms for personal data."""
    number: int = 0
    """Grows with every switch of any organization; 0: nobody has ever switched this one."""
    at: float = 0.0
    """Unix seconds."""
    actor: str = ""
    """Who switched: a person, or `guardrail`."""
    reason: str = ""
    """Why, with the figures that made a guardrail do it."""

    @property
    def modes(self) -> frozenset[Mode]:
        """Return every mode some creditor of the organization is in."""
        if self.other is None or self.percent <= 0:
            return frozenset({self.mode})
        return frozenset({self.other}) if self.percent >= 100 else frozenset({self.mode, self.other})

    def mode_of(self, creditor: str) -> Mode:
        """Return the mode of one creditor; an empty one stands for rows that name none.

        A creditor keeps its place in the line for ever: raising the percentage adds creditors and moves nobody back.
        """
        if self.other is None or place_in_line(self.organization, creditor) >= round(self.percent * BUCKETS / 100):
            return self.mode
        return self.other

    def describe(self) -> str:
        """Say it in a few words: `legacy`, or `shadow, 25 % modern`."""
        if self.other is None:
            return self.mode.value
        return f"{self.mode.value}, {self.percent:g} % {self.other.value}"


def place_in_line(organization: str, creditor: str) -> int:
    """Return where a creditor stands in the line of its organization's creditors, from 0 to BUCKETS - 1."""
    digest = hashlib.sha256(f"{organization}\0{creditor}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS
