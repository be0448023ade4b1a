"""What is wrong with a file that somebody wrote, in our words: which key, what belongs there, what to do.

Configuration, mapping files, their examples and rules for differences are all told about by these.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic_core import ErrorDetails

Location = tuple[str | int, ...]

_TABLE = "must be a table"
_LIST = "must be a list in square brackets"
_SWITCH = "must be true or false"
_WHOLE = "must be a whole number, without quotes"
_NUMBER = "must be a number, without quotes"
_TEXT = "must be text in quotes"

WORDINGS: Mapping[str, str | Callable[[Mapping[str, Any]], str]] = {
    "bool_parsing": _SWITCH,
    "bool_type": _SWITCH,
    "decimal_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "dict_type": _TABLE,
    "enum": "must be {expected}",
    "finite_number": "must be a finite number",
    "float_type": _NUMBER,
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "less_than_equal": "must be {le:g} or less",
    "literal_error": "must be {expected}",
    "missing": "is missing; add it",
    "model_attributes_type": _TABLE,
    "model_type": _TABLE,
    "path_type": "must be a path, as text in quotes",
    "string_pattern_mismatch": "is not written as it must be here: {pattern} (a regular expression)",
    "string_too_short": "must not be empty",
    "string_type": _TEXT,
    "too_short": "must list at least {min_length}",
    "tuple_type": _LIST,
    "union_tag_invalid": lambda found: (
        f"must be one of {found['expected_tags']}{suggest(found['tag'], _split(found['expected_tags']))}"
    ),
    "union_tag_not_found": "must be a table with {discriminator}, or a name",
    "value_error": "{error}",
}
"""pydantic's error types in our words; none of them repeats a value."""


def word_error(error: ErrorDetails) -> str:
    """Say in our words what pydantic found."""
    wording, context = WORDINGS.get(error["type"]), error.get("ctx", {})
    if wording is None:
        return error["msg"]
    return wording.format(**context) if isinstance(wording, str) else wording(context)


def word_unknown(name: str, known: Collection[str]) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    near = _find_nearest(name, known)
    return f"unknown; did you mean {near}?" if near else f"unknown; known here: {', '.join(sorted(known))}"


def suggest(name: str, known: Collection[str]) -> str:
    """Return a hint at the nearest known name, to follow a message; empty when none is near."""
    near = _find_nearest(name, known)
    return f' (did you mean "{near}"?)' if near else ""


def write_key(location: Location) -> str:
    """Return a location as an operator writes it: `sender[0].basic.password`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")


def _find_nearest(name: str, known: Collection[str]) -> str:
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), "")


def _split(tags: str) -> list[str]:
    return [tag.strip(" '") for tag in tags.split(",")]
