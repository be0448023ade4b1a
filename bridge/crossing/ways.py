"""The ways a call may go, and what tells one from another."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from aiohttp import web

from bridge.identity import goes_by_batchid, identify
from bridge.intake.desk import fingerprint
from bridge.legacy.body import Envelope
from bridge.modes import Mode
from bridge.senders import Sender
from bridge.steering.switchboard import Outlook


class Way(StrEnum):
    """Who answers a call."""

    LEGACY = "legacy"
    """The legacy host."""
    SPLIT = "split"
    """Both, each for its part."""
    MODERN = "modern"
    """The bridge."""


WAY = web.RequestKey("way", str)
"""The way a request went, for its log line."""


class Observer(Protocol):
    """Whom the crossing tells what went where."""

    def went(self, route: str, sender: str, way: str) -> None:
        """Hear of a call of a sender, and the way it went."""
        ...

    def read_answered(self, sender: str, result: str) -> None:
        """Hear of a question that the bridge has answered, refused, or failed on."""
        ...


def is_modern(outlook: Outlook) -> bool:
    """Tell whether the bridge answers for everything."""
    return outlook.modes <= {Mode.MODERN}


def is_legacy(outlook: Outlook) -> bool:
    """Tell whether the legacy host answers for everything."""
    return Mode.MODERN not in outlook.modes


def was_always_legacy(outlook: Outlook) -> bool:
    """Tell whether the legacy host answers for everything, and always has."""
    return is_legacy(outlook) and not outlook.was_modern


def is_watched(outlook: Outlook) -> bool:
    """Tell whether somebody wants to see what the legacy host is asked and answers."""
    return outlook.recording or Mode.SHADOW in outlook.modes


async def recognize(sender: Sender, envelope: Envelope) -> str:
    """Return what a batch is known by; its content is only looked at where it counts."""
    content = "" if goes_by_batchid(sender, envelope.batchid) else await fingerprint(envelope)
    return identify(sender, envelope.batchid, content, _no_id)


def _no_id() -> str:
    """Return no id: a batch that nothing can recognize needs none here."""
    return ""


def named_sender(request: web.Request) -> str | None:
    """Return the senderid of a request; None when it is left out."""
    return _query(request, "senderid")


def named_batch(request: web.Request) -> str:
    """Return the batchid that a request asks about; empty when it is left out."""
    return (_query(request, "batchid") or "").strip()


def _query(request: web.Request, name: str) -> str | None:
    """Return a query parameter whatever the letter case of its name; the last one wins."""
    found = None
    for key, value in request.query.items():
        if key.lower() == name:
            found = value
    return found
