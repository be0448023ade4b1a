"""One text at a time: what is personal in it gets pseudonyms, the rest stays, letter for letter.

Three ways: `conceal` replaces every word and number, `spare` those that are not known to be harmless, `tell` is for
messages. Words are judged alike in all records; numbers also by what else stands in the record (`Numbers`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache

import pycountry

from bridge.recording.national_ids import is_national_id
from bridge.recording.patterns import (
    DAY,
    FIGURE,
    GROUP,
    IBAN,
    MOMENT,
    RUN,
    TICKS,
    TOKEN,
    UUID,
    looks_like_phone,
    looks_personal,
    read_day,
)
from bridge.recording.plain import Treatment
from bridge.recording.pseudonyms import SHORTEST, Pseudonyms
from bridge.recording.words import DAYS, NAMES_AS_WELL, NUMBERS

SECRET = "redacted"  # noqa: S105 - what stands in place of one
LONGEST_COMMON = 3
"""Digits of a number that may stay in a message: places, counts and codes."""
SHORTEST_PERSONAL = 6
"""Digits from which on a personal number is looked for elsewhere; shorter ones are everywhere by chance."""
SHORTEST_IN_FIGURES = 8
_KEPT = 20_000
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_HUMP = re.compile(r"[^\W\d_]+?(?=[A-ZÆØÅ][a-zæøå])|[^\W\d_]+")


@dataclass(slots=True)
class Numbers:
    """The numbers of one record: those of personal fields, and those that plain fields of the request hold."""

    personal: set[str] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    """Of plain fields, as they are written."""

    def note_personal(self, text: str) -> None:
        """Remember what must not stand anywhere else."""
        for group in GROUP.findall(text):
            digits = _ascii(group)
            for number in (digits, digits[-8:] if group[0] == "+" else digits, *map(_ascii, RUN.findall(group))):
                if len(number) >= SHORTEST_PERSONAL and number.strip("0"):
                    self.personal.add(number)
                    self.lengths.add(len(number))

    def note_plain(self, text: str) -> None:
        """Remember what messages may repeat."""
        self.plain.update(number for number in map(_ascii, RUN.findall(text)) if len(number) > LONGEST_COMMON)
        self.days.update(day[0] for day in DAY.finditer(text))

    def is_personal(self, digits: str, shortest: int = SHORTEST_PERSONAL) -> bool:
        """Tell whether a personal number stands in these digits."""
        return any(
            digits[start : start + length] in self.personal
            for length in self.lengths
            if shortest <= length <= len(digits)
            for start in range(len(digits) - length + 1)
        )


class Scrubber:
    """The three ways, with one key and one vocabulary."""

    def __init__(self, pseudonyms: Pseudonyms, vocabulary: Iterable[str]) -> None:
        self._pseudonyms = pseudonyms
        self._vocabulary = frozenset(word.casefold() for word in vocabulary)
        self.conceal = lru_cache(_KEPT)(self._conceal)

    def treat(self, treatment: Treatment, text: str, numbers: Numbers) -> str:
        """Return a text as it may be recorded."""
        if not text or text.isspace() or (treatment is Treatment.COUNTRY and _is_country(text.strip())):
            return text
        if treatment is Treatment.CONCEAL or treatment is Treatment.PHONE:
            return self.conceal(text, 1 if treatment is Treatment.PHONE else SHORTEST)
        if treatment is Treatment.TELL:
            return self.tell(text, numbers)
        if treatment is Treatment.SECRET:
            return SECRET
        return self.spare(text, numbers, figures=treatment is Treatment.FIGURE)

    def _conceal(self, text: str, shortest_word: int = SHORTEST) -> str:
        """Replace every word and number; a day becomes another day, an e-mail address another one."""
        if moment := MOMENT.fullmatch(text.strip()):
            return text.replace(moment[1], self._other_day(moment[1]), 1)
        if ticks := TICKS.fullmatch(text.strip()):
            return text.replace(ticks[1], self._other_ticks(ticks[1]), 1)
        return TOKEN.sub(lambda piece: self._replace(piece, shortest_word), text)

    def spare(self, text: str, numbers: Numbers, *, figures: bool = False) -> str:
        """Replace words outside the vocabulary, and whatever looks personal or is it."""
        if UUID.fullmatch(text) or (figures and (MOMENT.fullmatch(text) or TICKS.fullmatch(text))):
            return text
        if figures and FIGURE.fullmatch(text):
            return self._spare_figure(text, numbers)

        def keep(written: str, digits: str) -> bool:
            return not (looks_like_phone(written, digits) or numbers.is_personal(digits))

        return self._sift(text, keep, lambda _day: True)

    def tell(self, text: str, numbers: Numbers) -> str:
        """Replace what is not known to be harmless in a message: words, numbers of four digits and more, days."""

        def keep(written: str, digits: str) -> bool:
            if looks_like_phone(written, digits) or numbers.is_personal(digits):
                return False
            return len(digits) <= LONGEST_COMMON or digits in numbers.plain or digits in NUMBERS

        return self._sift(text, keep, lambda day: day in numbers.days or day in DAYS)

    def name(self, name: str) -> str:
        """Return an undeclared property's name: as it is when it is made of words of the vocabulary."""
        humps = [hump for word in re.findall(r"[^\W\d_]+", name) for hump in _HUMP.findall(word)]
        if all(map(self._knows, humps)):
            return GROUP.sub(lambda group: self._sift_group(group[0], _is_common), name)
        return self.conceal(name)

    def _knows(self, word: str) -> bool:
        return len(word) == 1 or word in NAMES_AS_WELL or word.casefold() in self._vocabulary

    # --- pieces ----------------------------------------------------------------------------------------------------

    def _replace(self, piece: re.Match[str], shortest_word: int = SHORTEST) -> str:
        """Return what stands for one piece that nothing speaks for."""
        kind, written = piece.lastgroup, piece[0]
        if kind == "word":
            return self._pseudonyms.word(written, shortest_word)
        if kind == "group":
            return self._number_or_numbers(written)
        if kind == "email":
            return self._address(written)
        if kind == "day":
            return self._other_spelling(written)
        return "".join(self._stand_in(part[0]) for part in re.finditer(r"[^\W\d_]+|\d+|[\W_]+", written))

    def _stand_in(self, run: str) -> str:
        if run[0].isdigit():
            return self._number(run) if run.isdecimal() else self._pseudonyms.word(run)
        return self._pseudonyms.word(run, 1) if run[0].isalpha() else run

    def _sift(self, text: str, keep: Callable[[str, str], bool], keep_day: Callable[[str], bool]) -> str:
        """Replace the pieces of a text that must not stay; `keep` is asked about numbers that look harmless."""

        def sift(piece: re.Match[str]) -> str:
            written = piece[0]
            if piece.lastgroup == "word":
                return written if self._knows(written) else self._pseudonyms.word(written)
            if piece.lastgroup == "group":
                return self._sift_group(written, keep)
            if piece.lastgroup == "day" and keep_day(written):
                return written
            return self._replace(piece)

        return TOKEN.sub(sift, IBAN.sub(self._conceal_iban, text))

    def _sift_group(self, written: str, keep: Callable[[str, str], bool]) -> str:
        digits = _ascii(written)
        if looks_personal(written, digits):
            return self._number_or_numbers(written)
        if keep(written, digits):
            return written
        if written == digits or looks_like_phone(written, digits):
            return self._number(written)
        # several numbers, of which some may stay
        return RUN.sub(lambda run: self._sift_run(run[0], keep), written)

    def _sift_run(self, run: str, keep: Callable[[str, str], bool]) -> str:
        digits = _ascii(run)
        return run if not looks_personal(run, digits) and keep(run, digits) else self._number(run)

    def _spare_figure(self, text: str, numbers: Numbers) -> str:
        def sift(group: re.Match[str]) -> str:
            digits = _ascii(group[0])
            personal = looks_personal(group[0], digits) or numbers.is_personal(digits, SHORTEST_IN_FIGURES)
            return self._number(group[0]) if personal else group[0]

        return GROUP.sub(sift, text)

    def _conceal_iban(self, found: re.Match[str]) -> str:
        """Replace an account number; what is none only looks alike, such as a reference."""
        compact = found[0].replace(" ", "").upper()
        if int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97 != 1:
            return found[0]
        return found[0][:2] + "".join(self._stand_in(part) for part in re.findall(r"[^\W\d_]+|\d+|\s+", found[0][2:]))

    def _number_or_numbers(self, written: str) -> str:
        """Return other digits; where a national id has neighbours, these are numbers of their own."""
        if any(is_national_id(_ascii(run)) for run in RUN.findall(written)):
            return RUN.sub(lambda run: self._number(run[0]), written)
        return self._number(written)

    def _number(self, written: str) -> str:
        """Return other digits in the places of a number's digits."""
        digits = _ascii(written)
        if written[0] == "+":
            others = self._pseudonyms.call_number("", digits)
        elif digits.startswith("00") and 10 <= len(digits) <= 17:
            others = self._pseudonyms.call_number("00", digits[2:])
        else:
            others = self._pseudonyms.number(digits)
        following = iter(others)
        return "".join(next(following) if sign.isdecimal() else sign for sign in written)

    def _address(self, written: str) -> str:
        """Return another e-mail address in the same top-level domain."""
        rest, dot, last = written.rpartition(".")
        if not dot or last.casefold() not in self._vocabulary or "@" in last:
            rest, dot, last = written, "", ""
        pieces = re.finditer(r"[^\W\d_]+|\d+|[\W_]+", rest)
        return "".join(self._part_of_address(piece[0]) for piece in pieces) + dot + last

    def _part_of_address(self, run: str) -> str:
        return self._pseudonyms.word(run) if run[0].isalpha() else self._stand_in(run)

    def _other_spelling(self, written: str) -> str:
        """Return another day, spelled alike; what is no day is a number."""
        if written[4] == "-":
            return self._other_day(written)
        day = read_day(f"{written[6:]}-{written[3:5]}-{written[:2]}")
        return f"{self._pseudonyms.day(day):%d.%m.%Y}" if day else self._number(written)

    def _other_day(self, written: str) -> str:
        day = read_day(written)
        if day is None:
            return f"{self._pseudonyms.number(written[:4])[:4]}-00-00"  # no day before, no day after
        return written if day.year <= 1 else self._pseudonyms.day(day).isoformat()

    def _other_ticks(self, written: str) -> str:
        days, rest = divmod(int(written), _DAY_MS)
        try:
            moved = self._pseudonyms.day(_EPOCH + timedelta(days=days)) - _EPOCH
        except OverflowError:
            return written
        return str(moved.days * _DAY_MS + rest)


def _is_common(_written: str, digits: str) -> bool:
    return len(digits) <= LONGEST_COMMON


def _ascii(written: str) -> str:
    """Return the digits of a text as 0 to 9."""
    if written.isascii():
        return written if written.isdigit() else "".join(filter(str.isdigit, written))
    return "".join(str(unicodedata.decimal(sign)) for sign in written if sign.isdecimal())


@lru_cache(maxsize=1024)
def _is_country(text: str) -> bool:
    try:
        pycountry.countries.lookup(text)
    except LookupError:
        return False
    return True
