"""Rules as the compiler needs them: paths read, transforms looked up, kinds followed from field to target."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import TypeVar

from bridge.mapping.document import (
    Country,
    Evidence,
    Join,
    LookUp,
    ObjectDocument,
    Phone,
    Plain,
    RulePart,
    Scalar,
    SplitName,
    TablePart,
    Transform,
)
from bridge.mapping.paths import Path, Step, array_prefixes, parse_path
from bridge.mapping.tables import CodeTable, kind_of, table_kinds
from bridge.mapping.transforms import TAKES, Application, Kind, apply_plain, read_country, read_phone, split_name

Part = TypeVar("Part")
Resolved = TypeVar("Resolved")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something a file says that cannot be: where, and what to do about it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class Misfit(Exception):
    """A rule cannot work; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule ready to be compiled."""

    key: str
    target: Path
    kind: Kind
    operations: frozenset[str]
    evidence: Evidence
    note: str = ""
    reads: tuple[str, ...] = ()
    """The fields it takes its value from, as the file spells them."""
    sources: tuple[Path, ...] = ()
    separator: str | None = None
    """Between joined sources; None: the first source that is present."""
    steps: tuple[Application, ...] = ()
    constant: Scalar | None = None
    default: Scalar | None = None
    required: bool = False
    writes: frozenset[Scalar] | None = None
    """Every value it can write, where those are known beforehand."""

    @property
    def deepest(self) -> Path:
        """The source that lies in the most arrays; empty for a constant."""
        return max(self.sources, key=lambda path: len(array_prefixes(path)), default=())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rules of one file may refer to."""

    document: ObjectDocument
    tables: Mapping[str, CodeTable]
    zone: tzinfo | None
    operations: frozenset[str]


def resolve_rules(surroundings: Surroundings) -> tuple[list[Rule], list[Fault]]:
    """Return the rules that can work, and what is wrong with the others."""
    return resolve_each(spell_out_rules(surroundings.document), lambda key, part: _resolve(key, part, surroundings))


def resolve_each(
    parts: Iterable[tuple[str, Part]], resolve: Callable[[str, Part], Resolved]
) -> tuple[list[Resolved], list[Fault]]:
    """Return what could be resolved of the parts of a file, and what is wrong with the others."""
    rules: list[Resolved] = []
    faults: list[Fault] = []
    for key, part in parts:
        try:
            rules.append(resolve(key, part))
        except (Misfit, ValueError) as misfit:
            faults.append(Fault(key, str(misfit)))
    return rules, faults


def default_key(key: str) -> str:
    """Name the default of a rule in messages."""
    return f"{key}, its default"


def spell_out_rules(document: ObjectDocument) -> Iterator[tuple[str, RulePart]]:
    """Yield every rule with the name messages call it by; a `[[carry]]` gives one for each of its fields."""
    for carry in document.carry:
        shared = carry.model_dump(exclude={"fields", "transform"})
        for field in carry.fields:
            rule = RulePart.model_construct(**shared, source=(field,), to=field, transform=carry.transform)
            yield _name_rule("carry", rule), rule
    for rule in document.rule:
        yield _name_rule("rule to", rule), rule


def _name_rule(kind: str, rule: RulePart) -> str:
    return f'{kind} "{rule.to}"' + (f" ({', '.join(rule.only)})" if rule.only else "")


def _resolve(key: str, part: RulePart, surroundings: Surroundings) -> Rule:
    target = parse_path(part.to)
    if (part.constant is not None or part.default is not None) and target[-1] != Step(target[-1].name):
        raise Misfit("a constant or default needs a name to stand under; it cannot be an element of an array")
    route = _follow(part, surroundings) if part.constant is None else _Route(kind_of(part.constant))
    rule = Rule(
        key=key,
        target=target,
        kind=route.kind,
        operations=_name_operations(part.only, surroundings.operations),
        evidence=part.evidence,
        note=part.note,
        reads=part.source,
        sources=tuple(parse_path(source) for source in part.source),
        separator=route.separator,
        steps=route.steps,
        constant=part.constant,
        default=part.default,
        required=part.required,
        writes=_known_values(part, surroundings.document.table),
    )
    _check_default(rule)
    _check_arrays(rule)
    return rule


def _name_operations(only: tuple[str, ...], operations: frozenset[str]) -> frozenset[str]:
    unknown = sorted(set(only) - operations)
    if unknown:
        raise Misfit(f"unknown operation {', '.join(unknown)} in only; declare it with [[operation]] or remove it")
    return frozenset(only) or operations


