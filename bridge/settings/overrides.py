"""Lay the environment over the file: `BRIDGE__SERVER__PORT=9000`, `BRIDGE__SENDER__0__HOLD_SECONDS=5`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bridge.settings.faults import Fault, write_declared_key
from bridge.settings.reference import describe_settings
from bridge.wording import Location, word_unknown, write_key

PREFIX = "BRIDGE__"
CONVERTED: Mapping[str, TypeAdapter[Any]] = {
    "true or false": TypeAdapter(bool),
    "whole number": TypeAdapter(int),
    "number": TypeAdapter(float),
}


@dataclass(slots=True)
class Overlay:
    """What the environment changed, and what it could not."""

    variables: dict[Location, str] = field(default_factory=dict)
    """Location of each setting taken from the environment, and the variable it came from."""
    faults: list[Fault] = field(default_factory=list)


def overlay_environment(document: dict[str, Any], environ: Mapping[str, str]) -> Overlay:
    """Write every `BRIDGE__` variable into the document, in place."""
    overlay = Overlay()
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        location = tuple(int(step) if step.isdecimal() else step for step in variable.lower().split("__")[1:])
        try:
            value = _convert(location, environ[variable])
            _plant(document, location, value)
        except ValueError as error:
            overlay.faults.append(Fault(variable, str(error)))
        else:
            overlay.variables[location] = variable
    return overlay


def _convert(location: Location, text: str) -> Any:
    """Return the text as the setting's type."""
    types = dict(_scalar_types())
    key = write_declared_key(location)
    if key not in types:
        _refuse_list(location)
        known = {f"{PREFIX}{name.replace('[].', '__0__').replace('.', '__').upper()}" for name in types}
        raise ValueError(word_unknown(f"{PREFIX}{'__'.join(map(str, location)).upper()}", known))
    adapter = CONVERTED.get(types[key])
    if adapter is None:
        return text
    try:
        return adapter.validate_strings(text)
    except ValidationError:
        raise ValueError(f"must be a {types[key]}".replace("a true", "true")) from None


def _refuse_list(location: Location) -> None:
    """Raise ValueError when the location is a list of values, or one of them."""
    for key in (write_declared_key(location), write_declared_key(location[:-1])):
        if any(setting.key == key for setting in describe_settings() if setting.type.startswith("list")):
            raise ValueError(
                f"{key} is a list, and no variable can set a list, nor one value of it; write it in the file"
            )


def _scalar_types() -> Iterator[tuple[str, str]]:
    """Yield key and type of every setting that one variable can hold."""
    return ((setting.key, setting.type) for setting in describe_settings() if not setting.type.startswith("list"))


def _plant(document: Any, location: Location, value: Any) -> None:
    """Set one value in the document; tables that are missing are made, list entries are not."""
    *way, last = location
    place = document
    for depth, step in enumerate(way):
        if isinstance(step, int):
            if not isinstance(place, list) or step >= len(place):
                raise ValueError(
                    f"there is no {write_key(tuple(way[: depth + 1]))} in the file; the first one is number 0"
                )
            place = place[step]
        elif isinstance(place, dict):
            place = place.setdefault(step, {})
    if isinstance(place, dict):  # anything else is a fault of the file, told when the file is checked
        place[last] = value
