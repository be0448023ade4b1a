"""Rows to calls."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address, Operation, Outcome, Reference, RowRefused, Verdict
from bridge.plan import (
    BatchClaims,
    Depends,
    Draft,
    PlannedRow,
    UniqueIds,
    draft_calls,
    halves,
    in_sequence,
    refuse_with,
    waves,
)

INVOICES = Operation(
    "create_invoices",
    "/orgs/{organizationId}/invoices",
    "invoices",
    "uniqueSourceInvoiceId",
    ("invoiceNumber", "uniqueSourceInvoiceId"),
)
PAYMENTS = Operation(
    "create_payments", "/orgs/{organizationId}/payments", "payments", "uniqueSourcePaymentId", ("invoiceId",)
)
PAUSE = Operation("pause", "/orgs/{organizationId}/cases/{caseId}/pause")


def invoice(index: int, number: str = "", organization: str = "org") -> PlannedRow:
    return PlannedRow(
        Address("invoice", index),
        organization,
        INVOICES,
        b"{}",
        unique_id=f"u{index}",
        invoice_number=number,
        keys=(("invoiceNumber", number), ("uniqueSourceInvoiceId", f"u{index}")),
    )


def payment(index: int, invoice_id: str) -> PlannedRow:
    return PlannedRow(Address("payment", index), "org", PAYMENTS, b"{}", unique_id=f"p{index}", invoice_id=invoice_id)


def action(index: int, case_id: str) -> PlannedRow:
    return PlannedRow(Address("action", index), "org", PAUSE, b"{}", case_id=case_id)


def claims_of(*rows: PlannedRow) -> BatchClaims:
    claims = BatchClaims()
    for row in rows:
        claims.add(row)
    return claims


@given(st.lists(st.sampled_from("abcdef"), max_size=60), st.integers(1, 7))
def test_calls_hold_every_row_once_and_never_two_that_look_alike(numbers: list[str], size: int) -> None:
    """Every row is in exactly one call, no call is too large, and no two rows of a call share an invoice number."""
    rows = [invoice(index, number) for index, number in enumerate(numbers)]

    drafts = draft_calls(rows, size)

    assert sorted(row.address for draft in drafts for row in draft.rows) == [row.address for row in rows]
    for draft in drafts:
        assert len(draft.rows) <= size
        assert len({row.invoice_number for row in draft.rows}) == len(draft.rows)


def test_rows_without_a_number_share_a_call() -> None:
    """An absent value tells nothing apart and collides with nothing."""
    assert len(draft_calls([invoice(0), invoice(1)], 10)) == 1


def test_two_payments_of_one_invoice_travel_apart() -> None:
    """A result that names only the invoice must fit one row of the call."""
    drafts = draft_calls([payment(0, "i"), payment(1, "i"), payment(2, "j")], 10)
    assert [[row.address.objectindex for row in draft.rows] for draft in drafts] == [[0, 2], [1]]


def test_an_invoice_id_is_the_same_in_any_letter_case() -> None:
    """Results are told apart without regard to letter case, so payments of one invoice travel apart all the same."""
    drafts = draft_calls([payment(0, "ab-1"), payment(1, "AB-1")], 10)
    assert [[row.address.objectindex for row in draft.rows] for draft in drafts] == [[0], [1]]
    lanes = in_sequence(draft_calls([action(0, "ab-1"), action(1, "AB-1")], 500))
    assert [len(lane) for lane in lanes] == [2]


def test_a_case_action_travels_alone_under_its_cases_path() -> None:
    """An operation without a collection takes one row a call, and the ids stand encoded in the path."""
    drafts = draft_calls([action(0, "c/1"), action(1, "c/1")], 500)
    assert [draft.path for draft in drafts] == ["/orgs/org/cases/c%2F1/pause"] * 2


def test_actions_on_one_case_follow_each_other_in_row_order() -> None:
    """A pause and a resume of one case share a lane; another case has its own."""
    lanes = in_sequence(draft_calls([action(0, "c"), action(1, "d"), action(2, "c")], 500))
    assert [[draft.rows[0].address.objectindex for draft in lane] for lane in lanes] == [[0, 2], [1]]


def test_waves_keep_organizations_apart_and_invoices_first() -> None:
    """Each organization has its own waves, in the order of dependency."""
    grouped = waves([invoice(0), invoice(1, organization="other"), payment(0, "i"), action(0, "c")])
    assert {name: [[str(row.address) for row in wave] for wave in found] for name, found in grouped.items()} == {
        "org": [["invoice 0"], ["payment 0"], ["action 0"]],
        "other": [["invoice 1"]],
    }


@given(st.integers(1, 600), st.data())
def test_faulty_rows_are_isolated_in_few_calls(count: int, data: st.DataObject) -> None:
    """Splitting finds k faulty rows of n in about 2·k·log2(n) calls, and submits all others."""
    faulty = data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=5))
    whole = Draft("org", INVOICES, "/x", tuple(invoice(index) for index in range(count)))
    waiting, calls, accepted, refused = [whole], 0, 0, 0
    while waiting:
        draft = waiting.pop()
        calls += 1
        if not any(row.address.objectindex in faulty for row in draft.rows):
            accepted += len(draft.rows)
        elif len(draft.rows) == 1:
            refused += 1
        else:
            waiting.extend(halves(draft))
    assert (accepted, refused) == (count - len(faulty), len(faulty))
    assert calls <= 2 * len(faulty) * math.ceil(math.log2(max(count, 2))) + 1


def test_a_payment_finds_its_invoice_in_the_batch_by_any_name() -> None:
    """A ledgerref may be the invoice's own reference, unique id or number."""
    claims = claims_of(invoice(0, "A"), invoice(1, "B"))
    assert claims.depend("org", Reference("invoice", keys=(("ledgerref", "B"),))) == Depends(Address("invoice", 1))
    assert claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "A"),))) == Depends(Address("invoice", 0))
    assert claims.depend("org", Reference("invoice", keys=(("uniqueSourceInvoiceId", "A"),))) is None


