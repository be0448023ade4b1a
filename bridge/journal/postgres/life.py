"""This process as the other replicas see it: its number, its lease, and the batches it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from bridge.journal.postgres.replicas import LEASE_SECONDS

MARGIN_SECONDS = 0.25
"""How much earlier than the database we believe our lease to end."""


class Life:
    """What we know about ourselves. Times are of our own monotonic clock, taken before the server was asked."""

    def __init__(self, number: int, clock: Callable[[], float]) -> None:
        self.number = number
        """Given by the database, never used again: owner and epoch in one."""
        self.held: dict[str, int] = {}
        """Open batches that are ours, and their numbers."""
        self.untold: set[str] = set()
        """Batches taken from us whose workers do not know it yet; none may come back to us before."""
        self.stirred = asyncio.Event()
        """Set when the lifeline must look at once: the number has changed, or the server has hung up."""
        self.mourn: Callable[[Iterable[str]], None] = _ignore
        """Told which batches were taken from us."""
        self._clock = clock
        self._renewed_at: float | None = None

    def begin_again(self, number: int) -> None:
        """Live on under a new number, after we were buried."""
        self.number = number
        lost, self.held = list(self.held), {}
        self.untold |= set(lost)
        self.mourn(lost)
        self.doubt()
        self.stirred.set()

    def renewed(self, asked_at: float) -> None:
        """Note that the database has seen us, at `asked_at` or later."""
        self._renewed_at = asked_at

    def doubt(self) -> None:
        """Note that our lock may be lost, so that others may take over at once."""
        self._renewed_at = None

    def lasts(self, seconds: float) -> bool:
        """Tell whether nobody can have taken our batches within so many seconds from now."""
        if self._renewed_at is None:
            return False
        return self._clock() + seconds <= self._renewed_at + LEASE_SECONDS - MARGIN_SECONDS


def _ignore(_: Iterable[str]) -> None:
    return
