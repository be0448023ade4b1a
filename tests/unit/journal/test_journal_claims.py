"""Which records are one claim, in the cross-reference of each store: the rules of `bridge.journal.claims`."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from bridge.journal import Claim, Journal, LearnClaims
from bridge.journal.claims import (
    ALIKE,
    KINDS,
    bind_claim,
    covers,
    find_kin,
    is_nameless,
    judge_round,
    merge_claims,
    names_invoice,
)
from bridge.journal.postgres import open_postgres_journal
from bridge.journal.sqlite import open_sqlite_journal

if TYPE_CHECKING:
    from tests.unit.journal.conftest import Store

IMPORTED = Claim("o", invoice_number="1001", ledgerref="order-9981")
FOUND = Claim("o", "i1", "1001", "u1", "", "c1")


async def everything(journal: Journal) -> list[Claim]:
    """Return all claims that go by any of the names used here."""
    found = [
        await journal.find_claims(name) for name in ("1001", "1002", "i1", "i2", "u1", "order-9981", "other", "c1")
    ]
    return sorted({claim for claims in found for claim in claims}, key=bind_claim)


async def learn(journal: Journal, *claims: Claim) -> list[Claim]:
    """Teach claims one after the other; return what is known then."""
    for claim in claims:
        await journal.write(LearnClaims([claim]))
    return await everything(journal)


async def test_an_imported_claim_and_the_claim_found_later_by_its_names_are_one(journal: Store) -> None:
    """A look-up for the ERP's reference teaches the ids together with that reference."""
    whole = replace(FOUND, ledgerref="order-9981")
    assert await learn(journal, IMPORTED, whole) == [whole]
    assert await learn(journal, IMPORTED) == [whole]


async def test_an_imported_claim_and_a_rebuilt_one_are_one_when_they_share_the_case(journal: Store) -> None:
    """The case number is the vendor's own: with it, an invoice number names one invoice."""
    whole = replace(FOUND, ledgerref="order-9981")
    assert await learn(journal, replace(IMPORTED, case_number="c1"), FOUND) == [whole]


async def test_an_imported_claim_that_comes_last_completes_the_known_one(journal: Store) -> None:
    """Also when only the case's id is known, and in whichever order."""
    known = replace(FOUND, case_number="", case_id="case-1")
    whole = replace(known, ledgerref="order-9981", case_number="c1")
    assert await learn(journal, known, replace(IMPORTED, case_id="case-1", case_number="c1")) == [whole]


@pytest.mark.parametrize(
    "imported",
    [
        IMPORTED,
        replace(IMPORTED, ledgerref="", case_number="c2"),
        replace(IMPORTED, invoice_number="", case_number="c1"),
        replace(IMPORTED, ledgerref="other"),
        replace(IMPORTED, organization="other", case_number="c1"),
    ],
    ids=["only the number", "another case", "no number", "another reference", "another organization"],
)
@pytest.mark.parametrize("is_first", [True, False])
async def test_what_may_be_another_claim_stays_apart(journal: Store, imported: Claim, is_first: bool) -> None:
    """Two creditors of one organization may both have an invoice 1001: a reader sees both records."""
    known = replace(FOUND, ledgerref="known") if imported.ledgerref == "other" else FOUND
    claims = [imported, known] if is_first else [known, imported]
    assert await learn(journal, *claims) == sorted(claims, key=bind_claim)


async def test_a_case_number_of_zeros_is_no_case(journal: Store) -> None:
    """Some systems write it before there is one."""
    claims = [replace(FOUND, case_number="0"), replace(IMPORTED, case_number="0")]
    assert await learn(journal, *claims) == sorted(claims, key=bind_claim)


async def test_an_imported_claim_that_fits_two_stays_apart(journal: Store) -> None:
    """Nobody can tell which of them it is."""
    imported = replace(IMPORTED, case_number="c1")
    claims = [FOUND, replace(FOUND, invoice_id="i2", unique_source_invoice_id="u2"), imported]
    assert await learn(journal, *claims) == sorted(claims, key=bind_claim)
    assert await learn(journal, *claims) == sorted(claims, key=bind_claim)


