"""List every setting, read from the declarations themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from bridge.settings.model import Settings

REQUIRED = "required"
KINDS = {"boolean": "true or false", "integer": "whole number", "number": "number", "string": "text"}


class Setting(NamedTuple):
    """One setting: `sender[].basic.username`, its type in words, its default as written in TOML, what it means."""

    key: str
    type: str
    default: str
    meaning: str


@cache
def describe_settings() -> tuple[Setting, ...]:
    """Return every setting in the order of the file; a default of "required" means there is none."""
    schema = Settings.model_json_schema(mode="validation")
    return tuple(_walk(schema, "", schema["$defs"]))


def _walk(table: Mapping[str, Any], prefix: str, definitions: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield the settings of one table and of the tables in it."""
    for name, declared in table["properties"].items():
        key = f"{prefix}{name}"
        plain = _follow(_without_null(declared), definitions)
        items = _follow(plain.get("items", {}), definitions)
        if "properties" in plain:
            yield from _walk(plain, f"{key}.", definitions)
        elif "properties" in items:
            yield from _walk(items, f"{key}[].", definitions)
        else:
            default = _write_toml(declared["default"]) if "default" in declared else REQUIRED
            yield Setting(key, _name_type(plain), default, declared["description"])


def _without_null(declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the declaration of an optional value without its null."""
    options = [option for option in declared.get("anyOf", ()) if option.get("type") != "null"]
    return options[0] if options else declared


def _follow(declared: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a JSON schema reference points to; anything else as it is."""
    if "$ref" not in declared:
        return declared
    found: Mapping[str, Any] = definitions[declared["$ref"].rpartition("/")[2]]
    return found


def _name_type(declared: Mapping[str, Any]) -> str:
    """Return a type in words."""
    if declared.get("type") == "array":
        return f"list of {_name_type(declared['items'])}s".replace("texts", "text")
    if declared.get("format") == "password":
        return "secret"
    if "enum" in declared:
        return " or ".join(_write_toml(value) for value in declared["enum"])
    return KINDS[declared["type"]]


def _write_toml(value: Any) -> str:
    """Return a default as it would stand in the file; none is a dash."""
    match value:
        case None:
            return "–"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list():
            return f"[{', '.join(map(_write_toml, value))}]"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)
