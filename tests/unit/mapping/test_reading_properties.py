"""What holds of every answer, whatever the modern system says: checked on the profiles that are shipped."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.mapping import ReadMapping, load_profiles
from bridge.mapping.reading import SOURCES
from bridge.shape import Field, FieldType

PROFILES = load_profiles(Path(__file__).parents[3] / "mappings")
MAPPINGS = {
    f"{profile.name}-{mapping.objectname}": mapping
    for profile in PROFILES.values()
    if profile.read is not None
    for mapping in profile.read.mappings
}
TYPES: dict[FieldType, tuple[type, ...]] = {
    FieldType.TEXT: (str,),
    FieldType.DECIMAL: (int, Decimal),
    FieldType.INTEGER: (int,),
    FieldType.BOOLEAN: (bool,),
    FieldType.DATE: (str,),
    FieldType.DATETIME: (str,),
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["OPEN", "PAUSED", "PAYMENT_REMINDER", "2026-02-15", "2026-02-15T09:30:00Z", "0001-01-01T00:00:00+14:00", "1,2"]
    )
)


NAMES = sorted(
    {step.name for mapping in MAPPINGS.values() for rule in mapping.rules for path in rule.sources for step in path}
)
"""Every name that a rule looks for in a source."""
names = st.sampled_from(NAMES)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)
sources = st.dictionaries(
    st.sampled_from(sorted(frozenset().union(*SOURCES.values()))),
    st.dictionaries(names, anything, max_size=8) | anything,
    max_size=4,
)


def _leaves(fields: tuple[Field, ...], entry: Any) -> Iterator[tuple[FieldType, Any]]:
    """Yield every value of an entry with the type of its field; fail where the entry has another shape."""
    assert list(entry) == [field.name for field in fields]
    for field in fields:
        values = entry[field.name] if field.many else [entry[field.name]]
        assert isinstance(values, list)
        for value in values:
            if field.type is None:
                yield from _leaves(field.fields, value)
            else:
                yield field.type, value


def _is_hollow(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_is_hollow, value.values()))) or value == []


def _check(mapping: ReadMapping, given_sources: dict[str, Any], language: str) -> None:
    entry = mapping.render(given_sources, language)
    assert mapping.document.rest is not None or list(entry) == list(mapping.fields)
    entry = {name: entry[name] for name in list(entry)[: len(mapping.fields)]}  # the rest is as it comes
    for kind, value in _leaves(mapping.shape.fields, entry):
        assert value is None or type(value) in TYPES[kind]
    for null in mapping.nulls:
        name, _, member = null.field.partition(".")
        found = entry[name.removesuffix("[]")]
        for each in found if isinstance(found, list) else [found]:
            assert _is_hollow(each[member] if member else each)
    assert msgspec.json.Encoder(decimal_format="number").encode(entry)


@settings(max_examples=150)
@given(given_sources=sources, language=st.sampled_from(["", "en", "xx"]))
def test_an_answer_has_its_shape_whatever_the_sources_hold(given_sources: dict[str, Any], language: str) -> None:
    """Any JSON gives every field in order, each of its type or null; nothing is raised, and what is null stays so."""
    for mapping in MAPPINGS.values():
        _check(mapping, given_sources, language)


AMOUNTS = st.integers(-(10**40), 10**40) | st.decimals(allow_nan=False, allow_infinity=False, places=2)


@given(original=AMOUNTS, paid=AMOUNTS, remaining=AMOUNTS)
def test_amounts_are_exact(original: Any, paid: Any, remaining: Any) -> None:
    """Amounts come out digit for digit, as the modern system wrote them."""
    invoice = {"originalAmount": original, "paidAmount": paid, "remainingAmount": remaining}
    entry = MAPPINGS["classic-case"].render({"case": {}, "invoice": invoice})
    found = (entry["originalsum"], entry["paidsum"], entry["remainingsum"])

    assert [repr(each) for each in found] == [repr(original), repr(paid), repr(remaining)]
