"""From a finished modern batch to verdicts: what it says, what the claims say, and what nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bridge.batch import Address, CallState, Operation, Outcome, Verdict
from bridge.calls.live import LiveCall
from bridge.calls.reconcile import Reconciler, verdict_on
from bridge.calls.verdicts import Judge
from bridge.journal import CallRecord
from bridge.modern.lists import ModernInvoice
from bridge.modern.results import ModernBatch
from bridge.modern.tokens import Access
from bridge.plan import Draft, PlannedRow

ACCESS = Access("org", "client", "secret")
INVOICES = Operation("create_invoices", "/invoices", "invoices", "uniqueSourceInvoiceId")
PAYMENTS = Operation("create_payments", "/payments", "payments", "uniqueSourcePaymentId")
CORRECTIONS = Operation("create_corrections", "/corrections", "corrections", "")


@dataclass
class Claims:
    """A reconciler that knows these invoices by unique id, and notes how it was asked."""

    held: dict[str, ModernInvoice] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def look_out_for(self, access: Access, rows: Sequence[PlannedRow]) -> Mapping[Address, ModernInvoice]:
        return self._find("look out", rows)

    async def look_up_patiently(self, access: Access, rows: Sequence[PlannedRow]) -> Mapping[Address, ModernInvoice]:
        return self._find("look up", rows)

    async def judge(self, call: LiveCall, found: Mapping[Address, ModernInvoice]) -> dict[Address, Outcome]:
        return {row.address: verdict_on(call, row, found[row.address]) for row in call.rows if row.address in found}

    def _find(self, how: str, rows: Sequence[PlannedRow]) -> Mapping[Address, ModernInvoice]:
        if rows:
            self.asked.append((how, len(rows)))
        return {row.address: self.held[row.unique_id] for row in rows if row.unique_id in self.held}


def held(unique_id: str, number: str = "", **more: Any) -> ModernInvoice:
    return ModernInvoice(id=f"id-{unique_id}", invoice_number=number, unique_source_invoice_id=unique_id, **more)


def a_call(operation: Operation, *unique_ids: str, tried: bool = False) -> LiveCall:
    kind = "invoice" if operation is INVOICES else "payment"
    rows = tuple(
        PlannedRow(Address(kind, index), "org", operation, b"{}", unique_id=unique_id, invoice_number=f"n-{unique_id}")
        for index, unique_id in enumerate(unique_ids)
    )
    record = CallRecord(
        "c", "b", "org", operation.name, "/", tuple(row.address for row in rows), CallState.SUBMITTED, planned_at=0.0
    )
    return LiveCall(record, Draft("org", operation, "/", rows), tried=tried)


def a_result(status: str, *, failed: Sequence[dict[str, Any]] = (), ok: Sequence[dict[str, Any]] = ()) -> ModernBatch:
    return ModernBatch("m", status=status, succeeded=tuple(ok), failed=tuple(failed))


async def decide(claims: Claims, call: LiveCall, result: ModernBatch) -> dict[Address, Outcome]:
    judge = Judge(cast("Reconciler", claims), ["duplicate", "straße".casefold()])
    return await judge.decide(ACCESS, call, result)


async def test_what_the_batch_says_is_believed_without_asking() -> None:
    """Accepted and refused rows; nothing is looked up."""
    claims = Claims()
    result = a_result("PARTIAL", ok=[{"index": 0, "invoiceid": "x"}], failed=[{"index": 1, "message": "no debtor"}])
    outcomes = await decide(claims, a_call(INVOICES, "a", "b"), result)
    assert [outcome.verdict for outcome in outcomes.values()] == [Verdict.REFUSED, Verdict.ACCEPTED]
    assert outcomes["invoice", 1].message == "no debtor"  # type: ignore[index]  # an address is such a tuple
    assert claims.asked == []


async def test_an_invoice_the_batch_is_silent_about_is_judged_by_its_existence() -> None:
    """There under its own number: accepted with its ids; not there, or under another number: refused."""
    claims = Claims({"a": held("a", "n-a", case_number="7"), "c": held("c", "other")})
    outcomes = await decide(claims, a_call(INVOICES, "a", "b", "c"), a_result("SUCCESS"))
    found, missing, other = (outcomes[Address("invoice", index)] for index in range(3))
    assert (found.verdict, found.ids) == (Verdict.ACCEPTED, {"invoiceId": "id-a", "caseNumber": "7"})
    assert missing.verdict is other.verdict is Verdict.REFUSED
    assert "without mentioning this row" in missing.message
    assert claims.asked == [("look out", 3)]


@pytest.mark.parametrize("operation", [PAYMENTS, CORRECTIONS])
async def test_a_payment_the_batch_is_silent_about_is_left_undecided(operation: Operation) -> None:
    """Nothing else can tell of it: refusing it might have it booked twice."""
    claims = Claims()
    result = a_result("SUCCESS", ok=[{"index": 0}])
    outcomes = await decide(claims, a_call(operation, "a", "b"), result)
    assert list(outcomes) == [Address("payment", 0)]
    assert claims.asked == []


DUPLICATES = a_result("FAILED", failed=[{"index": 0, "message": "DUPLICATE id"}, {"index": 1, "message": "too young"}])


async def test_a_first_attempt_refused_as_a_duplicate_is_somebody_elses_claim() -> None:
    """The message names it; the neighbour keeps its own reason."""
    claims = Claims({"a": held("a", "n-a", case_number="7")})
    outcomes = await decide(claims, a_call(INVOICES, "a", "b"), DUPLICATES)
    first, second = (outcomes[Address("invoice", index)] for index in range(2))
    assert first.verdict is second.verdict is Verdict.REFUSED
    assert "already holds this claim as case 7" in first.message
    assert second.message == "too young"
    assert claims.asked == [("look up", 1)]


async def test_a_first_attempt_refused_as_a_duplicate_that_nobody_sees_stays_refused() -> None:
    """In the vendor's words."""
    outcomes = await decide(Claims(), a_call(INVOICES, "a", "b"), DUPLICATES)
    assert outcomes[Address("invoice", 0)].message == "DUPLICATE id"


