"""Which rows of a new batch the legacy host decides, and which the bridge: by peeking, before they are read for good.

The rules by which a row finds its organization are the same as ever (`organizations`). A row that nobody can place goes
to the legacy host while the sender has something there: it may know more, and its answer is the one the caller is used
to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Literal, NamedTuple, Protocol

import msgspec

from bridge.batch import OBJECTNAMES, Address, RowRefused
from bridge.intake.desk import SLICE_ROWS, Desk
from bridge.legacy.body import Envelope
from bridge.modes import Mode, Switch
from bridge.organizations import Directory, Organization
from bridge.senders import Sender

NOBODY = ""
"""In place of an organization, of a row that cannot be placed."""
CREDITOR = "creditor"


class Side(Enum):
    """Where a batch goes that is not for the bridge."""

    LEGACY = auto()


class Spot(NamedTuple):
    """Where one row stands."""

    organization: str
    """Empty when nobody can tell."""
    mode: Mode


class Switches(Protocol):
    """What is asked how an organization's rows go (`switchboard`)."""

    def current(self, organization: str) -> Switch:
        """Return the switch in force."""
        ...


class Placer:
    """Place the rows of batches."""

    def __init__(self, directory: Directory, switches: Switches) -> None:
        self._directory = directory
        self._switches = switches

    async def place(
        self, envelope: Envelope, sender: Sender, desk: Desk
    ) -> Literal[Side.LEGACY] | Mapping[Address, str]:
        """Say which rows of a batch are the legacy host's, and whose, for a sender with modes on both sides.

        All of them: the batch goes there as it is. So does one without rows.
        """
        spots = await self.survey(envelope, sender, desk)
        half = {address: spot.organization for address, spot in spots.items() if spot.mode.is_legacy_side}
        if len(half) == len(spots):
            return Side.LEGACY
        return half

    async def survey(self, envelope: Envelope, sender: Sender, desk: Desk) -> dict[Address, Spot]:
        """Say of every row of a batch whose it is, and in which mode."""
        creditors = self._name_creditors(envelope, desk)
        spots: dict[Address, Spot] = {}
        for objectname in OBJECTNAMES:
            raws = envelope.rows[objectname]
            for start in range(0, len(raws), SLICE_ROWS):
                for index, raw in enumerate(raws[start : start + SLICE_ROWS], start):
                    named = creditors[index] if objectname == CREDITOR else peek_creditor(desk, objectname, raw)
                    spots[Address(objectname, index)] = self._place(sender, objectname, named, creditors)
                if len(raws) > SLICE_ROWS:
                    await asyncio.sleep(0)
        return spots

    def place_creditor(self, sender: Sender, creditorid: str) -> Mode:
        """Return the mode of one creditor; an unknown one is with the legacy host while the sender has a mode there."""
        owners = self._directory.readable(sender, creditorid)
        return self._switches.current(owners[0].id).mode_of(creditorid) if owners else self._unplaced(sender)

    def _unplaced(self, sender: Sender) -> Mode:
        """Return the mode of what nobody can place."""
        modes = {mode for each in sender.organizations for mode in self._switches.current(each).modes}
        return next((mode for mode in (Mode.SHADOW, Mode.LEGACY) if mode in modes), Mode.MODERN)

    def _place(self, sender: Sender, objectname: str, named: str, creditors: Sequence[str]) -> Spot:
        """Return whose row it is, as far as that can be told, and its mode."""
        if objectname == CREDITOR and not named:
            return Spot(NOBODY, self._unplaced(sender))
        try:
            organization = self._directory.route(sender, named, creditors)
        except RowRefused:
            return Spot(NOBODY, self._unplaced(sender))
        creditor = _stand_in(named, creditors, organization)
        return Spot(organization.id, self._switches.current(organization.id).mode_of(creditor))

    def _name_creditors(self, envelope: Envelope, desk: Desk) -> list[str]:
        """Return whom each creditor row of the batch names."""
        return [peek_creditor(desk, CREDITOR, raw) for raw in envelope.rows[CREDITOR]]


def peek_creditor(desk: Desk, objectname: str, raw: msgspec.Raw) -> str:
    """Return the creditor that a raw row names; empty when that cannot be told."""
    names = _creditor_fields(desk, objectname)
    found = dict(desk.reader.peek(raw, names)) if names else {}
    return next((found[key] for key in names if key in found), "")


def _creditor_fields(desk: Desk, objectname: str) -> Mapping[str, str]:
    """Return the fields, by any key, that may name the creditor of a row: the first that is there does."""
    mapping = desk.profile.objects.get(objectname)
    if mapping is None:
        return {}
    document = mapping.document
    fields = document.reply_reference if objectname == CREDITOR else (document.creditor_field,)
    return {field: field for field in fields if field}


def _stand_in(named: str, creditors: Sequence[str], organization: Organization) -> str:
    """Return the creditor by which a row stands in its organization's line: its own, the batch's, or the only one."""
    if named:
        return named
    if len(creditors) == 1:
        return creditors[0]
    return next(iter(organization.creditors)) if len(organization.creditors) == 1 else ""
