"""Which claim a row belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bridge.batch import Reference, RowRefused
from bridge.claims.references import References
from bridge.errors import CannotTakeNow, ModernRefused, ModernUnreachable
from bridge.journal import Books, Claim
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.tokens import Access

ACCESS = Access("org", "client", "secret")


@dataclass
class Shelf:
    """A cross-reference."""

    held: dict[tuple[str, str], list[Claim]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        if self.failures:
            raise self.failures.pop(0)
        assert organization == "org"
        return self.held.get((kind, value), [])


@dataclass
class Modern:
    """A modern system that answers from dictionaries, after it has failed as often as it must."""

    by_unique_id: dict[str, list[ModernInvoice]] = field(default_factory=dict)
    by_number: dict[str, list[ModernInvoice]] = field(default_factory=dict)
    held_cases: list[ModernCase] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def invoices(self, access: Access, **names: Any) -> Sequence[ModernInvoice]:
        if self.failures:
            raise self.failures.pop(0)
        self.asked.append(names)
        if "invoice_number" in names:
            return self.by_number.get(names["invoice_number"], [])
        return self.by_unique_id.get(names["unique_source_invoice_id"], [])

    async def cases(self, access: Access, **names: Any) -> Sequence[ModernCase]:
        self.asked.append(names)
        return self.held_cases


@dataclass
class World:
    """The references with what they ask, and how long they waited."""

    shelf: Shelf = field(default_factory=Shelf)
    modern: Modern = field(default_factory=Modern)
    pauses: list[float] = field(default_factory=list)

    @property
    def references(self) -> References:
        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        async def keep_nothing(_: Claim) -> None:
            pass

        books = cast("Books", self.shelf)
        return References(books, self.modern, lambda _: ACCESS, teach=keep_nothing, settle_seconds=30, sleep=sleep)


@pytest.fixture
def world() -> World:
    return World()


def invoice_reference(*keys: tuple[str, str]) -> Reference:
    return Reference("invoice", into="invoiceId", keys=keys)


async def test_names_are_tried_in_order_of_trust(world: World) -> None:
    """The first name that leads somewhere decides, and the modern system is not asked."""
    world.shelf.held = {
        ("invoiceNumber", "1"): [Claim("org", invoice_id="by number")],
        ("uniqueSourceInvoiceId", "u"): [Claim("org", invoice_id="by unique id")],
    }
    reference = invoice_reference(("uniqueSourceInvoiceId", "u"), ("invoiceNumber", "1"))
    assert (await world.references.resolve(ACCESS, reference)).invoice_id == "by unique id"
    assert world.modern.asked == []


async def test_a_claim_without_its_invoice_id_is_looked_up_further(world: World) -> None:
    """A cross-reference entry that does not know the id is no answer."""
    world.shelf.held = {("invoiceNumber", "1"): [Claim("org", invoice_number="1")]}
    world.modern.by_number = {"1": [ModernInvoice("i1", "1")]}
    claim = await world.references.resolve(ACCESS, invoice_reference(("invoiceNumber", "1")))
    assert claim.invoice_id == "i1"


async def test_two_entries_of_one_claim_are_one(world: World) -> None:
    """Only different invoices make a name ambiguous."""
    world.shelf.held = {("invoiceNumber", "1"): [Claim("org", invoice_id="i"), Claim("org", invoice_id="i")]}
    assert (await world.references.resolve(ACCESS, invoice_reference(("invoiceNumber", "1")))).invoice_id == "i"


async def test_a_ledgerref_is_asked_for_as_unique_id_and_as_number(world: World) -> None:
    """The ERP's reference may be either on the modern side."""
    world.modern.by_number = {"L": [ModernInvoice("i1", "L")]}
    claim = await world.references.resolve(ACCESS, invoice_reference(("ledgerref", "L")))
    assert claim == Claim("org", invoice_id="i1", invoice_number="L")
    assert world.modern.asked == [{"unique_source_invoice_id": "L"}, {"invoice_number": "L"}]


async def test_a_row_without_any_name_is_told_which_to_send(world: World) -> None:
    """The message lists the possible names."""
    with pytest.raises(RowRefused, match="send its invoiceId, uniqueSourceInvoiceId, invoiceNumber or ledgerref"):
        await world.references.resolve(ACCESS, invoice_reference())


