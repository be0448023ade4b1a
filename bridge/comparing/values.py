"""What goes into a comparison and what comes out of it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.batch import Address

NOISE = "noise"
"""Excuse: two legacy answers to one payload disagreed about this field, too."""
NOT_PREDICTED = "not predicted"
"""Excuse: what the bridge would say about this row cannot be told without the modern system."""
OWN_EXCUSES = frozenset({NOISE, NOT_PREDICTED})


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the two answers to a legacy batch."""

    status: int
    """Of HTTP."""
    body: bytes = field(repr=False)
    """JSON as UTF-8, unpacked."""


class Kind(StrEnum):
    """In what way two answers differ."""

    MISSING = "missing"
    """The legacy answer has it, the bridge's has not."""
    EXTRA = "extra"
    """The bridge's answer has it, the legacy one has not."""
    VALUE = "value"
    """Both have a value of one type, but not the same."""
    TYPE = "type"
    """Both have a value, of different JSON types."""
    VERDICT = "verdict"
    """One takes what the other one refuses."""


class Bucket(StrEnum):
    """What is made of a difference, a row, or a batch as a whole."""

    SAME = "same"
    DIFFERENT = "different"
    EXCUSED = "excused"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two answers differ."""

    path: str
    """`invoice.ledgerref`, `batch.statuscode`, `http.status`; nested `invoice.ids.caseNumber`, `invoice.list[].x`.

    `<objectname>.row`: a row that only one answer tells of; `<objectname>.verdict`: one that only one answer refuses.
    """
    kind: Kind
    address: Address | None
    """None: it is about the batch as a whole."""
    legacy: str = field(repr=False)
    """The legacy value as JSON; empty where there is none."""
    bridge: str = field(repr=False)
    bucket: Bucket
    excuse: str = ""
    """EXCUSED: the id of the rule, `noise` or `not predicted`. DIFFERENT: why a rule does not hide it, `expired: <id>`
    or `breached: <id>` (a reference that does not pair), else empty."""
    origin: str = ""
    """What made the bridge say so: a rule of a mapping file."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers, held against each other."""

    rows: Mapping[Address, Bucket]
    """Every row that either answer tells of."""
    differences: tuple[Difference, ...]
    """The batch as a whole first, then row by row as the legacy answer tells them."""
    whole: Bucket
    """HTTP status, body, and what is said of the batch as a whole."""
    not_predicted: frozenset[Address] = frozenset()
    """Rows that are excused because nobody could tell, whether or not they differ."""
