"""Shapes that hand a modern object on: what no page shows of it comes through as it is."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.mapping import ReadProfile

Load = Callable[..., ReadProfile]

SHAPE = """
[fields]
number = "text"
parts.kind = "text"
[[rule]]
from = "case.caseNumber"
to = "number"
transform = "text"
evidence = "assumed"
[[null]]
fields = ["parts"]
reason = "r"
evidence = "assumed"
[rest]
from = "case"
but = ["secretId"]
evidence = "assumed"
"""
SPOKEN_FOR = {"casenumber", "number", "parts", "secretid"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_what_is_left_over_follows_the_declared_fields(reading_of: Load) -> None:
    """Digit for digit and in its own order; what a rule reads, a field is called, or is left out does not."""
    case = {
        "zeta": Decimal("9007199254740993.01"),
        "caseNumber": 7,
        "alpha": {"b": [1, None]},
        "Number": "other",
        "PARTS": 1,
        "secretid": "s",
    }
    entry = reading_of(SHAPE).case.render({"case": case})

    assert entry == {
        "number": "7",
        "parts": {"kind": None},
        "zeta": Decimal("9007199254740993.01"),
        "alpha": {"b": [1, None]},
    }
    assert list(entry) == ["number", "parts", "zeta", "alpha"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.dictionaries(st.text() | st.sampled_from(["caseNumber", "Parts", "secretId"]), JSON))
def test_declared_fields_are_never_replaced(reading_of: Load, case: dict[str, Any]) -> None:
    """Whatever the modern system sends, everything else is there once, and the declared fields are the rules'."""
    render = _renderer(reading_of)
    entry = render({"case": case})

    assert entry["parts"] == {"kind": None}
    others = {name: value for name, value in case.items() if name.lower() not in SPOKEN_FOR}
    assert {name: value for name, value in entry.items() if name not in {"number", "parts"}} == others


def test_nothing_is_shared_with_the_source(reading_of: Load) -> None:
    """An entry may be changed without changing what was read."""
    case: dict[str, Any] = {"list": [1]}
    reading_of(SHAPE).case.render({"case": case})["list"].append(2)

    assert case == {"list": [1]}


def test_a_source_that_is_no_object_has_no_rest(reading_of: Load) -> None:
    """Then the declared fields are all there is."""
    for sources in ({}, {"case": None}, {"case": [1]}):
        assert reading_of(SHAPE).case.render(sources) == {"number": None, "parts": {"kind": None}}


def test_only_objects_of_the_modern_system_have_a_rest(reading_faults: Callable[..., list[str]]) -> None:
    """The cross-reference and the history are ours, and complete."""
    faults = reading_faults(SHAPE.replace('from = "case"\nbut', 'from = "claim"\nbut'))

    assert any('rest: "claim" has no rest to hand on; write case or invoice' in fault for fault in faults)


_RENDERERS: dict[str, Callable[..., dict[str, Any]]] = {}


def _renderer(reading_of: Load) -> Callable[..., dict[str, Any]]:
    """Compile the shape once for all examples of a property."""
    if not _RENDERERS:
        _RENDERERS["case"] = reading_of(SHAPE).case.render
    return _RENDERERS["case"]
