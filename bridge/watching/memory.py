"""What shadowed batches have said so far: claims that the modern system would know by now, and answers given before."""

from __future__ import annotations

import hashlib
from typing import Protocol

from cachetools import LRUCache

from bridge.batch import Reference
from bridge.journal import Claim
from bridge.plan import Names, kinds_meant

MOST_NAMES = 500_000
"""How many names of claims are remembered: some 40 MB at most."""
MOST_ANSWERS = 2_000


class CrossReference(Protocol):
    """Where claims are looked up that the bridge knows for good."""

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by one of their names."""
        ...


class ShadowClaims:
    """The claims that shadowed batches have made, by their names, beside those of the cross-reference.

    Nothing of a shadowed batch is written to the modern system, so a payment for yesterday's invoice would find nothing
    there; whoever predicts must know that the invoice would be there. The memory is the process's: what came before its
    start is unknown to it.
    """

    def __init__(self, books: CrossReference, *, most_names: int = MOST_NAMES) -> None:
        self._books = books
        self._names: LRUCache[bytes, bool] = LRUCache(most_names)

    def remember(self, organization: str, names: Names) -> None:
        """Remember a claim that would exist now."""
        for kind, value in names:
            self._names[_key(organization, kind, value)] = True

    async def knows(self, organization: str, reference: Reference) -> bool:
        """Tell whether a claim is known under one of a reference's names."""
        if any(self._remembers(organization, kind, value) for kind, value in reference.keys):
            return True
        for kind, value in reference.keys:
            if await self._books.claims(organization, kind, value):
                return True
        return False

    def _remembers(self, organization: str, kind: str, value: str) -> bool:
        return any(_key(organization, meant, value) in self._names for meant in kinds_meant(kind))


class Answers:
    """The last legacy answers, by sender and content of what was asked, so that a resend can be told from news."""

    def __init__(self, *, most: int = MOST_ANSWERS) -> None:
        self._answers: LRUCache[tuple[str, str], tuple[int, bytes]] = LRUCache(most)

    def exchange(self, sender: str, content: str, status: int, reply: bytes) -> tuple[int, bytes] | None:
        """Remember an answer; return the one that the same sender got to the same content before."""
        before = self._answers.get((sender, content))
        self._answers[sender, content] = status, reply
        return before


def _key(organization: str, kind: str, value: str) -> bytes:
    return hashlib.blake2b("\0".join((organization, kind, value)).encode("utf-8", "replace"), digest_size=12).digest()
