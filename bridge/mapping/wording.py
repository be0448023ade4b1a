"""What pydantic found in a file, in words for an operator."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from bridge.mapping.rules import Fault


def describe_faults(error: ValidationError, model: type[BaseModel]) -> list[Fault]:
    """Say what pydantic found in words for an operator: which key, what is wrong, what to do."""
    known = _list_keys(model.model_json_schema())
    faults = []
    for found in error.errors(include_url=False, include_input=False):
        key = _spell_location(found["loc"])
        if found["type"] == "extra_forbidden":
            name = str(found["loc"][-1])
            faults.append(Fault(key, f"unknown key; remove it or correct the spelling{suggest(name, known)}"))
        elif found["type"] == "missing":
            faults.append(Fault(key, "is missing; add it"))
        else:
            faults.append(Fault(key, found["msg"].removeprefix("Value error, ")))
    return faults


def _spell_location(location: tuple[int | str, ...]) -> str:
    spelled = ""
    for part in location:
        spelled += f"[{part}]" if isinstance(part, int) else f".{part}"
    return spelled.removeprefix(".") or "the file"


def _list_keys(schema: Mapping[str, Any]) -> set[str]:
    tables = [schema, *schema.get("$defs", {}).values()]
    return {key for table in tables for key in table.get("properties", {})}


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the nearest known name; empty when none is near."""
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
