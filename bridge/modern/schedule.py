"""When to poll: the longer a batch has taken, the longer until the next look."""

from __future__ import annotations

from math import sqrt

UNIT_SECONDS = 0.02
"""The cost of one poll, in seconds of waiting it must be worth: spacing sqrt(2·unit·t) is within 15 % of the best."""

FLOOR_SECONDS = 0.004
CEILING_SECONDS = 30.0


def next_delay(
    elapsed_seconds: float,
    *,
    unit_seconds: float = UNIT_SECONDS,
    floor_seconds: float = FLOOR_SECONDS,
    ceiling_seconds: float = CEILING_SECONDS,
) -> float:
    """Return the seconds until the next poll of something that has been waited for this long."""
    return min(ceiling_seconds, max(floor_seconds, sqrt(2 * unit_seconds * max(0.0, elapsed_seconds))))
