"""Everything made up: ids, case numbers, tokens. One seeded generator, so that equal runs make equal ids."""

from __future__ import annotations

import random
import uuid


class Ids:
    """Make ids in the order they are asked for."""

    def __init__(self, seed: int, purpose: str) -> None:
        """Start over; generators of different purpose never shift one another's numbers."""
        self._random = random.Random(f"{seed} {purpose}")  # noqa: S311 - made-up ids must repeat; nothing here is a secret
        self._case_number = self._random.randrange(100_000, 900_000)

    def new_uuid(self) -> str:
        """Return the next random-looking UUID (version 4)."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def new_case_number(self) -> int:
        """Return the next case number; they count upwards from a seeded start."""
        self._case_number += 1
        return self._case_number

    def new_token(self) -> str:
        """Return an access token of 64 hex digits."""
        return f"{self._random.getrandbits(256):064x}"


def derived_uuid(*parts: str) -> str:
    """Return the UUID that always belongs to these words (a client, an organization's creditor, a debtor)."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, " ".join(parts)))
