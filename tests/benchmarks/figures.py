"""What the benchmarks find out, and how it is shown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measurement; `limit` is its target as a number, None where there is none and it is shown for interest."""

    measure: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False
    """The target is a floor, not a ceiling."""
    note: str = ""

    @property
    def passed(self) -> bool | None:
        """Tell whether the target is met; None without one."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    @property
    def target(self) -> str:
        """Word the target."""
        if self.limit is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Iterable[float]) -> float:
    """Return the middle value."""
    return statistics.median(values)


def spread(values: Iterable[float]) -> float:
    """Return how far the middle half of the values are apart."""
    lower, _, upper = statistics.quantiles(values, n=4)
    return upper - lower


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print all figures as a table."""
    table = Table("measure", "target", "measured", "", "note", title="How fast the bridge is on this machine")
    words = {True: "[green]pass[/]", False: "[red]miss[/]", None: ""}
    for one in figures:
        table.add_row(one.measure, one.target, f"{one.value:.3g} {one.unit}", words[one.passed], one.note)
    console.print(table)


def as_document(figures: Sequence[Figure], machine: dict[str, Any]) -> dict[str, Any]:
    """Return all figures as one JSON document."""
    lines = [{**asdict(one), "target": one.target, "passed": one.passed} for one in figures]
    return {"machine": machine, "figures": lines}
