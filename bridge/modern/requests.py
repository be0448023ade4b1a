"""Build what is sent: items, bodies and paths. Amounts keep every digit the ERP wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

LARGEST_EXPONENT = 100
"""Beyond this an amount is not written out: ten bytes of input must not become a megabyte of zeros."""

_encoder = msgspec.json.Encoder(decimal_format="number")
# The encoder writes decimals as str() does: 1E+3, and even NaN, which is not JSON. A number stands right behind one of
# `:[,` in its compact output; text that looks alike only costs the slower way.
_exotic_number = re.compile(rb"[:\[,]-?(?:[0-9.]+E|s?NaN|Inf)")


def encode_item(item: dict[str, Any], *, plain: bool = False) -> bytes:
    """Encode one item as JSON, every Decimal as a plain number. Raises ValueError for an amount that is none.

    `plain` promises that `str` writes every Decimal plainly: the search for others costs twice the encoding.
    """
    encoded = _encoder.encode(item)
    if not plain and _exotic_number.search(encoded):
        return _encoder.encode(_write_plainly(item))
    return encoded


def assemble(collection: str, items: Sequence[bytes]) -> bytes:
    """Return the body of a call: the items in their array, or, without a collection, the one item itself."""
    if collection:
        return b'{"' + collection.encode() + b'":[' + b",".join(items) + b"]}"
    if len(items) != 1:
        raise ValueError(f"an operation without a collection takes one item a call, not {len(items)}")
    return items[0]


def with_field(item: bytes, name: str, value: str) -> bytes:
    """Return an encoded item with one more field, put before the others: an id that was found after encoding."""
    field = msgspec.json.encode(name) + b":" + msgspec.json.encode(value)
    return b"{" + field + (b"," + item[1:] if item != b"{}" else b"}")


def read_field(item: bytes, name: str) -> str:
    """Return a text field of an encoded item, such as `with_field` put there; empty when there is none."""
    value = msgspec.json.decode(item).get(name, "")
    return value if isinstance(value, str) else ""


def plain_copy(value: Any) -> Any:
    """Return a value to be encoded, with amounts written plainly; one of no usual size stays as it is."""
    if isinstance(value, Decimal):
        return msgspec.Raw(_plain_number(value).encode()) if _is_usual(value) else value
    if isinstance(value, dict):
        return {key: plain_copy(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain_copy(inner) for inner in value]
    return value


def fill_path(template: str, **ids: str) -> str:
    """Fill `{organizationId}`, `{caseId}` and the like; ids are percent-encoded, so that none can bend the path."""
    for name, value in ids.items():
        if value in ("", ".", ".."):
            raise ValueError(f"{name} cannot stand in a path: an id was expected")
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


def _write_plainly(value: Any) -> Any:
    if isinstance(value, Decimal):
        return msgspec.Raw(_plain_number(value).encode())
    if isinstance(value, dict):
        return {key: _write_plainly(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_write_plainly(inner) for inner in value]
    return value


def _plain_number(value: Decimal) -> str:
    if not _is_usual(value):
        raise ValueError("an amount is not a number of usual size")
    return format(value, "f")


def _is_usual(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= LARGEST_EXPONENT
