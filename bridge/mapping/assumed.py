"""What a mapping file takes for granted: everything it marks as assumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bridge.mapping.document import Evidence, ObjectDocument
from bridge.mapping.rules import spell_out_rules
from bridge.mapping.tables import describe_code, fold_code


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something a profile takes for granted that no page we hold says."""

    file: str
    key: str
    note: str


def list_assumed(document: ObjectDocument, file: str) -> list[Assumption]:
    """Return the assumptions of one file in the order of its parts."""
    return [Assumption(file, key, note) for key, evidence, note in _marks(document) if evidence == "assumed"]


def _marks(document: ObjectDocument) -> Iterator[tuple[str, Evidence, str]]:
    """Yield (key, evidence, note) of everything that carries a mark."""
    for operation in document.operation:
        yield f'operation "{operation.name}"', operation.evidence, operation.note
    if document.reference:
        yield "reference", document.reference.evidence, document.reference.note
    for require in document.require:
        yield f"require {', '.join(require.fields)}", require.evidence, require.note
    for key, rule in spell_out_rules(document):
        yield key, rule.evidence, rule.note
    for drop in document.drop:
        yield f"drop {', '.join(drop.fields)}", drop.evidence, drop.reason
    for name, table in document.table.items():
        for row in table.rows:
            yield describe_code(name, fold_code(row.code)), row.evidence, row.note or row.refused
