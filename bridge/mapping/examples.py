"""Examples beside the mappings: each is run, and what none of them exercises is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import Field, model_validator

from bridge.batch import RowRefused, Translation
from bridge.mapping.document import Strict, Text
from bridge.mapping.example_files import find_differences, read_examples
from bridge.mapping.objects import ObjectMapping
from bridge.mapping.paths import is_under
from bridge.mapping.profiles import Profile, rebuild
from bridge.mapping.reading_examples import run_read_examples
from bridge.mapping.rules import default_key
from bridge.mapping.tables import describe_code, fold_code

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
        home = profile.home(f"{objectname}.toml")
        file, document, found = read_examples(home, objectname, ExamplesDocument)
        if document is not None:
            found = list(_run_file(profile, objectname, file, document.example, read))
        else:
            found = [f"{file}: {fault}" for fault in found]
        faults += [f"{home.name}/{fault}" for fault in found]
    return faults + run_read_examples(profile)


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
    for key in list_parts(mapping):
        if key not in exercised:
            yield f"{objectname}.toml: {key} is exercised by no example; add one to {file}"


def _count(mapping: ObjectMapping, noticed: set[str], *, refused: bool) -> set[str]:
    """Return what an example proves: one that is refused proves only the code that refused it."""
    return noticed & set(list_refusals(mapping)) if refused else set(noticed)


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
            self.exercised.add(name_operation(translation.operation.name))
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
            yield from find_differences("creditor", expected.creditor, self._mapping.creditor(fields))
        if expected.reply_reference is not None:
            found = self._mapping.reply_reference(fields)
            yield from find_differences("reply_reference", expected.reply_reference, found)
        if expected.not_carried is not None:
            yield from find_differences("not_carried", sorted(expected.not_carried), sorted(dropped))


def _compare_translation(expected: Expected, translation: Translation) -> Iterator[str]:
    if not expected.operation or expected.item is None:
        yield "give expect.operation and expect.item, the whole of it"
        return
    yield from find_differences("operation", expected.operation, translation.operation.name)
    yield from find_differences("item", expected.item, translation.item)
    if expected.keys is not None:
        yield from find_differences("keys", list(expected.keys.items()), list(translation.keys))
    if expected.reference is not None:
        found = translation.reference
        shown = (
            {"target": found.target, "id": found.id, "into": found.into, "keys": dict(found.keys)} if found else None
        )
        yield from find_differences("reference", expected.reference.model_dump(), shown)


def list_refusals(mapping: ObjectMapping) -> Iterator[str]:
    """Yield the codes of a mapping file that refuse their row, as messages name them."""
    for name, table in mapping.document.table.items():
        yield from (describe_code(name, fold_code(row.code)) for row in table.rows if row.refused)


def list_parts(mapping: ObjectMapping) -> Iterator[str]:
    """Yield everything of a mapping file that a row can exercise, as messages name it."""
    yield from map(name_operation, mapping.operations)
    for rule in mapping.rules:
        yield rule.key
        if rule.default is not None:
            yield default_key(rule.key)
    for name, table in mapping.document.table.items():
        yield from (describe_code(name, fold_code(row.code)) for row in table.rows)
    for part in mapping.document.drop:
        yield from map(_name_drop, part.fields)


def name_operation(name: str) -> str:
    """Name an operation in messages."""
    return f'operation "{name}"'


def _name_drop(name: str) -> str:
    return f'drop "{name}"'
