"""Norwegian national ids: what is one, and valid ones that belong to nobody alive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import lru_cache

_FIRST_WEIGHTS = (3, 7, 6, 1, 8, 9, 4, 5, 2)
_SECOND_WEIGHTS = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_DAY_SHIFTS = (0, 40)
"""40 marks a D-number."""
_MONTH_SHIFTS = (0, 40, 65, 80)
"""Added by hospitals (40) and authorities (65) for ids of their own, and for test data (80)."""
_EARLIEST, _DAYS = date(1854, 1, 1), 46 * 365
_SERIALS = range(500, 750)
"""With the years 54 to 99 these mean the nineteenth century: valid in every respect, and nobody alive has one."""


def is_national_id(digits: str) -> bool:
    """Tell whether 11 digits are a birth number or one of its kin, check digits and all."""
    return len(digits) == 11 and _check_digits(digits[:9]) == digits[9:] and looks_like_national_id(digits)


def looks_like_national_id(digits: str) -> bool:
    """Tell whether 11 digits begin with a day as national ids do, whatever their check digits."""
    return len(digits) == 11 and _shifts(digits) is not None


def make_national_id(digits: str, draw: Callable[[int, int], int]) -> str:
    """Return another valid id of the same kind; `draw` gives the n-th number below a bound."""
    day_shift, month_shift = _shifts(digits) or (0, 0)
    attempt = 0
    while True:
        born = _EARLIEST + timedelta(days=draw(attempt, _DAYS))
        serial = _SERIALS[draw(attempt + 1, len(_SERIALS))]
        attempt += 2
        nine = f"{born.day + day_shift:02}{born.month + month_shift:02}{born.year % 100:02}{serial}"
        # the first digit stays, so that a JSON number stays one
        if nine[0] == digits[0] and (checks := _check_digits(nine)):
            return nine + checks


@lru_cache(maxsize=4096)
def _shifts(digits: str) -> tuple[int, int] | None:
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    for day_shift in _DAY_SHIFTS:
        for month_shift in _MONTH_SHIFTS:
            # 2000 + year: what is no leap year there is none in 1900 + year, except 1900 itself
            if _is_day(2000 + year, month - month_shift, day - day_shift):
                return day_shift, month_shift
    return None


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _check_digits(nine: str) -> str:
    """Return the two check digits; nothing where there are none to be had."""
    first = _check_digit(nine, _FIRST_WEIGHTS)
    second = _check_digit(nine + first, _SECOND_WEIGHTS) if first else ""
    return first + second if second else ""


def _check_digit(digits: str, weights: tuple[int, ...]) -> str:
    left = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True)) % 11
    return "" if left == 1 else str((11 - left) % 11)
