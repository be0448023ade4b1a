"""The rules of a file as the compiler needs them: where values are read, and the way they go to their field."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.mapping.document import Evidence, Scalar
from bridge.mapping.paths import Path, array_prefixes, parse_path, spell_path
from bridge.mapping.reading.document import SOURCES, ReadDocument, ReadRulePart, spell_out_read_rules
from bridge.mapping.reading.ways import ReadSurroundings, Way, fits, follow
from bridge.mapping.rules import Fault, Misfit, resolve_each
from bridge.wording import suggest


@dataclass(frozen=True, slots=True)
class ReadRule:
    """One rule ready to be compiled."""

    key: str
    target: str
    evidence: Evidence
    note: str = ""
    sources: tuple[Path, ...] = ()
    over: tuple[Path, ...] = ()
    """The source arrays its field's arrays are made from, outermost first; may be fewer than those."""
    way: Way = field(default_factory=Way)
    constant: Scalar | None = None
    default: Scalar | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Return the arrays its field lies in, outermost first: "history[]"."""
        return tuple(spell_path(prefix) for prefix in array_prefixes(parse_path(self.target)))


def resolve_read_rules(surroundings: ReadSurroundings) -> tuple[list[ReadRule], list[Fault]]:
    """Return the rules that can work, and what is wrong with the others."""
    return resolve_each(
        spell_out_read_rules(surroundings.document), lambda key, part: _resolve(key, part, surroundings)
    )


def _resolve(key: str, part: ReadRulePart, surroundings: ReadSurroundings) -> ReadRule:
    document = surroundings.document
    kind = document.fields.get(part.to)
    if kind is None:
        raise Misfit(f"is not a declared field; add it to [fields] or correct it{suggest(part.to, document.fields)}")
    for fixed in (part.constant, part.default):
        if fixed is not None and not fits(fixed, kind):
            raise Misfit(f"its constant or default does not fit a field of type {kind}; make them the same type")
    rule = ReadRule(key, part.to, part.evidence, part.note, constant=part.constant, default=part.default)
    if not part.source:
        return rule
    sources = tuple(_read_source(source, document) for source in part.source)
    rule = replace(rule, sources=sources, way=follow(part, kind, surroundings))
    return replace(rule, over=_find_arrays(rule))


def _read_source(text: str, document: ReadDocument) -> Path:
    path = parse_path(text)
    known = SOURCES.get(document.objectname, frozenset())
    if path[0].name not in known:
        raise Misfit(f'there is no source "{path[0].name}" here; begin the path with {", ".join(sorted(known))}')
    if path[0].name == "invoice" and not document.each:
        raise Misfit('there is no single invoice without each = "invoices"; add it, or read the list')
    return path


def _find_arrays(rule: ReadRule) -> tuple[Path, ...]:
    arrays = [tuple(array_prefixes(path)) for path in rule.sources]
    if rule.way.separator is not None:  # a list of values is joined as a whole
        arrays = [each[:-1] if path[-1].each else each for path, each in zip(rule.sources, arrays, strict=True)]
    deepest = max(arrays, key=len)
    if any(each != deepest[: len(each)] for each in arrays):
        raise Misfit("the sources lie in different arrays; take them from one array, or from outside of any")
    if len(deepest) > len(rule.places):
        raise Misfit("the source lies in more arrays ([]) than the field has; elements would be lost")
    return deepest
