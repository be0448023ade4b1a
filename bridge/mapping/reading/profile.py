"""One kind of entry in the answer to a legacy read, ready to be rendered: what the readback calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.mapping.document import Evidence
from bridge.mapping.reading.compiler import Renderer, compile_reading
from bridge.mapping.reading.document import SOURCES, ClosedPart, ReadDocument, spell_out_read_rules
from bridge.mapping.reading.rest import REST, append_rest
from bridge.mapping.reading.rules import ReadRule
from bridge.mapping.reading.unread import Unread
from bridge.mapping.reading.ways import text_table
from bridge.mapping.rules import default_key
from bridge.mapping.shapes import nest_fields
from bridge.mapping.tables import describe_code, fold_code
from bridge.shape import Shape


@dataclass(frozen=True, slots=True)
class NullField:
    """A field of the answer that is always null, and why."""

    field: str
    reason: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class ReadMapping:
    """How one kind of entry is made of what the modern system says.

    Sources are JSON as it was read, numbers as int or Decimal; what is absent is missing or None.
    """

    objectname: str
    each: str
    """The list of the modern object of which every element makes an entry; empty: the object makes one itself."""
    fields: tuple[str, ...]
    """The names at the top of the entry, in order; every entry has all of them."""
    nulls: tuple[NullField, ...]
    sources: frozenset[str]
    """Names of the sources that its rules use."""
    shape: Shape
    document: ReadDocument
    rules: tuple[ReadRule, ...]
    source: str
    """The Python source that the rules were compiled to."""
    _renderers: Mapping[str, Renderer]
    """By language; the first is the default."""
    _default: Renderer

    @property
    def known_sources(self) -> frozenset[str]:
        """Return the names of the sources that its rules could use."""
        return SOURCES[self.objectname]

    def render(self, sources: Mapping[str, Any], language: str = "") -> dict[str, Any]:
        """Return the entry, its texts in a language the profile has, or the default one.

        Never raises for what the modern system may send: what does not fit its field is null. The entry shares no
        list or dict with the sources.
        """
        renderer = self._renderers.get(language)
        return (renderer or self._choose(language))(sources)

    def _choose(self, language: str) -> Renderer:
        """Return the renderer of "en" for "EN" or "en-GB"."""
        return self._renderers.get(language.strip().replace("_", "-").partition("-")[0].casefold(), self._default)


@dataclass(frozen=True, slots=True)
class ReadProfile:
    """The answer to a legacy read, in one dialect."""

    creditor: ReadMapping
    case: ReadMapping
    settlement: ReadMapping
    languages: tuple[str, ...]
    """In which there are texts; the first is the default."""
    _closed: ClosedPart
    _codes: frozenset[str]

    @property
    def mappings(self) -> tuple[ReadMapping, ...]:
        """Return all kinds of entries, in the order of the answer."""
        return self.creditor, self.case, self.settlement

    def is_closed(self, case: Mapping[str, Any]) -> bool:
        """Tell whether a modern case counts as closed; one that says nothing is open."""
        code = case.get(self._closed.field)
        by_code = isinstance(code, str) and fold_code(code) in self._codes
        return by_code or case.get(self._closed.date) is not None

    def reasons(self, case: Mapping[str, Any]) -> set[str]:
        """Return the parts of `[closed]` by which a case counts as closed, as messages name them."""
        field, date = self._closed.field, self._closed.date
        parts = {fold_code(case[field]): {field: case[field]}} if isinstance(case.get(field), str) else {}
        parts[date] = {date: case.get(date)}
        return {describe_closed(part) for part, alone in parts.items() if self.is_closed(alone)}


def list_parts(document: ReadDocument) -> Iterator[str]:
    """Yield everything of a file that examples must exercise."""
    if document.closed is not None:
        codes = [*map(fold_code, document.closed.values), document.closed.date]
        yield from (describe_closed(each) for each in codes if each)
    for key, rule in spell_out_read_rules(document):
        yield key
        if rule.default is not None:
            yield default_key(key)
    if document.rest is not None:
        yield REST
    for name, table in document.table.items():
        yield from (describe_code(name, fold_code(row.code)) for row in table.rows)
    for groups in list(document.texts.values())[:1]:  # every language has the same codes
        for group, texts in groups.items():
            yield from (describe_code(text_table(group), fold_code(code)) for code in texts)


def describe_closed(part: str) -> str:
    """Name a part of `[closed]` in messages."""
    return f'closed "{part}"'


def build_reading(
    document: ReadDocument,
    rules: Mapping[str, Sequence[ReadRule]],
    title: str,
    notice: Callable[[str], None] | None = None,
) -> ReadMapping:
    """Compile a checked document; `rules` by language, with `notice` one that tells which of them write values."""
    shape = Shape(document.objectname, nest_fields(document.fields))
    unread = Unread(document.objectname).notice
    compiled = {
        language: compile_reading(shape.fields, spoken, f"{title} {language}".rstrip(), unread, notice)
        for language, spoken in rules.items()
    }
    whole = {
        language: append_rest(renderer, document, rules[language], notice)
        for language, (renderer, _) in compiled.items()
    }
    default, spoken = next(iter(rules.items()))
    renderers = {**whole, "": whole[default]}
    return ReadMapping(
        objectname=document.objectname,
        each=document.each,
        fields=tuple(field.name for field in shape.fields),
        nulls=tuple(NullField(name, part.reason, part.evidence) for part in document.null for name in part.fields),
        sources=frozenset(path[0].name for rule in spoken for path in rule.sources),
        shape=shape,
        document=document,
        rules=tuple(spoken),
        source=compiled[default][1],
        _renderers=renderers | {alias: renderers[language] for alias, language in document.aliases.items()},
        _default=renderers[default],
    )


def gather_profile(mappings: Mapping[str, ReadMapping]) -> ReadProfile:
    """Return the three kinds of entries together."""
    case = mappings["case"]
    closed = case.document.closed
    if closed is None:  # pragma: no cover - `check_reading` has told it
        raise ValueError("case.toml without [closed]")
    return ReadProfile(
        creditor=mappings["creditor"],
        case=case,
        settlement=mappings["settlement"],
        languages=tuple(dict.fromkeys(language for one in mappings.values() for language in one.document.texts)),
        _closed=closed,
        _codes=frozenset(map(fold_code, closed.values)),
    )
