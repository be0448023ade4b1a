"""Settlements: numbered, told once, never with a hole below."""

from __future__ import annotations

from typing import Any

import pytest
import structlog

from bridge.errors import ModernUnreachable, NoAnswer, UnreadableQuestion
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
    """Left out it would be lost, told it might be told twice."""
    place.lists.settlements_of[org_a] = [{"caseNumber": "1"}]

    with pytest.raises(NoAnswer) as refused:
        await place.ask()

    assert isinstance(refused.value.__cause__, ModernUnreachable)
