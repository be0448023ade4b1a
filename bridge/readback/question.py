"""What a caller of `GET /webapi/api/Batch` asks: the query's parameters, read as leniently as the rows of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.errors import UnreadableQuestion
from bridge.legacy.schema import Boolean, Date, Text


@dataclass(frozen=True, slots=True)
class Question:
    """The parameters as they are meant; empty where the caller did not say."""

    creditorid: str = ""
    customerref: str = ""
    ledgerref: str = ""
    includeclosed: bool = False
    lastsettlementid: str = ""
    remittancedate: str = ""
    """YYYY-MM-DD."""
    languagecode: str = ""
    batchid: str = ""

    @property
    def narrowed(self) -> bool:
        """Tell whether only some claims are asked for, so that their settlements are not all there are."""
        return bool(self.customerref or self.ledgerref)


EXPECTED: Mapping[str, str] = {
    "includeclosed": "send true or false",
    "remittancedate": "send a date such as 2024-02-15",
}
READERS: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("creditorid", "customerref", "ledgerref", "lastsettlementid", "languagecode", "batchid"), Text().read
    ),
    "includeclosed": Boolean().read,
    "remittancedate": Date().read,
}
SPELLINGS = {"languagecod": "languagecode"}
"""The published page cuts this name off; whoever took it literally is understood as well."""


def read_question(query: Iterable[tuple[str, str]]) -> Question:
    """Return what is asked: names in any letter case, the last of several counts, an empty one is absent.

    Parameters nobody knows are ignored. Raises UnreadableQuestion naming every parameter that cannot be read.
    """
    given: dict[str, str] = {}
    for spelt, value in query:
        name = spelt.lower()
        given[SPELLINGS.get(name, name)] = value.strip()
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, read in READERS.items():
        if text := given.get(name):
            try:
                values[name] = read(text)
            except ValueError as fault:
                faults.append("; ".join(filter(None, (f"{name}: {fault}", EXPECTED.get(name)))))
    if faults:
        raise UnreadableQuestion("; ".join(faults))
    return Question(**values)
