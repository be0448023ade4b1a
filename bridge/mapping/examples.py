"""Examples beside the mappings: each is run, and what none of them exercises is reported."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from bridge.batch import RowRefused, Translation
from bridge.mapping.document import Strict, Text
from bridge.mapping.library import Profile, rebuild
from bridge.mapping.objects import ObjectMapping
from bridge.mapping.paths import is_under
from bridge.mapping.rules import default_key
from bridge.mapping.tables import describe_code, fold_code
from bridge.mapping.wording import describe_faults

Reader = Callable[[str, dict[str, Any]], dict[str, Any] | RowRefused]
"""Reads a row as it stands in legacy JSON: (objectname, row) to typed fields; refuses by returning or raising."""


class ExpectedReference(Strict):
    """The reference a row must come out with."""

    target: str
    id: str = ""
    into: str = ""
    keys: dict[str, str] = Field(default_factory=dict)


class Expected(Strict):
    """What a row must become; only what is given is compared, but an operation needs its whole item."""

    operation: str = ""
    item: dict[str, Any] | None = None
    reference: ExpectedReference | None = None
    keys: dict[str, str] | None = None
    creditor: str | None = None
    reply_reference: str | None = None
    not_carried: tuple[str, ...] | None = None


class Example(Strict):
    """`[[example]]`: a legacy row, and what it must become or the words in which it must be refused."""

    name: Text
    row: dict[str, Any]
    expect: Expected | None = None
    refused: str = ""

    @model_validator(mode="after")
    def _say_one_thing(self) -> Example:
        if (self.expect is None) == (not self.refused):
            raise ValueError("give either expect or refused")
        return self


class ExamplesDocument(Strict):
    """`<objectname>.examples.toml` or `.json`."""

    example: tuple[Example, ...]


def run_examples(profile: Profile, read: Reader) -> list[str]:
    """Run every example of a profile; return what went wrong, and what no example exercises."""
    faults: list[str] = []
    for objectname in profile.objects:
        file, examples, found = _read_examples(profile, objectname)
        faults += [f"{profile.name}/{file}: {fault}" for fault in found]
        if not found:
            faults += [f"{profile.name}/{fault}" for fault in _run_file(profile, objectname, file, examples, read)]
    return faults


def _read_examples(profile: Profile, objectname: str) -> tuple[str, tuple[Example, ...], list[str]]:
    """Return the file's name, its examples, and what is wrong with its form."""
    paths = [profile.folder / f"{objectname}.examples.{ending}" for ending in ("toml", "json")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return paths[0].name, (), ["is missing; write an example for every rule"]
    try:
        document = ExamplesDocument.model_validate(_parse(path))
    except ValidationError as error:
        return path.name, (), [str(fault) for fault in describe_faults(error, ExamplesDocument)]
    except ValueError as error:
        return path.name, (), [f"cannot be read: {error}"]
    return path.name, document.example, []


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal)
    return tomllib.loads(text, parse_float=Decimal)


def _run_file(
    profile: Profile, objectname: str, file: str, examples: tuple[Example, ...], read: Reader
) -> Iterator[str]:
    noticed: set[str] = set()
    mapping = rebuild(profile, objectname, noticed.add)
    exercised: set[str] = set()
    for example in examples:
        noticed.clear()
        runner = _Run(mapping, objectname, read)
        faults = list(runner.judge(example))
        yield from (f'{file}: example "{example.name}": {fault}' for fault in faults)
        if not faults:
            exercised |= runner.exercised | _count(mapping, noticed, refused=bool(example.refused))
    for key in _list_parts(mapping):
        if key not in exercised:
            yield f"{objectname}.toml: {key} is exercised by no example; add one to {file}"


def _count(mapping: ObjectMapping, noticed: set[str], *, refused: bool) -> set[str]:
    """Return what an example proves: one that is refused proves only the code that refused it."""
    return noticed & set(_list_refusals(mapping)) if refused else set(noticed)


