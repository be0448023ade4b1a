"""The page that teaches the language stays true."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from bridge.mapping import load_profile, run_examples
from bridge.mapping.document import ObjectDocument, Plain, ProfileDocument, RulePart
from bridge.mapping.reading import ReadDocument
from bridge.mapping.reading.document import ClosedPart
from bridge.mapping.reading_examples import ReadExample, run_read_examples
from bridge.mapping.transforms import TAKES

PAGE = (Path(__file__).parents[3] / "docs" / "mapping-language.md").read_text(encoding="utf-8")


def _read(objectname: str, row: dict[str, Any]) -> dict[str, Any]:
    typed: dict[str, Callable[[Any], Any]] = {"sum": Decimal, "duedate": "{}T00:00:00".format}
    return {name: typed[name](value) if name in typed else value for name, value in row.items()}


def test_the_worked_example_loads_and_its_examples_hold(write_profile: Callable[..., Path]) -> None:
    """The page's mapping is one, and what it says about its rows is so."""
    mapping, examples, *_ = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    folder = write_profile(invoice_examples=examples)
    (folder / "invoice.toml").write_text(mapping, encoding="utf-8")

    faults = [fault for fault in run_examples(load_profile(folder), _read) if "invoice" in fault]

    # the page shows two examples only; that others are missing is what `bridge check` would say
    assert all("is exercised by no example" in fault for fault in faults)
    assert len(faults) < 6


def test_the_worked_example_of_an_answer_holds(write_reading: Callable[..., Path]) -> None:
    """The page's entry comes out as it says, and every rule but the fallback codes is exercised."""
    mapping, examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[-3:-1]
    folder = write_reading(case_examples=examples)
    (folder / "read" / "case.toml").write_text(mapping, encoding="utf-8")

    faults = [fault for fault in run_read_examples(load_profile(folder)) if "case" in fault]

    assert [fault.partition(": ")[2].partition(" is exercised by no example")[0] for fault in faults] == [
        'closed "closed"',
        'closed "closedAt"',
        'table "stage" code "debt_collection"',
    ]


def test_every_transform_is_on_the_page() -> None:
    """No transform is left out of the page's table."""
    names = {*TAKES, "join", *get_args(Plain.model_fields["name"].annotation), "integer", "leave-out", "words"}

    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_every_key_is_on_the_page() -> None:
    """No key of an object's file or of a rule is left out."""
    parts = {name for model in (ObjectDocument, ReadDocument) for name in model.model_fields if name != "source"}
    keys = {field.alias or name for name, field in RulePart.model_fields.items()}
    keys |= {*ClosedPart.model_fields, *ReadExample.model_fields, *ProfileDocument.model_fields}

    assert [
        name for name in sorted(parts | keys) if not re.search(rf"[`\[.]{name}\b|^{name} = ", PAGE, re.MULTILINE)
    ] == []
