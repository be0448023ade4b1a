"""Stable stand-ins for words, numbers and days: the same value gets the same one, wherever it stands.

They are made with HMAC-SHA256, so nobody without the key can make them or try values out. Words become letters without
a single vowel: no stand-in is a word or a name, and everybody sees what it is. Numbers are permuted among numbers of
their length, so different ones stay different (but for a handful of each length that would have
stayed themselves).
"""

from __future__ import annotations

import hmac
import unicodedata
from datetime import date, timedelta
from functools import lru_cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

from bridge.recording.national_ids import is_national_id, make_national_id

CONSONANTS = "bcdfghjklmnpqrstvwxz"
SHORTEST, LONGEST = 5, 64
"""Letters of a stand-in for a word: of very short ones there would be too few to tell words apart."""
_ROUNDS = 6
_LONGEST_NUMBER = 40
_KEPT = 50_000
_NORWAY = "47"
_DECADE = 10


class Pseudonyms:
    """The stand-ins of one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.word = lru_cache(_KEPT)(self._word)
        self.number = lru_cache(_KEPT)(self._number)
        self.day = lru_cache(_KEPT)(self._day)

    def _word(self, word: str, shortest: int = SHORTEST) -> str:
        """Return letters in the same case; one stays one, few become `shortest`."""
        plain = unicodedata.normalize("NFC", word).casefold()
        length = 1 if len(word) == 1 else min(max(len(word), shortest), LONGEST)
        attempt = 0
        while (found := self._letters(f"word {attempt} {plain}", length)) == plain:
            attempt += 1
        return _with_case_of(word, found)

    def _letters(self, what: str, length: int) -> str:
        number = int.from_bytes(b"".join(self._digest(f"{what} {part}") for part in range(1 + length // 56)))
        letters = []
        for _ in range(length):
            number, place = divmod(number, len(CONSONANTS))
            letters.append(CONSONANTS[place])
        return "".join(letters)

    def _number(self, digits: str) -> str:
        """Return as many digits: a valid national id for one, a phone number of the same area or country for one."""
        if is_national_id(digits):
            return make_national_id(digits, lambda attempt, bound: self._draw(f"id {attempt} {digits}", bound))
        if len(digits) == 8 and digits[0] > "1":
            return self._keeping(digits, 2)
        if len(digits) == 10 and digits.startswith(_NORWAY):
            return _NORWAY + self.number(digits[2:])
        zeros = len(digits) - len(digits.lstrip("0"))
        return digits[:zeros] + self._permute(digits[zeros:])

    def call_number(self, prefix: str, digits: str) -> str:
        """Return a phone number that was written with `+` or `00` before its country; the country stays."""
        country = _country_of(digits)
        national = digits[len(country) :]
        if not country or country == _NORWAY:
            return prefix + country + self.number(national)
        return prefix + country + self._keeping(national, 2)

    def _day(self, day: date) -> date:
        """Return another day of the same decade of life, so that minors stay minors, mostly."""
        first = date(max(day.year // _DECADE * _DECADE, 1), 1, 1)
        days = _DECADE * 365
        place = self._draw(f"day {day.isoformat()}", days)
        found = first + timedelta(days=place)
        return found if found != day else first + timedelta(days=(place + 1) % days)

    def _keeping(self, digits: str, kept: int) -> str:
        return digits[:kept] + self._shuffle(digits[kept:], digits[:kept])

    def _permute(self, digits: str) -> str:
        """Return another number of the same length; neither begins with a zero."""
        if len(digits) == 1:
            ring = sorted("123456789", key=lambda digit: self._digest(f"digit {digit}"))
            return ring[(ring.index(digits) + 1) % 9]
        found = self._shuffle(digits)
        while found.startswith("0"):
            found = self._shuffle(found)
        return found

    def _shuffle(self, digits: str, tweak: str = "") -> str:
        """Permute all numbers of one length: a Feistel network of HMACs."""
        if len(digits) > _LONGEST_NUMBER:
            middle = len(digits) // 2
            return self._shuffle(digits[:middle], tweak) + self._shuffle(digits[middle:], tweak)
        if len(digits) < 2:
            return digits and str((int(digits) + self._draw(f"one {tweak}", 9) + 1) % 10)
        half = len(digits) // 2
        left, right = digits[:half], digits[half:]
        for turn in range(_ROUNDS):
            size = len(left)
            moved = (int(left) + self._draw(f"digits {len(digits)} {tweak} {turn} {right}", 10**size)) % 10**size
            left, right = right, f"{moved:0{size}}"
        found = left + right
        return found if found != digits else str((int(digits) + 1) % 10 ** len(digits)).zfill(len(digits))

    def _draw(self, what: str, bound: int) -> int:
        return int.from_bytes(self._digest(what)) % bound

    def _digest(self, what: str) -> bytes:
        return hmac.digest(self._key, what.encode("utf-8", "surrogatepass"), "sha256")


def _country_of(digits: str) -> str:
    for length in (1, 2, 3):
        if digits[:length].isdecimal() and int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE:
            return digits[:length]
    return ""


def _with_case_of(word: str, letters: str) -> str:
    if word.islower():
        return letters
    if word.isupper() and len(word) > 1:
        return letters.upper()
    capitals = [letter.isupper() for letter in word]
    capitals += [capitals[-1]] * (len(letters) - len(capitals))
    return "".join(letter.upper() if capital else letter for letter, capital in zip(letters, capitals, strict=False))
