from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.modern.requests import assemble, encode_item, fill_path, with_field


def decode_exactly(body: bytes) -> Any:
    return json.loads(body, parse_float=Decimal, parse_int=Decimal)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_an_amount_keeps_its_value_and_is_written_plainly(amount: Decimal) -> None:
    """Every amount reads back as the number it was, written without an exponent."""
    if abs(int(amount.as_tuple().exponent)) > 100:
        return
    body = encode_item({"amount": amount, "claims": [{"remainingAmount": amount}], "pair": (amount,)})
    read = decode_exactly(body)
    assert read["amount"] == read["claims"][0]["remainingAmount"] == read["pair"][0] == amount
    assert b"E" not in body


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("9007199254740993.01", b"9007199254740993.01"),
        ("1250.00", b"1250.00"),
        ("1E+3", b"1000"),
        ("-1.5E+3", b"-1500"),
        ("1E-7", b"0.0000001"),
        ("0E-10", b"0.0000000000"),
    ],
)
def test_an_amount_is_written_digit_for_digit(amount: str, written: bytes) -> None:
    """The digits that arrive are the digits that leave."""
    assert encode_item({"amount": Decimal(amount)}) == b'{"amount":' + written + b"}"


@pytest.mark.parametrize("amount", ["NaN", "-NaN", "sNaN", "Infinity", "-Infinity", "1E+999999", "1E-999999"])
def test_what_is_no_amount_is_never_encoded(amount: str) -> None:
    """NaN, infinity and exponents that would fill the memory with zeros raise, and the error shows no value."""
    with pytest.raises(ValueError, match="usual size") as raised:
        encode_item({"claims": [Decimal(amount)]})
    assert amount not in str(raised.value)


@given(st.dictionaries(st.text(), st.text() | st.booleans() | st.none() | st.lists(st.text()), max_size=4))
def test_everything_else_passes_unchanged(item: dict[str, Any]) -> None:
    """Texts that look like exotic numbers are left alone."""
    item |= {"note": ',1E+3 [NaN :-Infinity "', "list": [",2E5"]}
    assert json.loads(encode_item(item)) == item


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=3)), max_size=5))
def test_items_stand_in_their_array_in_order(items: list[dict[str, str]]) -> None:
    """The body of a call is its collection with every item, in order."""
    body = assemble("invoices", [encode_item(item) for item in items])
    assert json.loads(body) == {"invoices": items}


def test_an_item_without_a_collection_is_the_body() -> None:
    """A case action's item is sent as it is, and there is exactly one."""
    assert assemble("", [b'{"comment":"x"}']) == b'{"comment":"x"}'
    with pytest.raises(ValueError, match="one item"):
        assemble("", [b"{}", b"{}"])


def test_an_id_cannot_bend_a_path() -> None:
    """Ids are percent-encoded; one that is empty or a dot segment raises."""
    path = fill_path("/orgs/{organizationId}/cases/{caseId}/pause", organizationId="o", caseId="../a b?c#d")
    assert path == "/orgs/o/cases/..%2Fa%20b%3Fc%23d/pause"
    for wrong in ("", ".", ".."):
        with pytest.raises(ValueError, match="caseId"):
            fill_path("/cases/{caseId}", caseId=wrong)


@given(st.dictionaries(st.sampled_from(["amount", "note"]), st.integers() | st.text(max_size=3)), st.text(max_size=5))
def test_a_field_is_added_to_an_encoded_item(item: dict[str, Any], value: str) -> None:
    """An id that was found late joins the item without touching the rest of its bytes."""
    encoded = encode_item(item)
    completed = with_field(encoded, "invoiceId", value)
    assert json.loads(completed) == {"invoiceId": value} | item
    assert completed.endswith(encoded[1:])
