"""One exchange, made readable: the batch, whose rows they are, and which of them are shadowed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from bridge.batch import Address
from bridge.errors import CallerError
from bridge.exchanges import Exchange
from bridge.intake.desk import Desk
from bridge.legacy.body import Envelope, split
from bridge.modes import Mode
from bridge.placing import NOBODY, Placer, Spot
from bridge.senders import Sender
from bridge.watching.decoding import decode
from bridge.watching.exercise import Trail

SMALL_BYTES = 16 * 1024
"""Up to this size a whole request is looked through for the words of one sample."""


@dataclass(frozen=True, slots=True)
class Desks:
    """Where batches are read while they are watched."""

    by_profile: Mapping[str, Desk]
    trail: Trail
    """What these desks leave."""
    find_sender: Callable[[str], Sender | None]
    most_bytes: int
    """How large a body may be."""


@dataclass(frozen=True)
class Sight:
    """One exchange, readable."""

    exchange: Exchange
    sender: Sender
    desk: Desk
    request: bytes
    """UTF-8 JSON."""
    reply: bytes
    envelope: Envelope
    spots: Mapping[Address, Spot]

    @property
    def organizations(self) -> tuple[str, ...]:
        """Return whose rows it holds.

        A row that nobody can place belongs to the sender's organization where it has just one: its creditor is not
        onboarded yet, and the bridge would refuse what the legacy host may take.
        """
        return tuple(sorted({self._owner(spot) for spot in self.spots.values()} - {NOBODY}))

    @cached_property
    def shadowed(self) -> dict[Address, str]:
        """Return the rows to be compared, with their organizations."""
        rows = {address: self._owner(spot) for address, spot in self.spots.items() if spot.mode is Mode.SHADOW}
        return {address: organization for address, organization in rows.items() if organization}

    @property
    def is_all_shadowed(self) -> bool:
        """Tell whether it holds rows of shadowed organizations only: a shadow target gets a batch as a whole."""
        return set(self.organizations) == set(self.shadowed.values())

    def context_of(self, address: Address | None) -> bytes:
        """Return the part of the request (UTF-8 JSON) that what is said of a row may repeat; empty where it is much."""
        if address is None:
            return self.request if len(self.request) <= SMALL_BYTES else b""
        rows = self.envelope.rows.get(address.objectname, [])
        return bytes(rows[address.objectindex]) if 0 <= address.objectindex < len(rows) else b""

    def _owner(self, spot: Spot) -> str:
        only = self.sender.organizations[0] if len(self.sender.organizations) == 1 else NOBODY
        return spot.organization or only


async def make_readable(exchange: Exchange, desks: Desks, placer: Placer) -> Sight | None:
    """Return an exchange that can be compared; None where the request is no batch that the bridge could read."""
    sender = desks.find_sender(exchange.sender)
    desk = desks.by_profile.get(exchange.profile)
    if sender is None or desk is None:
        return None
    try:
        request = await decode(exchange.request, desks.most_bytes)
        envelope = split(request)
    except CallerError:
        return None
    try:
        reply = await decode(exchange.reply, desks.most_bytes)
    except CallerError:  # an error page, as a proxy on the way may answer: compared as what it is
        reply = exchange.reply.body
    await asyncio.sleep(0)
    return Sight(exchange, sender, desk, request, reply, envelope, await placer.survey(envelope, sender, desk))
