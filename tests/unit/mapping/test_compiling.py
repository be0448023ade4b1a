"""What compiled rules do with a row: paths, arrays, constants, defaults, faults."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.batch import RowRefused
from bridge.mapping import ObjectMapping

NESTED = """
[fields]
name = "text"
amount = "decimal"
"people[].first" = "text"
"people[].mails[].value" = "text"
"people[].tags[]" = "text"

[[carry]]
fields = ["name", "amount", "people[].first", "people[].mails[].value", "people[].tags[]"]
evidence = "assumed"
"""

texts = st.text(min_size=1, max_size=3)
people = st.fixed_dictionaries(
    {},
    optional={
        "first": texts,
        "mails": st.lists(st.fixed_dictionaries({}, optional={"value": texts})),
        "tags": st.lists(texts),
    },
)
rows = st.fixed_dictionaries(
    {}, optional={"name": texts, "amount": st.decimals(allow_nan=False), "people": st.lists(people, max_size=3)}
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_carried_fields_arrive_as_they_were(nested: ObjectMapping, row: dict[str, Any]) -> None:
    """A mapping that carries every field gives an equal item that shares no list or object with the row."""
    before = copy.deepcopy(row)

    item = nested.translate(row).item

    assert item == row == before
    assert not {id(part) for part in _containers(item)} & {id(part) for part in _containers(row)}


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> ObjectMapping:
    """A mapping that carries nested arrays, loaded once."""
    import tomllib

    from bridge.mapping.document import ObjectDocument
    from bridge.mapping.objects import build_mapping
    from bridge.mapping.rules import Surroundings, resolve_rules

    head = 'objectname = "invoice"\nevidence = "assumed"\n'
    tail = '\n[[operation]]\nname = "send"\npath = "/things"\nevidence = "assumed"\n'
    document = ObjectDocument.model_validate(tomllib.loads(head + NESTED + tail))
    resolved, _ = resolve_rules(Surroundings(document, {}, None, frozenset({"send"})))
    return build_mapping(document, resolved, {}, "test")


def _rule(**keys: str) -> str:
    return "\n".join(
        ["[[rule]]", *(f"{key.strip('_')} = {value}" for key, value in keys.items()), 'evidence = "assumed"', ""]
    )


def test_a_value_moves_to_another_path(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A rule writes into objects and numbered array elements; absent elements leave no hole."""
    mapping = mapping_of(
        '[fields]\na = "text"\nb = "text"\n'
        + _rule(from_='"a"', to='"x.y.z"')
        + _rule(from_='"b"', to='"list[1].v"')
        + _rule(from_='"a"', to='"list[0].v"')
    )

    assert mapping.translate({"a": "1", "b": "2"}).item == {"x": {"y": {"z": "1"}}, "list": [{"v": "1"}, {"v": "2"}]}
    assert mapping.translate({"b": "2"}).item == {"list": [{"v": "2"}]}
    assert mapping.translate({}).item == {}


