"""JSON laid out for people: what fits goes on one line, the rest is broken up; every number keeps its digits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

INDENT = "  "


class _Fraction(str):
    """A number with a fraction, by the digits it was written with."""

    __slots__ = ()


_decode = msgspec.json.Decoder(float_hook=_Fraction).decode


def lay_out(encoded: bytes, width: int) -> str:
    """Return a JSON document in lines of at most `width` columns, as far as its texts allow."""
    return "\n".join(_lines(_decode(encoded), "", "", width))


def _lines(value: Any, indent: str, lead: str, width: int) -> Iterator[str]:
    """Yield the lines of one value; `lead` stands before it (its name), and counts."""
    flat = _flat(value)
    if len(indent) + len(lead) + len(flat) < width or not isinstance(value, dict | list) or not value:
        yield f"{indent}{lead}{flat}"
        return
    begin, end = "{}" if isinstance(value, dict) else "[]"
    yield f"{indent}{lead}{begin}"
    parts = list(
        _fill(value, width - len(indent + INDENT)) if isinstance(value, dict) else (("", one) for one in value)
    )
    for number, (name, part) in enumerate(parts, 1):
        *before, last = _lines(part, indent + INDENT, name, width)
        yield from before
        yield last + ("," if number < len(parts) else "")
    yield f"{indent}{end}"


class _Together(str):
    """Several members of an object that share a line, written out."""

    __slots__ = ()


def _fill(members: dict[str, Any], width: int) -> Iterator[tuple[str, Any]]:
    """Yield the members of an object; neighbours that are scalars share lines."""
    line = ""
    for name, value in members.items():
        lead = f"{_flat(name)}: "
        if isinstance(value, dict | list):
            if line:
                yield "", _Together(line)
            line = ""
            yield lead, value
        else:
            member = lead + _flat(value)
            if line and len(line) + len(member) + 3 > width:
                yield "", _Together(line)
                line = ""
            line = f"{line}, {member}" if line else member
    if line:
        yield "", _Together(line)


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(name)}: {_flat(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, _Fraction | _Together):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
