"""Whose row is it: find the organization a legacy row belongs to, and what it takes to write there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.batch import RowRefused
from bridge.settings import OrganizationSettings, Settings

UNSETTLED = (
    "creditorid: needed to tell whose row this is; set it on the row, or send exactly one creditor row in the batch, "
    "or have the operator of the bridge give this sender exactly one organization"
)


class Writer(Protocol):
    """Whoever sends rows: a sender, known here by its id."""

    @property
    def id(self) -> str:
        """Return the sender's id."""
        ...


@dataclass(frozen=True, slots=True)
class Organization:
    """One tenant on the modern side."""

    id: str
    name: str
    creditors: frozenset[str]
    client_id: str
    client_secret: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Reach:
    """What one sender may write to, and read."""

    all: tuple[Organization, ...]
    by_creditor: Mapping[str, Organization]
    only: Organization | None


class Directory:
    """All organizations, and which sender reaches which of their creditors."""

    def __init__(self, settings: Settings) -> None:
        self._organizations = {each.id: _open_organization(each) for each in settings.organizations}
        self._reach = {each.id: self._measure_reach(each.organizations) for each in settings.senders}

    @property
    def organizations(self) -> tuple[Organization, ...]:
        """Return every organization, in the order of the configuration."""
        return tuple(self._organizations.values())

    def find(self, organization_id: str) -> Organization | None:
        """Return the organization with this id, if it is (still) configured."""
        return self._organizations.get(organization_id)

    def knows(self, sender: Writer, idnumber: str) -> bool:
        """Tell whether a creditor row's idnumber is configured for the sender."""
        return idnumber.strip() in self._reach[sender.id].by_creditor

    def readable(self, sender: Writer, creditorid: str = "") -> tuple[Organization, ...]:
        """Return the organizations a sender may read; with a creditor's number the one it belongs to, or none."""
        reach = self._reach[sender.id]
        if not creditorid:
            return reach.all
        owner = reach.by_creditor.get(creditorid)
        return (owner,) if owner else ()

    def route(self, sender: Writer, creditor_on_row: str, batch_creditors: Sequence[str]) -> Organization:
        """Return the organization of a row, by the first rule that applies (contract, section 4), or raise RowRefused.

        `creditor_on_row` is empty when the row names none; `batch_creditors` holds the idnumber of each creditor row of
        the batch. An unknown creditor and one of another sender's organization are told apart by nobody outside.
        """
        reach = self._reach[sender.id]
        creditor = creditor_on_row.strip()
        if creditor:
            return _look_up(reach, creditor, "creditorid")
        if len(batch_creditors) == 1:
            return _look_up(reach, batch_creditors[0].strip(), "idnumber of the batch's creditor row")
        if reach.only is not None:
            return reach.only
        raise RowRefused(UNSETTLED)

    def _measure_reach(self, organization_ids: Sequence[str]) -> _Reach:
        """Return what a sender of these organizations may write to."""
        reachable = [self._organizations[each] for each in dict.fromkeys(organization_ids)]
        by_creditor = {creditor: each for each in reachable for creditor in each.creditors}
        return _Reach(tuple(reachable), by_creditor, reachable[0] if len(reachable) == 1 else None)


def _open_organization(settings: OrganizationSettings) -> Organization:
    """Return an organization with its secrets readable."""
    return Organization(
        id=settings.id,
        name=settings.name,
        creditors=frozenset(settings.creditors),
        client_id=settings.client_id,
        client_secret=settings.client_secret.get_secret_value(),
        webhook_secrets=tuple(secret.get_secret_value() for secret in settings.webhook_secrets),
    )


def _look_up(reach: _Reach, creditor: str, field_name: str) -> Organization:
    """Return the organization of a creditor the sender may write to."""
    organization = reach.by_creditor.get(creditor)
    if organization is None:
        raise RowRefused(
            f"{field_name}: {creditor or 'an empty one'} is not a creditor this sender may write to; correct it, or "
            "have the operator of the bridge list it under one of the sender's organizations"
        )
    return organization
