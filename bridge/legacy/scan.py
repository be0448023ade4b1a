"""Splitting JSON by its brackets, for what msgspec gives up on as a whole: the slow twin of `body.split`.

msgspec refuses a body in which one row is nested beyond its limit or holds half of a surrogate pair (valid JSON both),
and it forgets the order of properties that came twice. One bad row must not take its neighbours down, so such a body is
cut into pieces here; each piece is then checked by msgspec, and a row it cannot read stays in, to be refused alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

_read_text = msgspec.json.Decoder(str).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode

_BLANK = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BARE = re.compile(rb'[^\s,\[\]{}":]++')
# an unclosed string runs to the end, so that no byte is looked at twice
_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)")
_HALF_PAIR = re.compile(rb"\\\\|\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class ScanFault(Exception):
    """The text is not JSON; `position` is the byte where that shows."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def scan_object(text: bytes) -> list[tuple[str, int, bytes]]:
    """Return (name, position, raw value) of every property, in order of arrival; ScanFault when it is not JSON."""
    found: list[tuple[str, int, bytes]] = []

    def member(position: int) -> int:
        name = _STRING.match(text, position)
        if not name:
            raise ScanFault(position)
        colon = _blank(text, name.end())
        if text[colon : colon + 1] != b":":
            raise ScanFault(colon)
        start = _blank(text, colon + 1)
        end = _end_of_value(text, start)
        found.append((_read_name(name[0], position), start, text[start:end]))
        return end

    _scan(text, b"{}", member)
    return found


def scan_array(text: bytes, offset: int = 0) -> list[bytes]:
    """Return the raw elements; ScanFault, counting from `offset`, when the text is not JSON."""
    found: list[bytes] = []

    def element(position: int) -> int:
        end = _end_of_value(text, position)
        found.append(text[position:end])
        check_piece(found[-1], position)
        return end

    try:
        _scan(text, b"[]", element)
    except ScanFault as fault:
        raise ScanFault(offset + fault.position) from None
    return found


def check_piece(piece: bytes, position: int) -> None:
    """Pass a piece that is JSON, or would be if it were flatter or its half surrogate pairs whole; else ScanFault."""
    try:
        _check(_mask_half_pairs(piece))
    except RecursionError:
        return
    except msgspec.DecodeError as fault:
        named = _BYTE.search(str(fault))
        raise ScanFault(position + (int(named[1]) if named else len(piece))) from None


def _scan(text: bytes, brackets: bytes, take: Callable[[int], int]) -> None:
    """Walk the comma-separated members of one object or array; nothing but blanks may follow it."""
    opening, closing = brackets[:1], brackets[1:]
    position = _blank(text, 0)
    if text[position : position + 1] != opening:
        raise ScanFault(position)
    position = _blank(text, position + 1)
    if text[position : position + 1] != closing:
        position = _blank(text, take(position))
        while text[position : position + 1] == b",":
            position = _blank(text, take(_blank(text, position + 1)))
        if text[position : position + 1] != closing:
            raise ScanFault(position)
    position = _blank(text, position + 1)
    if position != len(text):
        raise ScanFault(position)


def _end_of_value(text: bytes, start: int) -> int:
    """Return where the value ends that begins here; its inside is not looked at."""
    if text[start : start + 1] not in (b"{", b"["):
        value = _STRING.match(text, start) or _BARE.match(text, start)
        if not value:
            raise ScanFault(start)
        return value.end()
    depth = 0
    for bracket in _brackets(text, start):
        depth += 1 if bracket[0] in (b"{", b"[") else -1
        if depth == 0:
            return bracket.end()
    raise ScanFault(len(text))


def _brackets(text: bytes, start: int) -> Iterator[re.Match[bytes]]:
    return (found for found in _BRACKET.finditer(text, start) if found[0][:1] != b'"')


def _read_name(name: bytes, position: int) -> str:
    try:
        return _read_text(_mask_half_pairs(name))
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ScanFault(position) from None


def _mask_half_pairs(piece: bytes) -> bytes:
    """Put the replacement character for every surrogate, so that msgspec judges the rest; lengths stay."""
    return _HALF_PAIR.sub(lambda found: found[0] if found[0] == b"\\\\" else b"\\ufffd", piece)


def _blank(text: bytes, position: int) -> int:
    found = _BLANK.match(text, position)
    return found.end() if found else position