class _Run:
    """One example put through a mapping."""

    def __init__(self, mapping: ObjectMapping, objectname: str, read: Reader) -> None:
        self._mapping = mapping
        self._objectname = objectname
        self._read = read
        self.exercised: set[str] = set()

    def judge(self, example: Example) -> Iterator[str]:
        """Yield how the outcome differs from what the example expects."""
        try:
            fields = self._read(self._objectname, example.row)
            if isinstance(fields, RowRefused):
                raise fields
            translation = self._translate(fields)
        except RowRefused as refusal:
            if not example.refused or example.refused not in str(refusal):
                yield f"is refused with: {refusal}"
            return
        if example.expect is None:
            yield f"is translated, but should be refused with: {example.refused}"
            return
        if translation is not None:
            self.exercised.add(_name_operation(translation.operation.name))
            yield from _compare_translation(example.expect, translation)
        yield from self._compare_row(example.expect, fields)

    def _translate(self, fields: dict[str, Any]) -> Translation | None:
        """Translate a row; one of a kind that has no operation is only asked what it lacks."""
        if self._mapping.operations:
            return self._mapping.translate(fields)
        if missing := self._mapping.missing(fields):
            raise RowRefused(*missing)
        return None

    def _compare_row(self, expected: Expected, fields: dict[str, Any]) -> Iterator[str]:
        dropped = [entry.field for entry in self._mapping.account(fields)]
        self.exercised.update(
            _name_drop(name)
            for part in self._mapping.document.drop
            for name in part.fields
            if any(is_under(field, name) for field in dropped)
        )
        if expected.creditor is not None:
            yield from _differences("creditor", expected.creditor, self._mapping.creditor(fields))
        if expected.reply_reference is not None:
            found = self._mapping.reply_reference(fields)
            yield from _differences("reply_reference", expected.reply_reference, found)
        if expected.not_carried is not None:
            yield from _differences("not_carried", sorted(expected.not_carried), sorted(dropped))


def _compare_translation(expected: Expected, translation: Translation) -> Iterator[str]:
    if not expected.operation or expected.item is None:
        yield "give expect.operation and expect.item, the whole of it"
        return
    yield from _differences("operation", expected.operation, translation.operation.name)
    yield from _differences("item", expected.item, translation.item)
    if expected.keys is not None:
        yield from _differences("keys", list(expected.keys.items()), list(translation.keys))
    if expected.reference is not None:
        found = translation.reference
        shown = (
            {"target": found.target, "id": found.id, "into": found.into, "keys": dict(found.keys)} if found else None
        )
        yield from _differences("reference", expected.reference.model_dump(), shown)


def _list_refusals(mapping: ObjectMapping) -> Iterator[str]:
    for name, table in mapping.document.table.items():
        yield from (describe_code(name, fold_code(row.code)) for row in table.rows if row.refused)


def _list_parts(mapping: ObjectMapping) -> Iterator[str]:
    """Yield everything of a mapping that examples must exercise."""
    yield from map(_name_operation, mapping.operations)
    for rule in mapping.rules:
        yield rule.key
        if rule.default is not None:
            yield default_key(rule)
    for name, table in mapping.document.table.items():
        yield from (describe_code(name, fold_code(row.code)) for row in table.rows)
    for part in mapping.document.drop:
        yield from map(_name_drop, part.fields)


def _name_operation(name: str) -> str:
    return f'operation "{name}"'


def _name_drop(name: str) -> str:
    return f'drop "{name}"'


def _differences(place: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield where two JSON values differ; numbers are compared by value, and never equal a boolean."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*expected, *found]):
            yield from _differences(f"{place}.{name}", expected.get(name), found.get(name))
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple) and len(expected) == len(found):
        for number, pair in enumerate(zip(expected, found, strict=True)):
            yield from _differences(f"{place}[{number}]", *pair)
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        yield f"{place} should be {_show(expected)}, is {_show(found)}"


def _show(value: Any) -> str:
    """Write a value of an example file; these are made up, so they may be shown."""
    return "absent" if value is None else json.dumps(value, default=str, ensure_ascii=False)
