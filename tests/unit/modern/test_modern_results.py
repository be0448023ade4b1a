from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Address, Outcome, Verdict
from bridge.modern.answers import Refused
from bridge.modern.correlation import Correlation, SentRow, blame, correlate
from bridge.modern.results import ModernBatch, read_batch

ON_THE_PAGE = {
    "summary": {"status": "SUCCESS"},
    "data": {
        "batchId": "ae257e86-dc53-4865-9c97-5b125a3a5ac2",
        "type": "INVOICE",
        "status": "SUCCESS",
        "createdAt": "2025-03-09T14:30:00Z",
        "finishedAt": "2025-03-09T14:30:05Z",
        "organizationId": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "createdBy": "8a1b2c3d-4e5f-6789-abcd-ef0123456789",
        "succeeded": [
            {
                "invoiceId": "cfa69f56-2faf-4a1f-a011-1980d4e385b0",
                "invoiceNumber": "INV-2025-001",
                "caseNumber": "178452",
            }
        ],
        "failed": [],
    },
}


def read(data: Any) -> ModernBatch | None:
    return read_batch(json.dumps(data).encode())


def finished(status: str, succeeded: Any = (), failed: Any = ()) -> ModernBatch:
    batch = read({"data": {"batchId": "b", "status": status, "succeeded": list(succeeded), "failed": list(failed)}})
    assert batch is not None
    return batch


def invoices(count: int) -> list[SentRow]:
    return [SentRow(Address("invoice", i), f"u{i}", f"n{i}") for i in range(count)]


def payments(count: int) -> list[SentRow]:
    return [SentRow(Address("payment", i), f"u{i}", "", f"ID{i}") for i in range(count)]


def actions(count: int) -> list[SentRow]:
    return [SentRow(Address("action", i)) for i in range(count)]


def verdicts(found: Correlation) -> dict[int, str]:
    return {address.objectindex: outcome.verdict.value for address, outcome in found.outcomes.items()}


def unmentioned(found: Correlation) -> list[int]:
    return [address.objectindex for address in found.unmentioned]


def test_the_documented_batch_is_read() -> None:
    """The sample on the page gives a finished batch, and its row is accepted with the ids it names."""
    batch = read(ON_THE_PAGE)
    assert batch is not None
    assert (batch.type, batch.status, batch.finished, batch.failed) == ("INVOICE", "SUCCESS", True, ())
    assert (batch.created_at, batch.finished_at) == ("2025-03-09T14:30:00Z", "2025-03-09T14:30:05Z")
    address = Address("invoice", 0)
    found = correlate([SentRow(address, "erp-1", "INV-2025-001")], batch)
    ids = {
        "invoiceId": "cfa69f56-2faf-4a1f-a011-1980d4e385b0",
        "invoiceNumber": "INV-2025-001",
        "caseNumber": "178452",
    }
    assert found == Correlation({address: Outcome(address, Verdict.ACCEPTED, ids=ids)}, (), 0)


@pytest.mark.parametrize("status", ["success", "Partial", "FAILED"])
def test_the_end_is_recognised_in_any_letter_case(status: str) -> None:
    """The three final statuses end a batch."""
    assert finished(status).finished


@pytest.mark.parametrize("status", ["QUEUED", "PROCESSING", "COMPLETED_WITH_SOMETHING_NEW", {"statuscode": 0}, 7, None])
def test_every_other_status_is_not_the_end(status: Any) -> None:
    """A status nobody has heard of, or of another type, means that the batch still runs."""
    batch = read({"batchId": "b", "status": status})
    assert batch is not None
    assert not batch.finished


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"{}", b'{"summary":{"status":"SUCCESS"}}', b'{"data":[1]}']
)
def test_what_is_no_batch_reads_as_none(content: bytes) -> None:
    """An answer without a batch in it is not taken for one."""
    assert read_batch(content) is None


@pytest.mark.parametrize("noise", [[None], [{}], None, "x", {}, ["text"], [[]]])
def test_empty_entries_are_no_entries(noise: Any) -> None:
    """`[null]` and `[{}]`, seen on the pages, name no row."""
    batch = read({"data": {"batchId": "b", "status": "PARTIAL", "succeeded": noise, "failed": noise}})
    assert batch is not None
    assert (batch.succeeded, batch.failed) == ((), ())


