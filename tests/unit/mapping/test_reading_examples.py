"""Examples beside the files of a `read/` folder: what they compare, and what they must exercise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.mapping import load_profile
from bridge.mapping.reading_examples import run_read_examples

CASE = """
[fields]
a = "text"
b = "decimal"
o.c = "text"
"l[].d" = "text"
[[carry]]
from = "case"
fields = ["a"]
transform = { name = "words", of = "codes" }
evidence = "assumed"
[[rule]]
from = "case.b"
to = "b"
default = 0
evidence = "assumed"
[[rule]]
from = "case.c"
to = "o.c"
transform = { name = "table", table = "t" }
evidence = "assumed"
[[rule]]
from = "case.l[].d"
to = "l[].d"
evidence = "assumed"
[table.t]
rows = [{ code = "X", value = "x", evidence = "assumed" }]
[texts.no.codes]
A = "ja"
[texts.en.codes]
A = "yes"
"""
FULL = """
[[example]]
name = "full"
language = "en"
closed = true
sources.case = { a = "a", b = 1.50, c = "X", l = [{ d = "d" }, {}], status = "DONE", closedAt = "2026-01-01" }
expect = { a = "yes", b = 1.5, o.c = "x", l = [{ d = "d" }, {}] }
[[example]]
name = "the default"
sources = {}
expect = { b = 0 }
"""
NOTHING = '[[example]]\nname = "none"\nsources = {}\nexpect = { id = { } }\n'


@pytest.fixture
def run(write_reading: Callable[..., Path]) -> Callable[..., list[str]]:
    """Return a function that runs the case examples given, and tells what was found of them."""

    def judge(examples: str | None) -> list[str]:
        files = {} if examples is None else {"case_examples": examples}
        folder = write_reading(CASE, creditor_examples=NOTHING, settlement_examples=NOTHING, **files)
        faults = run_read_examples(load_profile(folder))
        assert all(fault.startswith("small/read/case.") for fault in faults)
        return [fault.removeprefix("small/read/case.") for fault in faults]

    return judge


def test_examples_that_hold_and_exercise_everything(run: Callable[..., list[str]]) -> None:
    """What an example leaves out must be null; everything named is exercised."""
    assert run(FULL) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ('"yes"', '"no"', 'example "full": entry.a should be "no", is "yes"'),
        ("b = 1.5,", "b = 1.51,", 'example "full": entry.b should be "1.51", is "1.50"'),
        ("o.c", "o.e", 'example "full": entry.o.e should be "x", is absent'),
        (", {}], status", "], status", 'example "full": entry.l should be'),
        ('{ d = "d" }, {}] }', '{ d = "d" }, { d = "e" }] }', 'example "full": entry.l[1].d should be "e", is absent'),
        ("closed = true", "closed = false", 'example "full": closed should be false, is true'),
        ("expect = { b = 0 }", "expect = { a = 1 }", 'example "the default": entry.a should be 1, is absent'),
        ("sources = {}", "sources.cse = {}", 'example "the default": there is no source cse; it has case, claim,'),
    ],
)
def test_what_an_example_finds_wrong(run: Callable[..., list[str]], before: str, after: str, fault: str) -> None:
    """An entry that differs is told with the place, and what was expected there."""
    assert before in FULL

    assert any(found.startswith(f"examples.toml: {fault}") for found in run(FULL.replace(before, after)))


def test_everything_needs_an_example(run: Callable[..., list[str]]) -> None:
    """Rules, defaults, code rows, texts and what is closed are named where no example exercises them."""
    found = run('[[example]]\nname = "one"\nsources.case = { b = 1 }\nexpect = { b = 1 }\n')
    parts = [
        'closed "done"',
        'closed "closedAt"',
        'carry "a"',
        'rule to "b", its default',
        'rule to "o.c"',
        'rule to "l[].d"',
        'table "t" code "x"',
        'table "texts.codes" code "a"',
    ]

    assert found == [f"toml: {part} is exercised by no example; add one to read/case.examples.toml" for part in parts]


def test_an_example_that_fails_proves_nothing(run: Callable[..., list[str]]) -> None:
    """What only a failing example exercises is still named."""
    assert any('carry "a" is exercised by no example' in found for found in run(FULL.replace('"yes"', '"no"')))


@pytest.mark.parametrize(
    ("examples", "fault"),
    [
        (None, "is missing; write an example for every rule"),
        ("x = 1", "x: unknown; known here: example"),
        ("x = ", "cannot be read: "),
    ],
)
def test_files_that_cannot_be_used(run: Callable[..., list[str]], examples: str | None, fault: str) -> None:
    """A missing or broken file is told by name."""
    assert any(found.startswith(f"examples.toml: {fault}") for found in run(examples))


def test_a_profile_that_answers_no_reads_needs_none(write_profile: Callable[..., Path]) -> None:
    """Without a read/ folder there is nothing to prove."""
    assert run_read_examples(load_profile(write_profile())) == []
