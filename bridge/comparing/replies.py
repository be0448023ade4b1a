"""An answer taken apart: its rows by address, what is said of the batch as a whole, and everything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from bridge.batch import WHOLE_BATCH, Address
from bridge.comparing.values import Answer

ERRORS, RESPONSES = "errors", "responses"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_DIGITS = 9
_INDEX = re.compile(rf"[0-9]{{1,{_MOST_DIGITS}}}")

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number", order="deterministic").encode

Entry = tuple[str, dict[str, Any]]
"""The list it stands in, and what it says."""


@dataclass(slots=True)
class Reply:
    """One answer that could be read."""

    fields: dict[str, Any] = field(default_factory=dict)
    """The top level; of `errors` and `responses` only what is said of no row."""
    rows: dict[Address, list[Entry]] = field(default_factory=dict)
    whole: list[Entry] = field(default_factory=list)
    """What is said of the batch as a whole."""


def read_reply(answer: Answer) -> Reply | None:
    """Return an answer's parts; None for a body that is not a JSON object. Numbers are exact."""
    try:
        content = _decode(answer.body.removeprefix(_BYTE_ORDER_MARK))
    except (msgspec.MsgspecError, ArithmeticError, ValueError, RecursionError):
        return None  # ArithmeticError: an exponent beyond anything; ValueError: more digits than Python reads
    if not isinstance(content, dict):
        return None
    reply = Reply(content)
    for name, value in content.items():
        folded = name.casefold()
        if folded in {ERRORS, RESPONSES} and isinstance(value, list):
            content[name] = _hand_out(reply, folded, value)
    return reply


def write(value: Any) -> str:
    """Return a value as JSON, members sorted and numbers digit for digit."""
    try:
        return _encode(value).decode()
    except RecursionError:  # read from nearer the ground than it is written
        return '"…"'


def member(entry: Mapping[str, Any], name: str) -> Any:
    """Return a member of an object by its name in any letter case; None where it is absent. The last spelling wins."""
    if name in entry:
        return entry[name]
    return next((entry[key] for key in reversed(list(entry)) if key.casefold() == name), None)


def _hand_out(reply: Reply, listed: str, entries: Iterable[Any]) -> list[Any]:
    """Give each entry to the row it is about; return those about none."""
    others = []
    for entry in entries:
        address = _find_address(entry) if isinstance(entry, dict) else None
        if address is None:
            others.append(entry)
        elif address.objectname == WHOLE_BATCH:
            reply.whole.append((listed, entry))
        elif address in reply.rows:
            reply.rows[address].append((listed, entry))
        else:
            reply.rows[address] = [(listed, entry)]
    return others


def _find_address(entry: Mapping[str, Any]) -> Address | None:
    name, index = member(entry, "objectname"), member(entry, "objectindex")
    if not isinstance(name, str) or not name:
        return None
    if type(index) is int:
        return Address(name.casefold(), index)
    if isinstance(index, str) and _INDEX.fullmatch(index):
        return Address(name.casefold(), int(index))
    if isinstance(index, Decimal) and index.adjusted() < _MOST_DIGITS and index == index.to_integral_value():
        return Address(name.casefold(), int(index))
    return None
