"""Reading rules as Python source: one function for each language, readable in `ReadMapping.source`.

The function is the entry written out as one literal: what is known beforehand (paths, types, the order of the fields)
costs nothing for an entry. A case of 27 fields and its history takes a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from bridge.mapping.document import Scalar
from bridge.mapping.paths import Path, Step
from bridge.mapping.reading.rules import ReadRule
from bridge.mapping.reading.values import NOTHING, Change, element, items, pass_on, rows
from bridge.mapping.rules import default_key
from bridge.mapping.source import SourceWriter, compile_source
from bridge.mapping.transforms import join_texts
from bridge.shape import Field

Renderer = Callable[[Mapping[str, Any]], dict[str, Any]]
Notice = Callable[[str], None]
UnreadNotice = Callable[[str, Iterable[Any]], None]
"""Takes the field, and what its sources hold."""

_SINGLE = {str: "type({0}) is str and v", int: "type({0}) is int", bool: "type({0}) is bool"}


def compile_reading(
    fields: Iterable[Field], rules: Iterable[ReadRule], title: str, unread: UnreadNotice, notice: Notice | None = None
) -> tuple[Renderer, str]:
    """Return the function and its source; with `notice` it tells the key of every rule that writes a value.

    Without, it tells `unread` of every number that something was sent for and nothing could be made of.
    """
    writer = _Writer({rule.target: rule for rule in rules}, trace=notice is not None)
    writer.write_function(tuple(fields))
    return compile_source(writer, "render", title, note=partial(_note, notice or _ignore), unread=unread)


def arrays_of(rules: Iterable[ReadRule]) -> dict[str, Path]:
    """Return the source array of every array of the entry that is made from one, by the field's path up to its []."""
    arrays: dict[str, Path] = {}
    for rule in rules:
        arrays.update(zip(rule.places, rule.over, strict=False))
    return arrays


def _ignore(key: str) -> None:
    """Tell nobody."""


