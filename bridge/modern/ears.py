"""What one wait for a modern batch listens to, and what is known of its batch."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Protocol

from bridge.modern.schedule import FLOOR_SECONDS, UNIT_SECONDS, next_delay


class Timer(Protocol):
    """What can be called off again."""

    def cancel(self) -> None:
        """Do not call back any more."""
        ...


class Cue(IntEnum):
    """Why to poll now; of several the highest counts."""

    TURN = 1
    """It is time."""
    SIGHTING = 2
    """The organization's list shows the batch as finished."""
    HINT = 3
    """A webhook says that it is finished."""


class Ear:
    """Hear the cues for one wait. Plain slots: ten thousand of them are nothing special."""

    __slots__ = (
        "_cue", "_heard", "asked_at", "batch_id", "began", "depth", "list_again_at", "looked_at", "misled",
        "pause_seconds", "timer",
    )  # fmt: skip

    def __init__(self, batch_id: str, *, now: float, age_seconds: float) -> None:
        self.batch_id = batch_id
        self.began = now - age_seconds
        self.looked_at = now
        """When the batch was last looked at, by a poll of its own or in the list."""
        self.asked_at = now
        """When it was last polled by itself."""
        self.pause_seconds = FLOOR_SECONDS
        self.depth = 1
        """The page of the list on which it was last seen: how many requests it takes to see it there again."""
        self.list_again_at = 0.0
        """Until when it is not looked for in the list, having been missing there."""
        self.misled = False
        """Whether the list has called it finished when it was not; what the list says of it is not believed again."""
        self.timer: Timer | None = None
        """Calls for its very first poll; until then it is no business of the others' schedule."""
        self._cue: Cue | None = None
        self._heard: asyncio.Future[None] | None = None

    @property
    def due_at(self) -> float:
        """Return when its next poll is due."""
        return self.looked_at + self.pause_seconds

    @property
    def scheduled(self) -> bool:
        """Tell whether it pauses until its turn."""
        return self.timer is None and self._heard is not None and not self._heard.done()

    def ripeness(self, now: float) -> float:
        """Return the part of its pause that is over; 1 when it is due."""
        return (now - self.looked_at) / self.pause_seconds

    def next_cue(self) -> asyncio.Future[None]:
        """Return what ends with the next cue; at once, when one came while nobody listened."""
        self._heard = asyncio.get_running_loop().create_future()
        if self._cue is not None:
            self._heard.set_result(None)
        return self._heard

    def tell(self, cue: Cue) -> None:
        """End the pause, or the next one."""
        self._cue = cue if self._cue is None else max(self._cue, cue)
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)

    def take_cue(self) -> Cue:
        """Return the cue that ended the pause, and be ready for the next one."""
        cue, self._cue, self._heard = self._cue or Cue.TURN, None, None
        self.stop_timer()
        return cue

    def stop_timer(self) -> None:
        """Call off the first poll's timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def pause_from(self, now: float, ceiling_seconds: float, depth: int = 1) -> None:
        """Note that it was looked at now, and pause as long as its age deserves."""
        self.began = min(self.began, now)  # a clock set back must not mean polling without a pause
        self.looked_at = now
        unit = UNIT_SECONDS * depth
        self.pause_seconds = next_delay(now - self.began, unit_seconds=unit, ceiling_seconds=ceiling_seconds)
