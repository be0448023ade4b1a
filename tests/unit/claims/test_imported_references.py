"""Claims that the cross-reference knows by their names alone, as an import leaves them: what rows find through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.batch import Reference, RowRefused
from bridge.claims.references import MOST_NAMES, References, teach_through
from bridge.errors import CannotTakeNow
from bridge.journal import Books, Claim, Journal, LearnClaims
from bridge.modern.lists import ModernCase, ModernInvoice
from bridge.modern.tokens import Access

ACCESS = Access("org", "client", "secret")
OTHER = Access("other", "client", "secret")
BY_LEDGERREF = Reference("invoice", into="invoiceId", keys=(("ledgerref", "L"),))
CASE = Reference("case", keys=(("ledgerref", "L"),))


@dataclass
class Shelf:
    """A cross-reference that finds claims by their ledgerref, and takes what it is taught."""

    held: list[Claim] = field(default_factory=list)
    taught: list[Claim] = field(default_factory=list)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        column = {"ledgerref": "ledgerref", "invoiceNumber": "invoice_number"}.get(kind, "unique_source_invoice_id")
        return [one for one in self.held if one.organization == organization and getattr(one, column) == value]

    async def teach(self, claim: Claim) -> None:
        self.taught.append(claim)


@dataclass
class Modern:
    """The modern system: invoices of organizations, each with its case."""

    held: dict[str, list[ModernInvoice]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def invoices(self, access: Access, **names: Any) -> Sequence[ModernInvoice]:
        self.asked.append(names)
        return [
            replace(one, case_id="")  # the list does not say it
            for one in self.held.get(access.organization, [])
            if all(getattr(one, name) == value for name, value in names.items())
        ]

    async def cases(self, access: Access, **names: Any) -> Sequence[ModernCase]:
        self.asked.append(names)
        cases: dict[str, list[ModernInvoice]] = {}
        for one in self.held.get(access.organization, []):
            if all(getattr(one, name) == value for name, value in names.items()):
                cases.setdefault(one.case_id, []).append(one)
        return [ModernCase(case_id, found[0].case_number, "", tuple(found)) for case_id, found in cases.items()]


@dataclass
class World:
    shelf: Shelf = field(default_factory=Shelf)
    modern: Modern = field(default_factory=Modern)

    async def resolve(self, reference: Reference, access: Access = ACCESS) -> Claim:
        async def wait(_: float) -> None:
            pass

        books = cast("Books", self.shelf)
        references = References(books, self.modern, lambda _: ACCESS, teach=self.shelf.teach, sleep=wait)
        return await references.resolve(access, reference)


INVOICES = [
    ModernInvoice("i1", "77", "u-1", "5", "c5"),
    ModernInvoice("i2", "78", "u-2", "6", "c6"),
    ModernInvoice("i3", "79", "u-3", "7", "c7"),
    ModernInvoice("i4", "80", "u-4", "7", "c7"),
    ModernInvoice("i5", "81", "u-5", "8", "c8"),
    ModernInvoice("i6", "81", "u-6", "9", "c9"),
    ModernInvoice("i7", "90", "", "10", "c10"),
]


@pytest.fixture
def world() -> World:
    return World(modern=Modern({"org": INVOICES}))


@pytest.mark.parametrize(
    ("names", "invoice_id"),
    [
        ({"invoice_number": "77"}, "i1"),
        ({"unique_source_invoice_id": "u-2"}, "i2"),
        ({"case_number": "6"}, "i2"),
        ({"invoice_number": "80", "case_number": "7"}, "i4"),
        ({"invoice_number": "81", "case_number": "9"}, "i6"),
        ({"invoice_number": "77", "case_id": "c5"}, "i1"),
        ({"unique_source_invoice_id": "unlisted", "invoice_number": "90"}, "i7"),
    ],
)
async def test_a_claim_is_looked_up_by_the_names_that_are_known(
    world: World, names: dict[str, Any], invoice_id: str
) -> None:
    """The most certain one first; what was found is taught together with the names, so it is looked up once."""
    world.shelf.held = [Claim("org", ledgerref="L", **names)]
    claim = await world.resolve(BY_LEDGERREF)
    assert (claim.invoice_id, claim.ledgerref) == (invoice_id, "L")
    assert claim in world.shelf.taught
    world.shelf.held, world.modern.asked = world.shelf.held + world.shelf.taught, []
    assert await world.resolve(BY_LEDGERREF) == claim
    assert world.modern.asked == []


@pytest.mark.parametrize(
    "names",
    [
        {"invoice_number": "82"},
        {"invoice_number": "77", "case_number": "6"},
        {"invoice_number": "77", "case_id": "c6"},
        {"unique_source_invoice_id": "u-1", "invoice_number": "78"},
        {"case_number": "4"},
    ],
    ids=["unknown", "another case", "another case's id", "another number", "no such case"],
)
async def test_what_the_modern_system_shows_otherwise_is_refused(world: World, names: dict[str, Any]) -> None:
    """Money must not go where only a part of what is known fits; nor is the row's own name tried instead."""
    world.shelf.held = [Claim("org", ledgerref="L", **names)]
    world.modern.held["org"] = [*INVOICES, ModernInvoice("i9", "L")]
    with pytest.raises(RowRefused, match="does not show, or shows otherwise"):
        await world.resolve(BY_LEDGERREF)


async def test_a_correction_helps(world: World) -> None:
    """An import that was wrong stays beside the one that is right, and does no harm."""
    world.shelf.held = [
        Claim("org", ledgerref="L", invoice_number="77", case_number="6"),
        Claim("org", ledgerref="L", invoice_number="77", case_number="5"),
    ]
    assert (await world.resolve(BY_LEDGERREF)).invoice_id == "i1"


