"""Mapping rules as Python source: one function an operation, readable in `ObjectMapping.source`.

What is known beforehand is not asked again for every row: paths become `get` calls, transforms that would change
nothing are left out, arrays become loops. A canonical invoice row of 40 values takes about three microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.batch import Operation, Reference, RowRefused, Translation
from bridge.mapping.document import ReferencePart, Scalar
from bridge.mapping.paths import Path, parse_path, values_at
from bridge.mapping.rules import Rule, default_key
from bridge.mapping.source import SourceWriter, compile_source
from bridge.mapping.transforms import Kind, Unfit, join_texts
from bridge.mapping.tree import Node

Translator = Callable[[dict[str, Any]], Translation]

_STAY_PLAIN = "plain = plain and (text := str({0})) == text.lower()"
"""What needs an exponent, or is no number at all, is written with a capital: 1E+3, NaN, Infinity."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that goes into the function of one operation."""

    operation: Operation
    tree: Node
    required: tuple[str, ...] = ()
    """Fields without which the row is refused, whatever its rules say."""
    reference: ReferencePart | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


def compile_plan(plan: Plan, title: str, notice: Callable[[str], None] | None = None) -> tuple[Translator, str]:
    """Return the function and its source; with `notice` it tells the key of every rule that writes a value."""
    writer = _Writer(trace=notice is not None)
    writer.write_function(plan)
    return compile_source(
        writer, "translate", f"{title}: {plan.operation.name}", operation=plan.operation, notice=notice
    )