@dataclass(frozen=True, slots=True)
class _Route:
    """A value's way to its target: what it is at the end, and what is left to do on the way."""

    kind: Kind
    separator: str | None = None
    steps: tuple[Application, ...] = ()


def _follow(part: RulePart, surroundings: Surroundings) -> _Route:
    kind, separator, remaining = _gather(part, surroundings.document)
    steps: list[Application] = []
    for transform in remaining:
        if kind not in TAKES[transform.name]:
            raise Misfit(f"{transform.name} cannot be applied to a {kind} value; remove it or put another before it")
        step = _apply(transform, kind, surroundings)
        kind = step.gives
        if step.function or step.expression:
            steps.append(step)
    return _Route(kind, separator, tuple(steps))


def _gather(part: RulePart, document: ObjectDocument) -> tuple[Kind, str | None, tuple[Transform, ...]]:
    """Return the kind the sources have together, the separator if they are joined, and the transforms left."""
    undeclared = [source for source in part.source if source not in document.fields]
    if undeclared:
        raise Misfit(f'"{undeclared[0]}" is not a declared field; add it to [fields] or correct the spelling')
    kinds = {Kind(document.fields[source].value) for source in part.source}
    gatherers = [transform for transform in part.transform if transform.name in {"first-of", "join"}]
    if len(part.source) == 1:
        if gatherers:
            raise Misfit(f"{gatherers[0].name} needs several sources: make from a list, or remove it")
        return kinds.pop(), None, part.transform
    if len(gatherers) != 1 or part.transform[0] is not gatherers[0]:
        raise Misfit("several sources need first-of or join as the first transform, once")
    if isinstance(gatherers[0], Join):
        return Kind.TEXT, gatherers[0].separator, part.transform[1:]
    if len(kinds) > 1:
        raise Misfit("first-of needs sources of one type; change [fields], or join them")
    return kinds.pop(), None, part.transform[1:]


def _apply(transform: Transform, kind: Kind, surroundings: Surroundings) -> Application:
    function: Callable[..., object]
    match transform:
        case Plain():
            return apply_plain(transform.name, kind, surroundings.zone)
        case LookUp():
            return _apply_table(transform, kind, surroundings)
        case SplitName():
            function = partial(split_name, part=transform.part)
        case Phone():
            function = partial(read_phone, **transform.model_dump(exclude={"name"}))
        case Country():
            function = partial(read_country, unreadable=transform.unreadable)
        case Join():  # pragma: no cover - `_gather` has taken or refused it
            raise Misfit("join comes first")
    return Application(Kind.TEXT, function)


def _apply_table(transform: LookUp, kind: Kind, surroundings: Surroundings) -> Application:
    table = surroundings.tables.get(transform.table)
    if table is None:
        raise Misfit(f'there is no table "{transform.table}"; add [table.{transform.table}] or correct the name')
    kinds = table_kinds(surroundings.document.table[transform.table], kind)
    if len(kinds) != 1:
        raise Misfit(f'table "{transform.table}" must give values of one type here; it gives {_list_kinds(kinds)}')
    return Application(kinds.pop(), table.look_up)


def _list_kinds(kinds: set[Kind]) -> str:
    return " and ".join(sorted(kinds)) or "none: every row is refused"


def _known_values(part: RulePart, tables: Mapping[str, TablePart]) -> frozenset[Scalar] | None:
    """Return every value a rule can write, where a constant or a closed code table says so."""
    if part.constant is not None:
        return frozenset({part.constant})
    last = part.transform[-1] if part.transform else None
    if not isinstance(last, LookUp) or tables[last.table].unmapped == "keep":
        return None
    table = tables[last.table]
    fallback = () if isinstance(table.unmapped, str) else (table.unmapped.value,)
    values = (*(row.value for row in table.rows), *fallback, part.default)
    return frozenset(value for value in values if value is not None)


def _check_default(rule: Rule) -> None:
    if rule.default is None:
        return
    given = kind_of(rule.default)
    # a date or an instant is written as a text in the file
    textual = given is Kind.TEXT and rule.kind in {Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.INSTANT}
    numeric = given is Kind.INTEGER and rule.kind is Kind.DECIMAL
    if given is not rule.kind and not textual and not numeric:
        raise Misfit(f"the default is {given} but the rule gives {rule.kind}; make them the same type")


def _check_arrays(rule: Rule) -> None:
    deepest = array_prefixes(rule.deepest)
    for source in rule.sources:
        if array_prefixes(source) != deepest[: len(array_prefixes(source))]:
            raise Misfit("the sources lie in different arrays; take them from one array, or from outside of any")
    if len(deepest) > len(array_prefixes(rule.target)):
        raise Misfit("the source lies in more arrays ([]) than the target has; elements would be lost")