@pytest.mark.parametrize(
    "held",
    [
        [Claim("org", ledgerref="L", invoice_number="81")],
        [Claim("org", ledgerref="L", case_number="7")],
        [Claim("org", ledgerref="L", invoice_number="77"), Claim("org", ledgerref="L", invoice_number="78")],
        [Claim("org", ledgerref="L", invoice_number="77"), Claim("org", "i2", "78", "u-2", "L")],
        [Claim("org", ledgerref="L", invoice_number=str(number)) for number in range(MOST_NAMES + 1)],
    ],
    ids=["two invoices", "two in the case", "two imported", "one imported, one known", "too many"],
)
async def test_what_fits_several_claims_is_refused(world: World, held: list[Claim]) -> None:
    """The message asks for a reference that names one."""
    world.shelf.held = held
    with pytest.raises(RowRefused, match=r"fits \d+ claims"):
        await world.resolve(BY_LEDGERREF)


async def test_names_of_a_claim_that_is_known_are_not_looked_up(world: World) -> None:
    """A record that says nothing else is the same claim."""
    world.shelf.held = [Claim("org", "i1", "77", "u-1", "L"), Claim("org", ledgerref="L", invoice_number="77")]
    assert (await world.resolve(BY_LEDGERREF)).invoice_id == "i1"
    assert world.modern.asked == []


async def test_a_case_that_was_imported_is_enough_for_an_action(world: World) -> None:
    """Its id is all an action needs; a payment needs more."""
    world.shelf.held = [Claim("org", ledgerref="L", case_id="c5")]
    assert (await world.resolve(CASE)).case_id == "c5"
    with pytest.raises(RowRefused, match="no such claim"):
        await world.resolve(BY_LEDGERREF)


async def test_what_is_looked_up_by_the_rows_own_names_is_taught_as_it_was_told(world: World) -> None:
    """Only what the modern system says; with its case, once that was asked for."""
    world.modern.held["org"] = [ModernInvoice("i1", "L", "", "5", "c5")]
    claim = await world.resolve(CASE)
    told = Claim("org", "i1", "L", case_number="5")
    assert world.shelf.taught == [told, replace(told, case_id="c5")]
    assert claim.case_id == "c5"


async def test_a_journal_that_cannot_take_it_now_is_not_waited_for() -> None:
    """The row goes on; the claim is looked up again another time."""
    written: list[object] = []

    class Store:
        async def write(self, change: object) -> None:
            written.append(change)
            raise CannotTakeNow

    await teach_through(cast("Journal", Store()))(Claim("org", "i1"))
    assert written == [LearnClaims([Claim("org", "i1")])]


# --- whatever is in the books --------------------------------------------------------------------------------------

numbers = st.sampled_from(["1", "2", "3"])
maybe = st.sampled_from(["", "1", "2", "3"])
invoices = st.lists(
    st.builds(
        lambda unique, number, case: ModernInvoice("", number, f"u{unique}" if unique else "", case, f"c{case}"),
        *(maybe, numbers, numbers),
    ),
    max_size=4,
)
records = st.lists(
    st.builds(
        lambda organization, number, unique, ref, case, case_id: Claim(
            *(organization, "", number, f"u{unique}" if unique else "", ref, case, f"c{case_id}" if case_id else "")
        ),
        *(st.sampled_from(["org", "other"]), maybe, maybe, st.sampled_from(["L", "", "1"]), maybe, maybe),
    ),
    max_size=4,
)


@given(ours=invoices, theirs=invoices, held=records, target=st.sampled_from([BY_LEDGERREF, CASE]))
async def test_a_row_never_finds_a_claim_of_another_organization(
    ours: list[ModernInvoice], theirs: list[ModernInvoice], held: list[Claim], target: Reference
) -> None:
    """Whatever is imported and whatever exists: the claim is one of the row's organization, or the row is refused."""
    own = [replace(one, id=f"org-{place}") for place, one in enumerate(ours)]
    alien = [replace(one, id=f"other-{place}", case_id=f"x{one.case_id}") for place, one in enumerate(theirs)]
    world = World(Shelf(held), Modern({"org": own, "other": alien}))
    try:
        claim = await world.resolve(target)
    except RowRefused:
        return
    assert claim.organization == "org"
    assert all(one.organization == "org" for one in world.shelf.taught)
    if claim.invoice_id:
        (found,) = [one for one in own if one.id == claim.invoice_id]
        assert not claim.case_id or claim.case_id == found.case_id
    else:
        assert any(one.organization == "org" and one.case_id == claim.case_id for one in held)


@given(ours=invoices, held=records)
async def test_a_row_finds_no_claim_that_differs_from_what_is_known(
    ours: list[ModernInvoice], held: list[Claim]
) -> None:
    """A claim that was found fits everything that some record of that name says of it."""
    own = [replace(one, id=f"org-{place}") for place, one in enumerate(ours)]
    named = [one for one in held if one.organization == "org" and one.ledgerref == "L" and one.invoice_number]
    world = World(Shelf(named), Modern({"org": own}))
    try:
        claim = await world.resolve(BY_LEDGERREF)
    except RowRefused:
        return
    if named:
        (found,) = [one for one in own if one.id == claim.invoice_id]
        assert any(_fits(one, found) for one in named)


def _fits(record: Claim, invoice: ModernInvoice) -> bool:
    pairs = (
        (record.invoice_number, invoice.invoice_number),
        (record.unique_source_invoice_id, invoice.unique_source_invoice_id),
        (record.case_number, invoice.case_number),
        (record.case_id, invoice.case_id),
    )
    return all(not ours or not theirs or ours == theirs for ours, theirs in pairs)
