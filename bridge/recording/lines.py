"""One recorded exchange as a line of JSON: what it holds, and how it is written and read."""

from __future__ import annotations

import msgspec

from bridge.recording.redaction import Redacted

NOTHING = msgspec.Raw(b"null")
"""Stands for a part that is not there; msgspec knows no optional Raw."""


class Side(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer: of the legacy host, or of the bridge."""

    status: int
    body: msgspec.Raw = NOTHING
    """The JSON of it; NOTHING where there was none, or it could not be read."""

    @property
    def json(self) -> bytes:
        """Return the body; empty when there is none."""
        return _bytes_of(self.body)


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request to the legacy host and its answer, with pseudonyms for everything personal."""

    id: str
    at: float
    """When the request came, Unix seconds."""
    sender: str
    profile: str
    organizations: tuple[str, ...]
    """Those the sender may write to."""
    request: msgspec.Raw
    """NOTHING where it could not be read."""
    legacy: Side | None
    seconds: float
    bridge: Side | None = None
    """Added by a replay: what the bridge answered."""
    unreadable: str = ""
    """Why a part is missing; empty when nothing is."""
    v: int = 1

    @property
    def body(self) -> bytes:
        """Return the request's JSON; empty when it could not be read."""
        return _bytes_of(self.request)


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def make_line(
    redacted: Redacted,
    *,
    id: str,  # noqa: A002 - the field's name
    at: float,
    sender: str,
    profile: str,
    organizations: tuple[str, ...],
    status: int,
    seconds: float,
) -> Line:
    """Return the line of an exchange."""
    return Line(
        id=id,
        at=round(at, 3),
        sender=sender,
        profile=profile,
        organizations=organizations,
        request=NOTHING if redacted.request is None else msgspec.Raw(redacted.request),
        legacy=Side(status, NOTHING if redacted.reply is None else msgspec.Raw(redacted.reply)),
        seconds=round(seconds, 6),
        unreadable=redacted.notice,
    )


def write_line(line: Line) -> bytes:
    """Return a line with its end."""
    # the version stands first, and always: msgspec leaves out what is as ever
    return b'{"v":%d,' % line.v + _encode(line).removeprefix(b"{") + b"\n"


def read_line(written: bytes) -> Line:
    """Return what a line holds; ValueError when it is none, or of a later version."""
    try:
        line = _decode(written)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("not a line of a recording") from None
    if line.v != 1:
        raise ValueError(f"written by a newer bridge (version {line.v} of the format)")
    return line


def _bytes_of(part: msgspec.Raw) -> bytes:
    return b"" if part == NOTHING else bytes(part)
