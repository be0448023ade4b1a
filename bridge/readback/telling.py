"""Settlements as a caller asked for them: those of the claims in question, in the legacy shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.journal import Books, Claim
from bridge.mapping.reading import ReadProfile
from bridge.modern.reading import decode_exactly, text
from bridge.organizations import Organization
from bridge.readback.found import Entry
from bridge.readback.question import Question
from bridge.readback.settling import Numbered
from bridge.readback.shaping import (
    SLICE_ENTRIES,
    creditor_of,
    describe_claim,
    describe_creditor,
    encode,
    names_of,
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which settlements a question asks for, besides those that are new."""

    question: Question
    names: Mapping[str, frozenset[str]]
    """What the claims in question go by, by organization."""
    creditors: Mapping[int, str]
    """Whose a settlement is, by its number, where an organization has several creditors (`find_creditors`)."""

    def takes(self, one: Numbered) -> bool:
        """Tell whether a settlement is asked for."""
        question = self.question
        if question.remittancedate and one.settled_on != question.remittancedate:
            return False
        # one that is not known to be anybody's is told to every creditor: else it would be lost
        creditorid = question.creditorid and self.creditors.get(one.number)
        if creditorid and creditorid != question.creditorid:
            return False
        if not question.narrowed:
            return True
        return self._is_of_claims(decode_exactly(one.body), self.names[one.organization])

    def _is_of_claims(self, body: Entry, names: frozenset[str]) -> bool:
        """Tell whether a settlement is of the claims in question; it may be of one that is not listed any more."""
        customer = "" if self.question.ledgerref else self.question.customerref
        if customer and text(body.get("customerReference")) == customer:
            return True
        return not names.isdisjoint(_points(body)[:1])


async def find_creditors(
    settled: Sequence[Numbered],
    organizations: Mapping[str, Organization],
    owners: Mapping[str, Mapping[str, str]],
    books: Books,
) -> dict[int, str]:
    """Return whose settlements are, by their number, where there are several creditors.

    As a settlement says itself, else as its case does (`Sheet.owners`, by organization), else as the case of its claim.
    Empty where it names a claim and that is not known; left out where it says nothing.
    """
    creditors: dict[int, str] = {}
    several = [one for one in settled if len(organizations[one.organization].creditors) > 1]
    for start in range(0, len(several), SLICE_ENTRIES):
        unsaid: list[tuple[Numbered, Entry]] = []
        for one in several[start : start + SLICE_ENTRIES]:
            body, known = decode_exactly(one.body), owners[one.organization]
            names = _points(body)
            found = creditor_of(body, organizations[one.organization]) or _find_owner(names, known)
            if found or names:
                creditors[one.number] = found
            if names and known and not found:
                unsaid.append((one, body))
        claims = await _claims_of(unsaid, books)
        for one, _ in unsaid:
            names = names_of_claims([claims[one.number]]) if one.number in claims else []
            creditors[one.number] = _find_owner(names, owners[one.organization])
        await asyncio.sleep(0)
    return creditors


async def render_settlements(
    settled: Sequence[Numbered],
    organizations: Mapping[str, Organization],
    creditors: Mapping[int, str],
    reading: ReadProfile,
    language: str,
    books: Books,
    write: Callable[[int], str | None],
) -> list[bytes]:
    """Return the entries as JSON, several in a piece, every one led by a comma; `write` shows numbers to the caller."""
    pieces: list[bytes] = []
    for start in range(0, len(settled), SLICE_ENTRIES):
        some = [(one, decode_exactly(one.body)) for one in settled[start : start + SLICE_ENTRIES]]
        claims = await _claims_of(some, books) if "claim" in reading.settlement.sources else {}
        entries = []
        for one, body in some:
            organization = organizations[one.organization]
            idnumber = creditors.get(one.number) or creditor_of(body, organization)
            sources = {
                "settlement": body,
                "number": write(one.number),
                "creditor": describe_creditor(idnumber, organization),
                "claim": describe_claim(claims.get(one.number)),
            }
            entries.append(reading.settlement.render(sources, language))
        pieces.append(b"," + encode(entries)[1:-1])
        await asyncio.sleep(0)
    return pieces


def names_of_claims(claims: Iterable[Claim]) -> list[str]:
    """Return what claims go by in settlements, of each the best name first."""
    names: list[str] = []
    for claim in claims:
        names += names_of("invoice", [claim.invoice_id])
        names += names_of("case", [claim.case_number])
        names += names_of("number", [claim.invoice_number])
    return names


def _find_owner(names: Iterable[str], owners: Mapping[str, str]) -> str:
    """Return the creditor by the best name that only one creditor has."""
    return next(filter(None, (owners.get(name) for name in names)), "")


async def _claims_of(some: Sequence[tuple[Numbered, Entry]], books: Books) -> Mapping[int, Claim]:
    """Return the claim of each settlement, by its number: by invoice, else by case where that has one claim only."""
    found: dict[int, Claim] = {}
    ids: dict[str, list[tuple[int, str]]] = {}
    for one, body in some:
        if invoice := text(body.get("invoiceId")):
            ids.setdefault(one.organization, []).append((one.number, invoice))
        elif case := text(body.get("caseNumber")):
            claims = await books.claims(one.organization, "caseNumber", case)
            found |= {one.number: claims[0]} if len(claims) == 1 else {}
    for organization, pairs in ids.items():
        known = await books.claims_of(organization, [invoice for _, invoice in pairs])
        found |= {number: known[invoice] for number, invoice in pairs if invoice in known}
    return found


def _points(body: Entry) -> list[str]:
    """Return the names by which a settlement says which claim it is of, the best one first."""
    kinds = (("invoice", "invoiceId"), ("case", "caseNumber"), ("number", "invoiceNumber"))
    return [name for kind, key in kinds for name in names_of(kind, [text(body.get(key))])]
