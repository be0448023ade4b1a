"""What is worth keeping beside a batch: fields that nobody reads, and creditors that were mentioned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from cachetools import TTLCache

from bridge.intake.desk import CreditorSeen, Intake
from bridge.journal import Change, CountUnknown, SeeCreditor

NOTED_SECONDS = 3600.0
"""How long a creditor that rows name is not noted again: what the register calls last seen is true to the hour."""
NOTED_MENTIONS = 10_000
NEW_MENTIONS = 100
"""How many creditors that rows name are noted with one batch at most."""

_Mention = tuple[str, CreditorSeen]


class Notes:
    """Take notes of batches, each mention of a creditor once in a while.

    Most senders name the same few creditors on every row; that costs their batches nothing.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._noted: TTLCache[_Mention, bool] = TTLCache(NOTED_MENTIONS, NOTED_SECONDS, timer=clock)

    def take(self, sender: str, at: float, intake: Intake) -> list[Change]:
        """Return what is to be kept of a sender's batch received at `at` (Unix seconds); `keep` it once it is."""
        counted = (CountUnknown(sender, objectname, counts, at) for objectname, counts in intake.unknown.items())
        seen = [*intake.creditors, *islice(self._fresh(sender, intake.mentioned), NEW_MENTIONS)]
        return [*counted, *(SeeCreditor(sender, one.idnumber, one.known, one.fields, at) for one in seen)]

    def keep(self, changes: Sequence[Change]) -> None:
        """Remember what was kept, so that it is not noted again at once."""
        for change in changes:
            if isinstance(change, SeeCreditor):
                self._noted[change.sender, CreditorSeen(change.idnumber, change.known, change.fields)] = True

    def _fresh(self, sender: str, mentioned: Sequence[CreditorSeen]) -> Iterator[CreditorSeen]:
        return (one for one in mentioned if (sender, one) not in self._noted)
