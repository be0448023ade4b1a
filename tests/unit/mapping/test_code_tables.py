"""Code tables: codes to values, and what happens to a code without a row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.batch import RowRefused
from bridge.mapping import ObjectMapping

FIELD = """
[fields]
a = "{}"
[[rule]]
from = "a"
to = "b"
evidence = "assumed"
transform = {{ name = "table", table = "t" }}
"""
ROWS = """
rows = [
  { code = "P", value = "PRIVATE", evidence = "assumed" },
  { code = 2, value = "TWO", evidence = "assumed" },
]
"""


@pytest.fixture
def look_up(mapping_of: Callable[..., ObjectMapping]) -> Callable[..., object]:
    """Return a function that sends one code through a table."""

    def run(code: object, table: str, field_type: str = "text") -> object:
        return mapping_of(FIELD.format(field_type) + f"[table.t]\n{table}").translate({"a": code}).item.get("b")

    return run


@pytest.mark.parametrize(
    ("code", "field_type", "value"), [("P", "text", "PRIVATE"), (" p ", "text", "PRIVATE"), (2, "integer", "TWO")]
)
def test_a_code_becomes_its_value(look_up: Callable[..., object], code: object, field_type: str, value: str) -> None:
    """Codes match in any letter case and however they are typed."""
    assert look_up(code, ROWS, field_type) == value


def test_a_boolean_is_a_code(look_up: Callable[..., object]) -> None:
    """The codes true and false can be looked up."""
    rows = """
    rows = [
      { code = true, value = "YES", evidence = "assumed" },
      { code = false, value = "NO", evidence = "assumed" },
    ]
    """

    assert look_up(False, rows, "boolean") == "NO"


def test_an_unmapped_code_is_refused_unless_the_table_says_otherwise(look_up: Callable[..., object]) -> None:
    """Rejecting is the default; the message quotes the code."""
    with pytest.raises(RowRefused, match=r"^a: code X is not a code this profile knows$"):
        look_up("X", ROWS)


def test_words_are_not_quoted_as_a_code(look_up: Callable[..., object]) -> None:
    """What does not look like a code may be somebody's words, and is not repeated."""
    with pytest.raises(RowRefused, match=r"^a: its code is not a code this profile knows$"):
        look_up("Kari Nordmann", ROWS)


def test_a_table_may_keep_unmapped_codes(look_up: Callable[..., object]) -> None:
    """With keep a code without a row passes as it is."""
    assert look_up("X", f'unmapped = "keep"\n{ROWS}') == "X"


def test_a_table_may_give_all_other_codes_one_value(look_up: Callable[..., object]) -> None:
    """With a value every code without a row becomes that value."""
    assert look_up("X", f'unmapped = {{ value = "OTHER" }}\n{ROWS}') == "OTHER"


def test_a_code_may_be_refused_in_words(look_up: Callable[..., object]) -> None:
    """A code that is known but cannot be carried over is refused with the file's own words."""
    rows = """
    rows = [
      { code = 4, refused = "no counterpart", evidence = "assumed" },
      { code = 1, value = "A", evidence = "assumed" },
    ]
    """

    with pytest.raises(RowRefused, match=r"^a: code 4 is refused: no counterpart$"):
        look_up(4, rows, "integer")
