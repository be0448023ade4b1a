"""Files of examples: read, and compared with what came out."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.mapping.wording import describe_faults

Document = TypeVar("Document", bound=BaseModel)


def read_examples(folder: Path, stem: str, model: type[Document]) -> tuple[str, Document | None, list[str]]:
    """Return the file's name, what it says, and what is wrong with its form; `stem` is the mapping's name."""
    names = [f"{stem}.examples.{ending}" for ending in ("toml", "json")]
    name = next((name for name in names if (folder / name).is_file()), None)
    if name is None:
        return names[0], None, ["is missing; write an example for every rule"]
    try:
        content = _parse(folder / name)
    except ValueError as error:
        return name, None, [f"cannot be read: {error}"]
    try:
        return name, model.model_validate(content), []
    except ValidationError as error:
        return name, None, [str(fault) for fault in describe_faults(error, model, content)]


def _parse(path: Path) -> Any:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        return json.loads(text, parse_float=Decimal)
    return tomllib.loads(text, parse_float=Decimal)


def find_differences(place: str, expected: Any, found: Any) -> Iterator[str]:
    """Yield where two JSON values differ; numbers are compared by value, and never equal a boolean."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys([*expected, *found]):
            yield from find_differences(f"{place}.{name}", expected.get(name), found.get(name))
    elif isinstance(expected, list | tuple) and isinstance(found, list | tuple) and len(expected) == len(found):
        for number, pair in enumerate(zip(expected, found, strict=True)):
            yield from find_differences(f"{place}[{number}]", *pair)
    elif expected != found or isinstance(expected, bool) != isinstance(found, bool):
        yield f"{place} should be {_show(expected)}, is {_show(found)}"


def _show(value: Any) -> str:
    """Write a value of an example file; these are made up, so they may be shown."""
    return "absent" if value is None else json.dumps(value, default=str, ensure_ascii=False)
