"""A cross-reference of a million claims: how fast it is imported, and a claim found by each of its names."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bridge.batch import Address, Verdict
from bridge.journal import BatchRecord, Claim, FinishBatch, Journal, LearnClaims, Office, OpenBatch, RowRecord
from bridge.journal.claims import CLAIMS_AT_ONCE
from bridge.journal.opening import open_journal, open_office
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.replicas import postgres

CLAIMS, BATCHES, FINDS = 1_000_000, 200, 300
ORGANIZATIONS = [str(uuid.UUID(int=number)) for number in range(1, 6)]
ROWS_PER_SECOND, FIND_MS = 20_000, 1.0
KINDS = {
    "invoiceId": "invoice_id",
    "invoiceNumber": "invoice_number",
    "uniqueSourceInvoiceId": "unique_source_invoice_id",
    "ledgerref": "ledgerref",
    "caseNumber": "case_number",
    "caseId": "case_id",
    "modern batch": "modern_batch",
    "legacy batch": "batch_id",
}


def measure() -> Iterator[Figure]:
    """Measure both stores."""
    with TemporaryDirectory(prefix="bridge-bench-") as folder:
        yield from uvloop.run(_measure("SQLite", f"sqlite:///{folder}/journal.db"))
    with postgres() as server:
        yield from uvloop.run(_measure("PostgreSQL", server.create()))


async def _measure(store: str, url: str) -> list[Figure]:
    """Import beside an open journal, as the command line does beside a running bridge."""
    chance = random.Random(4)
    journal = await open_journal(url, base=Path("/"))
    office = open_office(url, base=Path("/"))
    try:
        named = await _import(office, _named)
        whole = await _import(office, partial(_whole, chance))
        learnt = await _take_batches(journal, chance)
        return [
            _judge(f"import to {store}: reference, invoice number, case number", named),
            _judge(f"… to {store}, on top: claims with all ids", whole),
            *[figure async for figure in _find(store, office, learnt, chance)],
        ]
    finally:
        await office.close()
        await journal.close()


async def _import(office: Office, make: Callable[[int], Claim]) -> list[float]:
    """Teach half of all claims, each new; return the seconds of each write."""
    took = []
    for first in range(0, CLAIMS // 2, CLAIMS_AT_ONCE):
        claims = [make(number) for number in range(first, first + CLAIMS_AT_ONCE)]
        began = time.monotonic()
        await office.write(LearnClaims(claims))
        took.append(time.monotonic() - began)
    return took


def _judge(measure: str, took: list[float]) -> Figure:
    rate = len(took) * CLAIMS_AT_ONCE / sum(took)
    note = f"{CLAIMS // 2:,} claims, {CLAIMS_AT_ONCE:,} a write: p50 {median(took) * 1000:.0f} ms"
    return Figure(measure, rate, "claims/s", ROWS_PER_SECOND, True, note)


def _named(number: int) -> Claim:
    """Return a claim as a legacy host knows it, in the order of the ERP's books."""
    return Claim(
        ORGANIZATIONS[number % len(ORGANIZATIONS)],
        invoice_number=str(2_000_000 + number),
        ledgerref=f"L{700_000 + number}",
        case_number=str(5_000_000 + number),
    )


def _whole(chance: random.Random, number: int) -> Claim:
    """Return a claim with all its ids, which come in no order."""
    names = _named(number + CLAIMS)
    return replace(names, invoice_id=_id(chance), unique_source_invoice_id=f"erp-{_id(chance)}", case_id=_id(chance))


async def _take_batches(journal: Journal, chance: random.Random) -> list[Claim]:
    """Have some claims come through the bridge, one a batch; return them."""
    learnt = []
    for number in range(BATCHES):
        organization, name = ORGANIZATIONS[number % len(ORGANIZATIONS)], f"batch-{_id(chance)}"
        ids = (_id(chance), f"X{number}", f"u-{_id(chance)}", f"R{number}", f"C{number}", _id(chance))
        learnt.append(Claim(organization, *ids, name, 0, _id(chance)))
        batch = BatchRecord(name, "ERP", "autocollect", f"B{number}", f"b{number}", "", 1.0, False, 1, b"{}")
        row = RowRecord(Address("invoice", 0), Verdict.ACCEPTED, organization=organization, unique_id=ids[2])
        finish = FinishBatch(name, b"{}", 2.0, (organization,))
        await journal.write(OpenBatch(batch, [row]), LearnClaims(learnt[-1:]), finish)
    return learnt


async def _find(store: str, office: Office, learnt: Sequence[Claim], chance: random.Random) -> AsyncIterator[Figure]:
    for kind, name in KINDS.items():
        took = []
        for _ in range(FINDS):
            claim = chance.choice(learnt)
            began = time.perf_counter()
            found = await office.find_claims(getattr(claim, name))
            took.append((time.perf_counter() - began) * 1000)
            if claim not in found:
                raise RuntimeError(f"{kind}: not found")
        note = f"p50 {percentile(took, 0.5):.2f} ms"
        yield Figure(f"… {store}: find by {kind}, p99", percentile(took, 0.99), "ms", FIND_MS, note=note)


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))
