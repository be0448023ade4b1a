"""An open batch as the journal remembers it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bridge.batch import LEGACY, Address, CallState, Operation, Reference, RowRefused, Verdict
from bridge.journal import Attempt, BatchRecord, CallRecord, RowRecord, StoredBatch
from bridge.workshop.resumption import reopen

FIRST, SECOND = Address("invoice", 0), Address("invoice", 1)
INVOICES = Operation("create_invoices", "/orgs/{organizationId}/invoices", "invoices", "uniqueSourceInvoiceId")
DESK: Any = SimpleNamespace(
    names_in=lambda address, raw: (("invoiceNumber", raw.decode()),),
    profile=SimpleNamespace(objects={"invoice": SimpleNamespace(operations={"create_invoices": INVOICES})}),
)


def call(name: str, state: CallState, *rows: Address) -> CallRecord:
    return CallRecord(name, "b", "org", "create_invoices", "/orgs/org/invoices", rows, state)


@pytest.mark.parametrize(("doubted", "tried"), [("whole", True), ("other", False)])
async def test_a_row_that_was_once_in_doubt_stays_under_suspicion_in_a_new_call(doubted: str, tried: bool) -> None:
    """A call that went on in parts: what its first attempt may have left behind is ours, also after a restart."""
    rows = tuple(
        RowRecord(address, Verdict.PENDING, organization="org", operation="create_invoices", item=b"{}")
        for address in (FIRST, SECOND)
    )
    calls = (
        call("whole", CallState.REFUSED, FIRST),
        call("other", CallState.REFUSED, SECOND),
        call("part", CallState.PLANNED, FIRST),
    )
    batch = BatchRecord("b", "s", "p", "", "i", "c", 1.0, offline=False, row_count=2, payload=None)
    attempts = [Attempt(doubted, 2.0, CallState.IN_DOUBT, "answer lost")]
    work = reopen(StoredBatch(batch, rows, calls), attempts, DESK)
    assert [(one.id, one.tried) for one in work.calls] == [("part", tried)]


async def test_the_legacy_half_of_a_batch_comes_back_as_it_was() -> None:
    """Its rows as their caller wrote them, in their call; what names one of its invoices is refused as before."""
    shares: dict[str, Any] = {"operation": LEGACY.name, "item": b"7"}
    rows = (
        RowRecord(FIRST, Verdict.PENDING, organization="org", operation="create_invoices", item=b"{}"),
        RowRecord(SECOND, Verdict.PENDING, organization="org", **shares),
        RowRecord(Address("creditor", 0), Verdict.PENDING, organization="other", **shares),
    )
    path = "/webapi/api/Batch?senderid=s"
    legacy = CallRecord("l", "b", "", LEGACY.name, path, (SECOND, Address("creditor", 0)), CallState.SUBMITTING)
    batch = BatchRecord("b", "s", "p", "", "i", "c", 1.0, offline=False, row_count=3, payload=None)
    work = reopen(StoredBatch(batch, rows, (call("m", CallState.PLANNED, FIRST), legacy)), [], DESK)
    assert [row.address for row in work.planned] == [FIRST]
    assert [(row.address, row.organization, row.item) for row in work.relayed] == [
        (SECOND, "org", b"7"),
        (Address("creditor", 0), "other", b"7"),
    ]
    assert work.organizations() == ["org"]
    (_, live) = work.calls
    assert (live.record, live.draft.operation, live.rows) == (legacy, LEGACY, tuple(work.relayed))
    with pytest.raises(RowRefused, match="invoice 1 of this batch, which the legacy host"):
        work.claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "7"),)))
