"""The whole answer: cases with their invoices, filters, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable, NoAnswer, NotSetUp, TooMuchToRead
from bridge.journal import CaseEvent, Claim
from bridge.modern.failures import ModernBusy
from bridge.readback import answering

Make = Callable[..., dict[str, Any]]


def numbers(answer: dict[str, Any]) -> list[Any]:
    """Return which case, and which invoice of it, each entry is of."""
    return [
        (one["case"].get("caseNumber"), one["invoice"].get("invoiceId", one["invoice"].get("id")))
        for one in answer["case"]
    ]


async def test_each_invoice_of_each_case_is_told(place: Any, case: Make, inner: Make, org_a: str) -> None:
    """All pages; an entry has its case, invoice, creditor and the ids we know, amounts digit for digit."""
    place.lists.cases_of[org_a] = [
        case(1),
        case(2),
        case(3, inner(3), inner(4, remainingAmount=Decimal("9007199254740993.01"))),
    ]
    place.journal.known[org_a, "invoice-1"] = Claim(
        org_a, invoice_id="invoice-1", invoice_number="F1", unique_source_invoice_id="erp-1", ledgerref="L1",
        case_number="1", case_id="case-1", modern_batch="m",
    )  # fmt: skip

    answer = await place.ask()

    assert numbers(answer) == [(1, "invoice-1"), (2, "invoice-2"), (3, "invoice-3"), (3, "invoice-4")]
    assert answer["case"][3]["invoice"]["remainingAmount"] == Decimal("9007199254740993.01")
    assert answer["case"][0]["claim"] == {
        "ledgerref": "L1",
        "invoiceNumber": "F1",
        "uniqueSourceInvoiceId": "erp-1",
        "invoiceId": "invoice-1",
        "caseId": "case-1",
        "caseNumber": "1",
    }
    assert answer["case"][1]["claim"] == {}
    assert answer["case"][0]["history"] == []


async def test_the_invoice_list_completes_what_a_case_says(place: Any, case: Make, inner: Make, org_a: str) -> None:
    """What the case says wins; an invoice that no case has stands by itself; the list may tell a case's invoices."""
    place.lists.cases_of[org_a] = [case(1, inner(1, status=None)), case(2, invoices=[]), case(3, invoices=None)]
    place.lists.invoices_of[org_a] = [
        {"id": "invoice-1", "status": "OPEN", "invoiceNumber": "other", "organization": {"name": "x"}},
        {"id": "invoice-2", "collectionCaseNumber": "2"},
        {"id": "invoice-9", "collectionCaseNumber": "", "status": "OPEN"},
    ]

    answer = await place.ask()

    assert numbers(answer) == [(1, "invoice-1"), (2, "invoice-2"), (3, None), (None, "invoice-9")]
    whole = answer["case"][0]["invoice"]
    assert (whole["status"], whole["invoiceNumber"], "organization" in whole) == ("OPEN", "F1", False)
    assert answer["case"][3]["case"] == {}


async def test_a_case_that_moves_between_pages_is_told_once(place: Any, case: Make, org_a: str) -> None:
    """A list that grows while it is read shows one twice."""
    place.lists.cases_of[org_a] = [case(1), case(2), case(3)]

    def grow(kind: str, organization: str, page: int) -> None:
        if kind == "cases" and page == 1:
            place.lists.cases_of[org_a].insert(0, case(9))

    place.lists.on_page = grow

    assert sorted(numbers(await place.ask())) == [(1, "invoice-1"), (2, "invoice-2"), (3, "invoice-3")]


async def test_only_open_claims_unless_asked(place: Any, case: Make, org_a: str) -> None:
    """By the profile's word on what is closed, for invoices without a case as well."""
    place.lists.cases_of[org_a] = [case(1), case(2, closedAt="2024-01-01T00:00:00Z")]
    place.lists.invoices_of[org_a] = [{"id": "invoice-8", "status": "CLOSED"}]

    assert numbers(await place.ask()) == [(1, "invoice-1")]
    assert len((await place.ask(includeclosed=True))["case"]) == 3


async def test_a_shape_of_whole_cases_has_one_entry_a_case(
    make_place: Any, case: Make, inner: Make, org_a: str
) -> None:
    """As the modern shape has it; an invoice without a case is told, too."""
    place = make_place()
    profile = place.readback._readings["mirror"]
    whole = type(profile)(case=type(profile.case)("case", each=""))
    place = make_place(profile=whole)
    place.lists.cases_of[org_a] = [case(1, inner(1), inner(2)), case(3)]
    place.lists.invoices_of[org_a] = [{"id": "invoice-7"}]

    assert numbers(await place.ask()) == [(1, None), (3, "invoice-3"), (None, "invoice-7")]


