"""Settlements as a caller asked for them: those of the claims in question, in the legacy shape."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.journal import Books, Claim
from bridge.mapping.reading import ReadProfile
from bridge.modern.reading import decode_exactly, text
from bridge.organizations import Organization
from bridge.readback.found import Entry
from bridge.readback.question import Question
from bridge.readback.settling import Numbered, write_number
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
    organizations: Mapping[str, Organization]
    names: Mapping[str, frozenset[str]]
    """What the claims in question go by, by organization."""

    def takes(self, one: Numbered) -> bool:
        """Tell whether a settlement is asked for."""
        question = self.question
        if question.remittancedate and one.settled_on != question.remittancedate:
            return False
        organization = self.organizations[one.organization]
        several = question.creditorid and len(organization.creditors) > 1
        if not (several or question.narrowed):
            return True
        body = decode_exactly(one.body)
        if several and creditor_of(body, organization) not in {"", question.creditorid}:
            return False
        return not question.narrowed or self._is_of_claims(body, self.names[one.organization])

    def _is_of_claims(self, body: Entry, names: frozenset[str]) -> bool:
        """Tell whether a settlement is of the claims in question; it may be of one that is not listed any more."""
        customer = "" if self.question.ledgerref else self.question.customerref
        if customer and text(body.get("customerReference")) == customer:
            return True
        return not names.isdisjoint(_points(body))


async def render_settlements(
    settled: Sequence[Numbered],
    organizations: Mapping[str, Organization],
    reading: ReadProfile,
    language: str,
    books: Books,
) -> list[bytes]:
    """Return the entries as JSON, several in a piece, every one led by a comma."""
    pieces: list[bytes] = []
    for start in range(0, len(settled), SLICE_ENTRIES):
        some = [(one, decode_exactly(one.body)) for one in settled[start : start + SLICE_ENTRIES]]
        claims = await _claims_of(some, books) if "claim" in reading.settlement.sources else {}
        entries = [
            reading.settlement.render(_sources(one, body, organizations[one.organization], claims), language)
            for one, body in some
        ]
        pieces.append(b"," + encode(entries)[1:-1])
        await asyncio.sleep(0)
    return pieces


def names_of_claims(claims: Iterable[Claim]) -> set[str]:
    """Return what claims go by in settlements."""
    names: set[str] = set()
    for claim in claims:
        names |= names_of("invoice", [claim.invoice_id])
        names |= names_of("case", [claim.case_number])
        names |= names_of("number", [claim.invoice_number])
    return names


def _sources(one: Numbered, body: Entry, organization: Organization, claims: Mapping[int, Claim]) -> Entry:
    return {
        "settlement": body,
        "number": write_number(one.number),
        "creditor": describe_creditor(creditor_of(body, organization), organization),
        "claim": describe_claim(claims.get(one.number)),
    }


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


def _points(body: Entry) -> set[str]:
    """Return the best name by which a settlement says whose it is."""
    for kind, name in (("invoice", "invoiceId"), ("case", "caseNumber"), ("number", "invoiceNumber")):
        if value := text(body.get(name)):
            return names_of(kind, [value])
    return set()
