"""Settlements: numbered, told once, never with a hole below."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog

from bridge.errors import NoAnswer, UnreadableQuestion
from bridge.journal import Claim, NumberedSettlement


def told(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Return number and modern id of each settlement."""
    return [(one["number"], one["settlement"]["settlementId"]) for one in answer["settlement"]]


def marks(answer: dict[str, Any]) -> list[str | None]:
    """Return how far each creditor's settlements were told."""
    return [one["creditor"]["lastsettlementid"] for one in answer["creditor"]]


def settlement(name: str, day: str = "2024-03-01", **fields: Any) -> dict[str, Any]:
    return {"settlementId": name, "settlementDate": day, **fields}


async def test_settlements_get_numbers_by_date(place: Any, org_a: str) -> None:
    """The first scan numbers the oldest first; amounts come digit for digit; the mark is the highest."""
    place.lists.settlements_of[org_a] = [settlement("c", "2024-03-02"), settlement("b"), settlement("a")]

    answer = await place.ask()

    assert told(answer) == [("000000000001", "a"), ("000000000002", "b"), ("000000000003", "c")]
    assert marks(answer) == ["000000000003"] * 2


async def test_a_late_settlement_comes_after_the_others(place: Any, org_a: str) -> None:
    """Whatever its date: a caller that has the others gets it alone."""
    place.lists.settlements_of[org_a] = [settlement("b")]
    await place.ask()
    place.lists.settlements_of[org_a].insert(0, settlement("a", "2024-01-01"))
    place.readback.forget(org_a)

    assert told(await place.ask(lastsettlementid="1")) == [("000000000002", "a")]
    assert told(await place.ask(lastsettlementid="000000000002")) == []
    assert marks(await place.ask(lastsettlementid="2")) == ["000000000002"] * 2


async def test_the_mark_may_be_a_modern_id(place: Any, org_a: str, org_b: str) -> None:
    """One the bridge knows, of an organization the sender reads; any other is refused by name."""
    place.lists.settlements_of[org_a] = [settlement("a"), settlement("b")]
    place.lists.settlements_of[org_b] = [settlement("x")]
    await place.ask("ERP-2")

    assert told(await place.ask(lastsettlementid="a")) == [("000000000002", "b")]
    for mark in ("x", "nonsense", "-1", "1" * 19, "²"):
        with pytest.raises(UnreadableQuestion, match=r"^lastsettlementid: "):
            await place.ask(lastsettlementid=mark)


async def test_settlements_of_a_day(place: Any, org_a: str) -> None:
    """The mark stays the caller's own: other days are left out."""
    place.lists.settlements_of[org_a] = [
        settlement("a"),
        settlement("b", "2024-03-02"),
        {"id": "c", "createdAt": "2024-03-02T01:02:03Z", "settlementId": "c"},
    ]

    answer = await place.ask(remittancedate="2024-03-02", lastsettlementid="1")
    assert [one for _, one in told(answer)] == ["b", "c"] or [one for _, one in told(answer)] == ["b"]
    assert marks(answer) == ["000000000001"] * 2
    assert marks(await place.ask(remittancedate="2024-03-02")) == [None] * 2


async def test_settlements_of_a_customer_or_reference(place: Any, case: Any, org_a: str) -> None:
    """By the claims found, closed ones included; by the customer's name; by what the cross-reference remembers."""
    place.lists.cases_of[org_a] = [case(1, closedAt="2024-01-01"), case(2)]
    place.lists.settlements_of[org_a] = [
        settlement("by case", caseNumber="1"),
        settlement("by invoice", invoiceId="invoice-1", caseNumber="2"),
        settlement("by number", invoiceNumber="F1"),
        settlement("by customer", customerReference="customer-1", caseNumber="77"),
        settlement("another's", caseNumber="2"),
        settlement("nobody's"),
        settlement("gone", caseNumber="9"),
    ]
    place.journal.known[org_a, "invoice-9"] = Claim(org_a, invoice_id="invoice-9", ledgerref="L9", case_number="9")

    async def names(**question: Any) -> set[str]:
        answer = await place.ask(**question)
        assert marks(answer) == [None] * 2
        return {name for _, name in told(answer)}

    assert await names(customerref="customer-1") == {"by case", "by invoice", "by number", "by customer"}
    assert await names(ledgerref="erp-1") == {"by case", "by invoice", "by number"}
    assert await names(ledgerref="L9") == {"gone"}


async def test_settlements_of_one_creditor(place: Any, org_a: str) -> None:
    """Where the organization has several; one that does not say whose it is, is told to both."""
    place.lists.settlements_of[org_a] = [
        settlement("a", creditorNumber="984842252"),
        settlement("b", creditorNumber="971274190"),
        settlement("c"),
    ]

    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["a", "c"]
    assert [one["creditor"]["idnumber"] for one in (await place.ask())["settlement"]] == [
        "984842252",
        "971274190",
        None,
    ]


