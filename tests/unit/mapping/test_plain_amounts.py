"""Translations know beforehand whether their amounts can be written without a search for exponents."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.mapping import ObjectMapping

AMOUNTS = """
[fields]
name = "text"
amount = "decimal"
"claims[].rest" = "decimal"

[[carry]]
fields = ["name", "amount", "claims[].rest"]
evidence = "assumed"
"""


@pytest.fixture
def amounts(mapping_of: Callable[..., ObjectMapping]) -> ObjectMapping:
    return mapping_of(AMOUNTS)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.decimals(), st.decimals(allow_nan=False, min_value=0, max_value=10**9, places=2))
def test_one_amount_that_is_not_written_plainly_is_enough(amounts: ObjectMapping, odd: Decimal, even: Decimal) -> None:
    """A translation is plain exactly when each of its amounts is written with digits, point and sign alone."""
    written = set(str(odd)) <= set("-.0123456789")

    assert amounts.translate({"amount": even, "claims": [{"rest": even}, {"rest": odd}]}).plain is written
    assert amounts.translate({"amount": odd, "claims": [{"rest": even}]}).plain is written


def test_texts_do_not_count(amounts: ObjectMapping) -> None:
    """A text that looks like an exponent leaves a translation plain."""
    assert amounts.translate({"name": "1E+3", "amount": Decimal("1.50")}).plain


@pytest.mark.parametrize(("default", "plain"), [("0.5", True), ("1e-9", False)])
def test_a_default_counts(mapping_of: Callable[..., ObjectMapping], default: str, plain: bool) -> None:
    """An amount that the mapping itself writes counts like one of the row."""
    mapping = mapping_of(
        '[fields]\nb = "decimal"\n[[rule]]\nfrom = "b"\nto = "a"\ndefault = ' + default + '\nevidence = "assumed"\n'
    )

    assert mapping.translate({}).plain is plain
