"""A mapping against the models of what is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from bridge.mapping import Profile, check_targets


class Colour(StrEnum):
    RED = "RED"


class Part(BaseModel):
    kind: Literal["MAIN", "SIDE"]
    sum: Decimal | None = None


class Thing(BaseModel):
    number: str
    amount: Decimal
    count: int | None = None
    vat: bool | None = None
    born: date | None = None
    due: datetime | None = None
    colour: Colour | None = None
    parts: tuple[Part, ...] | None = None
    first: Part | None = None
    tags: list[str] | None = None
    free: Any = None


FIELDS = """
[fields]
t = "text"
n = "decimal"
i = "integer"
b = "boolean"
d = "date"
w = "datetime"
"lines[].s" = "decimal"
"lines[].k" = "text"
"""
DROP = '[[drop]]\nfields = [{}]\nreason = "r"\nevidence = "assumed"\n'
REQUIRE = '[[require]]\nfields = ["t", "n"]\nevidence = "assumed"\n'


def _rules(*rules: str) -> str:
    return "".join(f'[[rule]]\n{rule}\nevidence = "assumed"\n' for rule in rules)


NUMBER = 'from = "t"\nto = "number"'
AMOUNT = 'from = "n"\nto = "amount"'


@pytest.fixture
def check(profile_of: Callable[..., Profile]) -> Callable[..., list[str]]:
    """Return a function that checks rules against `Thing`; fields no rule uses are dropped."""

    def run(*rules: str, rest: str = REQUIRE, schema: dict[str, Any] | None = None) -> list[str]:
        text = _rules(*rules)
        fields = ["t", "n", "i", "b", "d", "w", "lines[].s", "lines[].k"]
        unused = [f'"{name}"' for name in fields if f'"{name}"' not in text + rest.replace(REQUIRE, "")]
        invoice = FIELDS + text + (DROP.format(", ".join(unused)) if unused else "") + rest
        profile = profile_of(invoice, payment=PAY, action=PAY.replace("payment", "action"))
        schemas = {"send": schema or Thing.model_json_schema(), "noop": {"properties": {}}}
        return [fault.replace(" (operation send)", "") for fault in check_targets(profile, schemas)]

    return run


PAY = """
objectname = "payment"
evidence = "assumed"
fields = { a = "text" }
drop = [{ fields = ["a"], reason = "r", evidence = "assumed" }]
operation = [{ name = "noop", path = "/x", evidence = "assumed" }]
"""


MAIN = 'constant = "MAIN"'


@pytest.mark.parametrize(
    "rules",
    [
        ['from = "i"\nto = "count"'],
        ['from = "b"\nto = "vat"'],
        ['from = "d"\nto = "born"'],
        ['from = "w"\nto = "born"\ntransform = "date"'],
        ['from = "w"\nto = "due"\ntransform = "date-time"'],
        ['from = "w"\nto = "free"'],
        ['from = "lines[].s"\nto = "parts[].sum"', 'to = "parts[].kind"\nconstant = "SIDE"'],
        ['from = "n"\nto = "parts[0].sum"', f'to = "parts[0].kind"\n{MAIN}'],
        ['from = "i"\nto = "first.sum"', f'to = "first.kind"\n{MAIN}'],
        ['from = "lines[].k"\nto = "tags[]"'],
        ['to = "colour"\nconstant = "RED"'],
    ],
)
def test_a_rule_that_fits_passes(check: Callable[..., list[str]], rules: list[str]) -> None:
    """A target that exists and takes the rule's type is no fault."""
    assert check(NUMBER, AMOUNT, *rules) == []


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ('from = "i"\nto = "cuont"', 'there is no target "cuont"; correct the path or drop the field'),
        ('from = "n"\nto = "first.sun"', 'there is no target "first.sun"'),
        ('from = "t"\nto = "amount"', 'the target "amount" takes number, not text; apply the transform "decimal"'),
        ('from = "n"\nto = "number"', 'the target "number" takes string, not decimal; apply a transform that gives'),
        ('from = "n"\nto = "count"', 'the target "count" takes integer, not decimal; correct'),
        ('from = "t"\nto = "vat"', 'the target "vat" takes boolean, not text'),
        ('from = "w"\nto = "due"', 'the target "due" takes date-time, not datetime; apply the transform "date-time"'),
        ('from = "w"\nto = "born"', 'the target "born" takes date, not datetime; apply the transform "date"'),
        ('from = "t"\nto = "parts"', 'the target "parts" takes array, not text'),
        ('from = "t"\nto = "number[0]"', 'the target "number" is not an array; remove the brackets'),
        ('from = "t"\nto = "number.x"', 'the target "number" is not an object; end the path there'),
        ('to = "colour"\nconstant = "BLUE"', 'the target "colour" does not take "BLUE", only RED'),
        ('from = "lines[].k"\nto = "parts[].kind"', 'the target "parts[].kind" is required; add required = true'),
    ],
)
def test_a_rule_that_does_not_fit_is_told(check: Callable[..., list[str]], rule: str, fault: str) -> None:
    """A target that is not there or takes another type or value is told with its remedy."""
    target = rule.split('to = "')[1].split('"', maxsplit=1)[0]
    others = [known for known in (NUMBER, AMOUNT) if not target.startswith(known.split('to = "')[1].rstrip('"'))]

    assert any(line.startswith(f'small/invoice.toml: rule to "{target}": {fault}') for line in check(*others, rule))


