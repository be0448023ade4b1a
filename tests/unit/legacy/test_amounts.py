"""Numbers in every spelling an old ERP may use."""

import contextlib
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.legacy.amounts import AMBIGUOUS, NOT_A_NUMBER, NOT_WHOLE, read_decimal, read_integer

AMOUNTS = st.decimals(min_value=-(10**15), max_value=10**15, places=2, allow_nan=False)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1250.00", "1250.00"),
        ("1 250,00", "1250.00"),
        ("1\u00a0250\u00a0000,5", "1250000.5"),
        ("1\u202f250,00", "1250.00"),
        ("12\u2009345", "12345"),
        ("1.250,00", "1250.00"),
        ("1,250.00", "1250.00"),
        ("1,250,000", "1250000"),
        ("1.250.000", "1250000"),
        ("1 250,000", "1250.000"),
        ("1250,000", "1250.000"),
        ("1250.125", "1250.125"),
        ("0,125", "0.125"),
        ("12,5", "12.5"),
        (" -12,50 ", "-12.50"),
        ("\u221212,50", "-12.50"),
        ("+7", "7"),
        (".5", "0.5"),
        (",50", "0.50"),
        ("007", "7"),
        ("1e3", "1E+3"),
        ("9007199254740993.01", "9007199254740993.01"),
        ("99999999999999999999.9999999999", "99999999999999999999.9999999999"),
        (12, "12"),
        (Decimal("1.00"), "1.00"),
        (Decimal("-0.0"), "-0.0"),
    ],
)
def test_a_number_is_read_exactly(written: Any, number: Any) -> None:
    """What was written is what is read, digit for digit."""
    assert str(read_decimal(written)) == number


@pytest.mark.parametrize("written", ["1,250", "1.250", "-12,500", "999.999"])
def test_a_number_with_two_readings_is_ambiguous(written: Any) -> None:
    """One separator before exactly three digits may mean either, and a guess could be wrong by a thousand."""
    with pytest.raises(ValueError, match=r"^ambiguous: ") as fault:
        read_decimal(written)
    assert str(fault.value) == AMBIGUOUS


@pytest.mark.parametrize(
    "written",
    [
        *(
            "",
            "-",
            "kr 100",
            "1_000",
            "１２",
            "NaN",
            "Infinity",
            "-inf",
            "0x10",
            "1 25,00",
            "12 50",
            "1 250 00",
            "1.250.00",
        ),
        *("1,250,00", "1 250\u00a0000", "--1", "1-", "5.", "1,2,3", "1.2.3", "1e", "1e1234", "0 250,00", "x" * 100),
        *(True, None, [], {}),
    ],
)
def test_anything_else_is_not_a_number(written: Any) -> None:
    """Words, blanks in odd places and other scripts' digits are refused."""
    with pytest.raises(ValueError, match=NOT_A_NUMBER):
        read_decimal(written)


@pytest.mark.parametrize(
    "written",
    [
        *("1" * 21, "0." + "1" * 29, "1e20", "1e-29", "1" * 70, 10**20, 10**400),
        *(Decimal("1E+400"), Decimal("1E-100000"), Decimal("Infinity"), Decimal("0E-29"), Decimal("NaN")),
    ],
)
def test_a_number_no_ledger_holds_is_out_of_range(written: Any) -> None:
    """Twenty digits before the point and 28 after it are enough; float noise such as 0.30000000000000004 fits."""
    with pytest.raises(ValueError, match=r"^out of range: at most 20 digits"):
        read_decimal(written)


@pytest.mark.parametrize("written", [12, "12", " 12 ", Decimal("12.0"), "12,0", Decimal("1.2E+1")])
def test_a_whole_number_is_read(written: Any) -> None:
    """Whole numbers may come as text or with empty decimals."""
    assert read_integer(written) == 12


@pytest.mark.parametrize("written", ["12.5", Decimal("0.1")])
def test_a_fraction_is_not_a_whole_number(written: Any) -> None:
    """Nothing is rounded."""
    with pytest.raises(ValueError, match=NOT_WHOLE):
        read_integer(written)


def test_whole_numbers_have_64_bits() -> None:
    """The bounds themselves are taken; one more is not."""
    assert read_integer(2**63 - 1) == 2**63 - 1
    assert read_integer(str(-(2**63))) == -(2**63)
    for beyond in (2**63, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            read_integer(beyond)


@given(amount=AMOUNTS, blank=st.sampled_from([" ", "\u00a0", "\u202f", "\u2009"]))
def test_every_norwegian_amount_is_read_back(amount: Any, blank: Any) -> None:
    """Grouping blanks and a decimal comma lose nothing, with either minus."""
    norwegian = f"{amount:,.2f}".replace(",", blank).replace(".", ",")
    assert read_decimal(norwegian) == read_decimal(norwegian.replace("-", "\u2212")) == amount


@given(amount=AMOUNTS)
def test_both_separators_together_are_clear(amount: Any) -> None:
    """With thousands and decimals told apart, English and continental amounts are the same number."""
    english = f"{amount:,.2f}"
    assert read_decimal(english) == read_decimal(english.translate(str.maketrans(",.", ".,"))) == amount


@given(st.text(alphabet="0123456789.,-+eE \u00a0\u2212", max_size=14))
def test_no_text_makes_trouble(text: Any) -> None:
    """Any text is an exact, bounded number or is refused."""
    with contextlib.suppress(ValueError):
        assert abs(read_decimal(text)) < 10**20
