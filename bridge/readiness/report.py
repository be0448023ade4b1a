"""What a report on readiness says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.comparing import Rule
from bridge.journal import Sample
from bridge.modes import Switch
from bridge.readiness.evidence import Terms, Window


class Severity(StrEnum):
    """What a reason means for the decision."""

    BLOCKS = "blocks"
    LOOK = "look at it"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that speaks against going, or that whoever decides should know."""

    severity: Severity
    code: str
    """The same for the same kind of reason, for scripts."""
    what: str
    """One sentence, with the figures."""
    figures: tuple[tuple[str, float], ...]
    do: str
    """What to do about it."""
    details: tuple[str, ...] = ()
    """One line each."""


class State(StrEnum):
    """What is made of a difference on the day of the report."""

    DIFFERENT = "different"
    LAPSED = "excuse lapsed"
    """It was excused by a rule that has expired since, or is no more."""
    EXPIRING = "excused, not for long"
    EXCUSED = "excused"


@dataclass(frozen=True, slots=True)
class Way:
    """One way in which a field differs, and how often."""

    kind: str
    state: State
    excuse: str
    origin: str
    count: int


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs."""

    path: str
    ways: tuple[Way, ...]
    """Most frequent first."""
    samples: tuple[Sample, ...] = ()

    def count_of(self, state: State) -> int:
        """Return how many of its differences are in a state."""
        return sum(way.count for way in self.ways if way.state is state)


@dataclass(slots=True)
class Branch:
    """One segment of paths, with what lies below it."""

    name: str
    leaf: FieldDifference | None = None
    below: dict[str, Branch] = field(default_factory=dict)
    counts: Counter[State] = field(default_factory=Counter)
    """Of everything below."""


@dataclass(frozen=True, slots=True)
class Span:
    """An hour or a day of traffic."""

    label: str
    same: int = 0
    different: int = 0
    excused: int = 0
    compared: int = 0
    """Exchanges."""
    missed: int = 0
    """Exchanges that were left out, or could not be read."""

    @property
    def rows(self) -> int:
        """Return how many rows were compared."""
        return self.same + self.different + self.excused


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was compared, over time."""

    spans: tuple[Span, ...]
    by_hour: bool
    days: int
    """On how many days anything was compared."""
    left_out: int
    unreadable: int

    def total(self, name: str) -> int:
        """Return the sum of a figure of all spans."""
        return sum(getattr(span, name) for span in self.spans)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of one mapping file real traffic has exercised."""

    profile: str
    objectname: str
    exercised: int
    idle: tuple[str, ...]
    """Parts that no row has exercised; codes that refuse are left aside."""
    refusing: tuple[tuple[str, int], ...]
    """Codes that refuse their row, and how many rows carried them."""

    @property
    def parts(self) -> int:
        """Return how many parts count."""
        return self.exercised + len(self.idle)


@dataclass(frozen=True, slots=True)
class RuleUse:
    """A rule that concerns the organization."""

    rule: Rule
    excused: int
    """How many differences it has excused."""
    failed: int
    """How many it would have excused, had it not expired, or been breached."""
    days_left: int
    """Negative when it has expired."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer."""

    organization: str
    name: str
    window: Window
    terms: Terms
    current: Switch
    reasons: tuple[Reason, ...]
    """What blocks first."""
    traffic: Traffic
    differences: tuple[FieldDifference, ...]
    coverage: tuple[Coverage, ...]
    rules: tuple[RuleUse, ...]
    switches: tuple[Switch, ...]
    """Of the window, newest first."""

    @property
    def is_go(self) -> bool:
        """Tell whether nothing blocks."""
        return not any(reason.severity is Severity.BLOCKS for reason in self.reasons)

    @property
    def verdict(self) -> str:
        """Return GO or NO-GO."""
        return "GO" if self.is_go else "NO-GO"

    @property
    def title(self) -> str:
        """Return whom it is about."""
        return f"{self.name} ({self.organization})" if self.name else self.organization


def grow(differences: Sequence[FieldDifference]) -> Branch:
    """Return differences as a tree, one level a segment of their paths."""
    root = Branch("")
    for each in differences:
        branch = root
        for name in each.path.split("."):
            branch = branch.below.setdefault(name, Branch(name))
            for way in each.ways:
                branch.counts[way.state] += way.count
        branch.leaf = each
    return root
