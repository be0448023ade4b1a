"""What is seen of organizations on their way from the legacy host to the modern system, counted and kept.

Counts are gathered in memory and written together once a second: they cost a request next to nothing, and a crash
costs the last second of them. They hold ids, names of fields and codes; never a value of a personal field.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from bridge.errors import BridgeError
from bridge.journal import Journal, KeepSamples, Observation, Observe, Sample
from bridge.logs import Event, get_log

log = get_log()

FLUSH_SECONDS = 1.0
MOST_KINDS = 50_000
"""How many different counts are gathered before the next write; what is beyond is left out."""
MOST_SUBJECTS = 5_000
"""How many different things of one topic are told apart for an organization in an hour."""
MOST_SAMPLES = 5_000
LAST_FLUSH_SECONDS = 5.0
MINUTE = 60.0
HOUR = 3600.0


class Topic(StrEnum):
    """What is counted; behind each, its subject."""

    COMPARED = "compared"
    """Rows, by bucket: (same | different | excused,)."""
    PAIR = "pair"
    """Exchanges with the legacy host, by what became of them: (compared | left_out | unreadable,)."""
    ANSWERED = "answered"
    """Rows that the bridge decided: (accepted | refused, number of the switch since which rows went so)."""
    ANSWER = "answer"
    """Batches that the bridge answered: (upper bound of the seconds it took, or error; that number)."""
    DIFFERENCE = "difference"
    """Differences: (path, kind, bucket, excuse, origin)."""
    RULE = "rule"
    """Rules, operations and rows of code tables that real traffic used: (profile, objectname, part of the file)."""
    UNKNOWN = "unknown"
    """Fields that nobody reads: (profile, objectname, field)."""
    NOISE = "noise"
    """Fields that two legacy answers to one payload disagreed about: (path,)."""

    @property
    def span_seconds(self) -> float:
        """Return how long the time is that counts are put together for."""
        return MINUTE if self in _BY_THE_MINUTE else HOUR


_BY_THE_MINUTE = frozenset({Topic.COMPARED, Topic.PAIR, Topic.ANSWERED, Topic.ANSWER})
_Key = tuple[str, float, Topic, tuple[str, ...]]


class Observatory:
    """Gather counts and samples, and write them down."""

    def __init__(self, journal: Journal, *, clock: Callable[[], float], flush_seconds: float = FLUSH_SECONDS) -> None:
        self._journal = journal
        self._clock = clock
        self._flush_seconds = flush_seconds
        self._counts: Counter[_Key] = Counter()
        self._samples: list[Sample] = []
        self._known = _Known()

    def see(self, organization: str, topic: Topic, subject: tuple[str, ...], count: int = 1) -> None:
        """Count something of an organization that is seen now."""
        now, span = self._clock(), topic.span_seconds
        key = (organization, now - now % span, topic, subject)
        if key in self._counts:
            self._counts[key] += count
        elif len(self._counts) < MOST_KINDS and self._known.take(now - now % HOUR, organization, topic, subject):
            self._counts[key] = count

    def keep(self, sample: Sample) -> None:
        """Keep a sample of a difference; the journal keeps the first few of each kind."""
        if len(self._samples) < MOST_SAMPLES:
            self._samples.append(sample)

    async def flush(self) -> None:
        """Write down what was gathered; what cannot be written is gathered further."""
        counts, self._counts = self._counts, Counter()
        samples, self._samples = self._samples, []
        if not counts and not samples:
            return
        seen = [
            Observation(organization, since, topic, subject, n)
            for (organization, since, topic, subject), n in counts.items()
        ]
        try:
            await self._journal.write(Observe(seen), KeepSamples(samples))
        except BridgeError as reason:
            log.warning(Event.ROUND_FAILED, why=type(reason).__name__)
            self._take_back(counts, samples)
        except Exception:  # it would fail again and again
            log.exception(Event.UNEXPECTED)

    async def run(self) -> None:
        """Write once a second until cancelled, and then a last time."""
        writing: asyncio.Future[None] | None = None
        try:
            while True:
                await asyncio.sleep(self._flush_seconds)
                writing = asyncio.ensure_future(self.flush())
                await asyncio.shield(writing)  # half a write would be counted not at all, or twice
        finally:
            async with asyncio.timeout(LAST_FLUSH_SECONDS):
                if writing is not None:
                    await writing
                await self.flush()

    def _take_back(self, counts: Counter[_Key], samples: list[Sample]) -> None:
        for key, count in counts.items():
            if key in self._counts or len(self._counts) < MOST_KINDS:
                self._counts[key] += count
        self._samples = (samples + self._samples)[:MOST_SAMPLES]


class _Known:
    """Which subjects were seen in this hour: callers and the legacy host name fields, and may name any number."""

    def __init__(self) -> None:
        self._since = 0.0
        self._subjects: set[tuple[str, Topic, tuple[str, ...]]] = set()
        self._numbers: Counter[tuple[str, Topic]] = Counter()

    def take(self, since: float, organization: str, topic: Topic, subject: tuple[str, ...]) -> bool:
        """Tell whether there is room for a subject, which is known from then on."""
        if since != self._since:
            self._since = since
            self._subjects.clear()
            self._numbers.clear()
        if (organization, topic, subject) in self._subjects:
            return True
        if self._numbers[organization, topic] >= MOST_SUBJECTS:
            return False
        self._subjects.add((organization, topic, subject))
        self._numbers[organization, topic] += 1
        return True
