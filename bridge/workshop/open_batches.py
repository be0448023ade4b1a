"""Which batches are open at this replica, and how many there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bridge.errors import CannotTakeNow, TooManyBatches
from bridge.workshop.work import Work


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be open at a time."""

    batches: int
    batches_per_sender: int
    rows: int


class OpenBatches:
    """Every batch without a final answer that is worked here, by its id and by what it is recognized by."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._works: dict[str, Work] = {}
        self._by_identity: dict[tuple[str, str], Work] = {}
        self.rows = 0
        """How many rows all of them have, decided ones included."""
        self._by_sender: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._works)

    def __iter__(self) -> Iterator[Work]:
        return iter(self._works.values())

    def get(self, batch_id: str) -> Work | None:
        """Return the batch with this id, if it is at work here."""
        return self._works.get(batch_id)

    def find(self, sender: str, identity: str) -> Work | None:
        """Return the batch with this identity, if it is at work here."""
        return self._by_identity.get((sender, identity))

    @property
    def pending_rows(self) -> int:
        """Return how many rows have no final verdict yet."""
        return sum(len(work.rows) - len(work.outcomes) for work in self)

    @property
    def full(self) -> bool:
        """Tell whether not a single batch more may be opened."""
        return len(self._works) >= self._limits.batches

    def refuse_when_full(self, sender: str, rows: int) -> None:
        """Raise TooManyBatches when the sender has its share open, CannotTakeNow when so many rows more are too many.

        A batch that comes alone is never too large.
        """
        if self._by_sender[sender] >= self._limits.batches_per_sender:
            raise TooManyBatches
        too_many_rows = bool(self._works) and self.rows + rows > self._limits.rows
        if too_many_rows or self.full:
            raise CannotTakeNow("the bridge is full: send the same batch again later", retry_after_seconds=15)

    def keep(self, work: Work) -> None:
        """Count a batch as open."""
        self._works[work.record.id] = self._by_identity[work.key] = work
        self.rows += len(work.rows)
        self._by_sender[work.record.sender] += 1

    def drop(self, work: Work) -> None:
        """Count a batch as open no longer; one that was dropped before may be at work anew, and stays."""
        if self._by_identity.get(work.key) is work:
            del self._by_identity[work.key]
        if self._works.get(work.record.id) is work:
            del self._works[work.record.id]
            self.rows -= len(work.rows)
            self._by_sender[work.record.sender] -= 1
