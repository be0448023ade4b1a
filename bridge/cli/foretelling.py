"""What the bridge would answer to a recorded request: as recorded, or predicted. Nothing is sent or kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.batch import Address, Verdict
from bridge.comparing import Answer, Origin
from bridge.errors import CallerError, OperatorError
from bridge.intake.desk import Desk, Intake
from bridge.journal import Claim
from bridge.legacy.body import split
from bridge.legacy.rendering import whole_batch_error
from bridge.mapping import load_profile
from bridge.organizations import Directory
from bridge.origins import trace_origins
from bridge.predicting import Prediction, predict, read_in
from bridge.recording import Line
from bridge.senders import Sender, Senders
from bridge.settings import Settings
from bridge.watching.memory import ShadowClaims

MOST_NAMES = 200_000
"""How many names of claims are remembered from one recorded batch to the next."""


@dataclass(frozen=True, slots=True)
class Foretold:
    """The bridge's answer, and whose the rows are."""

    answer: Answer
    unsure: frozenset[Address] = frozenset()
    organizations: Mapping[Address, str] = field(default_factory=dict)
    otherwise: str = ""
    """The organization of rows that nothing else tells: the only one of the recorded line."""

    def organization_of(self, address: Address | None) -> str:
        """Return a row's organization, of None that of the batch; empty where it cannot be told."""
        if address is None:
            return self.otherwise
        return self.organizations.get(address) or self.otherwise


class _NoBooks:
    """A cross-reference without a claim: a recording says by itself what its batches made."""

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:  # noqa: ARG002  CrossReference's
        return []


class Foreteller:
    """Says what the bridge would answer, one recorded exchange after the other."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.mappings.folder
        self._directory = Directory(settings)
        self._senders = Senders(settings, _ask_nobody, clock=lambda: 0.0)
        self._desks: dict[str, tuple[Desk, Origin]] = {}
        self._claims = ShadowClaims(_NoBooks(), most_names=MOST_NAMES)

    def find_sender(self, line: Line) -> Sender | None:
        """Return who sent a recorded request; None for somebody the configuration does not know."""
        return self._senders.find(line.sender)

    def origins_of(self, sender: Sender) -> Origin:
        """Return what names the mapping rules of a sender's profile."""
        return self._open(sender)[1]

    async def foretell(self, line: Line, sender: Sender) -> Foretold:
        """Return the bridge's answer to a recorded request."""
        only = only_organization(line)
        if line.bridge is not None:
            whose = await self.tell_whose(line, sender)
            return Foretold(Answer(line.bridge.status, line.bridge.json), organizations=whose, otherwise=only)
        try:
            prediction = await predict(self._open(sender)[0], sender, split(line.body), self._claims.knows)
        except CallerError as fault:
            return Foretold(Answer(fault.status, whole_batch_error(str(fault))), otherwise=only)
        self._remember(prediction)
        return Foretold(Answer(200, prediction.reply), prediction.unsure, _list_owners(prediction.intake), only)

    async def tell_whose(self, line: Line, sender: Sender) -> Mapping[Address, str]:
        """Return the organizations of a request's rows, where they are not all of one."""
        if len(line.organizations) < 2:
            return {}
        try:
            return _list_owners(await read_in(self._open(sender)[0], sender, split(line.body)))
        except CallerError:
            return {}

    def _open(self, sender: Sender) -> tuple[Desk, Origin]:
        """Return desk and origins of a sender's profile, which is loaded when it is first spoken."""
        if sender.profile not in self._desks:
            profile = load_profile(self._folder / sender.profile)
            self._desks[sender.profile] = Desk(profile, self._directory), trace_origins(profile)
        return self._desks[sender.profile]

    def _remember(self, prediction: Prediction) -> None:
        """Remember the claims a batch would have made, for payments in later ones."""
        for row in prediction.intake.planned:
            if row.keys and prediction.outcomes[row.address].verdict is Verdict.ACCEPTED:
                self._claims.remember(row.organization, row.keys)


def only_organization(line: Line) -> str:
    """Return the organization all of a request is for; empty where there are several, or none."""
    return line.organizations[0] if len(line.organizations) == 1 else ""


def _list_owners(intake: Intake) -> dict[Address, str]:
    return {row.address: row.organization for row in intake.rows if row.organization}


async def _ask_nobody(url: str) -> Any:
    raise OperatorError(f"a comparison asks nobody, and not {url}")  # pragma: no cover - nobody is identified here
