"""What a report on readiness is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from bridge.comparing import Rules
from bridge.journal import Observation, OrganizationBooks, Sample, SeenCreditor, UnknownField
from bridge.modes import Switch


@dataclass(frozen=True, slots=True)
class Terms:
    """What must be there for a GO."""

    min_rows: int
    min_days: int
    expiry_days: int
    left_out_percent: float


@dataclass(frozen=True, slots=True)
class Window:
    """The days that are looked at, by UTC."""

    on: date
    """The last of them."""
    days: int

    @property
    def since(self) -> float:
        """Return when it begins, Unix seconds."""
        return self.until - self.days * 86_400

    @property
    def until(self) -> float:
        """Return when it has ended."""
        return datetime(self.on.year, self.on.month, self.on.day, tzinfo=UTC).timestamp() + 86_400

    @property
    def first(self) -> date:
        """Return the first day."""
        return self.on - timedelta(days=self.days - 1)

    def holds(self, at: float) -> bool:
        """Tell whether a moment lies in it."""
        return self.since <= at < self.until


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One part of a mapping file that a row can exercise."""

    profile: str
    objectname: str
    name: str
    """As messages name it: `operation "create_invoices"`, `table "country" code "no"`."""
    refuses: bool = False
    """Whether it is a code that refuses its row."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of one organization; what lies outside of the window is left aside."""

    organization: str
    name: str
    window: Window
    current: Switch
    observations: Sequence[Observation] = ()
    samples: Sequence[Sample] = ()
    history: Sequence[Switch] = ()
    """Its switches, oldest first."""
    books: OrganizationBooks | None = None
    """How many of its rows stand where; None when the bridge has taken none."""
    strangers: Sequence[SeenCreditor] = ()
    """Creditors that its senders mentioned and that no organization of theirs has."""
    unknown: Sequence[UnknownField] = ()
    """What its senders send and nobody reads."""
    rules: Rules = field(default_factory=Rules)
    parts: Sequence[Part] = ()
    """Of the mapping files that its senders speak."""
