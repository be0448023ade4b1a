"""A request and its answer, with stable pseudonyms for everything personal. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass

import msgspec

from bridge.recording.plain import ARRAYS, TOLD, TREATMENTS, Treatment
from bridge.recording.pseudonyms import Pseudonyms
from bridge.recording.rewriting import Fields, Rewriting
from bridge.recording.scrubbing import Numbers, Scrubber
from bridge.recording.words import all_words

LARGEST_BYTES = 16 * 1024 * 1024
"""A request or answer that is larger is not recorded."""
LARGEST_LOOKED_UP_BYTES = 128 * 1024
"""Reading more takes too long for a sample: whoever keeps one has an event loop to keep going."""
_check = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, slots=True)
class Redacted:
    """What may be stored of an exchange; a part that could not be read is None, and `notice` says so."""

    request: bytes | None
    reply: bytes | None
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the profiles in use add to what is known of fields: all of it from files operators write."""

    plain_fields: frozenset[str] = frozenset()
    """Further fields that stay as they are."""
    declared: frozenset[str] = frozenset()
    """Property names that stay as they are; those of plain fields do anyway."""
    words: frozenset[str] = frozenset()
    """Words that may stay in messages and codes."""


class Redactor:
    """Replaces personal data by pseudonyms of one key; see `plain` for what stays."""

    def __init__(self, key: bytes, plain_fields: Iterable[str] = (), terms: Terms = Terms()) -> None:
        if not key:
            raise ValueError("a key is needed to make pseudonyms")
        derived = {name.lower(): Treatment.PLAIN for name in terms.plain_fields}
        # what is named a secret stays one, whoever calls it plain
        asked = {name.lower(): Treatment.PLAIN for name in plain_fields if not _is_secret(name)}
        treatments: dict[str, Treatment] = {**derived, **TREATMENTS, **asked}
        declared = frozenset({*treatments, *(name.lower() for name in terms.declared), *TOLD, *ARRAYS})
        self._scrubber = Scrubber(Pseudonyms(key), all_words() | _parts(declared) | _parts(terms.words))
        self._asked = Fields(treatments, declared)
        self._told = Fields({**treatments, **dict.fromkeys(TOLD, Treatment.TELL)}, declared)

    def redact(self, request: bytes, status: int, reply: bytes) -> Redacted:
        """Return both sides as they may be stored; the bodies are UTF-8, their codings undone."""
        steps = self.steps(request, status, reply)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                redacted: Redacted = end.value
                return redacted

    def steps(self, request: bytes, status: int, reply: bytes) -> Generator[None, None, Redacted]:
        """Do the same in slices of about a millisecond, for whoever has an event loop to keep going."""
        if fault := _find_fault(request):
            return Redacted(None, None, f"request not stored: {fault}")
        fault = _find_fault(reply)
        numbers = Numbers()
        asked = Rewriting(request.decode(), self._asked)
        told = Rewriting("" if fault else reply.decode(), self._told)
        # what one side calls personal must not stand in the other, so both are read before anything is replaced
        yield from asked.read(numbers)
        plain = Numbers(plain=set(numbers.plain), days=set(numbers.days))
        yield from told.read(numbers)
        numbers.plain, numbers.days = plain.plain, plain.days
        yield from asked.replace(self._scrubber, numbers)
        yield from told.replace(self._scrubber, numbers)
        if fault:
            return Redacted(asked.result(), None, f"answer {status} not stored: {fault}")
        return Redacted(asked.result(), told.result())

    def scrub(self, text: str, request: bytes = b"") -> str:
        """Return a text as a message about `request` may be stored: as answers are recorded.

        Of a large request it is not looked up which numbers are harmless: then none of four digits and more stays.
        """
        numbers = Numbers()
        if len(request) <= LARGEST_LOOKED_UP_BYTES and not _find_fault(request):
            deque(Rewriting(request.decode(), self._asked).read(numbers), maxlen=0)
        return self._scrubber.tell(text, numbers)

    def scrub_name(self, name: str) -> str:
        """Return the name of a property as it may be stored: declared ones and plain words stay."""
        return name if name.lower() in self._told.declared else self._scrubber.name(name)


def _is_secret(name: str) -> bool:
    return TREATMENTS.get(name.lower()) is Treatment.SECRET


def _parts(words: Iterable[str]) -> frozenset[str]:
    """Return words and, of those that are put together, their parts."""
    return frozenset(part.casefold() for word in words for part in (word, *word.replace("_", " ").split()))


def _find_fault(body: bytes) -> str:
    """Say why a body cannot be recorded, without a word of it; nothing when it can."""
    if not body.strip():
        return "no body"
    if len(body) > LARGEST_BYTES:
        return f"larger than {LARGEST_BYTES // (1024 * 1024)} MB ({len(body)} bytes)"
    try:
        _check(body)
        body.decode()
    except RecursionError:
        return f"nested too deeply ({len(body)} bytes)"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"not JSON ({len(body)} bytes)"
    return ""
