"""A tiny reader that stands in for the legacy room: it types values as the shape says, and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.mapping import Profile
from bridge.shape import Field, FieldType


def _type(field: Field, value: Any) -> Any:
    if field.many:
        return [_type(Field(field.name, field.type, field.fields), element) for element in value]
    if field.type is None:
        return {member.name: _type(member, value[member.name]) for member in field.fields if member.name in value}
    if field.type is FieldType.DECIMAL:
        return Decimal(value)
    if field.type is FieldType.DATETIME and len(value) == 10:
        return f"{value}T00:00:00"
    return value


@pytest.fixture
def reader() -> Callable[[Profile], Callable[[str, dict[str, Any]], dict[str, Any]]]:
    """Return a maker of readers, one for each profile."""

    def make(profile: Profile) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
        def read(objectname: str, row: dict[str, Any]) -> dict[str, Any]:
            shape = profile.objects[objectname].shape
            undeclared = row.keys() - {field.name for field in shape.fields}
            assert not undeclared, f"the example sends undeclared fields: {undeclared}"
            return {field.name: _type(field, row[field.name]) for field in shape.fields if field.name in row}

        return read

    return make
