"""The legacy surface described for machines: an OpenAPI 3.1 document.

It says what the bridge really takes, leniency included. A row that is not as described is still answered with 200 and
refused in `errors`, so every array takes anything, and names what will be accepted beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.batch import OBJECTNAMES, WHOLE_BATCH
from bridge.legacy.openapi_reading import account_schemas, attachment_operation, read_operation
from bridge.shape import Field, FieldType, Shape

_JSON_TYPES = ("application/json-patch+json", "application/json", "text/json", "application/*+json")
_TEXT = {"type": ["string", "number", "null"]}
_SCALARS: Mapping[FieldType, dict[str, Any]] = {
    FieldType.TEXT: {**_TEXT, "description": "Text; numbers become their text."},
    FieldType.DECIMAL: {
        **_TEXT,
        "description": "A decimal number, exact; as text also with decimal comma and grouping blanks (1 250,00).",
    },
    FieldType.INTEGER: {**_TEXT, "description": "A whole number of at most 64 bits, also as text."},
    FieldType.BOOLEAN: {
        "type": ["boolean", "string", "integer", "null"],
        "description": "true or false; also as text in any letter case, or 1 and 0.",
    },
    FieldType.DATE: {
        "type": ["string", "null"],
        "description": "A date; also a date-time, of which the calendar date counts, or /Date(ms)/.",
    },
    FieldType.DATETIME: {
        "type": ["string", "null"],
        "description": "A date or a date-time with or without offset, or /Date(ms)/.",
    },
}
_REFUSALS: Mapping[str, str] = {
    "400": "Unreadable: not JSON, not an object, wrong encoding, or an array field that is not an array.",
    "401": "Not authenticated.",
    "403": "These credentials belong to another sender.",
    "413": "Larger than this bridge accepts, after decompression: split the batch.",
    "415": "Not declared as JSON, or a content coding other than gzip and deflate.",
    "422": "This batchid was used before with other content.",
    "429": "Too many batches are open: wait for answers.",
    "503": "Cannot take work now: send the same batch again later.",
}
_TEXT_HEADER = {"schema": {"type": "string"}}
_HEADERS: Mapping[str, dict[str, Any]] = {
    "401": {"WWW-Authenticate": _TEXT_HEADER},
    "429": {"Retry-After": _TEXT_HEADER},
    "503": {"Retry-After": _TEXT_HEADER},
}


def describe(shapes: Mapping[str, Shape], version: str, entries: Mapping[str, Shape] | None = None) -> dict[str, Any]:
    """Return the document for one profile's shapes; `entries` are those it reads back in, `version` is the bridge's."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AutoCollect Bridge, legacy surface",
            "version": version,
            "description": "Paths, query names and property names match case-insensitively; the last spelling wins.",
        },
        "paths": {
            "/webapi/api/Batch": {"get": read_operation(), "post": _batch_operation()},
            "/webapi/api/Attachment": {"get": attachment_operation()},
            "/webapi/api/Ping": {"get": _ping_operation()},
        },
        "components": {
            "schemas": {
                "Batch": _batch(shapes),
                "Reply": _reply(),
                **account_schemas(entries or {}),
                **{_row_name(name): _object(shape.fields) for name, shape in shapes.items()},
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _batch_operation() -> dict[str, Any]:
    return {
        "operationId": "sendBatch",
        "summary": "Send creditors, invoices, payments and actions; every row is answered under its own address",
        "security": [{"basic": []}, {"bearer": []}],
        "parameters": [
            {
                "name": "senderid",
                "in": "query",
                "required": False,
                "description": "May be left out, or empty, when the credentials belong to exactly one sender.",
                "schema": {"type": "string"},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"$ref": "#/components/schemas/Batch"}} for kind in _JSON_TYPES},
        },
        "responses": {
            "200": {
                **_answer("The batch was read; every row stands in errors or in responses."),
                "headers": {
                    "X-Bridge-Batch": {**_TEXT_HEADER, "description": "The bridge's own id of the batch."},
                    "X-Bridge-Replay": {**_TEXT_HEADER, "description": "true on a repeated answer."},
                },
            },
            **{status: _answer(text) | _headers(status) for status, text in _REFUSALS.items()},
        },
    }


def _ping_operation() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "ping",
        "summary": "Ask whether the bridge can take work; needs no credentials",
        "security": [],
        "responses": {
            "200": {"description": "The bridge can take work.", "content": content},
            "503": {"description": "The bridge cannot take work now.", "content": content},
        },
    }


def _answer(description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Reply"}}}
    return {"description": description, "content": content}


def _headers(status: str) -> dict[str, Any]:
    return {"headers": _HEADERS[status]} if status in _HEADERS else {}


def _batch(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": True,
        "properties": {
            "batchid": {
                "type": ["string", "number", "null"],
                "maxLength": 500,
                "pattern": "^[^\\u0000]*$",
                "description": "The same batchid again means the same batch again; without one, the content counts.",
            },
            "offline": {
                "anyOf": [
                    {"type": ["boolean", "null"]},
                    {"enum": [0, 1]},
                    {"type": "string", "pattern": "^ *([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)? *$"},
                ],
                "description": "true: answer as soon as the batch is safe, with its rows still pending.",
            },
            **{name: _array(name, shapes) for name in OBJECTNAMES},
        },
    }


def _array(name: str, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    accepted: list[Any] = [{"$ref": f"#/components/schemas/{_row_name(name)}"}] if name in shapes else []
    refused = {"description": "Anything else is refused on its own, in errors."}
    return {"type": ["array", "null"], "items": {"anyOf": [*accepted, refused]}}


def _row_name(objectname: str) -> str:
    return objectname.capitalize() + "Row"


def _object(members: tuple[Field, ...]) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "object", "properties": {one.name: _member(one) for one in members}}
    required = [one.name for one in members if one.required]
    return {**described, "required": required} if required else described


def _member(member: Field) -> dict[str, Any]:
    single = _SCALARS[member.type] if member.type else {**_object(member.fields), "type": ["object", "null"]}
    return {"type": ["array", "null"], "items": single} if member.many else single


def _reply() -> dict[str, Any]:
    text = {"type": "string"}
    address = {
        "objectname": {"type": "string", "enum": [*OBJECTNAMES, WHOLE_BATCH]},
        "objectindex": {"type": "integer", "minimum": 0},
    }
    return _closed(
        {
            "statuscode": {
                "type": "integer",
                "description": "0 all rows accepted, 1 some refused, 2 all rows or the batch refused, 3 some pending.",
            },
            "errors": {"type": "array", "items": _closed({**address, "message": text})},
            "responses": {
                "type": "array",
                "items": _closed({**address, "ledgerref": text, "status_statuscode": text}),
            },
        }
    )


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    """Describe an object that always has these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
