"""What looks personal by itself, wherever it stands, and the pieces a text is made of. No pattern looks back far."""

from __future__ import annotations

import re
from datetime import date

from bridge.recording.national_ids import is_national_id, looks_like_national_id

_DAY = r"(?<!\d)(?:\d{4}-\d{2}-\d{2}|\d{2}\.\d{2}\.\d{4})(?!\d)"
# not `)*+` behind a possessive piece: Python 3.11.2, which Debian 12 has, reads one sign too far there
_GROUP = r"(?:\+|(?<!\d))\d++(?:[ \u00a0\u202f\u2009.\-]\d++)*"
TOKEN = re.compile(
    r"(?P<email>(?<![\w.+\-])[\w.+\-%]{1,64}+@[\w\-]{1,63}+(?:\.[\w\-]{1,63}+)*)"
    r"|(?P<jwt>eyJ[\w\-]{4,}+(?:\.[\w\-]*+){1,4})"
    r"|(?P<bearer>(?<![^\W_])(?:[Bb]earer|[Bb]asic|BEARER|BASIC)[ \t]++[\w\-.~+/]{6,}+=*+)"
    r"|(?P<opaque>(?<![^\W_])(?=[^\W\d_]*+\d)(?=\d*+[^\W\d_])[^\W_]{20,}+)"
    r"|(?P<escaped>(?:%[0-9a-fA-F]{2}){3,}+|(?:\\u[0-9a-fA-F]{4}){2,}+|(?:&#x?[0-9a-fA-F]{1,6}+;){2,}+)"
    rf"|(?P<day>{_DAY})"
    rf"|(?P<group>{_GROUP})"
    r"|(?P<word>[^\W\d_]++)"
)
"""Pieces of a text, the most telling first; what is between them is punctuation."""
DAY = re.compile(_DAY)
RUN = re.compile(r"\d++")
GROUP = re.compile(_GROUP)
UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
FIGURE = re.compile(r"[+\-\u2212]?\d[\d \u00a0\u202f\u2009.,]{0,40}(?:[eE][+\-]?\d{1,3})?")
MOMENT = re.compile(r"(\d{4}-\d{2}-\d{2})((?:[Tt ]\d{2}:\d{2}[\d:.]{0,20} ?(?:[Zz]|[+\-]\d{2}:?(?:\d{2})?)?)?)")
TICKS = re.compile(r"/Date\((-?\d{1,15})([+\-]\d{4})?\)/")
IBAN = re.compile(r"(?<![^\W_])[A-Za-z]{2}[0-9]{2}(?: ?[A-Za-z0-9]){11,30}+(?![^\W_])")
_GROUPED_PHONE = re.compile(r"\d{2} \d{2} \d{2} \d{2}|\d{3} \d{2} \d{3}|\d{4} \d{4}|(?:\+|00)[1-9][\d .\-]{6,20}")
_ACCOUNT = re.compile(r"\d{4}[ .]\d{2}[ .]\d{5}")
_ACCOUNT_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)


def looks_personal(written: str, digits: str) -> bool:
    """Tell whether a group of digits is a national id, a card or an account number by its form."""
    if len(digits) == 11:
        return looks_like_national_id(digits) or _is_account(digits) or bool(_ACCOUNT.fullmatch(written))
    if 12 <= len(digits) <= 40 and holds_national_id(digits):
        return True
    return 13 <= len(digits) <= 19 and _is_luhn(digits)


def looks_like_phone(written: str, digits: str) -> bool:
    """Tell whether a group of digits is written as a phone number; eight digits that are a day are none."""
    if len(digits) < 8:
        return False
    if written == digits:
        return len(digits) == 8 and digits[0] > "1" and not _is_compact_day(digits)
    return bool(_GROUPED_PHONE.fullmatch(written))


def holds_national_id(digits: str) -> bool:
    """Tell whether eleven neighbouring digits are a national id."""
    return any(is_national_id(digits[start : start + 11]) for start in range(len(digits) - 10))


def read_day(text: str) -> date | None:
    """Return the day of `YYYY-MM-DD`, if there is one."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _is_compact_day(digits: str) -> bool:
    return digits[:2] in ("19", "20") and read_day(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}") is not None


def _is_account(digits: str) -> bool:
    left = sum(weight * int(digit) for weight, digit in zip(_ACCOUNT_WEIGHTS, digits, strict=False)) % 11
    return left != 1 and (11 - left) % 11 == int(digits[10])


def _is_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