class _Writer(SourceWriter):
    """Writes the source of one function."""

    def __init__(self, *, trace: bool) -> None:
        super().__init__()
        self.names |= {
            "NOTHING": {},
            "Reference": Reference,
            "RowRefused": RowRefused,
            "Translation": Translation,
            "Unfit": Unfit,
            "join_texts": join_texts,
            "list_missing": list_missing,
        }
        self._trace = trace

    def write_function(self, plan: Plan) -> None:
        """Write `translate(row)`."""
        with self._block("def translate(row):"):
            self._line("get0 = row.get")
            self._line("faults = []")
            self._line("plain = True")
            for name in plan.required:
                self._demand(name)
            self._line("o0 = {}")
            self._object(plan.tree, "o0", {(): "0"}, sure=True)
            reference = self._reference(plan)
            keys = self._pairs("keys", plan.keys)
            with self._block("if faults:"):
                self._line("raise RowRefused(*dict.fromkeys(faults))")
            self._line(f"return Translation(operation, o0, {reference}, {keys}, plain)")

    def _demand(self, name: str) -> None:
        path = parse_path(name)
        if len(path) > 1:
            self._line(f"faults += list_missing(row, {self._name('p', path)})")
            return
        with self._block(f"if get0({path[0].name!r}) is None:"):
            self._fault(f"{path[0].name}: required")

    # --- objects and arrays ----------------------------------------------------------------------------------------

    def _object(self, node: Node, out: str, scope: dict[Path, str], *, sure: bool, parent: str = "") -> None:
        """Fill `out`; what rules write without a source is left out of an object that has nothing else in it."""
        for name, member in node.members.items():
            self._place(member, f"{out}[{name!r}] = {{}}", scope)
        fillers = [(name, member.rule) for name, member in node.members.items() if member.rule and _fills(member.rule)]
        if sure:
            self._fill(out, fillers)
            return
        with self._block(f"if {out}:"):
            self._fill(out, fillers)
            self._line(parent.format(out))

    def _place(self, node: Node, store: str, scope: dict[Path, str]) -> None:
        """Write what makes one value of the item and stores it."""
        if node.rule is not None:
            if node.rule.sources:
                self._leaf(node.rule, store, scope)
        elif node.each is not None:
            self._each(node, store, scope)
        elif node.elements:
            self._elements(node, store, scope)
        else:
            out = self._new("o")
            self._line(f"{out} = {{}}")
            self._object(node, out, scope, sure=False, parent=store)

    def _elements(self, node: Node, store: str, scope: dict[Path, str]) -> None:
        array = self._new("a")
        self._line(f"{array} = []")
        for _, element in sorted(node.elements.items()):
            self._place(element, f"{array}.append({{}})", scope)
        with self._block(f"if {array}:"):
            self._line(store.format(array))

    def _each(self, node: Node, store: str, scope: dict[Path, str]) -> None:
        array, number = self._new("a"), self._new("")
        element = node.each or Node()
        inner = {**scope, node.over: number}
        with self._block(f"if (v := {self._read(node.over, scope)}) is not None:"):
            self._line(f"{array} = []")
            self._line(store.format(array))
            with self._hold() as body, self._nest():
                self._element(element, array, number, inner)
            numbered = any(f"{{i{number}}}" in line for line in body)  # only messages need the element's number
            self._line(f"for i{number}, e{number} in enumerate(v):" if numbered else f"for e{number} in v:")
            self.lines += body

    def _element(self, element: Node, array: str, number: str, scope: dict[Path, str]) -> None:
        with self._hold() as body:
            if element.members:
                self._line(f"o{number} = {{}}")
                self._object(element, f"o{number}", scope, sure=True)
                self._line(f"{array}.append(o{number})")
            else:
                self._place(element, f"{array}.append({{}})", scope)
        if any(f"get{number}(" in line for line in body):
            self._line(f"get{number} = e{number}.get")
        self.lines += body

    def _fill(self, out: str, fillers: list[tuple[str, Rule]]) -> None:
        for name, rule in fillers:
            value = self._value(rule.default if rule.constant is None else rule.constant)
            if rule.kind is Kind.DECIMAL:
                self._line(_STAY_PLAIN.format(value))
            if rule.constant is not None:
                self._line(f"{out}[{name!r}] = {value}")
                self._note(rule.key)
                continue
            with self._block(f"if {name!r} not in {out}:"):
                self._line(f"{out}[{name!r}] = {value}")
                self._note(default_key(rule.key))

    # --- values ----------------------------------------------------------------------------------------------------

    def _leaf(self, rule: Rule, store: str, scope: dict[Path, str]) -> None:
        path = _spell_path(rule.deepest, scope)
        with self._block(f"if {self._gather(rule, scope)} is not None:"):
            if any(step.function for step in rule.steps):
                self._guarded(rule, store, path)
            else:
                for step in rule.steps:
                    self._line(f"v = {step.expression}")
                self._store(rule, store)
        if rule.required:
            with self._block("else:"):
                self._fault(f"{path}: required")

    def _guarded(self, rule: Rule, store: str, path: str) -> None:
        with self._block("try:"):
            for position, step in enumerate(rule.steps):
                call = step.expression or f"{self._name('t', step.function)}(v)"
                self._line(f"v = {call}" if position == 0 else f"v = None if v is None else {call}")
        with self._block("except Unfit as unfit:"):
            self._fault(f"{path}: {{unfit}}")
        with self._block("else:"):
            with self._block("if v is not None:"):
                self._store(rule, store)
            if rule.required:
                with self._block("else:"):
                    self._fault(f"{path}: required")

    def _store(self, rule: Rule, store: str) -> None:
        if rule.kind is Kind.DECIMAL:
            self._line(_STAY_PLAIN.format("v"))
        self._line(store.format("v"))
        self._note(rule.key)

    def _gather(self, rule: Rule, scope: dict[Path, str]) -> str:
        """Return an expression for the sources' value that leaves it in `v`."""
        first, *others = [self._read(source, scope) for source in rule.sources]
        if rule.separator is not None:
            return f"(v := join_texts(({', '.join([first, *others])}), {rule.separator!r}))"
        if not others:
            return f"(v := {first})"
        self._line(f"v = {first}")
        for read in others:
            with self._block("if v is None:"):
                self._line(f"v = {read}")
        return "v"

    def _read(self, path: Path, scope: dict[Path, str]) -> str:
        """Return an expression for the value at a source path, from the innermost loop that leads to it."""
        taken = max((prefix for prefix in scope if path[: len(prefix)] == prefix), key=len)
        rest = path[len(taken) :]
        if not rest:
            return f"e{scope[taken]}"
        expression = f"get{scope[taken]}({rest[0].name!r})"
        for step in rest[1:]:
            expression = f"({expression} or NOTHING).get({step.name!r})"
        return expression

    def _value(self, value: Scalar | None) -> str:
        return repr(value) if isinstance(value, str | int) else self._name("c", value)

    # --- references and keys ---------------------------------------------------------------------------------------

    def _reference(self, plan: Plan) -> str:
        part = plan.reference
        if part is None:
            return "None"
        own = f"(get0({part.id!r}) or '')" if part.id else "''"
        self._line(f"id = {own}")
        if part.into:
            with self._block("if id:"):
                self._line(f"o0[{part.into!r}] = id")
        keys = self._pairs("names", part.keys)
        names = [name for name in (part.id, *part.keys.values()) if name]
        if not set(names) & set(plan.required):  # else its absence was told already
            with self._block(f"if not id and not {keys}:"):
                self._fault(f"{names[0]}: required to find the {part.target}{_or(names[1:])}")
        return f"Reference({part.target!r}, {part.into!r}, id, {keys})"

    def _pairs(self, variable: str, fields: Mapping[str, str]) -> str:
        if not fields:
            return "()"
        self._line(f"{variable} = ()")
        for kind, name in fields.items():
            with self._block(f"if (v := get0({name!r})) is not None:"):
                self._line(f"{variable} += (({kind!r}, v),)")
        return variable

    # --- lines -----------------------------------------------------------------------------------------------------

    def _fault(self, message: str) -> None:
        """Note a fault; names in braces are filled in when it happens."""
        prefix = "f" if "{" in message else ""
        self._line(f"faults.append({prefix}{message!r})")

    def _note(self, key: str) -> None:
        if self._trace:
            self._line(f"notice({key!r})")


def list_missing(fields: Mapping[str, Any], path: Path) -> list[str]:
    """Return a fault for every place where a required value is missing though its parent is there."""
    return [f"{place}: required" for place, value in values_at(fields, path) if value is None]


def _fills(rule: Rule) -> bool:
    return rule.constant is not None or rule.default is not None


def _spell_path(path: Path, scope: Mapping[Path, str]) -> str:
    """Return how messages name a field, with the variables of the loops it lies in for the element numbers."""
    steps = []
    for position, step in enumerate(path):
        number = scope.get(path[: position + 1])
        steps.append(f"{step.name}[{{i{number}}}]" if number else step.name)
    return ".".join(steps)


def _or(names: list[str]) -> str:
    return f", or {' or '.join(names)}" if names else ""
