"""The description of the legacy surface."""

import json
from typing import Any

import jsonschema_rs
import pytest

from bridge.batch import OBJECTNAMES
from bridge.errors import UnreadableBatch
from bridge.legacy.body import split
from bridge.legacy.openapi import describe
from bridge.legacy.rendering import whole_batch_error

STATUSES = {"200", "400", "401", "403", "413", "415", "422", "429", "503"}


@pytest.fixture
def document(shapes: Any) -> dict[str, Any]:
    return describe(shapes, "1.2.3")


def schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one schema with what it refers to."""
    return {"$ref": f"#/components/schemas/{name}", "components": document["components"]}


def is_valid(document: dict[str, Any], name: str, value: Any) -> bool:
    return jsonschema_rs.Draft202012Validator(schema(document, name)).is_valid(value)


def test_the_description_is_plain_json(document: Any) -> None:
    """It can be served as it is, with the bridge's version."""
    assert json.loads(json.dumps(document)) == document
    assert document["info"]["version"] == "1.2.3"


def test_every_schema_is_a_schema(document: Any) -> None:
    """Each one is valid JSON Schema 2020-12, the dialect of OpenAPI 3.1."""
    for one in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **one})


def test_every_answer_of_a_batch_has_the_reply_shape(document: Any) -> None:
    """All documented statuses answer in the one shape the callers know."""
    responses = document["paths"]["/webapi/api/Batch"]["post"]["responses"]
    assert set(responses) == STATUSES
    for response in responses.values():
        assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Reply"}


def test_ping_needs_no_credentials(document: Any) -> None:
    """Ping answers 200 or 503 to anybody."""
    ping = document["paths"]["/webapi/api/Ping"]["get"]
    assert set(ping["responses"]) == {"200", "503"}
    assert ping["security"] == []


@pytest.mark.parametrize("objectname", OBJECTNAMES)
def test_rows_that_are_accepted_are_as_described(document: Any, rows: Any, objectname: Any) -> None:
    """The rows of the seed pages fit their descriptions, with amounts as texts too."""
    name = objectname.capitalize() + "Row"
    assert is_valid(document, name, rows[objectname])
    assert not is_valid(document, name, {})
    if objectname == "payment":
        assert is_valid(
            document, name, {**rows["payment"], "amount": "1 250,00", "date": "2024-02-15", "currency": None}
        )
        assert not is_valid(document, name, {**rows["payment"], "amount": []})


@pytest.mark.parametrize(
    ("batch", "valid"),
    [
        ({}, True),
        ({"batchid": 5, "offline": "TRUE", "invoice": None, "payment": [5], "extra": 1}, True),
        ({"offline": 1}, True),
        ({"offline": ""}, True),
        ({"offline": 2}, False),
        ({"offline": "yes"}, False),
        ({"batchid": True}, False),
        ({"batchid": "x" * 501}, False),
        ({"batchid": "\0"}, False),
        ({"action": {}}, False),
        ([], False),
    ],
)
def test_what_is_described_is_what_can_be_read(document: Any, batch: Any, valid: Any) -> None:
    """A batch fits the description exactly when the bridge can read it: odd rows are answered, odd batches are not."""
    assert is_valid(document, "Batch", batch) is valid
    try:
        split(json.dumps(batch).encode())
    except UnreadableBatch:
        assert not valid
    else:
        assert valid


def test_a_reply_is_as_described(document: Any) -> None:
    """What the renderer writes fits, and nothing may be added."""
    reply = json.loads(whole_batch_error("no"))
    assert is_valid(document, "Reply", reply)
    assert not is_valid(document, "Reply", {**reply, "trace": ""})


def test_a_profile_without_some_rows_can_be_described() -> None:
    """Arrays no mapping exists for take anything, as they do in fact."""
    assert is_valid(describe({}, "1"), "Batch", {"invoice": [{}]})
