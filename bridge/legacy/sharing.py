"""The part of a shared batch that the legacy host decides: what it is sent, and what its answer says of each row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from bridge.batch import OBJECTNAMES, WHOLE_BATCH, Address, Outcome, Verdict
from bridge.errors import CallerError
from bridge.legacy.properties import decode
from bridge.legacy.transfer import decode_body

LONGEST_REFERENCE = 500
NO_REASON = "refused by the legacy host, which gives no reason"
UNMENTIONED = "the legacy host's answer does not mention this row: look it up there before you send it again"
STILL_PENDING = "the legacy host has not finished this row: look it up there before you send it again"

_encode = msgspec.json.Encoder().encode


class Readings(Protocol):
    """What an answer means where no page says so: words and numbers of the profile's reply.toml (assumed)."""

    @property
    def all_accepted(self) -> int:
        """The statuscode of a batch whose rows were all accepted."""
        ...

    @property
    def pending(self) -> str:
        """The status_statuscode of a row that is not decided yet."""
        ...

    @property
    def host_pending(self) -> Verdict:
        """What becomes of such a row; `PENDING` leaves it in doubt, here and below."""
        ...

    @property
    def host_both(self) -> Verdict:
        """What becomes of a row that stands among errors and among responses."""
        ...

    @property
    def host_unmentioned(self) -> Verdict:
        """What becomes of a row that stands in neither, unless the next one is about it."""
        ...

    @property
    def host_unmentioned_in_success(self) -> Verdict:
        """The same, where the statuscode says that all were accepted, and there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """What the legacy host said, as far as it could be read; rows by (objectname, objectindex) of what it was sent."""

    statuscode: int | None
    errors: Mapping[Address, Sequence[str]]
    """Messages, empty ones left out; those about no single row under (`batch`, 0)."""
    responses: Mapping[Address, tuple[str, str]] = field(default_factory=dict)
    """(ledgerref, status_statuscode), in the host's words."""

    @property
    def about_all(self) -> str:
        """Return what it says about the batch as a whole."""
        texts = [texts for place, texts in self.errors.items() if place.objectname == WHOLE_BATCH]
        return "; ".join(text for some in texts for text in some)


def write_sub_batch(batchid: str, rows: Iterable[tuple[Address, bytes]]) -> bytes:
    """Return the body of a batch of these raw rows, each array in their order; it waits for its answer."""
    arrays: dict[str, list[bytes]] = {name: [] for name in OBJECTNAMES}
    for address, raw in rows:
        arrays[address.objectname].append(raw)
    head = b'"batchid":%b,' % _encode(batchid) if batchid else b""
    listed = b",".join(b'"%b":[%b]' % (name.encode(), b",".join(raws)) for name, raws in arrays.items())
    return b'{%b"offline":false,%b}' % (head, listed)


def read_host_answer(body: bytes, content_type: str | None = None) -> HostAnswer | None:
    """Read an answer whatever its letter case and encoding; None for what is no answer to a batch."""
    try:
        answer = decode(decode_body(body, content_type))
    except (CallerError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    found = _lower(answer)
    if not found.keys() & {"statuscode", "errors", "responses"}:
        return None
    code, errors, responses = (found.get(name) for name in ("statuscode", "errors", "responses"))
    if not all(one is None or isinstance(one, list) for one in (errors, responses)):
        return None
    return HostAnswer(_whole(code), _gather_errors(errors or ()), _gather_responses(responses or ()))


def judge(answer: HostAnswer, rows: Sequence[Address], readings: Readings) -> dict[Address, Outcome]:
    """Return what an answer says of each row that was sent, in the order sent; one that is left out is in doubt."""
    outcomes = {}
    counts = dict.fromkeys(OBJECTNAMES, 0)
    for address in rows:
        place = Address(address.objectname, counts[address.objectname])
        counts[address.objectname] += 1
        outcome = _judge_row(answer, place, address, readings)
        if outcome.verdict is not Verdict.PENDING:
            outcomes[address] = outcome
    return outcomes


def _judge_row(answer: HostAnswer, place: Address, address: Address, readings: Readings) -> Outcome:
    errors, response = answer.errors.get(place), answer.responses.get(place)
    if response is None:
        if errors is not None:
            return _decide(address, Verdict.REFUSED, "; ".join(errors) or NO_REASON)
        is_success = answer.statuscode == readings.all_accepted and not answer.errors
        verdict = readings.host_unmentioned_in_success if is_success else readings.host_unmentioned
        return _decide(address, verdict, answer.about_all or UNMENTIONED)
    ledgerref, status = response
    if errors is not None:
        return _decide(address, readings.host_both, "; ".join(errors) or NO_REASON, ledgerref)
    if status.casefold() == readings.pending.casefold():
        return _decide(address, readings.host_pending, STILL_PENDING, ledgerref)
    return _decide(address, Verdict.ACCEPTED, "", ledgerref)


def _decide(address: Address, verdict: Verdict, refusal: str, ledgerref: str = "") -> Outcome:
    is_accepted = verdict is Verdict.ACCEPTED
    return Outcome(address, verdict, "" if is_accepted else refusal, ledgerref=ledgerref if is_accepted else "")


def _gather_errors(entries: Iterable[Any]) -> dict[Address, list[str]]:
    """Return the messages by row; an entry that names none is about the whole batch, and lost it must not be."""
    errors: dict[Address, list[str]] = {}
    for one in entries:
        entry = _lower(one)
        messages = errors.setdefault(_place(entry) or Address(WHOLE_BATCH, 0), [])
        if text := _text(entry.get("message") if entry else one):
            messages.append(text)
    return errors


def _gather_responses(entries: Iterable[Any]) -> dict[Address, tuple[str, str]]:
    responses = {}
    for entry in map(_lower, entries):
        if place := _place(entry):
            ledgerref, status = _text(entry.get("ledgerref")), _text(entry.get("status_statuscode"))
            responses[place] = ledgerref[:LONGEST_REFERENCE], status
    return responses


def _place(entry: Mapping[str, Any]) -> Address | None:
    index = _whole(entry.get("objectindex"))
    name = _text(entry.get("objectname")).lower()
    return Address(name, index) if name and index is not None else None


def _lower(value: Any) -> dict[str, Any]:
    """Return an object's properties by lower-case name; none of what is no object."""
    return {name.lower(): one for name, one in value.items()} if isinstance(value, dict) else {}


def _whole(value: Any) -> int | None:
    """Return a whole number, written as a number or as a text."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
        return int(value) if len(value) < 10 else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 10**9 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str:
    """Return a text as it came, but for blanks around it; anything else as JSON."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else _encode(value).decode()