async def test_history_comes_from_what_webhooks_told(place: Any, case: Make, org_a: str) -> None:
    """Names of what changed, never values."""
    place.lists.cases_of[org_a] = [case(1)]
    place.journal.history[org_a, "case-1"] = [
        CaseEvent(org_a, "case-1", "1", 1_700_000_000.5, "CASE_UPDATED", "PAUSED", ("status",))
    ]

    (entry,) = (await place.ask())["case"]

    assert entry["history"] == [
        {"kind": "CASE_UPDATED", "at": "2023-11-14T22:13:20Z", "status": "PAUSED", "fields": ["status"]}
    ]


async def test_texts_come_in_the_language_asked_for(place: Any, case: Make, org_a: str) -> None:
    """The profile decides what it has."""
    place.lists.cases_of[org_a] = [case(1)]

    assert [one["language"] for one in (await place.ask(languagecode="EN"))["case"]] == ["en"]


# --- filters -------------------------------------------------------------------------------------------------------


async def test_a_creditor_narrows_to_its_organization(place: Any, case: Make, org_a: str, org_b: str) -> None:
    """And, where that has several, to its own cases and those that do not say; an unknown one finds nothing."""
    place.lists.cases_of[org_a] = [case(1, creditorNumber="971274190"), case(2), case(3, creditorNumber=984842252)]
    place.lists.cases_of[org_b] = [case(4)]

    assert numbers(await place.ask("ERP-2", creditorid="984842252")) == [(2, "invoice-2"), (3, "invoice-3")]
    assert numbers(await place.ask("ERP-2", creditorid="914594685")) == [(4, "invoice-4")]
    assert await place.ask("ERP-2", creditorid="1") == {"creditor": [], "case": [], "settlement": []}
    assert await place.ask("ERP-1", creditorid="914594685") == {"creditor": [], "case": [], "settlement": []}


async def test_creditors_are_told(place: Any, org_a: str, org_b: str) -> None:
    """Every one of the organizations read, or the one asked for; an organization without any is told as well."""
    answer = await place.ask("ERP-2")
    assert [one["creditor"]["idnumber"] for one in answer["creditor"]] == ["971274190", "984842252", "914594685"]
    assert answer["creditor"][0]["creditor"] == {
        "idnumber": "971274190",
        "name": "name of 3",
        "organization": org_a,
        "lastsettlementid": None,
    }
    answer = await place.ask("ERP-2", creditorid="984842252")
    assert [one["creditor"]["idnumber"] for one in answer["creditor"]] == ["984842252"]
    (alone,) = (await place.ask("ERP-3"))["creditor"]
    assert alone["creditor"]["idnumber"] is None


@pytest.mark.parametrize("ignores", [False, True])
async def test_a_customer_narrows_even_where_the_vendor_does_not(
    place: Any, case: Make, org_a: str, ignores: bool
) -> None:
    """A filter that is ignored must not tell one customer's claims for another's."""
    place.lists.cases_of[org_a] = [case(1), case(2)]
    place.lists.invoices_of[org_a] = [{"id": "invoice-7", "customerNumber": "customer-1"}]
    place.lists.ignores_filters = ignores

    assert numbers(await place.ask(customerref="customer-1")) == [(1, "invoice-1"), (None, "invoice-7")]
    assert numbers(await place.ask(customerref="nobody")) == []


@pytest.mark.parametrize("ignores", [False, True])
async def test_a_reference_is_found_by_the_names_an_erp_may_use(
    place: Any, case: Make, inner: Make, org_a: str, ignores: bool
) -> None:
    """The unique id, or the invoice number by way of the invoice list; of a case with several only that invoice."""
    place.lists.cases_of[org_a] = [case(1, inner(1), inner(2)), case(3)]
    place.lists.invoices_of[org_a] = [
        {
            "id": f"invoice-{n}",
            "invoiceNumber": f"F{n}",
            "uniqueSourceInvoiceId": f"erp-{n}",
            "collectionCaseNumber": str(c),
        }
        for n, c in ((1, 1), (2, 1), (3, 3))
    ]
    place.lists.ignores_filters = ignores

    assert numbers(await place.ask(ledgerref="erp-2")) == [(1, "invoice-2")]
    assert numbers(await place.ask(ledgerref="F3")) == [(3, "invoice-3")]
    assert numbers(await place.ask(ledgerref="nothing")) == []
    assert numbers(await place.ask(ledgerref="F3", customerref="customer-1")) == []


