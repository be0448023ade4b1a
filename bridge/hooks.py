"""What a webhook of the modern system teaches: ids of claims, a line of a case's history, and that something changed.

A webhook is a hint. The ids it carries are kept, and what was read before is read anew; amounts and results are always
read from the modern API itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bridge.journal import CaseEvent, Claim, Hook
from bridge.modern.webhooks import Webhook

KNOWN_EVENTS = frozenset({"BATCH_COMPLETED", "SETTLEMENT_CREATED", "CASE", "CASE_UPDATED"})
CASE_EVENTS = frozenset({"CASE", "CASE_UPDATED"})
OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class HookSecrets:
    """What webhooks may be signed with: by any organization's, or by one's own."""

    common: tuple[str, ...]
    by_organization: Mapping[str, tuple[str, ...]]

    def valid_for(self, organization: str) -> tuple[str, ...]:
        """Return the secrets a webhook about this organization may be signed with."""
        return (*self.common, *self.by_organization.get(organization.lower(), ()))

    @property
    def configured(self) -> bool:
        """Tell whether there is any secret at all."""
        return bool(self.common) or any(self.by_organization.values())


def label_event(event: str) -> str:
    """Return an event's name, or `OTHER`: nobody outside may invent labels of our metrics."""
    return event if event in KNOWN_EVENTS else OTHER


def read_hook(webhook: Webhook, key: str, at: float, organizations: Collection[str]) -> Hook:
    """Return what is to be kept of a delivery that arrived at `at` (Unix seconds) under `key`.

    Of an organization that is not configured, and of an event nobody knows, only the key is kept.
    """
    organization = webhook.organization.lower()
    if organization not in organizations or webhook.event not in KNOWN_EVENTS:
        # a batch is known by its id alone; the organization may be missing, or spelt in a way nobody foresaw
        return Hook(key, at, modern_batch=webhook.batch_id if not webhook.organization else "")
    return Hook(
        key,
        at,
        organization=organization,
        modern_batch=webhook.batch_id,
        claims=_claims(webhook, organization),
        events=_events(webhook, organization, at),
    )


def _claims(webhook: Webhook, organization: str) -> tuple[Claim, ...]:
    """Return what is known of each claim it names by its invoice's id; a number alone names no claim for certain."""
    if webhook.event not in CASE_EVENTS | {"SETTLEMENT_CREATED"}:
        return ()
    return tuple(
        Claim(
            organization,
            invoice_id=invoice,
            invoice_number=webhook.invoice_number if len(webhook.invoice_ids) == 1 else "",
            case_number=webhook.case_number,
            case_id=webhook.case_id,
        )
        for invoice in webhook.invoice_ids
    )


def _events(webhook: Webhook, organization: str, at: float) -> tuple[CaseEvent, ...]:
    if webhook.event not in CASE_EVENTS or not (webhook.case_id or webhook.case_number):
        return ()
    moment = at if webhook.at is None else webhook.at
    return (
        CaseEvent(
            organization, webhook.case_id, webhook.case_number, moment, webhook.event, webhook.status, webhook.fields
        ),
    )
