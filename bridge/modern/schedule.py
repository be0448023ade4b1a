"""When to poll: the longer a batch has taken, the longer until the next look, and only so many looks in all."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

UNIT_SECONDS = 0.02
"""The cost of one poll, in seconds of waiting it must be worth: spacing sqrt(2·unit·t) is within 15 % of the best."""

FLOOR_SECONDS = 0.004
CEILING_SECONDS = 30.0
ROUNDING_SECONDS = 1e-6


def next_delay(
    elapsed_seconds: float,
    *,
    unit_seconds: float = UNIT_SECONDS,
    floor_seconds: float = FLOOR_SECONDS,
    ceiling_seconds: float = CEILING_SECONDS,
) -> float:
    """Return the seconds until the next poll of something that has been waited for this long."""
    return min(ceiling_seconds, max(floor_seconds, sqrt(2 * unit_seconds * max(0.0, elapsed_seconds))))


class Allowance:
    """Allow so many polls a second in the long run, and some more after a lull."""

    def __init__(self, clock: Callable[[], float], *, per_second: float, most: float) -> None:
        self._clock = clock
        self._per_second = per_second
        self._most = most
        self._left = most
        self._counted_at = clock()

    def left(self) -> float:
        """Return how many polls are allowed now; below zero when more were made than that."""
        now = self._clock()
        earned = max(0.0, now - self._counted_at) * self._per_second
        self._left = min(self._most, self._left + earned)
        self._counted_at = now
        return self._left

    def spend(self, polls: int) -> None:
        """Note polls, also those that could not wait until they were allowed."""
        self._left = self.left() - polls

    def seconds_until(self, polls: int) -> float:
        """Return how long it takes until so many are allowed; a trifle more, so that they surely are."""
        missing = polls - self.left()
        return missing / self._per_second + ROUNDING_SECONDS if missing > 0 else 0.0
