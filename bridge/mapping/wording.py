"""What pydantic found in a file, in words for an operator: under the key as it stands in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.mapping.rules import Fault
from bridge.wording import Location, word_error, word_unknown, write_key

_MUST = "must be "


def describe_faults(error: ValidationError, model: type[BaseModel], document: Any) -> list[Fault]:
    """Say what pydantic found in words for an operator: which key, what is wrong, what to do.

    `document` is what was read from the file. Where a value may be one of several kinds, what is said of each is one
    fault.
    """
    words: dict[str, list[str]] = {}
    for found in error.errors(include_url=False):
        if found["type"] == "too_short" and len(found["input"]) >= found["ctx"]["min_length"]:
            continue  # it counts without the entries that have faults of their own
        said = words.setdefault(write_key(_find_place(found, document)) or "the file", [])
        said += [word for word in (_word(found, model),) if word not in said]
    return [Fault(key, _join(said)) for key, said in words.items()]


def _word(found: ErrorDetails, model: type[BaseModel]) -> str:
    if found["type"] != "extra_forbidden":
        return word_error(found)
    *table, name = found["loc"]
    return word_unknown(str(name), _list_keys(model.model_json_schema(), table))


def _join(said: Sequence[str]) -> str:
    """Return what is said of one key; `must be A` and `must be B` as `must be A, or B`."""
    if len(said) > 1 and all(word.startswith(_MUST) for word in said):
        return _MUST + ", or ".join(word.removeprefix(_MUST) for word in said)
    return "; or ".join(said)


def _find_place(found: ErrorDetails, document: Any) -> Location:
    """Return where in the document a finding is: without the steps that only name one of several kinds."""
    place: list[str | int] = []
    here = document
    for number, step in enumerate(found["loc"], 1):
        inside = _entries(here)
        if step in inside:
            here = inside[step]
        elif isinstance(here, Mapping) and isinstance(step, str) and step.partition(".")[0] in here:
            here = None  # a dotted path of nested tables, spelt as one
        elif not (found["type"] == "missing" and number == len(found["loc"]) and isinstance(here, Mapping)):
            continue
        place.append(step)
    return tuple(place)


def _entries(value: Any) -> Mapping[Any, Any]:
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else {}


def _list_keys(schema: Mapping[str, Any], table: Sequence[str | int]) -> set[str]:
    """Return the keys that a table of a file may have."""
    tables = [schema]
    for step in table:
        tables = [inner for outer in tables for inner in _step(outer, step, schema)] or tables
    return {key for each in tables for one in _kinds(each, schema) for key in one.get("properties", {})}


def _step(declared: Mapping[str, Any], step: str | int, schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what is declared one step further in; nothing for a step that only names one of several kinds."""
    tags = declared.get("discriminator", {}).get("mapping", {})
    if step in tags:
        yield {"$ref": tags[step]}
        return
    for kind in _kinds(declared, schema):
        inner = kind.get("items") if isinstance(step, int) else kind.get("properties", {}).get(step)
        inner = inner or (kind.get("additionalProperties") if isinstance(step, str) else None)
        if isinstance(inner, Mapping):
            yield inner


def _kinds(declared: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield everything a declaration may be, references followed."""
    if "$ref" in declared:
        yield from _kinds(schema["$defs"][declared["$ref"].rpartition("/")[2]], schema)
    elif "anyOf" in declared or "oneOf" in declared:
        for one in (*declared.get("anyOf", ()), *declared.get("oneOf", ())):
            yield from _kinds(one, schema)
    else:
        yield declared