async def test_a_unique_id_that_was_given_twice_joins_nothing(journal: Store) -> None:
    """A record that has only the unique id may belong to either invoice; repeated, it is still one record."""
    claims = [Claim("o", "i1", "", "u1"), Claim("o", "i2", "", "u1"), Claim("o", "", "1002", "u1", "order-9981")]
    for _ in range(2):
        assert await learn(journal, *claims) == sorted(claims, key=bind_claim)


async def test_an_invoice_number_that_too_many_have_joins_nothing(journal: Store) -> None:
    """Not all that may fit as well can be looked at; whatever was looked at, in whatever store, decides nothing."""
    imported = replace(IMPORTED, case_number="c1")
    others = [Claim("o", f"i-{place}", "1001", case_number=f"c-{place}") for place in range(ALIKE - 1)]
    await journal.write(LearnClaims([FOUND, *others]))
    assert len(await journal.claims("o", "invoiceNumber", "1001")) == ALIKE
    await learn(journal, imported)
    assert await journal.claims("o", "invoiceId", "i1") == [replace(FOUND, ledgerref="order-9981")]

    one_too_many = [
        Claim("o", "i-more", "1001"),
        replace(imported, case_number="c-7"),
        replace(imported, ledgerref="more"),
    ]
    for _ in range(2):
        await journal.write(LearnClaims(one_too_many))
        assert len(await journal.claims("o", "invoiceNumber", "1001")) == ALIKE + 3
    known = await journal.claims("o", "invoiceNumber", "1001")
    assert [claim for claim in known if is_nameless(claim)] == one_too_many[1:]


async def test_a_unique_id_that_very_many_have_does_not_gather_repeats(journal: Store) -> None:
    """The one record that may be any of them is found among them."""
    many = [Claim("o", f"i-{place}", "", "u1") for place in range(ALIKE + 1)]
    for _ in range(2):
        await journal.write(LearnClaims([*many, Claim("o", "", "", "u1", "order-9981")]))
        assert len(await journal.claims("o", "uniqueSourceInvoiceId", "u1")) == ALIKE + 2


async def test_an_import_that_is_repeated_adds_nothing(journal: Store) -> None:
    """With a number, with a reference alone, and once the claim is known by more."""
    reference_only = Claim("o", ledgerref="other")
    before = await learn(journal, IMPORTED, reference_only)
    assert len(before) == 2
    assert await learn(journal, IMPORTED, reference_only) == before
    await journal.write(LearnClaims([IMPORTED, reference_only, IMPORTED]))
    assert await everything(journal) == before


async def test_a_claim_that_gains_its_number_meets_the_imported_one(journal: Store) -> None:
    """What is looked up is the whole record, not only what was just learnt."""
    numbered = Claim("o", "i1", "1001", "u1", "order-9981")
    await learn(journal, Claim("o", "i1", case_number="c1"), replace(IMPORTED, case_number="c1"), numbered)
    assert await everything(journal) == [replace(numbered, case_number="c1")]


async def test_what_completes_a_claim_can_make_it_one_with_an_imported_one(journal: Store) -> None:
    """The case becomes known by webhook, without a word about the number."""
    await learn(journal, replace(IMPORTED, case_number="c1"), replace(FOUND, case_number=""))
    assert len(await everything(journal)) == 2
    webhook = Claim("o", "i1", case_number="c1", case_id="case-1")
    assert await learn(journal, webhook) == [replace(FOUND, ledgerref="order-9981", case_id="case-1")]


async def test_what_names_no_invoice_is_no_claim(journal: Store) -> None:
    """A webhook about a case may not say which invoices it holds; several may be in it."""
    assert await learn(journal, Claim("o", case_number="c1", case_id="case-1")) == []


async def test_one_change_may_tell_of_one_claim_in_pieces(journal: Store) -> None:
    """Each piece names it differently, and they share nothing but the stored record."""
    await journal.write(LearnClaims([Claim("o", "i1", "", "u1")]))
    pieces = [
        Claim("o", "i1", case_number="c1"),
        Claim("o", unique_source_invoice_id="u1", ledgerref="order-9981"),
        Claim("o", "i1", "1001"),
    ]
    await journal.write(LearnClaims(pieces))
    assert await everything(journal) == [Claim("o", "i1", "1001", "u1", "order-9981", "c1")]


# --- rules that hold for any claims --------------------------------------------------------------------------------

