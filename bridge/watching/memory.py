"""What shadowed batches have said so far: claims that the modern system would know by now, and answers given before."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Protocol

from cachetools import LRUCache

from bridge.batch import Reference
from bridge.errors import BridgeError
from bridge.journal import Claim
from bridge.plan import Names, kinds_meant

MOST_NAMES = 400_000
"""How many names of claims are remembered: some 40 MB at most."""
MOST_ANSWER_BYTES = 32 * 1024 * 1024
ENTRY_BYTES = 600
"""About what a remembered answer takes beside its bytes."""


class CrossReference(Protocol):
    """Where claims are looked up that the bridge knows for good."""

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by one of their names."""
        ...


class ShadowClaims:
    """The claims that shadowed batches have made, by their names, beside those of the cross-reference.

    Nothing of a shadowed batch is written to the modern system, so a payment for yesterday's invoice would find nothing
    there; whoever predicts must know that the invoice would be there. The memory is the process's: what came before its
    start, or to another replica, is unknown to it. When it is full, the older half goes.
    """

    def __init__(self, books: CrossReference, *, most_names: int = MOST_NAMES) -> None:
        self._books = books
        self._most_names = most_names
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def remember(self, organization: str, names: Names) -> None:
        """Remember a claim that would exist now."""
        for kind, value in names:
            self._newer.add(_key(organization, kind, value))
        if len(self._newer) * 2 >= self._most_names:
            self._newer, self._older = set(), self._newer

    async def knows(self, organization: str, reference: Reference) -> bool:
        """Tell whether a claim is known under one of a reference's names; nothing is, while nobody can be asked."""
        if any(self._remembers(organization, kind, value) for kind, value in reference.keys):
            return True
        with suppress(BridgeError):
            for kind, value in reference.keys:
                if await self._books.claims(organization, kind, value):
                    return True
        return False

    def _remembers(self, organization: str, kind: str, value: str) -> bool:
        keys = {_key(organization, meant, value) for meant in kinds_meant(kind)}
        return not keys.isdisjoint(self._newer) or not keys.isdisjoint(self._older)


class Answers:
    """The last legacy answers, by sender and content of what was asked, so that a resend can be told from news."""

    def __init__(self, *, most_bytes: int = MOST_ANSWER_BYTES) -> None:
        """One that is larger than an eighth of `most_bytes` is not remembered."""
        self._largest = most_bytes // 8
        self._answers: LRUCache[tuple[str, str], tuple[int, bytes]] = LRUCache(most_bytes, getsizeof=_size_of)

    def exchange(self, sender: str, content: str, status: int, reply: bytes) -> tuple[int, bytes] | None:
        """Remember an answer; return the one that the same sender got to the same content before."""
        before = self._answers.pop((sender, content), None)
        if len(reply) <= self._largest:
            self._answers[sender, content] = status, reply
        return before


def _size_of(answer: tuple[int, bytes]) -> int:
    return len(answer[1]) + ENTRY_BYTES


def _key(organization: str, kind: str, value: str) -> bytes:
    return hashlib.blake2b("\0".join((organization, kind, value)).encode("utf-8", "replace"), digest_size=12).digest()
