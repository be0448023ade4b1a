"""Examples beside the mappings: what they compare, and what they must exercise."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import RowRefused
from bridge.mapping import Profile, run_examples

INVOICE = """
[fields]
code = "text"
number = "text"
sum = "decimal"
vat = "boolean"
lost = "text"

[keys]
number = "number"

[reference]
target = "invoice"
into = "claim"
keys = { number = "number" }
evidence = "assumed"

[[rule]]
from = "code"
to = "type"
transform = { name = "table", table = "codes" }
default = "NONE"
evidence = "assumed"

[[carry]]
fields = ["sum", "vat"]
evidence = "assumed"

[[drop]]
fields = ["lost"]
reason = "r"
evidence = "assumed"

[table.codes]
rows = [
  { code = "A", value = "ALPHA", evidence = "assumed" },
  { code = "B", refused = "not B", evidence = "assumed" },
]
"""
TOP = 'creditor_field = "number"\nreply_reference = ["number"]'

FULL = """
[[example]]
name = "full"
row = { code = "a", number = "1", sum = 1.50, vat = true, lost = "x" }
[example.expect]
operation = "send"
item = { type = "ALPHA", sum = 1.5, vat = true }
keys = { number = "1" }
reference = { target = "invoice", into = "claim", keys = { number = "1" } }
creditor = "1"
reply_reference = "1"
not_carried = ["lost"]
"""
DEFAULT = """
[[example]]
name = "default"
row = { number = "1" }
expect = { operation = "send", item = { type = "NONE" } }
"""
REFUSED = """
[[example]]
name = "refused"
row = { number = "1", code = "B", lost = "x", sum = 1 }
refused = "not B"
"""
OTHER = '[[example]]\nname = "o"\nrow = { id = "1" }\nexpect = { operation = "send", item = {} }\n'
CREDITOR = '[[example]]\nname = "o"\nrow = { id = "1" }\nexpect = { not_carried = ["id"] }\n'


def read(objectname: str, row: dict[str, Any]) -> dict[str, Any] | RowRefused:
    """Read a row as the legacy room would: one way of refusing returns, the other raises."""
    if row.get("sum") == "return":
        return RowRefused("sum: not a number")
    if row.get("sum") == "raise":
        raise RowRefused("sum: not a number")
    return {name: Decimal(value) if name == "sum" else value for name, value in row.items()}


@pytest.fixture
def run(profile_of: Callable[..., Profile]) -> Callable[..., list[str]]:
    """Return a function that runs the invoice examples given, the other files being in order."""

    def examples(invoice: str | None, **others: str | None) -> list[str]:
        files: dict[str, str | None] = {
            "creditor_examples": CREDITOR,
            "payment_examples": OTHER,
            "action_examples": OTHER,
            "invoice_examples": invoice,
            **others,
        }
        return run_examples(profile_of(INVOICE, TOP, **files), read)

    return examples


def test_examples_that_hold_and_leave_nothing_out_pass(run: Callable[..., list[str]]) -> None:
    """No fault is told when every example holds and everything is exercised."""
    assert run(FULL + DEFAULT + REFUSED) == []


@pytest.mark.parametrize(
    ("left_out", "parts"),
    [
        (FULL, ['carry "sum"', 'carry "vat"', 'rule to "type"', 'table "codes" code "a"', 'drop "lost"']),
        (DEFAULT, ['rule to "type", its default']),
        (REFUSED, ['table "codes" code "b"']),
    ],
)
def test_what_no_example_exercises_is_told(run: Callable[..., list[str]], left_out: str, parts: list[str]) -> None:
    """Every rule, default, code row and drop needs an example; a refused row proves only what refused it."""
    faults = run((FULL + DEFAULT + REFUSED).replace(left_out, ""))

    assert sorted(faults) == sorted(
        f"small/invoice.toml: {part} is exercised by no example; add one to invoice.examples.toml" for part in parts
    )


def test_an_operation_needs_an_example(run: Callable[..., list[str]]) -> None:
    """With refused examples alone, no operation is exercised."""
    assert 'small/invoice.toml: operation "send" is exercised by no example; add one to invoice.examples.toml' in run(
        REFUSED
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"ALPHA"', '"BETA"', 'item.type should be "BETA", is "ALPHA"'),
        ("sum = 1.5,", "", 'item.sum should be absent, is "1.50"'),
        ("vat = true }\nkeys", "vat = 1 }\nkeys", "item.vat should be 1, is true"),
        ("item = { type", "item = { more = 1, type", "item.more should be 1, is absent"),
        ('operation = "send"', 'operation = "other"', 'operation should be "other", is "send"'),
        ('keys = { number = "1" }\nref', 'keys = { number = "2" }\nref', 'keys[0][1] should be "2", is "1"'),
        ('keys = { number = "1" } }', 'keys = { number = "2" } }', 'reference.keys.number should be "2", is "1"'),
        ('creditor = "1"', 'creditor = "2"', 'creditor should be "2", is "1"'),
        ('reply_reference = "1"', 'reply_reference = "2"', 'reply_reference should be "2", is "1"'),
        ('not_carried = ["lost"]', "not_carried = []", 'not_carried should be [], is ["lost"]'),
        ("item = { type", "keys_ = { type", ""),
        ('operation = "send"\n', "", "give expect.operation and expect.item, the whole of it"),
        ("sum = 1.50", 'sum = "return"', "is refused with: sum: not a number"),
        ("sum = 1.50", 'sum = "raise"', "is refused with: sum: not a number"),
        ('code = "a"', 'code = "b"', "is refused with: code: code b is refused: not B"),
    ],
)
def test_a_wrong_example_is_told(run: Callable[..., list[str]], old: str, new: str, fault: str) -> None:
    """An example that comes out differently is told by file, name and place."""
    assert old in FULL

    faults = run(FULL.replace(old, new) + DEFAULT + REFUSED)

    if fault:
        assert f'small/invoice.examples.toml: example "full": {fault}' in faults
    else:
        place = "small/invoice.examples.toml: example[0].expect.keys_"
        assert faults == [f"{place}: unknown; did you mean keys?"]


def test_a_row_that_should_be_refused_and_is_not_is_told(run: Callable[..., list[str]]) -> None:
    """An example of a refusal that is translated after all is told."""
    faults = run(FULL + DEFAULT + REFUSED + REFUSED.replace('"B"', '"A"').replace('"refused"', '"again"'))

    assert faults == ['small/invoice.examples.toml: example "again": is translated, but should be refused with: not B']


def test_a_row_refused_in_other_words_is_told(run: Callable[..., list[str]]) -> None:
    """The words of a refusal must be among those that come."""
    faults = run(FULL + DEFAULT + REFUSED + REFUSED.replace('"not B"', '"not C"').replace('"refused"', '"again"'))

    assert faults == ['small/invoice.examples.toml: example "again": is refused with: code: code B is refused: not B']


def test_an_expected_reference_that_is_not_there_is_told(run: Callable[..., list[str]]) -> None:
    """A row without reference does not pass for one with."""
    expecting = OTHER.replace("item = {} }", 'item = {}, reference = { target = "case" } }')

    faults = run(FULL + DEFAULT + REFUSED, action_examples=expecting)

    assert faults[0].startswith('small/action.examples.toml: example "o": reference should be {')
    assert faults[0].endswith("is absent")


def test_a_row_that_is_not_sent_is_refused_for_what_it_lacks(profile_of: Callable[..., Profile]) -> None:
    """A creditor row is refused without a required field, though it has no operation."""
    creditor = (
        'objectname = "creditor"\nevidence = "assumed"\nfields = { id = "text" }\ncreditor_field = "id"\n'
        'require = [{ fields = ["id"], evidence = "assumed" }]\n'
    )
    examples = {f"{name}_examples": OTHER for name in ("invoice", "payment", "action")}
    example = '[[example]]\nname = "o"\nrow = { x = "1" }\nrefused = "id: required"\n'

    assert run_examples(profile_of(creditor=creditor, creditor_examples=example, **examples), read)[:-3] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "is missing; write an example for every rule"),
        ("[[example", "cannot be read: "),
        ('[[example]]\nname = "x"\nrow = {}\n', "example[0]: give either expect or refused"),
    ],
)
def test_a_file_of_examples_that_cannot_be_used_is_told(
    run: Callable[..., list[str]], text: str | None, fault: str
) -> None:
    """A missing, unreadable or ill-formed file is told instead of each part it leaves out."""
    faults = run(text)

    assert len(faults) == 1
    assert faults[0].startswith(f"small/invoice.examples.toml: {fault}")


def test_examples_may_be_json(profile_of: Callable[..., Profile], write_profile: Callable[..., Path]) -> None:
    """A JSON file does as well, its numbers exact."""
    from bridge.mapping import load_profile

    others = {"creditor_examples": CREDITOR, "payment_examples": OTHER, "action_examples": OTHER}
    folder = write_profile('[fields]\nsum = "decimal"\n[[carry]]\nfields = ["sum"]\nevidence = "assumed"\n', **others)
    expected = '{"operation": "send", "item": {"sum": 9007199254740993.01}}'
    text = f'{{"example": [{{"name": "x", "row": {{"sum": "9007199254740993.01"}}, "expect": {expected}}}]}}'
    (folder / "invoice.examples.json").write_text(text, encoding="utf-8")

    assert [fault for fault in run_examples(load_profile(folder), read) if "invoice" in fault] == []