@pytest.mark.parametrize(
    "claim", [Claim("org", "i1", case_number="77"), Claim("org", "i1", unique_source_invoice_id="u")]
)
async def test_the_case_of_a_claim_is_found_by_what_is_known(world: World, claim: Claim) -> None:
    """By its number, else by the unique id of its invoice."""
    world.shelf.held = {("ledgerref", "L"): [claim]}
    world.modern.held_cases = [ModernCase("case-1", "77", invoices=(ModernInvoice("i1"),))]
    found = await world.references.resolve(ACCESS, Reference("case", keys=(("ledgerref", "L"),)))
    assert (found.case_id, found.case_number) == ("case-1", "77")


async def test_a_case_that_must_exist_is_looked_for_until_the_lists_had_time(world: World) -> None:
    """Pauses grow, and together they last as long as a write may take to show up."""
    world.shelf.held = {("ledgerref", "L"): [Claim("org", "i1", case_number="77")]}
    with pytest.raises(RowRefused):
        await world.references.resolve(ACCESS, Reference("case", keys=(("ledgerref", "L"),)))
    assert sum(world.pauses) == pytest.approx(30)
    assert world.pauses == sorted(world.pauses)


async def test_a_known_case_is_not_asked_for(world: World) -> None:
    """The cross-reference may hold the id already."""
    world.shelf.held = {("ledgerref", "L"): [Claim("org", "i1", case_id="case-1")]}
    assert (await world.references.resolve(ACCESS, Reference("case", keys=(("ledgerref", "L"),)))).case_id == "case-1"
    assert world.modern.asked == []


@pytest.mark.parametrize(
    ("claim", "cases"),
    [
        (Claim("org", "i1", case_number="77"), []),
        (Claim("org", "i1", case_number="77"), [ModernCase("a"), ModernCase("b")]),
        (Claim("org", "i1", case_number="77"), [ModernCase("..")]),
        (Claim("org", "i1", unique_source_invoice_id="u"), [ModernCase("a", invoices=(ModernInvoice("i2"),))]),
        (Claim("org", "i1"), [ModernCase("a")]),
    ],
    ids=["none", "two", "not an id", "another invoice's", "nothing to ask by"],
)
async def test_a_case_that_is_not_certain_refuses_the_row(world: World, claim: Claim, cases: list[ModernCase]) -> None:
    """A withdrawn case costs money: it must be exactly the one."""
    world.shelf.held = {("ledgerref", "L"): [claim]}
    world.modern.held_cases = cases
    with pytest.raises(RowRefused, match="shows no case for this claim"):
        await world.references.resolve(ACCESS, Reference("case", keys=(("ledgerref", "L"),)))


@pytest.mark.parametrize("failure", [ModernUnreachable(), ModernRefused(status=401)])
async def test_a_system_that_cannot_be_asked_is_waited_for(world: World, failure: Exception) -> None:
    """Ever longer, a minute at most; credentials that are refused count as such."""
    world.modern.failures = [failure] * 8
    world.modern.by_number = {"1": [ModernInvoice("i1")]}
    claim = await world.references.resolve_patiently("org", invoice_reference(("invoiceNumber", "1")))
    assert claim.invoice_id == "i1"
    assert world.pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_books_that_cannot_be_read_now_are_waited_for(world: World) -> None:
    """The batch is ours and stays at work; nothing is asked of the modern system that the books may know."""
    world.shelf.failures = [CannotTakeNow()] * 3
    world.shelf.held = {("invoiceNumber", "1"): [Claim("org", invoice_id="i1")]}
    claim = await world.references.resolve_patiently("org", invoice_reference(("invoiceNumber", "1")))
    assert claim.invoice_id == "i1"
    assert world.pauses == [1, 1, 1]
    assert world.modern.asked == []


async def test_a_question_that_is_forbidden_is_not_repeated(world: World) -> None:
    """403 says that this row's claim cannot be asked for."""
    world.modern.failures = [ModernRefused(status=403)]
    with pytest.raises(ModernRefused):
        await world.references.resolve_patiently("org", invoice_reference(("invoiceNumber", "1")))
    assert world.pauses == []