@pytest.mark.parametrize("seen", [True, False])
async def test_a_later_attempt_refused_as_a_duplicate_is_its_own(seen: bool) -> None:
    """An earlier attempt made it, whether the lists show it already or not; the neighbour stays refused."""
    claims = Claims({"a": held("a", "n-a")} if seen else {})
    outcomes = await decide(claims, a_call(INVOICES, "a", "b", tried=True), DUPLICATES)
    assert [outcomes[Address("invoice", index)].verdict for index in range(2)] == [Verdict.ACCEPTED, Verdict.REFUSED]
    assert claims.asked == [("look out", 1)]


async def test_a_later_attempt_whose_id_another_claim_holds_is_refused() -> None:
    """It goes by another number: an earlier attempt of ours cannot have made it."""
    claims = Claims({"a": held("a", "other")})
    outcomes = await decide(claims, a_call(INVOICES, "a", "b", tried=True), DUPLICATES)
    assert outcomes[Address("invoice", 0)].verdict is Verdict.REFUSED


@pytest.mark.parametrize(("tried", "verdict"), [(True, Verdict.ACCEPTED), (False, Verdict.REFUSED)])
async def test_a_payment_refused_as_a_duplicate_is_ours_only_if_tried_before(tried: bool, verdict: Verdict) -> None:
    """It cannot be looked up; without an earlier attempt in the dark somebody else sent it."""
    claims = Claims()
    outcomes = await decide(claims, a_call(PAYMENTS, "a", "b", tried=tried), DUPLICATES)
    assert [outcomes[Address("payment", index)].verdict for index in range(2)] == [verdict, Verdict.REFUSED]
    assert claims.asked == []


async def test_a_row_without_a_unique_id_cannot_be_its_own_duplicate() -> None:
    """Nothing ties a correction to what was there before."""
    outcomes = await decide(Claims(), a_call(CORRECTIONS, "", "", tried=True), DUPLICATES)
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.REFUSED}


async def test_words_are_compared_without_regard_to_case() -> None:
    """Also where upper and lower case are spelt differently."""
    result = a_result("FAILED", failed=[{"index": 0, "message": "STRASSE"}])
    outcomes = await decide(Claims(), a_call(INVOICES, "a", tried=True), result)
    assert outcomes[Address("invoice", 0)].verdict is Verdict.ACCEPTED