@pytest.mark.parametrize(
    "entry",
    [
        {"uniqueSourceInvoiceId": "u1"},
        {"UniqueSourceInvoiceId": " u1 ", "index": 0},
        {"uniqueSourceInvoiceId": "u1", "invoiceNumber": "n0"},
        {"invoiceNumber": "n1", "invoiceId": "unheard-of", "index": 0},
        {"uniqueSourceInvoiceId": "unheard-of", "invoiceNumber": "n1"},
        {"index": 1},
        {"index": "1"},
        {"invoice": {"invoiceNumber": "n1"}, "error": {"message": "x"}},
    ],
)
def test_an_entry_is_tied_to_its_row(entry: dict[str, Any]) -> None:
    """Unique id, invoice number and index name a row, in this order of trust."""
    found = correlate(invoices(3), finished("PARTIAL", failed=[entry]))
    assert verdicts(found) == {1: "refused"}
    assert unmentioned(found) == [0, 2]
    assert found.unmatched == 0


@pytest.mark.parametrize(
    "entry",
    [
        {"uniqueSourcePaymentId": "u1", "invoiceId": "id0"},
        {"invoiceId": "id1", "index": 0},
        {"uniqueSourceInvoiceId": "erp-7", "invoiceId": "Id1"},
    ],
)
def test_a_payment_is_tied_by_its_own_id_or_its_invoice(entry: dict[str, Any]) -> None:
    """A payment is known by its unique id, else by the invoice it belongs to, in any letter case."""
    assert verdicts(correlate(payments(2), finished("PARTIAL", succeeded=[entry]))) == {1: "accepted"}


@pytest.mark.parametrize(
    "entry", [{"index": 3}, {"index": -1}, {"index": True}, {"index": "٣"}, {"invoiceNumber": "n9"}, {"x": 1}]
)
def test_an_entry_of_no_row_is_counted(entry: dict[str, Any]) -> None:
    """An entry that names no row decides none, and is counted."""
    found = correlate(invoices(3), finished("PARTIAL", succeeded=[entry], failed=[entry]))
    assert (dict(found.outcomes), unmentioned(found), found.unmatched) == ({}, [0, 1, 2], 2)


def test_a_name_that_two_rows_share_says_nothing() -> None:
    """Where two rows go by one invoice number, only what tells them apart decides."""
    rows = [SentRow(Address("invoice", i), f"u{i}", "same") for i in range(2)]
    assert verdicts(correlate(rows, finished("PARTIAL", failed=[{"invoiceNumber": "same"}]))) == {}
    assert verdicts(correlate(rows, finished("PARTIAL", failed=[{"invoiceNumber": "same", "index": 1}]))) == {
        1: "refused"
    }


def test_a_refused_row_carries_the_text() -> None:
    """The message of a refused row is what its entry says, or a plain sentence where it says nothing."""
    failed = [{"index": 0, "errors": [{"field": "dueDate", "code": "E1", "message": "too early"}]}, {"index": 1}]
    found = correlate(invoices(2), finished("FAILED", failed=failed))
    assert found.outcomes[Address("invoice", 0)].message == "dueDate: too early (E1)"
    assert "without saying why" in found.outcomes[Address("invoice", 1)].message


def test_ids_are_learnt_as_text() -> None:
    """A case number is text, whether it comes as a number or a string."""
    found = correlate(
        invoices(1), finished("SUCCESS", [{"index": 0, "caseNumber": 178452, "caseId": "c", "invoiceId": None}])
    )
    assert found.outcomes[Address("invoice", 0)].ids == {"caseNumber": "178452", "caseId": "c"}


def test_a_claimed_success_wins_over_a_failure() -> None:
    """A row in both lists counts as accepted: money may have moved."""
    both = [{"index": 0}]
    assert verdicts(correlate(payments(1), finished("PARTIAL", both, both))) == {0: "accepted"}


def test_the_first_of_several_entries_counts() -> None:
    """Where a list mentions a row twice, its first entry decides."""
    twice = [{"index": 0, "caseNumber": "1"}, {"index": 0, "caseNumber": "2"}]
    assert correlate(payments(2), finished("SUCCESS", twice)).outcomes[Address("payment", 0)].ids == {"caseNumber": "1"}


@pytest.mark.parametrize("entry", [{"caseId": "c", "caseNumber": 1}, {"invoiceId": "new"}, {"status": "PAUSED"}])
def test_the_only_entry_belongs_to_the_only_row(entry: dict[str, Any]) -> None:
    """A single entry without a name of a row is the single row's."""
    assert verdicts(correlate(actions(1), finished("SUCCESS", [entry]))) == {0: "accepted"}
    assert verdicts(correlate(actions(1), finished("FAILED", (), [entry]))) == {0: "refused"}
    assert verdicts(correlate(invoices(1), finished("PARTIAL", [entry]))) == {0: "accepted"}


@pytest.mark.parametrize("entry", [{"invoiceNumber": "other"}, {"uniqueSourceInvoiceId": "other"}, {"index": 1}])
def test_the_only_entry_of_another_row_is_not_taken(entry: dict[str, Any]) -> None:
    """A single entry that names something else is not the single row's."""
    assert unmentioned(correlate(invoices(1), finished("SUCCESS", [entry]))) == [0]


