"""The served OpenAPI document is true: generated requests, good and bad, are answered as it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS: list[Callable[..., Any]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def bridge(
    launch_for_module: Any, write_config: Any, free_port: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """A bridge with a sandbox behind it; in the end nothing unexpected has happened."""
    sandbox_port, port = free_port(), free_port()
    launch_for_module("sandbox", "--port", str(sandbox_port), port=sandbox_port)
    config = write_config(
        tmp_path_factory.mktemp("openapi"), port=port, sandbox=f"http://127.0.0.1:{sandbox_port}", hold_seconds=5
    )
    started = launch_for_module("serve", "--config", str(config), port=port)
    yield started
    assert '"event":"unexpected"' not in started.said


@pytest.fixture(scope="module")
def description(bridge: Any) -> Any:
    """What the bridge says of itself."""
    return schemathesis.openapi.from_url(bridge.url + "/openapi.json")


@pytest.mark.parametrize("examples", [60, pytest.param(150, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_generated_requests_are_answered_as_described(description: Any, mode: GenerationMode, examples: int) -> None:
    """No server errors; status, content type, headers and body of every answer are in the document."""
    operation = description["/webapi/api/Batch"]["POST"]
    answered: Counter[int] = Counter()
    known: dict[str, Any] = {"query": {"senderid": "ERP-1"}}  # the document cannot tell which senders there are

    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode, **(known if mode is GenerationMode.POSITIVE else {})))
    def send(case: Any) -> None:
        response = case.call(headers={"Authorization": "Bearer token1"}, timeout=30)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    send()
    assert answered[200] >= examples // (2 if mode is GenerationMode.POSITIVE else 12)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
def test_generated_questions_are_answered_as_described(description: Any, mode: GenerationMode) -> None:
    """Whatever is asked of claims and settlements: read back, or refused by name."""
    operation = description["/webapi/api/Batch"]["GET"]
    answered: Counter[int] = Counter()

    @settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.query = {**(case.query or {}), "senderid": "ERP-1"}
        response = case.call(headers={"Authorization": "Bearer token1"}, timeout=30)
        answered[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    ask()
    assert set(answered) <= {200, 400, 404}
    assert answered[200] + answered[400] + answered[404] >= 60


def test_ping_is_answered_as_described(description: Any) -> None:
    """It needs no credentials."""
    case = description["/webapi/api/Ping"]["GET"].Case()
    case.validate_response(case.call(), checks=CHECKS)


def test_the_document_is_about_the_legacy_surface(description: Any) -> None:
    """All legacy calls are in it, so that the test above cannot pass for want of operations."""
    labels = {each.ok().label for each in description.get_all_operations()}
    batch = {"GET /webapi/api/Batch", "POST /webapi/api/Batch"}
    assert labels == batch | {"GET /webapi/api/Attachment", "GET /webapi/api/Ping"}
