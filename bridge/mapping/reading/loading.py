"""One file of a `read/` folder: judged, resolved for every language, compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo

from bridge.mapping.assumed import Assumption
from bridge.mapping.document import Evidence, Fallback
from bridge.mapping.reading.checks import check_reading
from bridge.mapping.reading.document import ReadDocument, ReadTablePart, spell_out_read_rules
from bridge.mapping.reading.profile import ReadMapping, build_reading
from bridge.mapping.reading.rest import REST
from bridge.mapping.reading.rules import ReadRule, resolve_read_rules
from bridge.mapping.reading.ways import ReadSurroundings
from bridge.mapping.rules import Fault
from bridge.mapping.shapes import check_paths
from bridge.mapping.tables import CodeTable, describe_code, fold_code

Notice = Callable[[str], None]


def load_reading(
    document: ReadDocument, objectname: str, zone: tzinfo | None, title: str
) -> tuple[ReadMapping | None, list[Fault]]:
    """Return what a file says, or what is wrong with it."""
    faults = check_paths(document.fields)
    if document.objectname != objectname:
        faults.append(Fault("objectname", f'must be "{objectname}" in this file'))
    if faults:
        return None, faults
    rules, faults = _resolve(document, zone)
    # a rule that cannot work would be told again as a field that is never written
    faults = faults or check_reading(document, next(iter(rules.values())))
    return (None, faults) if faults else (build_reading(document, rules, title), [])


def rebuild_reading(mapping: ReadMapping, zone: tzinfo | None, notice: Notice) -> ReadMapping:
    """Compile a loaded mapping once more, telling `notice` of every rule, code row and text that is used."""
    rules, _ = _resolve(mapping.document, zone, notice)
    return build_reading(mapping.document, rules, f"{mapping.objectname}, told", notice)


def list_assumed_reading(document: ReadDocument, file: str) -> list[Assumption]:
    """Return the assumptions of one file in the order of its parts; its nulls are listed apart."""
    return [Assumption(file, key, note) for key, evidence, note in _marks(document) if evidence == "assumed"]


def _resolve(
    document: ReadDocument, zone: tzinfo | None, notice: Notice | None = None
) -> tuple[Mapping[str, list[ReadRule]], list[Fault]]:
    """Return the rules by language; a file without texts has them under the empty name."""
    tables = {name: _open_table(name, part, notice) for name, part in document.table.items()}
    rules: dict[str, list[ReadRule]] = {}
    faults: dict[Fault, None] = {}
    for language in document.texts or ("",):
        around = ReadSurroundings(document, tables, zone, language, notice)
        rules[language], found = resolve_read_rules(around)
        faults.update(dict.fromkeys(found))
    return rules, list(faults)


def _open_table(name: str, part: ReadTablePart, notice: Notice | None) -> CodeTable:
    values = {fold_code(row.code): row.value for row in part.rows}
    unmapped = part.unmapped if isinstance(part.unmapped, Fallback) else {"null": "reject"}.get(part.unmapped, "keep")
    return CodeTable(name, values, {}, unmapped, notice)


def _marks(document: ReadDocument) -> Iterator[tuple[str, Evidence, str]]:
    """Yield (key, evidence, note) of everything that carries a mark, nulls aside."""
    if document.closed:
        yield "closed", document.closed.evidence, document.closed.note
    for key, rule in spell_out_read_rules(document):
        yield key, rule.evidence, rule.note
    if document.rest:
        yield REST, document.rest.evidence, document.rest.note
    for name, table in document.table.items():
        for row in table.rows:
            yield describe_code(name, fold_code(row.code)), row.evidence, row.note
