"""Read the answer of a write by one question: can it have been accepted? (durability, rule 4)"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Any

from bridge.modern import faults, reading

REFUSALS = frozenset(
    {400, 402, 403, 404, 405, 406, 410, 411, 412, 413, 414, 415, 417, 421, 422, 423, 424, 426, 428, 431, 451}
)
"""Statuses by which a server says that it did not do it: those on the vendor's pages, and those of RFC 9110 and kin.
Any other 4xx is as unknown as a 5xx."""

ABOUT_REQUESTS = frozenset({405, 406, 411, 412, 414, 415, 417, 421, 426, 428, 431})
"""Refusals of the way a request is made: its method, address or headers, which are the same for any rows."""

ABOUT_ORGANIZATIONS = frozenset({402, 403, 404, 410, 423, 451})
"""Refusals that may be about the organization as well as about what one of the rows refers to."""

NOT_TAKEN = frozenset({425, 429, 503})
"""Statuses by which a server asks to send the same again later."""

LONGEST_RETRY_AFTER = 3600.0
"""Seconds; a longer Retry-After is cut, since the caller's budget decides anyway."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The write was accepted as this modern batch."""

    modern_batch: str


@dataclass(frozen=True, slots=True)
class TakenAtOnce:
    """The write was accepted and is done: there is no batch to wait for (case actions)."""


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Nothing was accepted; the same may be sent again, not before `retry_after_seconds` where given."""

    why: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """Nothing was accepted: the token is not, or no longer, valid."""


class Scope(Enum):
    """What the refusal of a call can be about."""

    REQUEST = auto()
    ORGANIZATION = auto()
    """Or about rows: the status does not tell."""
    ROWS = auto()


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was accepted and sending the same again is useless.

    `faults` are the entries of the error body; `correlation.blame` tells which rows they name. `text` is for the
    caller of these rows only: it may quote their values.
    """

    status: int
    text: str
    faults: tuple[dict[str, Any], ...] = ()

    @property
    def scope(self) -> Scope:
        """Tell what the refusal can be about, by its status."""
        if self.status in ABOUT_REQUESTS:
            return Scope.REQUEST
        return Scope.ORGANIZATION if self.status in ABOUT_ORGANIZATIONS else Scope.ROWS


@dataclass(frozen=True, slots=True)
class Conflict:
    """409: something of this call may be known already, possibly from an earlier attempt of ours. In doubt."""

    text: str
    faults: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may or may not have been accepted: in doubt."""

    why: str


Answer = Taken | TakenAtOnce | NotTaken | Unauthorized | Refused | Conflict | Unknown


def read_write_answer(
    status: int, headers: Mapping[str, str], body: bytes, *, now: float, expects_batch: bool = True
) -> Answer:
    """Return what the answer of a write means; `expects_batch` is False for case actions, which may answer empty.

    `now` (Unix seconds) is needed for a Retry-After that is a date.
    """
    if 200 <= status < 300:
        return _read_acceptance(status, body, expects_batch)
    if status in NOT_TAKEN:
        return NotTaken(f"HTTP {status}", read_retry_after(headers, now))
    if status == 401:
        return Unauthorized()
    if status in REFUSALS:
        return Refused(status, faults.read_text(body), faults.read_faults(body))
    if status == 409:
        return Conflict(faults.read_text(body), faults.read_faults(body))
    return Unknown(f"HTTP {status}")


def read_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds a Retry-After header asks for, given as seconds or as a date; None when it asks nothing."""
    value = reading.header(headers, "Retry-After")
    seconds = reading.position(value)
    delay = float(seconds) if seconds is not None else _seconds_until(value, now)
    return None if delay is None else min(max(delay, 0.0), LONGEST_RETRY_AFTER)


def _seconds_until(http_date: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - now


def _read_acceptance(status: int, body: bytes, expects_batch: bool) -> Answer:
    answer = reading.lower_keys(reading.decode(body))
    data = reading.lower_keys(answer.get("data"))
    if modern_batch := reading.first_text(data, "batchid", "id") or reading.text(answer.get("batchid")):
        return Taken(modern_batch)
    if not expects_batch and (not body.strip() or answer.keys() == {"summary"}):
        return TakenAtOnce()
    return Unknown(f"HTTP {status} without a readable batchId")