NAMES = ("invoice_id", "invoice_number", "unique_source_invoice_id", "ledgerref", "case_number", "case_id")
few = st.sampled_from(["", "1", "2"])
claims = st.builds(Claim, st.just("o"), few, few, few, few, few, few, few, st.integers(-1, 1), few)
lists = st.lists(claims, max_size=10)


@given(claims, claims)
def test_joining_keeps_what_is_known(newer: Claim, older: Claim) -> None:
    """An empty value never replaces a known one; the joined record covers the newer, and joining again adds nothing."""
    whole = merge_claims(newer, older)
    assert covers(whole, newer)
    for ours, new, old in zip(bind_claim(whole), bind_claim(newer), bind_claim(older), strict=True):
        assert ours == (old if new in {"", -1} else new)
    assert merge_claims(whole, older) == merge_claims(newer, whole) == whole


@given(claims, claims, claims)
def test_joining_is_associative(first: Claim, second: Claim, third: Claim) -> None:
    """So it does not matter in which steps records come together."""
    assert merge_claims(merge_claims(first, second), third) == merge_claims(first, merge_claims(second, third))


@given(claims, st.lists(claims, max_size=8))
def test_kin_never_have_two_invoice_ids(claim: Claim, others: list[Claim]) -> None:
    """Whatever else they share; and a claim that teaches nothing has no kin to write."""
    kin = find_kin(claim, list(enumerate(others)))
    assert len({each.invoice_id for _, each in kin or []} | {claim.invoice_id} - {""}) <= 2
    assert len(({each.invoice_id for _, each in kin or []} | {claim.invoice_id}) - {""}) <= 1


@given(claims, st.lists(claims, max_size=8))
@example(Claim("o", "", "", "1"), [Claim("o", "1", "1", "1"), Claim("o", "", "2", "1")])
def test_the_order_of_finding_decides_nothing(claim: Claim, others: list[Claim]) -> None:
    """A store may find records in any order, and another store in another."""
    known = list(enumerate(others))
    assert find_kin(claim, known[::-1]) == find_kin(claim, known)


class Table:
    """A cross-reference in memory: the rules, without any store's look-ups."""

    def __init__(self) -> None:
        self.records: dict[int, Claim] = {}
        self.next = 1

    def learn(self, taught: list[Claim]) -> None:
        waiting = [claim for claim in taught if names_invoice(claim)]
        while waiting:
            known = {place: self._kin(claim) for place, claim in enumerate(waiting)}
            work = judge_round(waiting, known)
            for number in work.gone:
                del self.records[number]
            self.records |= dict(work.kept)
            for claim in work.new:
                self.records[self.next] = claim
                self.next += 1
            waiting = work.later

    def find(self, kind: str, name: str) -> list[Claim]:
        """Return the claims that go by a name, the one known longest first."""
        claims = [claim for _, claim in sorted(self.records.items())]
        if kind == "ledgerref":
            return [claim for claim in claims if name in _references(claim)]
        return [claim for claim in claims if getattr(claim, KINDS[kind]) == name]

    def _kin(self, claim: Claim) -> list[tuple[int, Claim]]:
        return [(number, other) for number, other in self.records.items() if may_be_one(claim, other)]


def _references(claim: Claim) -> set[str]:
    return {claim.ledgerref} if claim.ledgerref else {claim.unique_source_invoice_id, claim.invoice_number}


def may_be_one(claim: Claim, other: Claim) -> bool:
    """Tell whether a record has a say: it shares an id or the number, so that it may fit as well, or it is a repeat."""
    number = claim.invoice_number == other.invoice_number
    by_reference = number and is_nameless(claim) and is_nameless(other) and claim.ledgerref == other.ledgerref
    by_unique = claim.unique_source_invoice_id == other.unique_source_invoice_id != ""
    by_number = number and bool(claim.invoice_number)
    return by_number or by_reference or by_unique or claim.invoice_id == other.invoice_id != ""


@given(lists)
def test_learning_twice_is_learning_once(taught: list[Claim]) -> None:
    """The newest word of each claim, said again, changes no record; and no invoice has two records."""
    table = Table()
    table.learn(taught)
    table.learn(list(table.records.values()))
    before = dict(table.records)
    table.learn(list(table.records.values()))
    assert sorted(map(bind_claim, before.values())) == sorted(map(bind_claim, table.records.values()))
    ids = [claim.invoice_id for claim in before.values() if claim.invoice_id]
    assert len(ids) == len(set(ids))


