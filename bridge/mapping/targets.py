"""A loaded profile against the JSON schemas of what is sent: targets exist, types fit, required ones are set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.batch import Operation
from bridge.mapping.objects import ObjectMapping
from bridge.mapping.profiles import Profile
from bridge.mapping.rules import Rule
from bridge.mapping.shapes import required_fields
from bridge.mapping.transforms import Kind
from bridge.mapping.tree import Node, grow_tree, leaves

JsonSchema = Mapping[str, Any]

_FORMATS = {"date": Kind.DATE, "date-time": Kind.INSTANT}
_REMEDIES = {
    "date-time": 'apply the transform "date-time"',
    "date": 'apply the transform "date"',
    "number": 'apply the transform "decimal"',
    "string": "apply a transform that gives a text",
}


def check_targets(profile: Profile, schemas: Mapping[str, JsonSchema]) -> list[str]:
    """Return what does not fit the schema of each operation's item; empty when all is well.

    `schemas` maps the name of an operation to the JSON schema of one item (pydantic's `model_json_schema()`).
    """
    faults: dict[str, None] = {}
    for objectname, mapping in profile.objects.items():
        for operation in mapping.operations.values():
            file = f"{profile.name}/{objectname}.toml"
            schema = schemas.get(operation.name)
            if schema is None:
                known = ", ".join(sorted(schemas))
                faults[f'{file}: operation "{operation.name}" is not one the bridge can send; it knows {known}'] = None
                continue
            check = _Check(mapping, operation, schema)
            faults.update({f"{file}: {fault} (operation {operation.name})": None for fault in check.run()})
    return list(faults)


@dataclass(frozen=True, slots=True)
class _Check:
    """One operation against its schema."""

    mapping: ObjectMapping
    operation: Operation
    schema: JsonSchema

    def run(self) -> Iterator[str]:
        """Yield everything that does not fit."""
        rules = [rule for rule in self.mapping.rules if self.operation.name in rule.operations]
        tree, _ = grow_tree(rules)
        reference = self.mapping.document.reference
        into = reference.into if reference else ""
        filled = {into, self.operation.unique_id}  # the bridge itself fills these
        yield from self._object(tree, self._options(self.schema), "", filled)
        known = self._properties(self._options(self.schema))
        written = tree.members.keys() | filled
        for key, name in (("reference.into", into), ("unique_id", self.operation.unique_id)):
            if name and name not in known:
                yield f'{key}: there is no target "{name}"'
        for name in self.operation.distinct:
            if name not in known or name not in written:
                yield f'distinct: "{name}" is not a target that is written'

    def _options(self, schema: JsonSchema) -> list[JsonSchema]:
        """Return the alternatives of a schema with references followed, null left out."""
        if "$ref" in schema:
            found: Any = self.schema
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            return self._options(found)
        for word in ("anyOf", "oneOf", "allOf"):
            if word in schema:
                return [option for part in schema[word] for option in self._options(part)]
        return [] if schema.get("type") == "null" else [schema]

    def _properties(self, options: list[JsonSchema]) -> dict[str, JsonSchema]:
        return {name: part for option in options for name, part in option.get("properties", {}).items()}

    def _object(self, node: Node, options: list[JsonSchema], place: str, filled: set[str]) -> Iterator[str]:
        properties = self._properties(options)
        for name, member in node.members.items():
            target = f"{place}{name}"
            if name in properties:
                yield from self._place(member, self._options(properties[name]), target)
            else:
                yield f'{_first(member).key}: there is no target "{target}"; correct the path or drop the field'
        required = dict.fromkeys(name for option in options for name in option.get("required", ()))
        for name in required.keys() - filled:
            yield from self._demand(node.members.get(name), f"{place}{name}")

    def _place(self, node: Node, options: list[JsonSchema], target: str) -> Iterator[str]:
        elements = [node.each] if node.each else list(node.elements.values())
        if node.rule:
            yield from self._leaf(node.rule, options, target)
        elif elements:
            arrays = [option["items"] for option in options if "items" in option]
            if not arrays:
                yield f'{_first(node).key}: the target "{target}" is not an array; remove the brackets'
                return
            for element in elements:
                yield from self._place(element, self._options(arrays[0]), f"{target}[]")
        elif any("properties" in option for option in options):
            yield from self._object(node, options, f"{target}.", set())
        else:
            yield f'{_first(node).key}: the target "{target}" is not an object; end the path there'

    def _leaf(self, rule: Rule, options: list[JsonSchema], target: str) -> Iterator[str]:
        wanted = [_describe(option) for option in options]
        if "number" in wanted:
            wanted = [word for word in wanted if word != "string"]  # pydantic's textual form of a decimal
        if not any(_fits(rule.kind, word) for word in wanted):
            remedy = _REMEDIES.get(wanted[0] if wanted else "", "correct the path or the transform")
            yield f'{rule.key}: the target "{target}" takes {" or ".join(wanted)}, not {rule.kind}; {remedy}'
        allowed = {str(value) for option in options for value in _listed(option)}
        for value in sorted(map(str, rule.writes or ())):
            if allowed and value not in allowed:
                yield f'{rule.key}: the target "{target}" does not take "{value}", only {", ".join(sorted(allowed))}'

    def _demand(self, node: Node | None, target: str) -> Iterator[str]:
        if node is None:
            yield f'the target "{target}" is required and nothing writes it; add a rule or a constant'
        elif node.rule and not self._is_certain(node.rule):
            yield f'{node.rule.key}: the target "{target}" is required; add required = true, a [[require]] or a default'

    def _is_certain(self, rule: Rule) -> bool:
        if rule.constant is not None or rule.default is not None or rule.required:
            return True
        return not required_fields(self.mapping.document).isdisjoint(rule.reads)


def _first(node: Node) -> Rule:
    return next(leaves(node))


def _describe(option: JsonSchema) -> str:
    """Return the word for what a schema takes; a format that restricts a text stands for it."""
    if option.get("format") in _FORMATS:
        return str(option["format"])
    return str(option.get("type", "anything"))


def _listed(option: JsonSchema) -> list[Any]:
    return [*option.get("enum", ()), *([option["const"]] if "const" in option else ())]


def _fits(kind: Kind, wanted: str) -> bool:
    if wanted in _FORMATS:
        return kind is _FORMATS[wanted]
    accepted = {
        "anything": set(Kind),
        "string": {Kind.TEXT, Kind.DATE, Kind.DATETIME, Kind.INSTANT},
        "number": {Kind.DECIMAL, Kind.INTEGER},
        "integer": {Kind.INTEGER},
        "boolean": {Kind.BOOLEAN},
    }
    return kind in accepted.get(wanted, set())
