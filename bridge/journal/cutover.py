"""What the journal holds of a cutover: what went to the legacy host, what was seen, what was handed over."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.batch import Address


@dataclass(frozen=True, slots=True)
class PassedBatch:
    """A batch that was handed to the legacy host as a whole: sent again, it goes there again, whatever the mode is."""

    sender: str
    identity: str
    passed_at: float
    """Unix seconds, the last time."""


@dataclass(frozen=True, slots=True)
class Observation:
    """How often something was seen of an organization in a span of time; topics and subjects are in `observing`."""

    organization: str
    since: float
    """When the span begins, Unix seconds."""
    topic: str
    subject: tuple[str, ...]
    """Ids, names of fields and codes; never a value of a personal field."""
    count: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One difference between legacy and modern answer as people get to see it: pseudonyms for personal data."""

    organization: str
    path: str
    kind: str
    at: float
    """Unix seconds."""
    sender: str
    address: Address | None
    """None: it is about the whole batch."""
    legacy: str
    bridge: str


@dataclass(frozen=True, slots=True)
class HandedOver:
    """One row that a catch-up batch has carried to the legacy system."""

    batch_id: str
    address: Address
    export: str
    """Id of the catch-up batch."""
    at: float