def _note(notice: Notice, key: str, value: Any) -> Any:
    if value is not None:
        notice(key)
    return value


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a place in the function can see: objects whose members can be read, and elements of loops around it."""

    getters: dict[Path, str] = field(default_factory=dict)
    elements: dict[Path, str] = field(default_factory=dict)

    def inside(self, array: Path, variable: str) -> _Scope:
        return _Scope(dict(self.getters), {**self.elements, array: variable})


class _Writer(SourceWriter):
    """Writes the source of one function."""

    def __init__(self, rules: Mapping[str, ReadRule], *, trace: bool) -> None:
        super().__init__()
        self.names |= {
            "NOTHING": NOTHING,
            "element": element,
            "items": items,
            "join_texts": join_texts,
            "rows": rows,
        }
        self._rules = rules
        self._arrays = arrays_of(rules.values())
        self._trace = trace

    def write_function(self, fields: tuple[Field, ...]) -> None:
        """Write `render(sources)`."""
        with self._block("def render(sources):"):
            self._line("get0 = sources.get")
            entry = self._object(fields, "", _Scope({(): "get0"}))
            self._line(f"return {entry}")

    # --- objects and arrays ----------------------------------------------------------------------------------------

    def _object(self, fields: tuple[Field, ...], place: str, scope: _Scope) -> str:
        """Return an object as a literal, after the lines it needs before it."""
        members = [f"{one.name!r}: {self._member(one, f'{place}{one.name}', scope)}" for one in fields]
        margin = "\n" + "    " * (self._depth + 1)
        return "{" + margin + f",{margin}".join(members) + "}"

    def _member(self, one: Field, place: str, scope: _Scope) -> str:
        if one.many:
            return self._array(one, f"{place}[]", scope)
        if one.type is None:
            return self._object(one.fields, f"{place}.", scope)
        return self._leaf(self._rules[place], scope) if place in self._rules else "None"

    def _array(self, one: Field, place: str, scope: _Scope) -> str:
        path = self._arrays.get(place)
        if path is None:
            return "[]"
        array, variable = self._new("a"), self._new("e")
        self._line(f"{array} = []")
        source = self._read((*path[:-1], Step(path[-1].name)), scope)
        with self._block(f"for {variable} in {'items' if self._reads_elements(path) else 'rows'}({source}):"):
            inner = scope.inside(path, variable)
            if one.type is None:
                self._line(f"{array}.append({self._object(one.fields, f'{place}.', inner)})")
            else:
                with self._block(f"if (v := {self._leaf(self._rules[place], inner)}) is not None:"):
                    self._line(f"{array}.append(v)")
        return array

    def _reads_elements(self, array: Path) -> bool:
        """Tell whether a rule takes the elements of an array themselves, and not members of them."""
        return any(array in rule.sources and rule.over[-1:] == (array,) for rule in self._rules.values())

    # --- values ----------------------------------------------------------------------------------------------------

    def _leaf(self, rule: ReadRule, scope: _Scope) -> str:
        """Return an expression for the value of one field; it may use `v`."""
        if rule.constant is not None:
            return self._noted(rule.key, self._value(rule.constant))
        gathered = self._first(rule, scope) if rule.way.separator is None else self._joined(rule, scope)
        if rule.way.whole:
            gathered = f"(None if (v := {gathered}) is None else {self._change(rule.way.whole)}(v))"
        gathered = self._noted(rule.key, gathered)
        if rule.way.is_number and not self._trace:
            sent = ", ".join(self._read(source, scope) for source in rule.sources)
            gathered = f"(v if (v := {gathered}) is not None else unread({rule.target!r}, ({sent},)))"
        if rule.default is None:
            return gathered
        default = self._noted(default_key(rule.key), self._value(rule.default))
        return f"({default} if (v := {gathered}) is None else v)"

    def _first(self, rule: ReadRule, scope: _Scope) -> str:
        """Return an expression for the first source of which something is left."""
        tests = [self._test(rule.way.types, f"v := {self._read(source, scope)}") for source in rule.sources]
        if not rule.way.each:
            return "(" + " else ".join(f"v if {test}" for test in tests) + " else None)"
        change = self._change(rule.way.each)
        *others, expression = [f"({change}(v) if {test} else None)" for test in tests]
        for other in reversed(others):
            expression = f"(v if (v := {other}) is not None else {expression})"
        return expression

    def _joined(self, rule: ReadRule, scope: _Scope) -> str:
        parts = [self._part(rule, source, scope) for source in rule.sources]
        return f"join_texts(({', '.join(parts)},), {rule.way.separator!r})"

    def _part(self, rule: ReadRule, source: Path, scope: _Scope) -> str:
        """Return what one source adds to a joined text; of a list, everything in it."""
        value = f"{self._change(rule.way.each)}(v)" if rule.way.each else "v"
        if source[-1].each and source not in scope.elements:
            listed = self._read((*source[:-1], Step(source[-1].name)), scope)
            return f"*[{value} for v in items({listed}) if {self._test(rule.way.types, 'v')}]"
        return f"({value} if {self._test(rule.way.types, f'v := {self._read(source, scope)}')} else None)"

    def _test(self, types: frozenset[type], value: str) -> str:
        """Return an expression that tells whether a value is one of these types; `value` is "v", or sets it."""
        if len(types) == 1:
            return _SINGLE[next(iter(types))].format(value)
        if types == {int, Decimal}:
            self.names["Decimal"] = Decimal
            return f"((t := type({value})) is int or t is Decimal)"
        return f"type({value}) in {self._name('t', types)}"

    def _change(self, changes: tuple[Change, ...]) -> str:
        return self._name("c", changes[0] if len(changes) == 1 else partial(pass_on, changes))

    def _value(self, value: Scalar) -> str:
        return repr(value) if isinstance(value, str | int) else self._name("d", value)

    def _noted(self, key: str, expression: str) -> str:
        return f"note({key!r}, {expression})" if self._trace else expression

    # --- sources ---------------------------------------------------------------------------------------------------

    def _read(self, path: Path, scope: _Scope) -> str:
        """Return an expression for the value at a source path."""
        if path in scope.elements:
            return scope.elements[path]
        value = f"{self._getter(path[:-1], scope)}({path[-1].name!r})"
        return value if path[-1].index is None else f"element({value}, {path[-1].index})"

    def _getter(self, path: Path, scope: _Scope) -> str:
        """Return the variable that reads members of an object, after a line that sets it at its first use."""
        if path not in scope.getters:
            read = self._read(path, scope)
            scope.getters[path] = self._new("get")
            certain = path in scope.elements and not self._reads_elements(path)  # `rows` has seen to it
            parent = read if certain else f"(v if type(v := {read}) is dict else NOTHING)"
            self._line(f"{scope.getters[path]} = {parent}.get")
        return scope.getters[path]