@given(lists)
def test_one_write_or_many_teach_the_same(taught: list[Claim]) -> None:
    """A claim that meets another one of its own write is looked up after it."""
    together, apart = Table(), Table()
    together.learn(taught)
    for claim in taught:
        apart.learn([claim])
    assert set(together.records.values()) == set(apart.records.values())


def invoices() -> st.SearchStrategy[list[Claim]]:
    """Draw true claims: ids are their own, names may be shared, and a number is given once in a case."""
    names = st.tuples(few, few, st.sampled_from(["7", "8"]))
    return st.lists(names, min_size=1, max_size=4, unique_by=lambda one: (one[0], one[2])).map(
        lambda drawn: [
            Claim("o", f"i{place}", number, f"u{place}", ledgerref, case, f"case-{case}")
            for place, (number, ledgerref, case) in enumerate(drawn)
        ]
    )


@given(invoices(), st.data())
def test_no_record_ever_mixes_two_claims(true: list[Claim], data: st.DataObject) -> None:
    """Whatever part of the truth is told of which claim, in whatever order, every record is true of one claim."""
    parts = st.builds(
        lambda claim, hidden: replace(claim, **dict.fromkeys(hidden, "")),
        st.sampled_from(true),
        st.sets(st.sampled_from(NAMES)),
    )
    table = Table()
    for taught in data.draw(st.lists(st.lists(parts, max_size=4), max_size=5)):
        table.learn(taught)
    for record in table.records.values():
        assert any(covers(claim, record) for claim in true)


async def teach_and_compare(journal: Journal, writes: list[list[Claim]]) -> None:
    table = Table()
    for taught in writes:
        table.learn(taught)
        await journal.write(LearnClaims(taught))
    found = [claim for name in ("1", "2") for claim in await journal.find_claims(name, limit=1000)]
    assert sorted(set(found), key=bind_claim) == sorted(set(table.records.values()), key=bind_claim)
    for name in ("1", "2"):
        for kind in (*KINDS, "ledgerref"):
            assert await journal.claims("o", kind, name) == table.find(kind, name)
        named = table.find("invoiceId", name)
        assert await journal.claims_of("o", [name]) == {claim.invoice_id: claim for claim in named}


FITS_TWO = [
    Claim("o", invoice_number="1", case_number="1", case_id="1"),
    Claim("o", "1", case_number="1", case_id="2"),
    Claim("o", "1", "1"),
    Claim("o", "", "1", "1", case_number="1"),
]
"""The last shares number and case with the imported one, and with the invoice that got its number just before."""
ONE_OF_TWO = [
    *(Claim("o", "", "2", "1"), Claim("o", "1", "1", "1"), Claim("o", "2", "", "1"), Claim("o", "", "2", "1")),
    *(Claim("o", "2", "", "2"), Claim("o", "", "", "1", "1")),
]
"""The last is one with two records that differ, since the unique id came to mean one invoice only."""


@settings(max_examples=60, deadline=None)
@given(st.lists(lists, max_size=4))
@example([FITS_TWO])
@example([ONE_OF_TWO])
def test_a_file_decides_as_the_rules_do(writes: list[list[Claim]]) -> None:
    """Its look-ups find every record that the rules must see."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            journal = open_sqlite_journal(Path(folder) / "bridge.db")
            try:
                await teach_and_compare(journal, writes)
            finally:
                await journal.close()

    asyncio.run(run())


@pytest.mark.hypothesis  # its inner function is a test of Hypothesis
def test_a_server_decides_as_the_rules_do(databases: Any) -> None:
    """Its look-ups find every record that the rules must see."""
    url = databases.create()

    async def run(writes: list[list[Claim]]) -> None:
        journal = await open_postgres_journal(url)
        try:
            await journal._writer.run(lambda session: session.fetch("TRUNCATE claim"))
            await teach_and_compare(journal, writes)
        finally:
            await journal.close()

    @settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
    @given(st.lists(lists, max_size=4))
    @example([FITS_TWO])
    @example([ONE_OF_TWO])
    def decide(writes: list[list[Claim]]) -> None:
        asyncio.run(run(writes))

    decide()
    databases.release(url)
