"""The proof that nothing doubled: how often each unique id was received, and how often it was accepted."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .wire import canonical


@dataclass(slots=True)
class Tally:
    """Rows of one kind in one organization.

    A row without a unique id counts under a digest of its content; such rows may repeat with good reason.
    """

    kind: str
    unique_id: str = ""
    """Name of the row's unique id; empty: rows of this kind have none."""
    received: Counter[str] = field(default_factory=Counter)
    """Rows of calls that opened a batch; a repeated idempotency key opens none."""
    accepted: Counter[str] = field(default_factory=Counter)
    accepted_without_id: Counter[str] = field(default_factory=Counter)

    def count(self, row: Mapping[str, Any], *, accepted: bool) -> None:
        """Count one row."""
        ident = row.get(self.unique_id, "")
        if ident:
            self.received[ident] += 1
        if accepted:
            counter = self.accepted if ident else self.accepted_without_id
            counter[ident or _digest(row)] += 1

    @property
    def total(self) -> int:
        """How many rows were accepted."""
        return self.accepted.total() + self.accepted_without_id.total()

    def doubled(self) -> list[str]:
        """Return unique ids accepted more than once: each is a fault of the caller or of the stand-in's script."""
        return [ident for ident, times in self.accepted.items() if times > 1]

    def resent(self) -> list[str]:
        """Return unique ids received more than once, whatever became of them."""
        return [ident for ident, times in self.received.items() if times > 1]

    def repeated(self) -> list[str]:
        """Return digests of rows without unique id whose like was accepted before."""
        return [digest for digest, times in self.accepted_without_id.items() if times > 1]


def _digest(row: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(row)).hexdigest()[:32]
