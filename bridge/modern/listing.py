"""How far an organization's list of batches can be relied on. It is a hint at best, and may be off duty for a while."""

from __future__ import annotations

from collections.abc import Iterable

from bridge.modern.lists import Sighting

FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 600.0
WITNESSES = 64
LAG_SECONDS = 2.0
"""How long the list may call a batch unfinished that is known to be finished, before it is not believed any more."""


class Listing:
    """Know from when on the list is worth asking. Each failure in a row doubles the rest it is given."""

    def __init__(self) -> None:
        self._again_at = 0.0
        self._failures = 0
        self._witnesses: dict[str, float] = {}

    def usable(self, now: float) -> bool:
        """Tell whether the list is worth asking."""
        return now >= self._again_at

    def served(self) -> None:
        """Note that it showed what it was asked for."""
        self._failures = 0

    def failed(self, now: float) -> None:
        """Note that it was of no use: no answer, none of our batches in it, or one that contradicts what is known."""
        self.rest(now, FIRST_REST_SECONDS * 2.0 ** min(self._failures, 20))
        self._failures += 1

    def rest(self, now: float, seconds: float = LONGEST_REST_SECONDS) -> None:
        """Leave it alone for so long."""
        self._again_at = now + min(seconds, LONGEST_REST_SECONDS)

    def testify(self, batch_id: str, now: float) -> None:
        """Note a batch that was read as finished: the list has to say so, too."""
        self._witnesses[batch_id] = now
        if len(self._witnesses) > WITNESSES:
            del self._witnesses[next(iter(self._witnesses))]

    def contradicts(self, page: Iterable[Sighting], asked_at: float) -> bool:
        """Tell whether a page, asked for at that time, calls a batch unfinished that was finished long before."""
        contradiction = False
        for sighting in page:
            known_at = self._witnesses.get(sighting.batch_id)
            if known_at is not None and sighting.finished:
                del self._witnesses[sighting.batch_id]
            elif known_at is not None and known_at < asked_at - LAG_SECONDS:
                contradiction = True
        return contradiction