async def test_a_settlement_knows_its_claim(place: Any, org_a: str) -> None:
    """By its invoice, else by its case where that has one claim only."""
    place.journal.known[org_a, "i1"] = Claim(org_a, invoice_id="i1", ledgerref="L1", case_number="1")
    place.journal.known[org_a, "i2"] = Claim(org_a, invoice_id="i2", ledgerref="L2", case_number="2")
    place.journal.known[org_a, "i3"] = Claim(org_a, invoice_id="i3", ledgerref="L3", case_number="2")
    place.lists.settlements_of[org_a] = [
        settlement("a", invoiceId="i1"),
        settlement("b", caseNumber="1"),
        settlement("c", caseNumber="2"),
        settlement("d"),
    ]

    answer = await place.ask()

    assert [one["claim"].get("ledgerref") for one in answer["settlement"]] == ["L1", "L1", None, None]


async def test_a_number_given_by_another_replica_makes_us_look_again(make_place: Any, org_a: str) -> None:
    """What was read before it was given may lack it; the cache does not count then."""
    here = make_place()
    there = make_place(here.lists, here.journal)
    here.lists.settlements_of[org_a] = [settlement("a")]
    await here.ask()
    here.lists.settlements_of[org_a].append(settlement("b"))
    await there.ask()
    here.lists.settlements_of[org_a].append(settlement("c"))

    answer = await here.ask(lastsettlementid="1")

    assert told(answer) == [("000000000002", "b")]
    assert marks(answer) == ["000000000002"] * 2
    assert here.lists.reads["cases"] == 2


async def test_a_numbered_settlement_that_is_not_listed_holds_up_the_higher_ones(place: Any, org_a: str) -> None:
    """It may still come, for as long as lists may be late; then it is given up, and said so, once."""
    place.lists.settlements_of[org_a] = [settlement(name) for name in "abc"]
    await place.ask()
    late = place.lists.settlements_of[org_a].pop(1)
    place.readback.forget(org_a)

    with structlog.testing.capture_logs() as logs:
        answer = await place.ask()
        assert (told(answer), marks(answer)) == ([("000000000001", "a")], ["000000000001"] * 2)
        place.now[0] += 29
        assert len((await place.ask())["settlement"]) == 1
        place.now[0] += 2
        answer = await place.ask()
        again = await place.ask()

    assert told(answer) == told(again) == [("000000000001", "a"), ("000000000003", "c")]
    missing = [(line["state"], line["settlement"]) for line in logs if line["event"] == "settlement_missing"]
    assert missing == [("awaited", "b"), ("skipped", "b")]
    place.lists.settlements_of[org_a].append(late)
    place.readback.forget(org_a)
    assert len((await place.ask())["settlement"]) == 3


async def test_what_has_vanished_is_not_looked_for_again(place: Any, org_a: str) -> None:
    """Or every call of a new connector would read everything anew."""
    place.lists.settlements_of[org_a] = [settlement("a")]
    place.journal.numbers = [NumberedSettlement(1, org_a, "vanished", "2020-01-01")]
    await place.ask()
    place.now[0] += 31
    await place.ask()
    reads = place.lists.reads["settlements"]

    assert told(await place.ask()) == [("000000000002", "a")]
    assert place.lists.reads["settlements"] == reads


async def test_one_mark_serves_several_organizations(place: Any, org_a: str, org_b: str) -> None:
    """Numbers grow over all of them."""
    place.lists.settlements_of[org_a] = [settlement("a")]
    await place.ask("ERP-2")
    place.lists.settlements_of[org_b] = [settlement("x")]
    place.readback.forget(org_b)

    assert told(await place.ask("ERP-2", lastsettlementid="1")) == [("000000000002", "x")]
    assert told(await place.ask("ERP-1", lastsettlementid="1")) == []


async def test_a_settlement_without_an_id_cannot_be_told(place: Any, org_a: str) -> None:
    """Left out it would be lost, told it might be told twice; the message says which one, and no more of it."""
    place.lists.settlements_of[org_a] = [
        settlement("a"),
        {"caseNumber": 17, "customerReference": "Kari"},
    ]

    with pytest.raises(
        NoAnswer, match=f"settlement 2 in .* {org_a}, of case 17, has neither settlementId nor id"
    ) as it:
        await place.ask()

    assert (it.value.status, it.value.retry_after_seconds) == (503, 60)
    assert "Kari" not in str(it.value)
    place.lists.settlements_of[org_a] = [{"caseNumber": "Kari"}]
    with pytest.raises(NoAnswer, match=f"settlement 1 in .* {org_a} has neither"):
        await place.ask()


