"""Faults in the form of a mapping file: in our words, under the key as it stands in the file."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from bridge.mapping.document import ObjectDocument, ProfileDocument
from bridge.mapping.examples import ExamplesDocument
from bridge.mapping.reading import ReadDocument
from bridge.mapping.reading_examples import ReadExamplesDocument
from bridge.mapping.reply import ReplyDocument
from bridge.mapping.wording import describe_faults

AUTOCOLLECT = Path(__file__).resolve().parents[3] / "mappings" / "autocollect"
FILES: list[tuple[str, type[BaseModel]]] = [
    ("profile.toml", ProfileDocument),
    ("reply.toml", ReplyDocument),
    ("invoice.toml", ObjectDocument),
    ("action.toml", ObjectDocument),
    ("action.examples.toml", ExamplesDocument),
    ("read/case.toml", ReadDocument),
    ("read/settlement.examples.toml", ReadExamplesDocument),
]
JUNK: list[Any] = [True, 7, Decimal("7.5"), "", "jünk", [], [[1]], {}, {"jünk": 1}]
FOREIGN = ("Value error", "Input ", "Extra inputs", "Field required", "should ", "valid ", "Unable to")
"""How pydantic says it."""


def complain(model: type[BaseModel], document: Any) -> list[str]:
    try:
        model.model_validate(document)
    except ValidationError as error:
        return [str(fault) for fault in describe_faults(error, model, document)]
    return []


def spoil(document: Any) -> Iterator[Any]:
    """Yield copies of a document in which one value is something else, or has a key too many."""
    for place in walk(document, ()):
        for junk in JUNK:
            spoilt = copy.deepcopy(document)
            here = spoilt
            for step in place[:-1]:
                here = here[step]
            here[place[-1]] = junk
            yield spoilt


def walk(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Yield every place of a document; of a list the first entry stands for all."""
    if place:
        yield place
    steps = list(value) if isinstance(value, dict) else range(min(1, len(value))) if isinstance(value, list) else ()
    for step in steps:
        yield from walk(value[step], (*place, step))


@pytest.mark.parametrize(("name", "model"), FILES)
def test_whatever_stands_in_a_file_is_told_in_our_words(name: str, model: type[BaseModel]) -> None:
    """Each value of our own files is replaced by every kind of thing: no fault is worded by pydantic."""
    document = tomllib.loads((AUTOCOLLECT / name).read_text(encoding="utf-8"), parse_float=Decimal)
    assert complain(model, document) == []
    faults = {fault for spoilt in spoil(document) for fault in complain(model, spoilt)}
    assert faults
    assert [fault for fault in faults for word in FOREIGN if word in fault] == []
    assert [fault for fault in faults if fault.endswith(": ")] == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("transform = [3]", "rule[0].transform[0]: must be a table"),
        ('transform = [{ part = "e164" }]', "rule[0].transform[0]: must be a table with 'name', or a name"),
        (
            'transform = [{ name = "phone", part = "x" }]',
            "rule[0].transform[0].part: must be 'country-code', 'e164', 'national' or 'region'",
        ),
        ('transform = [{ name = "phone", prt = "e164" }]', "rule[0].transform[0].prt: unknown; did you mean part?"),
        (
            'transform = [{ name = "phone", speed = 1 }]',
            "rule[0].transform[0].speed: unknown; known here: name, part, region, unreadable",
        ),
        (
            "default = [1]",
            "rule[0].default: must be true or false, or a whole number, without quotes, or text in quotes, or a number",
        ),
        ("[table.t]\nrows = []", "table.t.rows: must list at least 1"),
        ("[table.t]\nrows = [{ code = 1, value = 2 }]", "table.t.rows[0].evidence: is missing; add it"),
        ("[table.t]\nrow = []", "table.t.row: unknown; did you mean rows?"),
        ("[table.t]\nunmapped = { valu = 1 }", "table.t.unmapped.valu: unknown; did you mean value?"),
        ('[fields]\nb.c = "txt"', "fields.b.c: must be 'text', 'decimal', "),
    ],
)
def test_a_fault_is_told_where_it_stands(text: str, fault: str) -> None:
    """Under the key as it is written, without pydantic's names for kinds; known keys are those of that table."""
    rule = '[[rule]]\nfrom = "a"\nto = "b"\nevidence = "assumed"\n'
    document = tomllib.loads(f'objectname = "invoice"\nevidence = "assumed"\n{rule}{text}')
    assert any(said.startswith(fault) for said in complain(ObjectDocument, document)), complain(
        ObjectDocument, document
    )


def test_a_list_with_a_faulty_entry_is_not_called_empty() -> None:
    """Only the entry is told."""
    document = {"objectname": "a", "evidence": "assumed", "fields": {"a": "text"}, "table": {"t": {"rows": [{}]}}}
    assert complain(ObjectDocument, document) == [
        "table.t.rows[0].code: is missing; add it",
        "table.t.rows[0].evidence: is missing; add it",
    ]


def test_a_file_that_holds_no_table_is_told() -> None:
    """JSON may hold anything."""
    assert complain(ExamplesDocument, [1]) == ["the file: must be a table"]
