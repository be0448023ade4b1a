"""The reading half of the legacy surface described for machines: parameters, and every entry as a profile shapes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.shape import Field, FieldType, Shape

_NULL = "null"
_SCALARS: Mapping[FieldType, dict[str, Any]] = {
    FieldType.TEXT: {"type": ["string", _NULL]},
    FieldType.DECIMAL: {"type": ["number", _NULL], "description": "Exact: read it as a decimal."},
    FieldType.INTEGER: {"type": ["integer", _NULL]},
    FieldType.BOOLEAN: {"type": ["boolean", _NULL]},
    FieldType.DATE: {"type": ["string", _NULL]},
    FieldType.DATETIME: {"type": ["string", _NULL]},
}
_PARAMETERS: Mapping[str, str] = {
    "senderid": "May be left out, or empty, when the credentials belong to exactly one sender.",
    "creditorid": "Only this creditor; an unknown one has no claims.",
    "customerref": "Only this customer's claims.",
    "ledgerref": "Only the claim the ERP knows by this reference.",
    "includeclosed": "true: closed claims as well. Also in any letter case, or 1 and 0.",
    "lastsettlementid": "The highest settlement id received so far: only what came after it.",
    "remittancedate": "Only settlements of this day: a date, a date-time, or /Date(ms)/.",
    "languagecode": "Language of the texts that are ours, where the profile has it.",
    "batchid": "An earlier batch of this sender, by its own batchid or by X-Bridge-Batch: its reply as it stands.",
}
_REFUSALS: Mapping[str, str] = {
    "400": "A parameter cannot be read; the message names it and says what was expected.",
    "401": "Not authenticated.",
    "403": "These credentials belong to another sender.",
    "404": "This sender has sent no batch of that batchid.",
    "413": "More cases than one answer may hold: ask for one creditor, customer or reference.",
    "501": "The sender's profile describes no reading.",
    "502": "The modern system refused to be read: the operator must act.",
    "503": "The modern system or the journal could not be read now: ask again later.",
}
_ATTACHMENT: Mapping[str, str] = {
    "400": "The path steps upwards.",
    "501": "No legacy host is configured.",
    "502": "The legacy host could not be reached, or broke off.",
    "504": "The legacy host did not answer in time.",
}
_TEXT_HEADER = {"schema": {"type": "string"}}
_HEADERS: Mapping[str, Any] = {
    "401": {"headers": {"WWW-Authenticate": _TEXT_HEADER}},
    "503": {"headers": {"Retry-After": _TEXT_HEADER}},
}


def read_operation() -> dict[str, Any]:
    """Describe `GET /webapi/api/Batch`."""
    shapes = [{"$ref": "#/components/schemas/Account"}, {"$ref": "#/components/schemas/Reply"}]
    told = "Creditors, claims and settlements; with batchid the reply to that batch."
    return {
        "operationId": "readBack",
        "summary": "Read claims and settlements back, or the state of an earlier batch",
        "security": [{"basic": []}, {"bearer": []}],
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in _PARAMETERS.items()
        ],
        "responses": {
            "200": {
                "description": told,
                "content": {"application/json": {"schema": {"anyOf": shapes}}},
                "headers": {"X-Bridge-Batch": {**_TEXT_HEADER, "description": "With batchid: the bridge's own id."}},
            },
            **{status: _answer(text) | _HEADERS.get(status, {}) for status, text in _REFUSALS.items()},
        },
    }


def attachment_operation() -> dict[str, Any]:
    """Describe `/webapi/api/Attachment`, as far as it is the bridge's."""
    return {
        "operationId": "readAttachment",
        "summary": "Handed to the legacy host byte for byte, by any method, with any path below and any query",
        "security": [],
        "responses": {
            "default": {"description": "Whatever the legacy host answers."},
            **{status: _answer(text) for status, text in _ATTACHMENT.items()},
        },
    }


def account_schemas(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Return the schemas of the answer and of its entries; `shapes` are those of creditor, case and settlement."""
    entries = {f"{name.capitalize()}Entry": _closed(shape.fields) for name, shape in shapes.items()}
    arrays = {
        name: {"type": "array", "items": {"$ref": f"#/components/schemas/{name.capitalize()}Entry"} if shapes else {}}
        for name in ("creditor", "case", "settlement")
    }
    properties = {"batchid": {"type": _NULL}, "offline": {"const": False}, **arrays}
    return {
        "Account": {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        },
        **entries,
    }


def _answer(description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Reply"}}}
    return {"description": description, "content": content}


def _closed(members: tuple[Field, ...]) -> dict[str, Any]:
    """Describe an object that always has all its properties."""
    return {
        "type": "object",
        "properties": {one.name: _member(one) for one in members},
        "required": [one.name for one in members],
        "additionalProperties": False,
    }


def _member(member: Field) -> dict[str, Any]:
    single = _SCALARS[member.type] if member.type else {**_closed(member.fields), "type": ["object", _NULL]}
    return {"type": ["array", _NULL], "items": single} if member.many else single
