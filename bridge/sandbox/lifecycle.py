"""The life of a batch: QUEUED until its polls or its time are up, then SUCCESS, PARTIAL or FAILED for good."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

QUEUED = "QUEUED"


@dataclass(frozen=True, slots=True)
class Pace:
    """When a batch finishes: whichever comes first."""

    after_polls: int | None = None
    after_seconds: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Announcement:
    """How the webhook of a batch fares."""

    lost: bool = False
    delay_seconds: float = 0.0
    copies: int = 1


@dataclass(frozen=True, slots=True)
class Tidings:
    """Something that a webhook is to tell."""

    event: str
    """Name of the event, as in X-Amili-Event."""
    data: dict[str, Any]
    batch_id: str = ""
    """The batch it is about; empty for other events."""


@dataclass(slots=True)
class Batch:
    """One accepted call. What it brought about is decided at once and shown when it has finished."""

    sequence: int
    id: str
    type: str
    organization: str
    created_at: float
    created_by: str
    key: str
    """The idempotency key it came with; empty when it had none."""
    pace: Pace
    listed_at: float
    """Before this instant it is missing from the lists."""
    announcement: Announcement = Announcement()
    subjects: frozenset[str] = frozenset()
    """Ids of the invoices and cases it is about."""
    succeeded: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    tidings: list[Tidings] = field(default_factory=list)
    """What it brought about and is told when it has finished, beside that it has."""
    outcome: str = "SUCCESS"
    polls: int = 0
    finished_at: float | None = None

    @property
    def status(self) -> str:
        """QUEUED, or the outcome once it has finished."""
        return QUEUED if self.finished_at is None else self.outcome

    def poll(self, now: float) -> bool:
        """Count a look at it; tell whether it finished just now."""
        self.polls += 1
        return self.tick(now)

    def tick(self, now: float) -> bool:
        """Finish if it is time; tell whether it finished just now."""
        if self.finished_at is not None:
            return False
        polls, seconds = self.pace.after_polls, self.pace.after_seconds
        if seconds is not None and now >= self.created_at + seconds:
            self.finished_at = self.created_at + seconds
        elif polls is not None and self.polls > polls:
            self.finished_at = now
        return self.finished_at is not None

    def is_listed(self, now: float) -> bool:
        """Tell whether lists show it."""
        return now >= self.listed_at


def outcome_of(accepted: int, refused: int) -> str:
    """Return the final status of a batch with so many rows of each kind."""
    if refused == 0:
        return "SUCCESS"
    return "PARTIAL" if accepted else "FAILED"
