"""Whether the parts of one mapping file fit together: every name leads somewhere, every field is accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bridge.mapping.document import LookUp, ObjectDocument, TablePart
from bridge.mapping.paths import is_under, parse_path
from bridge.mapping.rules import Fault, Rule, spell_out_rules
from bridge.mapping.tables import describe_code, fold_code
from bridge.mapping.tree import grow_tree
from bridge.shape import FieldType


def check_document(document: ObjectDocument, rules: Sequence[Rule]) -> list[Fault]:
    """Return everything that does not fit, rules that could be resolved given."""
    return [
        *_check_operations(document),
        *_check_choose(document),
        *_check_named_fields(document),
        *_check_reference(document),
        *_check_tables(document),
        *_check_drops(document),
        *_check_accounts(document, rules),
        *_check_targets(document, rules),
    ]


def _check_targets(document: ObjectDocument, rules: Sequence[Rule]) -> list[Fault]:
    """Find targets that are written twice, or in contradictory ways, by one operation."""
    faults: dict[Fault, None] = {}
    for operation in document.operation:
        mine = [rule for rule in rules if operation.name in rule.operations]
        faults.update(dict.fromkeys(grow_tree(mine)[1]))
        into = document.reference.into if document.reference else ""
        for rule in mine:
            if into and rule.target[0].name == into:
                faults[Fault(rule.key, "[reference] writes this target already; remove the rule")] = None
    return list(faults)


def used_fields(document: ObjectDocument, rules: Sequence[Rule], operation: str) -> set[str]:
    """Return the fields that reach the modern system with an operation, or decide where the row goes.

    A kind of row without operations passes an empty name: only its creditor is used then.
    """
    used = {document.creditor_field}
    used.update(*(rule.reads for rule in rules if operation in rule.operations))
    if document.choose:
        used.add(document.choose.field)
    if document.reference:
        used |= {document.reference.id, *document.reference.keys.values()}
    return used & document.fields.keys()


def _check_operations(document: ObjectDocument) -> Iterator[Fault]:
    names = [operation.name for operation in document.operation]
    for name in _repeated(names):
        yield Fault(f'operation "{name}"', "is declared twice; remove one")
    if not names:
        for key in ("rule", "carry", "choose", "reference"):
            if getattr(document, key):
                yield Fault(key, "without an [[operation]] nothing is sent; add one, or remove this")


def _check_choose(document: ObjectDocument) -> Iterator[Fault]:
    choose, names = document.choose, {operation.name for operation in document.operation}
    if choose is None:
        if len(names) > 1:
            yield Fault("choose", "several operations need [choose] to say which one a row is for")
        return
    if choose.absent and choose.absent not in names:
        yield Fault("choose.absent", f'"{choose.absent}" is not an operation; declare it or correct the name')
    if document.fields.get(choose.field) not in {FieldType.TEXT, FieldType.INTEGER, FieldType.BOOLEAN}:
        yield Fault("choose.field", "must be a declared text, integer or boolean field")
    table = document.table.get(choose.table)
    if table is None:
        yield Fault("choose.table", f'there is no table "{choose.table}"; add [table.{choose.table}]')
        return
    if table.unmapped == "keep":
        yield Fault(f'table "{choose.table}"', "cannot keep a code as an operation; use reject, or {value = ...}")
    for name in sorted(_values(table) - names):
        yield Fault(f'table "{choose.table}"', f'"{name}" is not an operation; declare it or correct the value')


def _values(table: TablePart) -> set[str]:
    fallback = [] if isinstance(table.unmapped, str) else [table.unmapped.value]
    return {str(value) for value in (*(row.value for row in table.rows), *fallback) if value is not None}


def _check_named_fields(document: ObjectDocument) -> Iterator[Fault]:
    """Fields that are read outside of rules stand at the top of the row and hold texts."""
    reference = document.reference
    named = {
        "creditor_field": [document.creditor_field],
        "reply_reference": [*document.reply_reference],
        "keys": [*document.keys.values()],
        "reference.id": [reference.id] if reference else [],
        "reference.keys": [*reference.keys.values()] if reference else [],
    }
    for key, names in named.items():
        for name in filter(None, names):
            if document.fields.get(name) is not FieldType.TEXT or len(parse_path(name)) > 1 or "[" in name:
                yield Fault(key, f'"{name}" must be a declared text field at the top of the row')


def _check_reference(document: ObjectDocument) -> Iterator[Fault]:
    reference = document.reference
    if reference is None:
        return
    if not reference.id and not reference.keys:
        yield Fault("reference", "name the field that carries the id, or the fields in [reference.keys]")
    for operation in document.operation:
        if not reference.into and operation.path.count("{") < 2:
            yield Fault(f'operation "{operation.name}"', "its path has no place for the id; add one, or reference.into")


def _check_tables(document: ObjectDocument) -> Iterator[Fault]:
    named = {document.choose.table} if document.choose else set()
    transforms = [transform for _, rule in spell_out_rules(document) for transform in rule.transform]
    named |= {transform.table for transform in transforms if isinstance(transform, LookUp)}
    for name, table in document.table.items():
        if name not in named:
            yield Fault(f'table "{name}"', "is used by no rule; use it or remove it")
        for code in _repeated([fold_code(row.code) for row in table.rows]):
            yield Fault(describe_code(name, code), "stands in two rows; remove one")


def _check_drops(document: ObjectDocument) -> Iterator[Fault]:
    names = {operation.name for operation in document.operation}
    for part in document.drop:
        for name in part.fields:
            if not any(is_under(field, name) for field in document.fields):
                yield Fault(f'drop "{name}"', "is not a declared field; add it to [fields] or correct the spelling")
        for unknown in sorted(set(part.only) - names):
            yield Fault(f'drop "{part.fields[0]}"', f"unknown operation {unknown} in only; declare it or remove it")


def _check_accounts(document: ObjectDocument, rules: Sequence[Rule]) -> Iterator[Fault]:
    """Every field of a row must go somewhere, or be dropped with a reason, in every operation; never both."""
    silent: dict[str, list[str]] = {}
    twice: dict[str, None] = {}
    for operation in [part.name for part in document.operation] or [""]:
        used, dropped = used_fields(document, rules, operation), dropped_fields(document, operation)
        sent = {source for rule in rules if operation in rule.operations for source in rule.reads}
        twice.update(dict.fromkeys(sorted(sent & dropped.keys())))
        for field in document.fields:
            if field not in used and field not in dropped:
                silent.setdefault(field, []).append(operation)
    for field in twice:
        yield Fault(f'drop "{field}"', "is carried by a rule of the same operation; remove one of the two")
    for field, operations in silent.items():
        where = f" for {', '.join(operations)}" if operations != [""] else ""
        yield Fault(
            f'fields "{field}"', f"is neither mapped nor dropped{where}; add a rule, or a [[drop]] with its reason"
        )


def dropped_fields(document: ObjectDocument, operation: str) -> Mapping[str, str]:
    """Return every field an operation drops, with the reason."""
    dropped: dict[str, str] = {}
    for part in document.drop:
        if part.only and operation not in part.only:
            continue
        for name in part.fields:
            dropped.update({field: part.reason for field in document.fields if is_under(field, name)})
    return dropped


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
