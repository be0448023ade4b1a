"""What guardrails judge by: rows that the bridge decided, how long answers took, batches it could not take.

Counted under the number of the switch since which rows go as they go now, so that nothing of before it is held against
it; batches that were received before it are not counted at all. Where nobody has ever switched nothing is counted.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from bridge.batch import Verdict
from bridge.journal import BatchRecord
from bridge.modes import Mode
from bridge.steering.observing import Observatory, Topic
from bridge.steering.switchboard import Switchboard

BOUNDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 15, 20, 25, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600)
"""Upper bounds of the seconds that answers are counted under; each organization's budget is one more."""
ERROR = "error"
LATE = f"{math.inf}"
"""Stands for a batch that is open beyond its organization's budget, and for any that took longer than all bounds."""


class OpenBatch(Protocol):
    """A batch without a final answer."""

    @property
    def record(self) -> BatchRecord:
        """Return the batch as it was taken."""
        ...

    def organizations(self) -> list[str]:
        """Return the organizations that rows of the batch go to."""
        ...


class Scores:
    """Keep count, organization by organization."""

    def __init__(self, observatory: Observatory, switchboard: Switchboard, budgets: Mapping[str, float]) -> None:
        """`budgets`: organization → seconds its answers may take; one without a budget is left out."""
        self._observatory = observatory
        self._switchboard = switchboard
        self._budgets = budgets
        self._late: dict[str, set[str]] = {}
        """Open batches that were counted as late already, and for which organizations."""

    def rows_decided(self, received_at: float, verdicts: Mapping[tuple[str, Verdict], int]) -> None:
        """Count rows of a batch by (organization, verdict); `received_at` is the batch's, Unix seconds."""
        for (organization, verdict), count in verdicts.items():
            if number := self._number(organization, received_at):
                self._observatory.see(organization, Topic.ANSWERED, (verdict.value, number), count)

    def batch_answered(self, record: BatchRecord, organizations: Sequence[str], seconds: float) -> None:
        """Count a batch that has its final answer, so many seconds after it was received."""
        late = self._late.pop(record.id, ())
        for organization in organizations:
            number = self._number(organization, record.received_at)
            if number and organization not in late:
                self._observatory.see(organization, Topic.ANSWER, (self._bound(organization, seconds), number))

    def batch_failed(self, organizations: Iterable[str], at: float) -> None:
        """Count a batch that could not be taken or answered; whose it would have been may not be known exactly."""
        for organization in organizations:
            if number := self._number(organization, at):
                self._observatory.see(organization, Topic.ANSWER, (ERROR, number))

    def look_at(self, open_batches: Iterable[OpenBatch], now: float) -> None:
        """Count, once each, batches that are open beyond the budget of one of their organizations."""
        if not self._budgets:
            return
        shortest = min(self._budgets.values())
        still_open = set()
        for batch in open_batches:
            still_open.add(batch.record.id)
            age = now - batch.record.received_at
            if age > shortest:
                self._count_late(batch, age)
        self._late = {one: counted for one, counted in self._late.items() if one in still_open}

    def _count_late(self, batch: OpenBatch, age: float) -> None:
        counted = self._late.setdefault(batch.record.id, set())
        if len(counted) == len(self._budgets):
            return
        for organization in batch.organizations():
            if organization in counted or age <= self._budgets.get(organization, math.inf):
                continue
            counted.add(organization)
            if number := self._number(organization, batch.record.received_at):
                self._observatory.see(organization, Topic.ANSWER, (LATE, number))

    def _number(self, organization: str, at: float) -> str:
        """Return what something of this moment is counted under; empty when it is not counted."""
        turn = self._switchboard.turn(organization)
        counts = turn.number and at >= turn.at and Mode.MODERN in turn.modes
        return str(turn.number) if counts else ""

    def _bound(self, organization: str, seconds: float) -> str:
        bounds = sorted({*BOUNDS, self._budgets.get(organization, math.inf), math.inf})
        return f"{bounds[bisect.bisect_left(bounds, seconds)]:g}"