def shared(case: Any, number: int, creditor: str, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = case(number, creditorNumber=creditor, **fields)
    return made


async def test_a_settlement_is_of_the_creditor_of_its_case(place: Any, case: Any, org_a: str) -> None:
    """By invoice, case or invoice number, of closed cases as well; those of others do not hold the mark up."""
    first, second = "984842252", "971274190"
    place.lists.cases_of[org_a] = [
        shared(case, 1, first),
        shared(case, 2, second, closedAt="2024-01-01"),
        shared(case, 3, first, status="CLOSED"),
    ]
    place.lists.settlements_of[org_a] = [
        settlement("a", caseNumber="1"),
        settlement("b", caseNumber=2),
        settlement("c", invoiceNumber="F3"),
        settlement("d", invoiceId="invoice-2", caseNumber="1"),
    ]

    answers = {creditor: await place.ask(creditorid=creditor) for creditor in (first, second)}

    assert [name for _, name in told(answers[first])] == ["a", "c"]
    assert [name for _, name in told(answers[second])] == ["b", "d"]
    assert [marks(answer) for answer in answers.values()] == [["000000000004"]] * 2
    both = await place.ask()
    assert [one["creditor"]["idnumber"] for one in both["settlement"]] == [first, second, first, second]
    narrowed = await place.ask(creditorid=second, customerref="customer-1")
    assert narrowed["settlement"] == []


async def test_a_settlement_is_of_the_creditor_of_its_claim(place: Any, case: Any, org_a: str) -> None:
    """The cross-reference knows the case of an invoice that the case does not list (any more)."""
    place.lists.cases_of[org_a] = [shared(case, 1, "984842252"), shared(case, 2, "971274190")]
    place.journal.known[org_a, "old"] = Claim(org_a, invoice_id="old", case_number="2")
    place.lists.settlements_of[org_a] = [settlement("a", invoiceId="old"), settlement("b", invoiceId="unheard of")]

    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["b"]
    assert [name for _, name in told(await place.ask(creditorid="971274190"))] == ["a", "b"]


async def test_a_name_of_two_creditors_says_nothing(place: Any, case: Any, inner: Any, org_a: str) -> None:
    """Two creditors may number their invoices alike; the next best name decides, or none."""
    place.lists.cases_of[org_a] = [
        shared(case, 1, "984842252", invoices=[inner(1, invoiceNumber="F")]),
        shared(case, 2, "971274190", invoices=[inner(2, invoiceNumber="F")]),
    ]
    place.lists.settlements_of[org_a] = [
        settlement("both", invoiceNumber="F"),
        settlement("second", caseNumber="2", invoiceNumber="F"),
    ]

    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["both"]
    assert [name for _, name in told(await place.ask(creditorid="971274190"))] == ["both", "second"]


async def test_a_settlement_newer_than_the_cases_read_has_them_read_again(place: Any, case: Any, org_a: str) -> None:
    """Else it would be told to every creditor; once only, if its case does not turn up."""
    place.lists.cases_of[org_a] = [shared(case, 1, "984842252")]
    await place.ask(creditorid="984842252")
    place.lists.cases_of[org_a].append(shared(case, 2, "971274190"))
    place.journal.numbers = [NumberedSettlement(1, org_a, "a", ""), NumberedSettlement(2, org_a, "x", "")]
    place.lists.settlements_of[org_a] = [settlement("a", caseNumber="2"), settlement("x", caseNumber="3")]
    reads = place.lists.reads["cases"]

    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["x"]
    assert place.lists.reads["cases"] == reads + 1
    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["x"]
    assert place.lists.reads["cases"] == reads + 1


async def test_cases_that_are_read_again_slowly_are_read_once(make_place: Any, case: Any, org_a: str) -> None:
    """A caller that is told to come again does not find them too old once more."""
    place = make_place(answer_seconds=0.02, cache_seconds=0)
    place.lists.cases_of[org_a] = [shared(case, number, "984842252") for number in (1, 2, 3)]
    place.lists.settlements_of[org_a] = [settlement("a", caseNumber="4")]
    place.lists.gate = asyncio.Event()
    place.lists.gate.set()

    def stop_second_read(kind: str, _: str, page: int) -> None:
        if (kind, page, place.lists.reads["cases"]) == ("cases", 0, 2):
            place.lists.gate.clear()

    place.lists.on_page = stop_second_read
    with pytest.raises(NoAnswer):
        await place.ask(creditorid="984842252")
    place.lists.gate.set()
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not asyncio.current_task()))

    assert [name for _, name in told(await place.ask(creditorid="984842252"))] == ["a"]
    assert place.lists.reads["cases"] == 2
    place.readback.forget(org_a)
    await place.ask(creditorid="984842252")
    assert place.lists.reads["cases"] == 3
