"""The documented samples, and what both ends are held to them with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def sample_bytes() -> Callable[[str], bytes]:
    """Return a sample as it came."""
    return lambda name: (SAMPLES / (name if name.endswith(".txt") else f"{name}.json")).read_bytes()


@pytest.fixture(scope="session")
def sample(sample_bytes: Callable[[str], bytes]) -> Callable[[str], Any]:
    """Return a sample's JSON."""
    return lambda name: json.loads(sample_bytes(name))


def _outline(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _outline(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_outline(value[0])] if value else []
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return kinds[type(value)]


@pytest.fixture(scope="session")
def outline() -> Callable[[Any], Any]:
    """Reduce JSON to names, nesting and types; an array is told by its first element."""
    return _outline