async def test_a_reference_is_found_in_the_cross_reference_first(
    place: Any, case: Make, inner: Make, org_a: str
) -> None:
    """Whatever the ERP calls it: the ids we know lead to the case."""
    place.lists.cases_of[org_a] = [case(1, inner(1), inner(2)), case(5)]
    place.journal.known[org_a, "invoice-2"] = Claim(org_a, invoice_id="invoice-2", ledgerref="L2", case_number="1")
    place.journal.known[org_a, ""] = Claim(org_a, ledgerref="L5", case_number="5")

    assert numbers(await place.ask(ledgerref="L2")) == [(1, "invoice-2")]
    assert numbers(await place.ask(ledgerref="L5")) == [(5, "invoice-5")]
    assert ("cases", org_a, {"CaseNumber": "1"}) in place.lists.asked


async def test_a_reference_may_lead_to_an_invoice_without_a_case(place: Any, org_a: str) -> None:
    """It is told by itself."""
    place.lists.invoices_of[org_a] = [{"id": "invoice-7", "uniqueSourceInvoiceId": "erp-7"}]

    assert numbers(await place.ask(ledgerref="erp-7")) == [(None, "invoice-7")]


async def test_several_claims_of_one_reference_are_all_told(place: Any, case: Make, inner: Make, org_a: str) -> None:
    """Two invoices of one case under one reference: both, each once."""
    place.lists.cases_of[org_a] = [case(1, inner(1), inner(2))]
    for number in (1, 2):
        place.journal.known[org_a, f"invoice-{number}"] = Claim(
            org_a, invoice_id=f"invoice-{number}", ledgerref="L", case_number="1"
        )

    assert numbers(await place.ask(ledgerref="L")) == [(1, "invoice-1"), (1, "invoice-2")]


# --- the cross-reference learns ------------------------------------------------------------------------------------


async def test_reading_teaches_what_was_not_known(place: Any, case: Make, inner: Make, org_a: str) -> None:
    """New claims and missing ids; what is known is not written again."""
    place.lists.cases_of[org_a] = [case(1, inner(1, batchId="m1")), case(2, closedAt="2024-01-01")]
    place.lists.invoices_of[org_a] = [{"id": "invoice-7", "collectionCaseNumber": "7"}]
    place.journal.known[org_a, "invoice-2"] = Claim(org_a, invoice_id="invoice-2", ledgerref="L2")

    await place.ask()

    told = {one.invoice_id: one for one in place.journal.taught}
    assert told["invoice-1"] == Claim(org_a, "invoice-1", "F1", "erp-1", "", "1", "case-1", modern_batch="m1")
    assert place.journal.known[org_a, "invoice-2"].ledgerref == "L2"
    assert place.journal.known[org_a, "invoice-2"].case_id == "case-2"
    assert told["invoice-7"].case_number == "7"
    place.journal.taught.clear()
    place.readback.forget(org_a)
    await place.ask()
    assert place.journal.taught == []


async def test_a_journal_that_cannot_learn_does_not_spoil_the_answer(place: Any, case: Make, org_a: str) -> None:
    """It learns another time."""
    place.lists.cases_of[org_a] = [case(1)]
    place.journal.full = True

    assert len((await place.ask())["case"]) == 1


# --- cache ---------------------------------------------------------------------------------------------------------


async def test_the_same_question_again_reads_nothing(place: Any, case: Make, org_a: str) -> None:
    """Until the organization changes."""
    place.lists.cases_of[org_a] = [case(1)]
    first = await place.ask()
    reads = +place.lists.reads

    assert await place.ask() == first
    assert place.lists.reads == reads
    place.lists.cases_of[org_a].append(case(2))
    place.readback.forget(org_a)
    assert len((await place.ask())["case"]) == 2


async def test_equal_questions_at_once_are_one_read(place: Any, case: Make, org_a: str) -> None:
    """Cases, invoices and settlements are each read once."""
    place.lists.cases_of[org_a] = [case(1)]

    first, second = await asyncio.gather(place.ask(), place.ask())

    assert first == second
    assert place.lists.reads == {"cases": 1, "invoices": 1, "settlements": 1}


