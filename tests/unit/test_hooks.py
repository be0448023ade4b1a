"""What a webhook teaches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.hooks import label_event, read_hook
from bridge.journal import CaseEvent, Claim, Hook
from bridge.modern.webhooks import Webhook

ORG = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
CASE = Webhook(
    "CASE", ORG, case_id="c", case_number="7", status="OPEN", invoice_ids=("i1", "i2"), fields=("status",), at=50.0
)


def read(webhook: Webhook) -> Hook:
    return read_hook(webhook, "key", 100.0, {ORG})


@pytest.mark.parametrize("event", ["CASE", "CASE_UPDATED"])
def test_a_case_names_its_claims_and_adds_to_its_history(event: str) -> None:
    """One claim for each invoice; the event's own time counts, else when it came."""
    hook = read(replace(CASE, event=event))

    assert hook.claims == tuple(Claim(ORG, invoice_id=one, case_number="7", case_id="c") for one in ("i1", "i2"))
    assert hook.events == (CaseEvent(ORG, "c", "7", 50.0, event, "OPEN", ("status",)),)
    assert (hook.key, hook.at, hook.organization) == ("key", 100.0, ORG)
    assert read(replace(CASE, at=None)).events[0].at == 100.0


def test_a_case_event_that_names_no_case_adds_to_no_history() -> None:
    """There is nothing to add it to."""
    assert read(replace(CASE, case_id="", case_number="")).events == ()


def test_a_settlement_names_its_claim() -> None:
    """Its invoice's number as well; what it says of money is not kept."""
    hook = read(Webhook("SETTLEMENT_CREATED", ORG, invoice_ids=("i",), invoice_number="F1", case_number="7"))

    assert hook.claims == (Claim(ORG, invoice_id="i", invoice_number="F1", case_number="7"),)
    assert hook.events == ()
    assert read(Webhook("SETTLEMENT_CREATED", ORG, invoice_number="F1")).claims == ()


def test_a_finished_batch_is_a_hint() -> None:
    """About the batch, and that the organization's claims may have changed; the id may be spelt in capitals."""
    hook = read(Webhook("BATCH_COMPLETED", ORG.upper(), batch_id="m", invoice_ids=("i",)))

    assert hook == Hook("key", 100.0, organization=ORG, modern_batch="m")


def test_a_finished_batch_of_no_organization_is_a_hint_about_the_batch() -> None:
    """Batches are known by their id."""
    assert read(Webhook("BATCH_COMPLETED", batch_id="m")) == Hook("key", 100.0, modern_batch="m")


@pytest.mark.parametrize(
    "webhook",
    [
        replace(CASE, organization="00000000-0000-4000-8000-000000000000"),
        replace(CASE, event="SOMETHING_NEW"),
        Webhook("BATCH_COMPLETED", "another", batch_id="m"),
        Webhook(""),
    ],
)
def test_what_means_nothing_here_has_no_effect(webhook: Webhook) -> None:
    """Only its key is kept."""
    assert read(webhook) == Hook("key", 100.0)


def test_labels_are_few() -> None:
    """Nobody outside makes labels of our metrics."""
    assert label_event("CASE_UPDATED") == "CASE_UPDATED"
    assert label_event("x" * 1000) == label_event("") == "OTHER"
