"""One kind of legacy row, ready to be translated: what the pipeline calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bridge.batch import Operation, RowRefused, Translation
from bridge.mapping.checks import dropped_fields
from bridge.mapping.compiler import Plan, Translator, compile_plan, list_missing
from bridge.mapping.document import ObjectDocument
from bridge.mapping.paths import parse_path, values_at
from bridge.mapping.rules import Rule
from bridge.mapping.shapes import shape_of
from bridge.mapping.tables import CodeTable
from bridge.mapping.transforms import Unfit
from bridge.mapping.tree import grow_tree
from bridge.shape import Shape


@dataclass(frozen=True, slots=True)
class NotCarried:
    """A field that was there and is not carried over, and why."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class ObjectMapping:
    """How one kind of legacy row becomes modern items.

    Methods take the fields of a `batch.Row`: declared spelling, typed values, absent ones left out. They never change
    them, and nothing they return shares a list or dict with them.
    """

    shape: Shape
    operations: Mapping[str, Operation]
    document: ObjectDocument
    rules: tuple[Rule, ...]
    source: str
    """The Python source that the rules were compiled to."""
    _translators: Mapping[str, Translator]
    _tables: Mapping[str, CodeTable]

    @property
    def key_fields(self) -> Mapping[str, str]:
        """Kind of key → the legacy field that holds it: the names under which other rows may refer to this one."""
        return self.document.keys

    def creditor(self, fields: Mapping[str, Any]) -> str:
        """Return the creditor the row names; empty when it names none."""
        return fields.get(self.document.creditor_field) or ""

    def reply_reference(self, fields: Mapping[str, Any]) -> str:
        """Return the reference by which the sender knows the row; empty when it has none."""
        for name in self.document.reply_reference:
            if name in fields:
                return str(fields[name])
        return ""

    def choose(self, fields: Mapping[str, Any]) -> Operation:
        """Return the operation a row is for; raise RowRefused when its code says none."""
        choose = self.document.choose
        if choose is None:
            return next(iter(self.operations.values()))
        code = fields.get(choose.field)
        if code is None:
            if choose.absent:
                return self.operations[choose.absent]
            raise RowRefused(f"{choose.field}: required")
        try:
            return self.operations[self._tables[choose.table].look_up(code)]
        except Unfit as unfit:
            raise RowRefused(f"{choose.field}: {unfit}") from None

    def translate(self, fields: dict[str, Any]) -> Translation:
        """Return the row in the modern language; raise RowRefused with every fault it has."""
        try:
            operation = self.choose(fields)
        except RowRefused as refused:
            raise RowRefused(*dict.fromkeys([*self.missing(fields), *refused.faults])) from None
        return self._translators[operation.name](fields)

    def account(self, fields: Mapping[str, Any]) -> list[NotCarried]:
        """Return every field that is there and dropped, in declared order."""
        dropped = dropped_fields(self.document, self._operation_name(fields))
        return [
            NotCarried(field, dropped[field])
            for field in self.document.fields
            if field in dropped and _is_present(fields, field)
        ]

    def missing(self, fields: Mapping[str, Any]) -> list[str]:
        """Return a fault for every field of `[[require]]` that the row lacks."""
        names = [name for part in self.document.require for name in part.fields]
        return [fault for name in names for fault in list_missing(fields, parse_path(name))]

    def _operation_name(self, fields: Mapping[str, Any]) -> str:
        try:
            return self.choose(fields).name if self.operations else ""
        except RowRefused:
            return ""


def build_mapping(
    document: ObjectDocument,
    rules: Sequence[Rule],
    tables: Mapping[str, CodeTable],
    title: str,
    notice: Callable[[str], None] | None = None,
) -> ObjectMapping:
    """Compile a checked document; with `notice`, one that tells which of its rules write values."""
    operations = {
        part.name: Operation(part.name, part.path, part.collection, part.unique_id, part.distinct)
        for part in document.operation
    }
    compiled = {
        name: compile_plan(_plan(document, rules, operation), title, notice) for name, operation in operations.items()
    }
    return ObjectMapping(
        shape=shape_of(document),
        operations=MappingProxyType(operations),
        document=document,
        rules=tuple(rules),
        source="\n\n".join(f"# {name}\n{source}" for name, (_, source) in compiled.items()),
        _translators={name: translator for name, (translator, _) in compiled.items()},
        _tables=tables,
    )


def _plan(document: ObjectDocument, rules: Sequence[Rule], operation: Operation) -> Plan:
    tree, _ = grow_tree(rule for rule in rules if operation.name in rule.operations)
    required = tuple(name for part in document.require for name in part.fields)
    return Plan(operation, tree, required, document.reference, document.keys)


def _is_present(fields: Mapping[str, Any], name: str) -> bool:
    return any(value is not None for _, value in values_at(fields, parse_path(name)))
