"""Fields that the legacy host itself is not sure of: learnt here, and remembered from before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Protocol

from bridge.comparing.paths import BEYOND
from bridge.errors import BridgeError
from bridge.journal import Observation
from bridge.steering.observing import Observatory, Topic

MOST_FIELDS = 5_000
"""How many fields of organizations are remembered: a hostile answer may name as many as it likes."""


class Books(Protocol):
    """Where what was learnt before, and by other replicas, is read."""

    async def observations(self, organization: str, since: float, topics: Collection[str] = ()) -> list[Observation]:
        """Return what was seen since then."""
        ...


class Noise(Collection[tuple[str, str]]):
    """(organization, path) of fields that two legacy answers to one payload disagreed about."""

    def __init__(self, observatory: Observatory, tell: Callable[[str], str], *, most: int = MOST_FIELDS) -> None:
        """`tell` returns a path as it may be kept."""
        self._observatory = observatory
        self._tell = tell
        self._most = most
        self._fields: set[tuple[str, str]] = set()

    def __contains__(self, field: object) -> bool:
        match field:
            case (str() as organization, str() as path):
                return (organization, self._tell(path)) in self._fields
        return False

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def learn(self, organization: str, path: str) -> None:
        """Remember a field, and have it written down for other replicas and the next start."""
        told = self._tell(path)
        if not told.endswith(BEYOND) and self._remember(organization, told):
            self._observatory.see(organization, Topic.NOISE, (told,))

    async def recall(self, books: Books, organizations: Iterable[str], since: float) -> bool:
        """Remember what was written down since then (Unix seconds); tell whether it could be read."""
        try:
            for organization in organizations:
                for one in await books.observations(organization, since, (Topic.NOISE,)):
                    self._remember(organization, one.subject[0])
        except BridgeError:
            return False
        return True

    def _remember(self, organization: str, path: str) -> bool:
        field = (organization, path)
        if field not in self._fields and len(self._fields) >= self._most:
            return False
        self._fields.add(field)
        return True
