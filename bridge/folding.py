"""Outcomes to one reply: every row of the request exactly once, under its own address, in the caller's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from bridge.batch import Address, Entry, Outcome, Verdict


class StatusCodes(Protocol):
    """The four answers a whole batch can get; the numbers stand in the profile's reply.toml (assumed)."""

    @property
    def all_accepted(self) -> int:
        """Every row accepted, or no row at all."""
        ...

    @property
    def some_refused(self) -> int:
        """At least one row refused, and at least one not."""
        ...

    @property
    def all_refused(self) -> int:
        """Every row refused."""
        ...

    @property
    def some_pending(self) -> int:
        """Nothing refused, at least one row not final yet."""
        ...


def fold(rows: Iterable[tuple[Address, str]], outcomes: Mapping[Address, Outcome]) -> list[Entry]:
    """Return one entry for each (address, ledgerref), in the order given; a row without an outcome is pending."""
    entries = []
    for address, ledgerref in rows:
        outcome = outcomes.get(address)
        if outcome is None:
            entries.append(Entry(address, Verdict.PENDING, ledgerref))
        else:
            entries.append(Entry(address, outcome.verdict, outcome.ledgerref or ledgerref, outcome.message))
    return entries


def statuscode(entries: Iterable[Entry], codes: StatusCodes) -> int:
    """Return the code of the whole reply; refused rows win over pending ones."""
    verdicts = {entry.verdict for entry in entries}
    if verdicts == {Verdict.REFUSED}:
        return codes.all_refused
    if Verdict.REFUSED in verdicts:
        return codes.some_refused
    if Verdict.PENDING in verdicts:
        return codes.some_pending
    return codes.all_accepted