async def test_different_questions_do_not_share_an_answer(place: Any, case: Make, org_a: str) -> None:
    """Each parameter makes a difference."""
    place.lists.cases_of[org_a] = [case(1), case(2, closedAt="2024-01-01", creditorNumber="971274190")]

    sizes = [
        len((await place.ask(**question))["case"])
        for question in (
            {},
            {"includeclosed": True},
            {"creditorid": "984842252", "includeclosed": True},
            {"customerref": "customer-2"},
        )
    ]

    assert sizes == [1, 2, 1, 0]


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cases", "invoices", "settlements"])
@pytest.mark.parametrize(
    ("failure", "status", "pause"),
    [
        (ModernUnreachable("gone"), 503, 10),
        (ModernBusy("busy", retry_after_seconds=41.5), 503, 42),
        (ModernRefused("no", status=403), 502, None),
    ],
)
async def test_half_a_list_is_no_answer(
    place: Any, case: Make, org_a: str, kind: str, failure: Exception, status: int, pause: int | None
) -> None:
    """A read that fails after a page fails the whole call, and the next call reads again."""
    place.lists.cases_of[org_a] = [case(n) for n in range(5)]
    place.lists.invoices_of[org_a] = [{"id": f"i{n}"} for n in range(5)]
    place.lists.settlements_of[org_a] = [{"settlementId": f"s{n}"} for n in range(5)]
    place.lists.fail_after[kind] = (1, failure)

    with pytest.raises(NoAnswer) as refused:
        await place.ask()

    assert (refused.value.status, refused.value.retry_after_seconds) == (status, pause)
    place.lists.fail_after.clear()
    assert len((await place.ask())["case"]) == 10


async def test_a_fault_while_reading_ahead_does_not_hang(place: Any, case: Make, org_a: str) -> None:
    """Whatever goes wrong reaches the caller."""
    place.lists.cases_of[org_a] = [case(n) for n in range(5)]
    place.lists.fail_after["cases"] = (1, RuntimeError("a fault of the program"))

    with pytest.raises(RuntimeError):
        await asyncio.wait_for(place.ask(), 5)


async def test_too_many_cases_are_refused(make_place: Any, case: Make, org_a: str, org_b: str) -> None:
    """In one organization, or in all together; a narrower question is answered."""
    place = make_place(max_cases=3)
    place.lists.cases_of[org_a] = [case(n) for n in range(3)]
    place.lists.cases_of[org_b] = [case(n) for n in range(3)]

    assert len((await place.ask("ERP-1"))["case"]) == 3
    with pytest.raises(TooMuchToRead):
        await place.ask("ERP-2")
    assert len((await place.ask("ERP-2", creditorid="914594685"))["case"]) == 3
    place.lists.cases_of[org_a].append(case(9))
    place.readback.forget(org_a)
    with pytest.raises(TooMuchToRead):
        await place.ask("ERP-1")
    assert len((await place.ask("ERP-1", customerref="customer-9"))["case"]) == 1


async def test_too_many_invoices_are_refused(make_place: Any, org_a: str) -> None:
    """They would fill the memory before the first case is seen."""
    place = make_place(max_cases=1)
    place.lists.invoices_of[org_a] = [{"id": f"i{n}"} for n in range(8)]

    with pytest.raises(TooMuchToRead):
        await place.ask()


async def test_a_profile_without_reading_says_so(make_place: Any) -> None:
    """The operator can mend it."""
    with pytest.raises(NotSetUp, match="read/"):
        await make_place(profile=None).ask()


async def test_a_journal_that_cannot_number_settlements_stops_the_answer(place: Any, org_a: str) -> None:
    """A settlement without a number could be told twice, or never."""
    place.lists.settlements_of[org_a] = [{"settlementId": "s"}]
    place.journal.full = True

    with pytest.raises(CannotTakeNow):
        await place.ask()


async def test_only_so_many_organizations_are_read_side_by_side(
    make_place: Any, case: Make, org_a: str, org_b: str
) -> None:
    """One, if the operator says so."""
    place = make_place(organizations_at_once=1)
    order: list[tuple[str, str]] = []
    place.lists.on_page = lambda kind, organization, page: (
        order.append((kind, organization)) if kind == "cases" else None
    )
    place.lists.cases_of[org_a] = [case(n) for n in range(6)]
    place.lists.cases_of[org_b] = [case(n) for n in range(6)]

    await place.ask("ERP-2")

    assert order == [("cases", org_a)] * 3 + [("cases", org_b)] * 3


