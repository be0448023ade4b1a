"""JSON with other values: rewritten piece by piece, so that numbers keep their digits and doubled names their order.

Nothing is built in memory but the list of pieces, and no nesting is too deep for it. What comes out stands on one line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from bridge.recording.plain import Treatment
from bridge.recording.scrubbing import Numbers, Scrubber

SLICE_PIECES = 100
"""Pieces worked before the caller gets a turn: about a millisecond."""
_PIECE = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\]:,]|[^\s{}\[\]:,"]++')
_NUMBER = re.compile(r"(-?)(\d+)(\.\d+)?([eE][+-]?\d+)?")

Steps = Generator[None, None, None]
"""Work in slices: each step does one."""


@dataclass(frozen=True, slots=True)
class Fields:
    """How fields are treated, by name in lower case, and which names are declared."""

    treatments: Mapping[str, Treatment]
    declared: frozenset[str]


@dataclass(slots=True)
class Rewriting:
    """One JSON document on its way into a recording. Steps: `read` it, then `replace` once all parts are read."""

    text: str
    fields: Fields
    _pieces: list[str] = field(default_factory=list)
    _values: list[tuple[int, Treatment]] = field(default_factory=list)
    """Places among the pieces that hold a value to be treated, and how."""
    _names: list[int] = field(default_factory=list)

    def read(self, numbers: Numbers) -> Steps:
        """Find the values, and note which numbers are personal and which are plain; the text is valid JSON."""
        pieces, stack, name = self._pieces, [""], ""
        expects_name = False
        for count, found in enumerate(_PIECE.finditer(self.text)):
            piece = found[0]
            if count % SLICE_PIECES == SLICE_PIECES - 1:
                yield
            first = piece[0]
            if first in "{[":
                # of an array's elements each has the array's name, however deep
                within = name if stack[-1] == "{" else stack[-1]
                stack.append(within if first == "[" else "{")
                expects_name = first == "{"
            elif first in "}]":
                stack.pop()
                expects_name = False
            elif first == ",":
                expects_name = stack[-1] == "{"
            elif expects_name and first == '"':
                name = self._note_name(piece, numbers)
                expects_name = False
            elif first == '"' or first in "-0123456789":
                self._note_value(piece, stack[-1] if stack[-1] != "{" else name, numbers)
            pieces.append(piece)

    def replace(self, scrubber: Scrubber, numbers: Numbers) -> Steps:
        """Put pseudonyms in place of what must not be recorded."""
        for count, place in enumerate(self._names):
            if count % SLICE_PIECES == SLICE_PIECES - 1:
                yield
            name = _decode(self._pieces[place])
            self._put(place, name, scrubber.name(name))
        for count, (place, treatment) in enumerate(self._values):
            if count % SLICE_PIECES == SLICE_PIECES - 1:
                yield
            piece = self._pieces[place]
            if piece[0] == '"':
                value = _decode(piece)
                self._put(place, value, scrubber.treat(treatment, value, numbers))
            else:
                self._pieces[place] = _rewrite_number(piece, treatment, scrubber, numbers)

    def result(self) -> bytes:
        """Return the document as it stands now."""
        return "".join(self._pieces).encode()

    def _note_name(self, piece: str, numbers: Numbers) -> str:
        name = _decode(piece)
        lowered = name.lower()
        if lowered not in self.fields.declared:
            self._names.append(len(self._pieces))
            numbers.note_personal(name)
        return lowered

    def _note_value(self, piece: str, name: str, numbers: Numbers) -> None:
        treatment = self.fields.treatments.get(name, Treatment.CONCEAL)
        self._values.append((len(self._pieces), treatment))
        if treatment in (Treatment.CONCEAL, Treatment.PHONE):
            numbers.note_personal(_decode(piece) if piece[0] == '"' else piece)
        elif treatment in (Treatment.PLAIN, Treatment.FIGURE):
            numbers.note_plain(piece)

    def _put(self, place: int, old: str, new: str) -> None:
        if new != old:
            self._pieces[place] = json.dumps(new, ensure_ascii=False)


def _decode(piece: str) -> str:
    if "\\" not in piece:
        return piece[1:-1]
    text: str = json.loads(piece)
    return text


def _rewrite_number(piece: str, treatment: Treatment, scrubber: Scrubber, numbers: Numbers) -> str:
    """Return another number of the same form where a number must not stay; it stays valid JSON."""
    if treatment is Treatment.SECRET:
        return "0"
    found = _NUMBER.fullmatch(piece)
    if found is None:
        return "null"  # pragma: no cover - msgspec has seen to it that numbers are numbers
    sign, whole, fraction, exponent = (part or "" for part in found.groups())
    whole = scrubber.treat(treatment, whole, numbers)
    if fraction and treatment in (Treatment.CONCEAL, Treatment.PHONE):
        fraction = "." + scrubber.treat(treatment, fraction[1:], numbers)
    return sign + whole + fraction + exponent