def test_fields_of_nested_objects_are_read(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A path leads through objects, and a missing object is a missing value."""
    mapping = mapping_of('[fields.contact]\nmail = "text"\n' + _rule(from_='"contact.mail"', to='"mail"'))

    assert mapping.translate({"contact": {"mail": "x"}}).item == {"mail": "x"}
    assert mapping.translate({}).item == {}


def test_an_array_of_values_becomes_an_array_of_objects(mapping_of: Callable[..., ObjectMapping]) -> None:
    """Elements move with their array, also into a numbered element and out of objects."""
    mapping = mapping_of(
        '[fields]\n"mails[]" = "text"\n"tags[].name" = "text"\n'
        + _rule(from_='"mails[]"', to='"people[0].mails[].value"')
        + _rule(from_='"tags[].name"', to='"tags[]"')
    )

    assert mapping.translate({"mails": ["a", "b"], "tags": [{"name": "t"}, {}]}).item == {
        "people": [{"mails": [{"value": "a"}, {"value": "b"}]}],
        "tags": ["t"],
    }


def test_what_lies_outside_an_array_goes_into_each_element(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A field of the row and a constant are written into every element another rule makes."""
    mapping = mapping_of(
        '[fields]\nowner = "text"\n"parts[].sum" = "decimal"\n'
        + _rule(from_='"parts[].sum"', to='"claims[].sum"')
        + _rule(from_='"owner"', to='"claims[].owner"')
        + _rule(to='"claims[].type"', constant='"MAIN"')
    )

    assert mapping.translate({"owner": "o", "parts": [{"sum": Decimal(1)}, {}]}).item == {
        "claims": [{"sum": Decimal(1), "owner": "o", "type": "MAIN"}, {"owner": "o", "type": "MAIN"}]
    }
    assert mapping.translate({"owner": "o"}).item == {}


def test_constants_alone_make_no_object(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A nested object that would hold nothing but constants and defaults is left out; the item itself is not."""
    mapping = mapping_of(
        '[fields]\ncity = "text"\ncountry = "text"\n'
        + _rule(from_='"city"', to='"address.city"')
        + _rule(to='"address.kind"', constant='"HOME"')
        + _rule(from_='"country"', to='"address.country"', default='"NO"')
        + _rule(to='"rate"', constant="1.25")
    )

    assert mapping.translate({}).item == {"rate": Decimal("1.25")}
    assert mapping.translate({"city": "Oslo"}).item["address"] == {"city": "Oslo", "kind": "HOME", "country": "NO"}
    assert mapping.translate({"country": "SE"}).item["address"] == {"country": "SE", "kind": "HOME"}


def test_a_default_stands_in_for_a_transform_that_gives_nothing(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A default is used when the field is absent, and when nothing is left of it."""
    mapping = mapping_of('[fields]\na = "text"\n' + _rule(from_='"a"', to='"b"', transform='"digits"', default='"0"'))

    assert [mapping.translate(row).item["b"] for row in ({}, {"a": "x"}, {"a": "1"})] == ["0", "0", "1"]


def test_the_first_source_that_is_there_is_taken(mapping_of: Callable[..., ObjectMapping]) -> None:
    """first-of takes the sources in the order they are written."""
    mapping = mapping_of(
        '[fields]\na = "text"\nb = "text"\nc = "text"\n'
        + _rule(from_='["a", "b", "c"]', to='"x"', transform='["first-of", "upper"]')
    )

    assert [mapping.translate(row).item for row in ({"a": "a", "b": "b"}, {"c": "c"}, {})] == [
        {"x": "A"},
        {"x": "C"},
        {},
    ]


def test_texts_are_joined(mapping_of: Callable[..., ObjectMapping]) -> None:
    """join leaves absent sources out, and writes numbers as they are."""
    mapping = mapping_of(
        '[fields]\na = "text"\nb = "decimal"\n'
        + _rule(from_='["a", "b"]', to='"x"', transform='{ name = "join", separator = "/" }')
    )

    assert [mapping.translate(row).item for row in ({"a": "a", "b": Decimal("1.50")}, {"a": "a"}, {})] == [
        {"x": "a/1.50"},
        {"x": "a"},
        {},
    ]


def test_all_faults_of_a_row_are_told_once(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A row is refused with every fault it has, elements by their number, each fault once."""
    mapping = mapping_of(
        '[fields]\nid = "text"\nphone = "text"\ncontact.mail = "text"\n'
        '"people[].born" = "text"\n"people[].name" = "text"\n'
        '[[require]]\nfields = ["id", "people[].name", "contact.mail"]\nevidence = "assumed"\n'
        + _rule(from_='"id"', to='"id"', required="true")
        + _rule(from_='"people[].name"', to='"people[].name"')
        + _rule(from_='"people[].born"', to='"people[].born"', transform='"date"', required="true")
        + _rule(from_='"phone"', to='"phone"', transform='{ name = "phone" }', required="true")
        + _rule(from_='"contact.mail"', to='"mail"')
    )

    with pytest.raises(RowRefused) as caught:
        mapping.translate(
            {"phone": "x", "people": [{"born": "2000-01-01", "name": "n"}, {"born": "?"}, {}], "contact": {}}
        )

    assert sorted(caught.value.faults) == sorted(
        {
            "id: required",
            "people[1].name: required",
            "people[2].name: required",
            "contact.mail: required",
            "people[1].born: expected a date such as 2024-02-15, or a date-time such as 2024-02-15T09:30:00",
            "people[2].born: required",
            "phone: expected a phone number, with country code unless it is one of NO",
        }
    )
    assert str(caught.value).count("id: required") == 1


def test_a_required_value_must_survive_its_transform(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A required rule refuses the row when nothing is left of its value."""
    mapping = mapping_of('[fields]\na = "text"\n' + _rule(from_='"a"', to='"b"', transform='"digits"', required="true"))

    with pytest.raises(RowRefused, match=r"^a: required$"):
        mapping.translate({"a": "none"})


def test_transforms_that_change_nothing_cost_nothing(mapping_of: Callable[..., ObjectMapping]) -> None:
    """A transform whose result the field's type guarantees is left out; a cheap one is written in place."""
    mapping = mapping_of(
        '[fields]\na = "decimal"\nb = "date"\nc = "text"\n'
        + _rule(from_='"a"', to='"a"', transform='"decimal"')
        + _rule(from_='"b"', to='"b"', transform='["date", "text"]')
        + _rule(from_='"c"', to='"c"', transform='"upper"')
    )

    assert "try" not in mapping.source
    assert "v.upper()" in mapping.source
    assert mapping.source.count("v = ") == 1


def test_the_source_is_python_an_operator_can_read(nested: ObjectMapping) -> None:
    """The compiled source is there to be looked at, also by a traceback."""
    import linecache

    compile(nested.source, "source", "exec")

    assert nested.source.startswith("# send\ndef translate(row):")
    assert linecache.getline("<mapping test: send>", 1) == "def translate(row):\n"
