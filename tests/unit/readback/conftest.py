"""A modern system and a journal in memory, and a dialect that shows what it was given."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import CannotTakeNow
from bridge.journal import CaseEvent, Claim, LearnClaims, NumberedSettlement, RegisterSettlements
from bridge.modern.tokens import Access
from bridge.organizations import Directory
from bridge.readback import Account, Question, Readback, ReadingTerms
from bridge.senders import Sender
from bridge.settings import Settings
from bridge.settings.sources import Sources

ORG_A = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ORG_B = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
ORG_C = "9b2d1f3e-0a51-4c5b-8a57-6c1f5d2f7c11"

FILTERS: Mapping[str, Callable[[dict[str, Any]], set[str]]] = {
    "CaseNumber": lambda entry: {str(entry.get("caseNumber"))},
    "CustomerNumber": lambda entry: {
        str(one.get("customerNumber"))
        for one in entry.get("debtors", [{"customerNumber": entry.get("customerNumber")}])
    },
    "UniqueSourceInvoiceId": lambda entry: {
        str(one.get("uniqueSourceInvoiceId")) for one in [entry, *entry.get("invoices", [])]
    },
    "InvoiceNumber": lambda entry: {str(entry.get("invoiceNumber"))},
}


@dataclass
class FakeLists:
    """The lists of every organization; changed by tests at any time."""

    cases_of: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    invoices_of: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    settlements_of: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page_size: int = 2
    ignores_filters: bool = False
    reads: Counter[str] = field(default_factory=Counter)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    fail_after: dict[str, tuple[int, Exception]] = field(default_factory=dict)
    """Kind of list → pages that are shown before it fails."""
    gate: asyncio.Event | None = None
    on_page: Callable[[str, str, int], None] | None = None

    def cases(
        self, access: Access, filters: Mapping[str, str] | None = None, *, page_size: int = 2
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        return self._pages("cases", access, filters or {})

    def invoices(
        self, access: Access, filters: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        return self._pages("invoices", access, filters or {})

    def settlements(
        self, access: Access, filters: Mapping[str, str] | None = None, *, page_size: int = 2
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        return self._pages("settlements", access, filters or {})

    async def _pages(
        self, kind: str, access: Access, filters: Mapping[str, str]
    ) -> AsyncGenerator[Sequence[dict[str, Any]], None]:
        self.reads[kind] += 1
        self.asked.append((kind, access.organization, dict(filters)))
        shelf: dict[str, list[dict[str, Any]]] = getattr(self, f"{kind}_of")
        place, page = 0, 0
        while True:
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(0)
            if kind in self.fail_after and page == self.fail_after[kind][0]:
                raise self.fail_after[kind][1]
            if self.on_page is not None:
                self.on_page(kind, access.organization, page)
            rows = [row for row in shelf.get(access.organization, ()) if self._fits(row, filters)]
            yield copy.deepcopy(rows[place : place + self.page_size])
            place += self.page_size
            page += 1
            if place >= len(rows):
                return

    def _fits(self, row: dict[str, Any], filters: Mapping[str, str]) -> bool:
        return self.ignores_filters or all(value in FILTERS[name](row) for name, value in filters.items())


@dataclass
class FakeJournal:
    """The cross-reference, the history and the settlement numbers; several replicas may share one."""

    known: dict[tuple[str, str], Claim] = field(default_factory=dict)
    history: dict[tuple[str, str], list[CaseEvent]] = field(default_factory=dict)
    numbers: list[NumberedSettlement] = field(default_factory=list)
    taught: list[Claim] = field(default_factory=list)
    full: bool = False

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        await asyncio.sleep(0)
        names = {
            "ledgerref": lambda one: one.ledgerref or one.unique_source_invoice_id or one.invoice_number,
            "caseNumber": lambda one: one.case_number,
        }
        return [one for (org, _), one in self.known.items() if org == organization and names[kind](one) == value]

    async def claims_of(self, organization: str, invoice_ids: Sequence[str]) -> Mapping[str, Claim]:
        await asyncio.sleep(0)
        return {one: self.known[organization, one] for one in invoice_ids if (organization, one) in self.known}

    async def case_history(self, organization: str, case_ids: Sequence[str]) -> Mapping[str, Sequence[CaseEvent]]:
        return {one: self.history[organization, one] for one in case_ids if (organization, one) in self.history}

    async def settlements_after(self, organizations: Sequence[str], number: int) -> list[NumberedSettlement]:
        found = [one for one in self.numbers if one.number > number and one.organization in organizations]
        await asyncio.sleep(0)
        return found

    async def write(self, *changes: Any) -> None:
        await asyncio.sleep(0)
        if self.full:
            raise CannotTakeNow("no room")
        for change in changes:
            match change:
                case LearnClaims(claims):
                    self.taught += claims
                    self.known |= {(one.organization, one.invoice_id): self._merge(one) for one in claims}
                case RegisterSettlements(organization, settlements):
                    self._register(organization, settlements)

    def _merge(self, claim: Claim) -> Claim:
        known = self.known.get((claim.organization, claim.invoice_id))
        if known is None:
            return claim
        told = {name: getattr(claim, name) for name in Claim.__slots__ if getattr(claim, name) not in {"", -1}}
        return replace(known, **told)

    def _register(self, organization: str, settlements: Iterable[tuple[str, str]]) -> None:
        known = {(one.organization, one.settlement_id) for one in self.numbers}
        for settlement_id, settled_on in settlements:
            if (organization, settlement_id) not in known:
                self.numbers.append(NumberedSettlement(len(self.numbers) + 1, organization, settlement_id, settled_on))


@dataclass(frozen=True)
class Mirror:
    """A mapping that shows its sources."""

    objectname: str
    each: str = ""
    sources: frozenset[str] = frozenset({"case", "invoice", "claim", "history", "creditor"})

    def render(self, sources: Mapping[str, Any], language: str = "") -> dict[str, Any]:
        return {**sources, "language": language}


@dataclass(frozen=True)
class MirrorProfile:
    """A dialect of mirrors; a case is closed by its date or its status."""

    creditor: Mirror = Mirror("creditor")
    case: Mirror = Mirror("case", each="invoices")
    settlement: Mirror = Mirror("settlement")
    languages: tuple[str, ...] = ("nb", "en")

    def is_closed(self, case: Mapping[str, Any]) -> bool:
        return case.get("closedAt") is not None or case.get("status") == "CLOSED"


CREDITORS = {ORG_A: ["984842252", "971274190"], ORG_B: ["914594685"], ORG_C: []}
REACH = {"ERP-1": [ORG_A], "ERP-2": [ORG_A, ORG_B], "ERP-3": [ORG_C]}


def _settings() -> Settings:
    return Settings.model_validate(
        {
            "server": {},
            "storage": {},
            "modern": {},
            **{name: {} for name in ("cutover", "shadow", "recording", "readiness", "guardrails")},
            "mappings": {},
            "reading": {},
            "legacy": {},
            "organization": [
                {"id": org, "name": f"name of {org[0]}", "creditors": creditors, "client_id": "i", "client_secret": "s"}
                for org, creditors in CREDITORS.items()
            ],
            "sender": [{"id": name, "organizations": orgs, "bearer": f"t{name}"} for name, orgs in REACH.items()],
        },
        context=Sources(Path(), {}),
    )


def _sender(name: str) -> Sender:
    return Sender(name, "mirror", tuple(REACH.get(name, ())), 1.0, "unique", 24)


@dataclass
class Place:
    """A readback with everything it stands on, and a clock that tests turn."""

    lists: FakeLists
    journal: FakeJournal
    readback: Readback
    looks: Counter[tuple[str, str]]
    now: list[float]

    async def ask_for_bytes(self, sender: str = "ERP-1", **question: Any) -> tuple[bytes, Account]:
        """Return the answer as it is sent."""
        account = await self.readback.answer(_sender(sender), Question(**question))
        return b"".join(map(bytes, account.pieces)), account

    async def ask(self, sender: str = "ERP-1", **question: Any) -> dict[str, Any]:
        """Return the decoded answer; amounts as Decimal."""
        body, account = await self.ask_for_bytes(sender, **question)
        assert len(body) == account.length
        answer: dict[str, Any] = json.loads(body, parse_float=Decimal)
        assert (answer.pop("batchid"), answer.pop("offline")) == (None, False)
        assert len(answer["settlement"]) == account.settlements
        assert len(answer["case"]) == account.cases
        return answer


MakePlace = Callable[..., Place]


@pytest.fixture
def make_place() -> MakePlace:
    """Return a function that opens a readback; several may share lists and journal, as replicas do."""

    def make(
        lists: FakeLists | None = None,
        journal: FakeJournal | None = None,
        *,
        profile: MirrorProfile | None = MirrorProfile(),
        **terms: Any,
    ) -> Place:
        lists, journal, now = lists or FakeLists(), journal or FakeJournal(), [1000.0]
        looks: Counter[tuple[str, str]] = Counter()
        defaults = {
            "cache_seconds": 30.0,
            "cache_bytes": 1_000_000,
            "organizations_at_once": 4,
            "max_cases": 1000,
            "page_size": 2,
            "settle_seconds": 30.0,
            "answer_seconds": 60.0,
        }

        class Observer:
            def reading_looked_up(self, kind: str, result: str) -> None:
                looks[kind, result] += 1

        def clock() -> float:
            now[0] += 1e-6  # no two moments are the same
            return now[0]

        readback = Readback(
            Directory(_settings()),
            {"mirror": profile},  # type: ignore[dict-item]  # a stand-in for a compiled profile
            lists,
            journal,  # type: ignore[arg-type]  # the part of a journal that reading back uses
            lambda organization: Access(organization, "id", "secret"),
            terms=ReadingTerms(**(defaults | terms)),
            observer=Observer(),
            clock=clock,
        )
        return Place(lists, journal, readback, looks, now)

    return make


@pytest.fixture
def place(make_place: MakePlace) -> Place:
    """A readback with nothing in its lists yet."""
    return make_place()


def _case(number: int, *invoices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "caseId": f"case-{number}",
        "caseNumber": number,
        "status": "OPEN",
        "closedAt": None,
        "invoices": list(invoices),
        "debtors": [{"customerNumber": f"customer-{number}"}],
    } | fields


def _inner(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "invoiceId": f"invoice-{number}",
        "invoiceNumber": f"F{number}",
        "remainingAmount": Decimal("10.10"),
        "uniqueSourceInvoiceId": f"erp-{number}",
    } | fields


@pytest.fixture
def case() -> Callable[..., dict[str, Any]]:
    """Make a case with the invoice of its own number, unless others are given."""

    def make(number: int, *invoices: dict[str, Any], **fields: Any) -> dict[str, Any]:
        return _case(number, *(invoices or (_inner(number),)), **fields)

    return make


@pytest.fixture
def inner() -> Callable[..., dict[str, Any]]:
    """Make an invoice as a case tells it."""
    return _inner


@pytest.fixture
def org_a() -> str:
    """The organization of ERP-1 and ERP-2; it has two creditors."""
    return ORG_A


@pytest.fixture
def org_b() -> str:
    """An organization of ERP-2 only."""
    return ORG_B
