"""Legacy answers, written briefly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.comparing import Answer


@pytest.fixture(scope="session")
def answer() -> Callable[..., Answer]:
    """Make an answer of entries; keywords are further fields of the top level."""

    def make(
        *, errors: list[Any] | None = None, responses: list[Any] | None = None, status: int = 200, **fields: Any
    ) -> Answer:
        content = {"statuscode": 0, "errors": errors or [], "responses": responses or [], **fields}
        return Answer(status, json.dumps(content).encode())

    return make


@pytest.fixture(scope="session")
def taken() -> Callable[..., dict[str, Any]]:
    """Make an entry of `responses`."""

    def make(index: int = 0, objectname: str = "invoice", **fields: Any) -> dict[str, Any]:
        entry = {"objectname": objectname, "objectindex": index, "ledgerref": f"L-{index}", "status_statuscode": "OK"}
        return {**entry, **fields}

    return make


@pytest.fixture(scope="session")
def refused() -> Callable[..., dict[str, Any]]:
    """Make an entry of `errors`."""

    def make(index: int = 0, message: str = "dueDate: required", objectname: str = "invoice") -> dict[str, Any]:
        return {"objectname": objectname, "objectindex": index, "message": message}

    return make
