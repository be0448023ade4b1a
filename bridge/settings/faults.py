"""Word what is wrong with a configuration: which file, which key, and what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails

from bridge.errors import SettingsFault

Location = tuple[str | int, ...]


class Fault(NamedTuple):
    """One thing that is wrong: where, and what to do about it."""

    key: str
    text: str


WORDINGS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "bool_type": lambda _: "must be true or false",
    "enum": lambda context: f"must be {context['expected']}",
    "finite_number": lambda _: "must be a finite number",
    "float_type": lambda _: "must be a number, without quotes",
    "greater_than": lambda context: f"must be more than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be {context['ge']:g} or more",
    "int_type": lambda _: "must be a whole number, without quotes",
    "less_than_equal": lambda context: f"must be {context['le']:g} or less",
    "literal_error": lambda context: f"must be {context['expected']}",
    "missing": lambda _: "is missing; add it",
    "model_type": lambda _: "must be a table",
    "path_type": lambda _: "must be a path, as text in quotes",
    "string_pattern_mismatch": lambda _: "holds a character that is not allowed here",
    "string_too_short": lambda _: "must not be empty",
    "string_type": lambda _: "must be text in quotes",
    "too_short": lambda context: f"must list at least {context['min_length']}",
    "tuple_type": lambda _: "must be a list in square brackets",
    "value_error": lambda context: str(context["error"]),
}
"""pydantic's error types in our words; none of them repeats the value."""


def word_error(error: ErrorDetails) -> str:
    """Say in our words what pydantic found."""
    wording = WORDINGS.get(error["type"])
    return wording(error.get("ctx", {})) if wording else error["msg"]


def word_unknown(name: str, known: Collection[str]) -> str:
    """Say that a name is unknown, and which one may have been meant."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"unknown; did you mean {close[0]}?" if close else f"unknown; known here: {', '.join(sorted(known))}"


def write_key(location: Location) -> str:
    """Return a location as an operator writes it: `sender[0].basic.password`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def write_declared_key(location: Location) -> str:
    """Return a location as the setting is declared: `sender[].basic.password`."""
    return re.sub(r"\[\d+\]", "[]", write_key(location))


def gather(path: Path, faults: Iterable[Fault]) -> SettingsFault:
    """Return one error that lists every fault, one a line."""
    lines = [f"{fault.key}: {fault.text}" for fault in faults]
    count = "one fault" if len(lines) == 1 else f"{len(lines)} faults"
    return SettingsFault("\n".join([f"{path}: {count} to put right before the bridge can start", *lines]))
