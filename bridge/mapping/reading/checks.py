"""Whether the parts of one file fit together: every field has a rule or is null with a reason, every name is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from bridge.mapping.document import LookUp
from bridge.mapping.paths import is_under
from bridge.mapping.reading.compiler import arrays_of
from bridge.mapping.reading.document import OBJECTS, SOURCES, ReadDocument, ReadTransform, Words, spell_out_read_rules
from bridge.mapping.reading.rules import ReadRule
from bridge.mapping.reading.ways import text_table
from bridge.mapping.rules import Fault
from bridge.mapping.tables import describe_code, fold_code

Name = TypeVar("Name", bound=Hashable)


def check_reading(document: ReadDocument, rules: Sequence[ReadRule]) -> list[Fault]:
    """Return everything that does not fit, rules that could be resolved given."""
    return [
        *_check_kind(document),
        *_check_accounts(document),
        *_check_arrays(rules),
        *_check_tables(document),
        *_check_texts(document),
        *_check_aliases(document),
        *_check_rest(document),
    ]


def _check_kind(document: ReadDocument) -> Iterator[Fault]:
    if document.objectname == "case":
        if document.closed is None:
            yield Fault("closed", "is missing; add [closed]: without it nobody knows which cases are open")
        if document.each not in {"", "invoices"}:
            yield Fault("each", 'must be "invoices", or be left out')
        return
    if document.closed is not None:
        yield Fault("closed", "says which cases are closed; it belongs into case.toml")
    if document.each:
        yield Fault("each", "is for case.toml only; remove it")


def _check_accounts(document: ReadDocument) -> Iterator[Fault]:
    """Every field has exactly one rule, or is null; never both."""
    written: dict[str, str] = {}
    for key, rule in spell_out_read_rules(document):
        if rule.to in written:
            yield Fault(key, f"{written[rule.to]} writes this field already; remove one of the two")
        written.setdefault(rule.to, key)
    nulls = Counter[str]()
    for name in (name for part in document.null for name in part.fields):
        covered = [field for field in document.fields if is_under(field, name)]
        nulls.update(covered)
        if not covered:
            yield Fault(f'null "{name}"', "is not a declared field; add it to [fields] or correct the spelling")
    for name in document.fields:
        if nulls[name] + (name in written) > 1:
            yield Fault(f'null "{name}"', "is written by a rule, or null already; remove one of the two")
        elif not nulls[name] and name not in written:
            yield Fault(f'fields "{name}"', "is never written; add a rule, or a [[null]] with its reason")


def _check_arrays(rules: Sequence[ReadRule]) -> Iterator[Fault]:
    """Every array that rules write into is made from one source array."""
    arrays = arrays_of(rules)
    for rule in rules:
        missing = [place for place in rule.places if place not in arrays]
        if missing:
            yield Fault(rule.key, f'the array "{missing[0]}" has no source: another rule must fill it from an array')
        elif any(arrays[place] != over for place, over in zip(rule.places, rule.over, strict=False)):
            yield Fault(rule.key, "its array is made from another source array already; use one of them")


def _check_tables(document: ReadDocument) -> Iterator[Fault]:
    named = {one.table for one in _transforms(document) if isinstance(one, LookUp)}
    for name, table in document.table.items():
        if name not in named:
            yield Fault(f'table "{name}"', "is used by no rule; use it or remove it")
        for code in _repeated(fold_code(row.code) for row in table.rows):
            yield Fault(describe_code(name, code), "stands in two rows; remove one")


def _transforms(document: ReadDocument) -> list[ReadTransform]:
    return [one for _, rule in spell_out_read_rules(document) for one in rule.transform]


def _check_texts(document: ReadDocument) -> Iterator[Fault]:
    """Every language says the same codes, and every group is used."""
    named = {one.of for one in _transforms(document) if isinstance(one, Words)}
    spoken = {
        language: [(group, fold_code(code)) for group, texts in groups.items() for code in texts]
        for language, groups in document.texts.items()
    }
    every = list(dict.fromkeys(text for texts in spoken.values() for text in texts))
    for group in dict.fromkeys(group for group, _ in every if group not in named):
        yield Fault(f'texts "{group}"', "is used by no rule; use it or remove it")
    for language, texts in spoken.items():
        for group, code in _repeated(texts):
            yield Fault(describe_code(text_table(group), code), f'stands twice in language "{language}"; remove one')
        for group, code in every:
            if (group, code) not in texts:
                yield Fault(describe_code(text_table(group), code), f'is missing in language "{language}"; add it')


def _check_aliases(document: ReadDocument) -> Iterator[Fault]:
    for alias, language in document.aliases.items():
        if language not in document.texts or alias in document.texts:
            yield Fault(f'aliases "{alias}"', "must be another name of a language that has texts")


def _check_rest(document: ReadDocument) -> Iterator[Fault]:
    """What is handed on is an object of its own, not a list, and no number of ours."""
    known = SOURCES.get(document.objectname, frozenset()) & OBJECTS
    if document.rest is not None and document.rest.source not in known:
        yield Fault("rest", f'"{document.rest.source}" has no rest to hand on; write {" or ".join(sorted(known))}')


def _repeated(names: Iterable[Name]) -> list[Name]:
    return [name for name, count in Counter(names).items() if count > 1]
