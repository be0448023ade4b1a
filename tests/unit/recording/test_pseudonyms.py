"""Stand-ins for single values: stable, of the same shape, and never the value itself."""

from __future__ import annotations

from datetime import date

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.recording.national_ids import is_national_id, looks_like_national_id, make_national_id
from bridge.recording.pseudonyms import CONSONANTS, Pseudonyms

MAKE = Pseudonyms(b"one key")
OTHER = Pseudonyms(b"another key")
LIVING, D_NUMBER, H_NUMBER, TEST_DATA = "15108695088", "55108695055", "15508695083", "15908695070"


def of_kind(day: int, month: int) -> str:
    """Return a valid id whose day and month are shifted so far."""
    for serial in range(500):
        nine = f"{15 + day:02}{10 + month:02}86{serial:03}"
        found = next((nine + f"{rest:02}" for rest in range(100) if is_national_id(f"{nine}{rest:02}")), "")
        if found:
            return found
    raise AssertionError


@given(st.text(alphabet=st.characters(categories=["L"]), min_size=1, max_size=80))
def test_words_are_stable_and_no_words(word: str) -> None:
    """A word gets letters without a vowel, the same every time and in any letter case, and never itself."""
    found = MAKE.word(word)
    assert found == Pseudonyms(b"one key").word(word)
    assert set(found.lower()) <= set(CONSONANTS)
    assert found.casefold() != word.casefold()
    assert len(found) == 1 if len(word) == 1 else 5 <= len(found) <= 64


@pytest.mark.parametrize(
    ("word", "looks"), [("kari", str.islower), ("KARI", str.isupper), ("Kari", str.istitle), ("æøå", str.islower)]
)
def test_words_keep_their_case(word: str, looks: object) -> None:
    """Capitals stay where they are, and one word in two cases gets one stand-in in two cases."""
    assert callable(looks)
    assert looks(MAKE.word(word))
    assert MAKE.word(word).lower() == MAKE.word(word.lower())


def test_mixed_case_is_kept_letter_by_letter() -> None:
    """McDonald stays as uneven as he is."""
    assert [letter.isupper() for letter in MAKE.word("McDonald")] == [letter.isupper() for letter in "McDonald"]


def test_another_key_makes_other_pseudonyms() -> None:
    """Nobody who has not the key can make a pseudonym."""
    assert MAKE.word("Nordmann") != OTHER.word("Nordmann")
    assert MAKE.number("7712093") != OTHER.number("7712093")


@given(st.from_regex(r"[0-9]{1,60}", fullmatch=True))
def test_numbers_keep_length_and_leading_zeros(digits: str) -> None:
    """As many digits, as many zeros before them; a number of two digits and more is never itself."""
    found = MAKE.number(digits)
    assert len(found) == len(digits)
    assert found.isdecimal()
    if not looks_like_national_id(digits):
        assert len(found) - len(found.lstrip("0")) == len(digits) - len(digits.lstrip("0"))
    if digits.strip("0"):
        assert found != digits


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_different_numbers_stay_different(length: int) -> None:
    """Numbers of one length are permuted, so a reference never becomes another one's."""
    numbers = [f"{number}" for number in range(10 ** (length - 1), 10**length)]
    assert len({MAKE.number(number) for number in numbers}) >= len(numbers) - 5  # but for some that would be themselves


@pytest.mark.parametrize("shifts", [(0, 0), (40, 0), (0, 40), (0, 65), (0, 80), (40, 80)])
def test_national_ids_become_valid_ones_of_nobody_alive(shifts: tuple[int, int]) -> None:
    """A valid id becomes another valid one of the same kind, of somebody born before 1900."""
    original = of_kind(*shifts)
    found = MAKE.number(original)
    assert found != original
    assert is_national_id(found)
    assert int(found[:2]) // 40 == int(original[:2]) // 40
    assert 500 <= int(found[6:9]) < 750
    assert 54 <= int(found[4:6]) <= 99


@given(st.integers(0, 10**11 - 1))
def test_every_id_that_is_made_is_valid(seed: int) -> None:
    """Whatever is drawn, the check digits are right."""
    found = make_national_id("15108695088", lambda attempt, bound: (seed + attempt * 7919) % bound)
    assert is_national_id(found)
    assert found[0] == "1"


@pytest.mark.parametrize(
    "digits", ["15108695087", "15138695088", "32018695088", "1510869508", "00000000000", "15108695098"]
)
def test_what_is_no_national_id(digits: str) -> None:
    """Wrong check digits, a day or month there is none of, or another length make none."""
    assert not is_national_id(digits)


@pytest.mark.parametrize("number", ["41528837", "22225555", "4741528837"])
def test_norwegian_phones_stay_valid_phones(number: str) -> None:
    """A number becomes another one of the same kind, as the mapping's transform sees it."""
    found = MAKE.number(number)
    assert found != number
    before, after = phonenumbers.parse(number, "NO"), phonenumbers.parse(found, "NO")
    assert phonenumbers.is_valid_number(after)
    assert phonenumbers.number_type(before) == phonenumbers.number_type(after)


@pytest.mark.parametrize("number", ["4741528837", "46701234567", "12125550123", "358401234567", "999"])
def test_phones_stay_in_their_country(number: str) -> None:
    """The calling code stays, and how many digits follow it; a code of no country is a number like any other."""
    found = MAKE.call_number("00", number)
    assert found.startswith("00")
    assert len(found) == 2 + len(number)
    country = phonenumbers.parse(f"+{number}", None).country_code if number != "999" else 0
    assert not country or found[2:].startswith(str(country))


def test_one_phone_in_several_spellings() -> None:
    """With and without its country, a number gets one stand-in."""
    assert MAKE.call_number("", "4741528837") == "47" + MAKE.number("41528837") == MAKE.number("4741528837")


@given(st.dates())
def test_days_stay_in_their_decade(day: date) -> None:
    """A day becomes another one, some years off at most."""
    found = MAKE.day(day)
    assert found != day
    assert found.year // 10 == day.year // 10 or day.year < 10
