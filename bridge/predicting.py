"""What the bridge would answer to a batch, without asking or telling anybody: read, route, translate, fold.

A prediction takes for granted that the modern system accepts every row the bridge would send. What it cannot know, it
says: a row whose claim is known neither to the batch nor to whoever `knows` is unsure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.batch import Address, Outcome, Reference, RowRefused, Verdict
from bridge.identity import identify
from bridge.intake.desk import Desk, Intake, fingerprint
from bridge.legacy.body import Envelope
from bridge.plan import Depends, PlannedRow, refuse_with
from bridge.replying import render
from bridge.senders import Sender

SLICE_ROWS = 200
"""Rows foretold before the event loop gets a turn."""
Knows = Callable[[str, Reference], Awaitable[bool]]
"""Tells whether a claim of an organization is known under one of a reference's names."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What would become of a batch."""

    intake: Intake
    outcomes: Mapping[Address, Outcome]
    """Every row's, unsure ones as accepted."""
    unsure: frozenset[Address]
    """Rows that refer to a claim which nobody here knows: whether they would be accepted cannot be told."""
    reply: bytes
    """The answer in the legacy shape."""

    @property
    def rows(self) -> Sequence[tuple[Address, str]]:
        """Return (address, ledgerref) of every row, in reply order."""
        return [(row.address, row.ledgerref) for row in self.intake.rows]


async def knows_nothing(_organization: str, _reference: Reference) -> bool:
    """Know no claim but those of the batch itself."""
    return False


async def read_in(desk: Desk, sender: Sender, envelope: Envelope, content: str = "") -> Intake:
    """Read, route and translate a batch as the endpoint would, with the same derived unique ids.

    `content` is the digest of its rows (`intake.fingerprint`), where it is known already.
    """
    identity = identify(sender, envelope.batchid, content or await fingerprint(envelope), lambda: "")
    return await desk.take(sender, envelope, seed="\0".join((sender.id, identity, "")))


async def predict(
    desk: Desk, sender: Sender, envelope: Envelope, knows: Knows = knows_nothing, content: str = ""
) -> Prediction:
    """Say what the bridge would answer to a batch if the modern system took every row that would be sent.

    `content` is the digest of its rows, where it is known already.
    """
    intake = await read_in(desk, sender, envelope, content)
    outcomes = dict(intake.decided)
    outcomes |= {row.address: Outcome(row.address, Verdict.ACCEPTED) for row in intake.planned if row.reference is None}
    unsure = set()
    for count, row in enumerate(intake.planned, 1):
        if row.reference is not None:
            bond = find_bond(row, intake)
            outcomes[row.address] = _foretell(row.address, bond, outcomes)
            if bond is None and not await knows(row.organization, row.reference):
                unsure.add(row.address)
        if count % SLICE_ROWS == 0:
            await asyncio.sleep(0)
    rows = [(row.address, row.ledgerref) for row in intake.rows]
    # who does not want to wait is told what reading alone has decided
    told = intake.decided if envelope.offline else outcomes
    reply = await render(rows, told, desk.profile.reply)
    return Prediction(intake, outcomes, frozenset(unsure), reply)


def find_bond(row: PlannedRow, intake: Intake) -> Depends | Outcome | None:
    """Return the invoice of the same batch that a row waits for, a refusal where it names several, or None."""
    if row.reference is None:
        return None
    try:
        return intake.claims.depend(row.organization, row.reference)
    except RowRefused as refusal:
        return Outcome(row.address, Verdict.REFUSED, str(refusal))


def _foretell(address: Address, bond: Depends | Outcome | None, outcomes: Mapping[Address, Outcome]) -> Outcome:
    if isinstance(bond, Outcome):
        return bond
    invoice = outcomes.get(bond.invoice) if bond is not None else None
    if invoice is not None and invoice.verdict is Verdict.REFUSED:
        return refuse_with(invoice, address)
    return Outcome(address, Verdict.ACCEPTED)