def test_a_constant_must_be_one_the_target_takes(check: Callable[..., list[str]]) -> None:
    """A constant outside a closed list of values is told."""
    faults = check(NUMBER, AMOUNT, 'from = "n"\nto = "first.sum"', 'to = "first.kind"\nconstant = "BIG"')

    assert faults == [
        'small/invoice.toml: rule to "first.kind": the target "first.kind" does not take "BIG", only MAIN, SIDE'
    ]


def test_a_required_target_that_nothing_writes_is_told(check: Callable[..., list[str]]) -> None:
    """An object that is written must be written whole."""
    assert check(NUMBER, AMOUNT, 'from = "n"\nto = "first.sum"') == [
        'small/invoice.toml: the target "first.kind" is required and nothing writes it; add a rule or a constant'
    ]


def test_values_of_a_code_table_are_checked(check: Callable[..., list[str]]) -> None:
    """Every value a table can give, its fallback and the default included, must be one the target takes."""
    table = 'unmapped = { value = "GREEN" }\nrows = [{ code = 1, value = "RED", evidence = "assumed" }]'
    rule = 'from = "i"\nto = "colour"\ntransform = { name = "table", table = "c" }\ndefault = "BLUE"'

    faults = check(NUMBER, AMOUNT, rule, rest=f"{REQUIRE}[table.c]\n{table}")

    assert [line.partition("does not take ")[2] for line in faults] == ['"BLUE", only RED', '"GREEN", only RED']


def test_a_target_that_must_be_there_needs_a_sure_source(check: Callable[..., list[str]]) -> None:
    """A required target needs a required field, a required rule, a constant or a default."""
    remedy = "is required; add required = true, a [[require]] or a default"

    assert sorted(check(NUMBER, AMOUNT, rest="")) == [
        f'small/invoice.toml: rule to "amount": the target "amount" {remedy}',
        f'small/invoice.toml: rule to "number": the target "number" {remedy}',
    ]
    assert check(f"{NUMBER}\nrequired = true", f"{AMOUNT}\ndefault = 1", rest="") == []


def test_what_the_bridge_fills_need_not_be_written(check: Callable[..., list[str]]) -> None:
    """The unique id and the resolved reference satisfy required targets; they must exist."""
    operation = (
        '[[operation]]\nname = "send"\npath = "/x"\nunique_id = "uid"\ndistinct = ["number", "gone"]\n'
        'evidence = "assumed"\n[reference]\ntarget = "invoice"\nid = "t"\ninto = "number"\nevidence = "assumed"\n'
    )

    assert check(AMOUNT, rest=operation + REQUIRE) == [
        'small/invoice.toml: unique_id: there is no target "uid"',
        'small/invoice.toml: distinct: "gone" is not a target that is written',
    ]


def test_a_unique_id_that_is_required_is_filled_by_the_bridge(check: Callable[..., list[str]]) -> None:
    """No rule need write the unique id of an operation, as the bridge gives every row one."""
    operation = '[[operation]]\nname = "send"\npath = "/x"\nunique_id = "number"\nevidence = "assumed"\n'

    assert check(AMOUNT, rest=operation + REQUIRE) == []


def test_an_operation_without_schema_is_told(
    check: Callable[..., list[str]], profile_of: Callable[..., Profile]
) -> None:
    """An operation the bridge cannot send is told, with those it can."""
    faults = check_targets(profile_of(), {"noop": {}})

    assert faults[0] == 'small/invoice.toml: operation "send" is not one the bridge can send; it knows noop'


def test_schemas_are_read_however_they_are_put_together(check: Callable[..., list[str]]) -> None:
    """References, alternatives and nested definitions lead to the same answer."""
    schema = {
        "$ref": "#/$defs/Outer",
        "$defs": {
            "Outer": {"allOf": [{"type": "object", "properties": {"number": {"$ref": "#/$defs/Text"}}}]},
            "Text": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        },
    }

    assert check(NUMBER, schema=schema, rest="") == []