async def test_closing_stops_reading(place: Any, org_a: str) -> None:
    """Nothing is left running."""
    place.lists.gate = asyncio.Event()
    asking = asyncio.create_task(place.ask())
    while not place.lists.reads:  # noqa: ASYNC110 - what is waited for knows of no event
        await asyncio.sleep(0)

    await place.readback.close()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_one_filter_may_be_ignored_and_the_other_not(place: Any, case: Make, org_a: str) -> None:
    """An invoice of a case that is not the customer's is not told for an invoice without a case."""
    place.lists.cases_of[org_a] = [case(1), case(2)]
    place.lists.invoices_of[org_a] = [
        {"id": f"invoice-{n}", "collectionCaseNumber": str(n), "customerNumber": "customer-1"} for n in (1, 2)
    ]

    assert numbers(await place.ask(customerref="customer-1")) == [(1, "invoice-1")]


async def test_much_that_is_new_is_taught_in_lots(
    place: Any, case: Make, org_a: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction is so large that a batch would have to wait for it."""
    monkeypatch.setattr("bridge.readback.shaping.CLAIMS_AT_ONCE", 4)
    place.lists.cases_of[org_a] = [case(n) for n in range(9)]
    lots: list[int] = []
    write = place.journal.write

    async def count(*changes: Any) -> None:
        lots.extend(len(change.claims) for change in changes)
        await write(*changes)

    place.journal.write = count
    await place.ask()

    assert lots == [4, 4, 1]


async def test_a_caller_is_not_kept_waiting_longer_than_agreed(make_place: Any, case: Make, org_a: str) -> None:
    """It is told to come again; the reading goes on meanwhile, and is what the next call is answered with."""
    place = make_place(answer_seconds=0.01, cache_seconds=0)
    place.lists.cases_of[org_a] = [case(1)]
    place.lists.settlements_of[org_a] = [{"settlementId": "a"}]
    place.lists.gate = asyncio.Event()

    for _ in range(2):
        with pytest.raises(NoAnswer, match="the reading goes on, send the same call again") as late:
            await place.ask()
        assert (late.value.status, late.value.retry_after_seconds) == (503, 10)

    reads = dict(place.lists.reads)
    assert set(reads.values()) == {1}
    place.lists.gate.set()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))
    place.now[0] += 1000
    assert len((await place.ask())["settlement"]) == 1
    assert dict(place.lists.reads) == reads


async def test_callers_who_wait_are_bounded(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond so many one more is put off; when one has its answer, there is room again."""
    monkeypatch.setattr(answering, "MOST_CALLERS", 1)
    place.lists.gate = asyncio.Event()
    first = asyncio.create_task(place.ask())
    while not place.lists.reads:  # noqa: ASYNC110 - what is waited for knows of no event
        await asyncio.sleep(0)

    with pytest.raises(CannotTakeNow, match="too many readings wait"):
        await place.ask()
    place.lists.gate.set()

    assert await first == await place.ask()


async def test_a_time_out_of_something_else_is_not_mistaken(place: Any) -> None:
    """Only the caller's own time counts as too long."""
    place.lists.fail_after = {"cases": (0, TimeoutError())}

    with pytest.raises(TimeoutError):
        await place.ask()


@pytest.mark.parametrize(
    ("amount", "written"),
    [("1E+3", b"1000"), ("1E-7", b"0.0000001"), ("1.50", b"1.50"), ("-2.5E+1", b"-25"), ("1E+999999", b"1E+999999")],
)
async def test_amounts_are_written_plainly(
    place: Any, case: Make, inner: Make, org_a: str, amount: str, written: bytes
) -> None:
    """Not every ERP reads exponents; only what would be megabytes of zeros keeps its own. Texts stay as they are."""
    place.lists.cases_of[org_a] = [case(1, inner(1, remainingAmount=Decimal(amount), note="1E+3"))]
    place.lists.settlements_of[org_a] = [{"settlementId": "E-1", "amounts": [{"of": Decimal(amount)}]}]

    body, _ = await place.ask_for_bytes()

    assert b'"remainingAmount":' + written + b"," in body
    assert b'"amounts":[{"of":' + written + b"}]" in body
    assert b'"note":"1E+3"' in body