def test_a_failed_batch_without_entries_refuses_every_row() -> None:
    """FAILED that mentions no row refuses them all, with whatever it says."""
    for rows in (invoices(2), payments(2), actions(1)):
        assert set(verdicts(correlate(rows, finished("FAILED"))).values()) == {"refused"}
    found = correlate(payments(2), finished("FAILED", (), [{"message": "closed"}, {"x": 1}, {"message": "for ever"}]))
    assert {outcome.message for outcome in found.outcomes.values()} == {"closed; for ever"}
    assert len(found.outcomes) == 2


@pytest.mark.parametrize("status", ["FAILED", "PARTIAL"])
def test_a_plain_text_among_the_failures_is_about_the_only_row(status: str) -> None:
    """A call of one row that failed is refused in those words; of several rows nobody knows whom a text is about."""
    for rows in (invoices(1), payments(1), actions(1)):
        (outcome,) = correlate(rows, finished(status, (), [" closed period ", None, ""])).outcomes.values()
        assert (outcome.verdict, outcome.message) == (Verdict.REFUSED, "closed period")
    several = correlate(payments(2), finished(status, (), ["closed period"]))
    assert "closed period" not in {outcome.message for outcome in several.outcomes.values()}
    assert verdicts(correlate(payments(1), finished(status, [{"index": 0}], ["closed period"]))) == {0: "accepted"}


def test_a_plain_text_beside_a_success_refuses_nothing() -> None:
    """Money may have moved: a remark does not turn SUCCESS into a refusal."""
    assert verdicts(correlate(payments(1), finished("SUCCESS", (), ["a remark"]))) == {0: "accepted"}


def test_a_successful_batch_without_entries_accepts_what_cannot_be_looked_up() -> None:
    """SUCCESS that mentions no row accepts payments and actions; invoices are left to be looked up."""
    assert verdicts(correlate(payments(2), finished("SUCCESS"))) == {0: "accepted", 1: "accepted"}
    assert verdicts(correlate(actions(2), finished("SUCCESS", [{"x": 1}]))) == {0: "accepted", 1: "accepted"}
    assert unmentioned(correlate(invoices(2), finished("SUCCESS"))) == [0, 1]


def test_a_status_that_the_entries_contradict_decides_nothing() -> None:
    """FAILED with a success in it, SUCCESS with a failure, and PARTIAL leave silent rows to be looked up."""
    odd = [{"x": 1}, {"y": 2}]
    assert unmentioned(correlate(payments(2), finished("FAILED", odd))) == [0, 1]
    assert unmentioned(correlate(payments(2), finished("SUCCESS", (), odd))) == [0, 1]
    assert unmentioned(correlate(payments(2), finished("PARTIAL"))) == [0, 1]


def test_silent_rows_beside_mentioned_ones_are_looked_up() -> None:
    """As soon as one row is mentioned, the status says nothing of the others."""
    assert unmentioned(correlate(payments(2), finished("SUCCESS", [{"index": 0}]))) == [1]
    assert unmentioned(correlate(payments(2), finished("FAILED", (), [{"index": 0}]))) == [1]


def test_an_error_body_blames_its_rows() -> None:
    """The faults of a 4xx are tied to their rows like the entries of a batch, several of one row together."""
    faults = (
        {"index": "0", "message": "first"},
        {"invoicenumber": "n0", "message": "second"},
        {"uniquesourceinvoiceid": "u2"},
        {"message": "nobody's"},
    )
    told = blame(invoices(3), Refused(422, "bad", faults))
    assert told[Address("invoice", 0)] == "first; second"
    assert "without saying why" in told[Address("invoice", 2)]
    assert len(told) == 2


ENTRY = st.dictionaries(
    st.sampled_from(["index", "invoiceNumber", "uniqueSourceInvoiceId", "invoiceId", "message", "errors", "invoice"]),
    st.none()
    | st.integers(-1, 5)
    | st.sampled_from(["n0", "u1", "id2", "x"])
    | st.lists(st.text(max_size=3), max_size=2),
    max_size=4,
)
ENTRIES = st.lists(ENTRY, max_size=5)


@given(st.integers(1, 4), st.sampled_from(["SUCCESS", "PARTIAL", "FAILED"]), ENTRIES, ENTRIES)
def test_every_row_is_decided_once_or_left_to_be_looked_up(count: int, status: str, good: Any, bad: Any) -> None:
    """Whatever a batch says, each row has an outcome or is unmentioned, never both, never neither."""
    for rows in (invoices(count), payments(count)):
        found = correlate(rows, finished(status, good, bad))
        assert sorted([*found.outcomes, *found.unmentioned]) == [row.address for row in rows]
        assert all(address == outcome.address for address, outcome in found.outcomes.items())
        assert found.unmatched <= len(good) + len(bad)
