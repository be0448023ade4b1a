"""The item an operation sends, as a tree of targets with the rule that fills each leaf."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bridge.mapping.paths import Path, array_prefixes
from bridge.mapping.rules import Fault, Rule


@dataclass(slots=True)
class Node:
    """One place in the item: a leaf (`rule`), an object (`members`), or an array (`each` element, or `elements`)."""

    rule: Rule | None = None
    members: dict[str, Node] = field(default_factory=dict)
    each: Node | None = None
    over: Path = ()
    """The source array whose elements `each` is made of."""
    elements: dict[int, Node] = field(default_factory=dict)

    @property
    def uses(self) -> int:
        """How many different things this place is meant to be; more than one is a contradiction."""
        return sum(map(bool, (self.rule, self.members, self.each, self.elements)))


def grow_tree(rules: Iterable[Rule]) -> tuple[Node, list[Fault]]:
    """Return the tree of targets, and the rules that contradict each other."""
    root = Node()
    faults = [fault for rule in rules for fault in _plant(root, rule)]
    faults += [
        Fault(rule.key, "its target array has no source: another rule must fill it from an array")
        for rule in _without_source(root)
    ]
    faults += [
        Fault(
            rule.key,
            "nothing but constants would stand in this object, and those alone do not make one; "
            "fill another of its members from a field",
        )
        for child in children(root)
        for rule in _without_value(child)
    ]
    return root, faults


def _plant(root: Node, rule: Rule) -> Iterator[Fault]:
    node, arrays = root, array_prefixes(rule.deepest)
    for step in rule.target:
        node = node.members.setdefault(step.name, Node())
        if step.each:
            over = arrays.pop(0) if arrays else ()
            if over and node.over not in ((), over):
                yield Fault(rule.key, "its target array is filled from another source array already; use one of them")
            node.over = node.over or over
            node.each = node.each or Node()
            node = node.each
        elif step.index is not None:
            node = node.elements.setdefault(step.index, Node())
    if node.rule is not None:
        yield Fault(rule.key, "this target is written twice for one operation; remove one, or narrow them with only")
    node.rule = rule
    if _contradicts(root, rule.target):
        yield Fault(rule.key, "this target is a value in one rule and an object or another kind of array in another")


def _contradicts(root: Node, target: Path) -> bool:
    return any(node.uses > 1 for node in _walk(root, target))


def _walk(root: Node, target: Path) -> Iterator[Node]:
    node = root
    for step in target:
        node = node.members[step.name]
        yield node
        if step.each and node.each is not None:
            node = node.each
            yield node
        elif step.index is not None:
            node = node.elements[step.index]
            yield node


def _without_source(node: Node) -> Iterator[Rule]:
    if node.each is not None and not node.over:
        yield from list(leaves(node.each))[:1]
    for child in children(node):
        yield from _without_source(child)


def _without_value(node: Node) -> Iterator[Rule]:
    below = list(leaves(node))
    if node.members and not any(rule.sources for rule in below):
        yield below[0]
        return
    for child in children(node) if node.each is None else children(node.each):
        yield from _without_value(child)


def children(node: Node) -> list[Node]:
    """Return the places directly within a place."""
    return [*node.members.values(), *([node.each] if node.each else []), *node.elements.values()]


def leaves(node: Node) -> Iterator[Rule]:
    """Yield every rule that writes at or below a place."""
    if node.rule is not None:
        yield node.rule
    for child in children(node):
        yield from leaves(child)
