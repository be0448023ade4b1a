"""What a modern object holds beyond the declared fields, for shapes that hand the object on as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from bridge.mapping.reading.compiler import Renderer
from bridge.mapping.reading.document import ReadDocument
from bridge.mapping.reading.rules import ReadRule

REST = "rest"
"""How messages name it."""


def append_rest(
    renderer: Renderer, document: ReadDocument, rules: Sequence[ReadRule], notice: Callable[[str], None] | None
) -> Renderer:
    """Return the renderer with `[rest]` done, if there is one: the declared fields first, then what is left over."""
    part = document.rest
    if part is None:
        return renderer
    spoken_for = _spoken_for(document, rules)

    def render(sources: Mapping[str, Any]) -> dict[str, Any]:
        source = sources.get(part.source)
        others = source if isinstance(source, dict) else {}
        rest = {name: deepcopy(value) for name, value in others.items() if name.lower() not in spoken_for}
        if rest and notice is not None:
            notice(REST)
        return renderer(sources) | rest

    return render


def _spoken_for(document: ReadDocument, rules: Sequence[ReadRule]) -> frozenset[str]:
    """Return the names, in lower case, that a field or a rule speaks of, or that are to be left out.

    Letter case does not tell names apart: a caller that ignores it would see one property twice.
    """
    part = document.rest
    if part is None:
        return frozenset()
    sources = {path for rule in rules for path in rule.sources if path[0].name == part.source and len(path) > 1}
    fields = {name.partition(".")[0].removesuffix("[]") for name in document.fields}
    return frozenset(name.lower() for name in (*part.but, *fields, *(path[1].name for path in sources)))
