"""Invoices on their way in other batches: rows that belong to one wait for it instead of being refused.

Before a row is refused because nothing answers to its reference, the journal is asked for undecided invoice rows of
open batches, this replica's and others', that go by those names. Such a row waits until all of them are decided, then
its claim is looked up again. Nothing about it is written down: whoever takes the batch over asks again.

Nobody waits in a circle: payments, corrections and actions wait, for invoices only, and an invoice waits for no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bridge.batch import Address, Reference, Verdict
from bridge.errors import CannotTakeNow
from bridge.journal import Books, PendingInvoice
from bridge.logs import Event, get_log
from bridge.plan import PlannedRow, kinds_meant

log = get_log()

T = TypeVar("T")

RETRY_SECONDS = 1.0
"""When to ask a store again that was out of reach."""
PAUSE_FIRST_SECONDS = 0.5
PAUSE_CEILING_SECONDS = 5.0
"""How often at the least to look whether an invoice is decided; the end of its whole batch is heard of at once."""

Invoice = tuple[str, Address]
"""The bridge's id of the batch, and the row in it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row whose claim is not there yet, and the invoices it may belong to: batch and address, to how they are told."""

    row: PlannedRow
    invoices: Mapping[Invoice, str]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rows whose invoices are decided, those that wait on, and what to say should a claim still not be found."""

    rows: list[PlannedRow]
    waiting: list[Waiting]
    refusals: Mapping[Address, str]


class Expecting:
    """Tell which rows wait for invoices of other batches, and when that is over."""

    def __init__(self, books: Books, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._books = books
        self._sleep = sleep
        self._ends: dict[str, asyncio.Event] = {}
        """By batch: set once it has ended; only for batches that are waited for."""
        self._questions: dict[str, _Question] = {}
        """By organization: what will be asked next, together."""
        self._turn = asyncio.Lock()

    def stir(self, batch_id: str) -> None:
        """Have those who wait for this batch look at once: it has ended."""
        if ended := self._ends.pop(batch_id, None):
            ended.set()

    async def find(self, organization: str, rows: Sequence[tuple[PlannedRow, Reference]]) -> list[Waiting]:
        """Return those of the rows whose reference names undecided invoices of open batches."""
        meant = [[(name, value) for kind, value in reference.keys for name in kinds_meant(kind)] for _, reference in rows]
        found = await self._ask(organization, {name for names in meant for name in names})
        waiting = []
        for (row, _), names in zip(rows, meant, strict=True):
            invoices = {
                (one.batch_id, one.address): f"{one.address} of batch {one.batchid or one.batch_id}"
                for name in names
                for one in found.get(name, ())
            }
            if invoices:
                waiting.append(Waiting(row, invoices))
        return waiting

    async def wait(self, waiting: Sequence[Waiting]) -> Arrivals:
        """Wait until the invoices of at least one row are decided, however long that takes.

        Not even an invoice in doubt is given up: a row of its own batch would wait for the operator's word as well.
        """
        pause = PAUSE_FIRST_SECONDS
        verdicts: dict[str, Mapping[Address, Verdict]] = {}
        while True:
            open_batches = {batch for one in waiting for batch, address in one.invoices if not verdicts.get(batch)}
            await self._rest(open_batches or {batch for one in waiting for batch, _ in one.invoices}, pause)
            pause = min(pause * 2, PAUSE_CEILING_SECONDS)