def test_an_invoice_of_another_organization_is_not_the_one_meant() -> None:
    """References do not cross organizations."""
    claims = claims_of(invoice(0, "A", organization="other"))
    assert claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "A"),))) is None


def test_a_name_that_fits_two_invoices_of_the_batch_is_refused() -> None:
    """A payment is never booked on one of two possible claims."""
    claims = claims_of(invoice(0, "A"), invoice(1, "A"))
    with pytest.raises(RowRefused, match="invoice 0, invoice 1"):
        claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "A"),)))


def test_an_invoice_refused_before_routing_is_still_found() -> None:
    """Whoever names a refused invoice learns of it, although nobody knows its organization."""
    claims = BatchClaims()
    claims.add_refused(Address("invoice", 3), (("invoiceNumber", "A"),))
    depends = claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "A"),)))
    assert depends == Depends(Address("invoice", 3))


def test_the_refusal_of_a_dependent_row_names_the_invoice() -> None:
    """The message carries the address of the invoice that was refused."""
    outcome = refuse_with(Outcome(Address("invoice", 3), Verdict.REFUSED, "x"), Address("payment", 1))
    assert outcome.address == Address("payment", 1)
    assert "invoice 3" in outcome.message


def test_a_unique_id_used_twice_in_a_batch_is_refused() -> None:
    """The second row with a unique id would be the same claim again; other organizations' ids do not matter."""
    ids = UniqueIds()
    ids.claim(invoice(0))
    ids.claim(PlannedRow(Address("invoice", 1), "other", INVOICES, b"{}", unique_id="u0"))
    with pytest.raises(RowRefused, match="invoice 0"):
        ids.claim(PlannedRow(Address("invoice", 1), "org", INVOICES, b"{}", unique_id="u0"))


def test_rows_without_a_unique_id_do_not_collide() -> None:
    """Case actions carry none, and there may be several."""
    ids = UniqueIds()
    ids.claim(action(0, "c"))
    ids.claim(action(1, "c"))


def test_a_row_never_belongs_to_an_invoice_of_the_legacy_half() -> None:
    """It is refused with the place of that invoice, unless the modern half has one of that name, too."""
    names = (("invoiceNumber", "7"), ("ledgerref", "L"))
    claims = claims_of(invoice(0, "8"))
    claims.add_elsewhere("org", Address("invoice", 1), names)
    for key in (("invoiceNumber", "7"), ("ledgerref", "L"), ("ledgerref", "7")):
        with pytest.raises(RowRefused, match=r"not submitted: it names invoice 1 of this batch, which the legacy host"):
            claims.depend("org", Reference("invoice", "invoiceId", keys=(key,)))
    assert claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "8"),))) == Depends(Address("invoice", 0))
    assert claims.depend("another", Reference("invoice", keys=(("invoiceNumber", "7"),))) is None
    claims.add(invoice(2, "7"))
    assert claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "7"),))) == Depends(Address("invoice", 2))


def test_an_invoice_of_nobody_on_the_legacy_host_is_anybodys() -> None:
    """Nobody could tell whose it is: whoever names it may mean it."""
    claims = BatchClaims()
    claims.add_elsewhere("", Address("invoice", 1), (("invoiceNumber", "7"),))
    with pytest.raises(RowRefused, match="invoice 1 of this batch"):
        claims.depend("org", Reference("invoice", keys=(("invoiceNumber", "7"),)))
