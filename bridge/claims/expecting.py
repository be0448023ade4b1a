"""Invoices on their way in other batches: rows that belong to one wait for it instead of being refused.

Before a row is refused because nothing answers to its reference, the journal is asked for undecided invoice rows of
open batches, this replica's and others', that go by those names. Such a row waits until all of them are decided, then
its claim is looked up again. Nothing about it is written down: whoever takes the batch over asks again.

Nobody waits in a circle: payments, corrections and actions wait, for invoices only, and an invoice waits for no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
PAUSE_CEILING_SECONDS = 30.0
"""How often at the least to look whether an invoice is decided; that its whole batch has ended is heard of at once."""

Name = tuple[str, str]
"""(kind, value) under which an invoice is known."""
Place = tuple[str, Address]
"""The bridge's id of a batch, and a row in it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row whose claim is not there yet, and the invoices it may belong to, each with the words for it."""

    row: PlannedRow
    invoices: Mapping[Place, str]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Rows whose invoices are decided, and those that wait on."""

    rows: list[PlannedRow]
    waiting: list[Waiting]
    refusals: Mapping[Address, str]
    """What to say of a row if no claim is found for it now: that its invoice was refused."""


@dataclass(slots=True, eq=False)
class _Question:
    """What will be asked of the journal next about one organization, by however many batches."""

    names: set[Name] = field(default_factory=set)
    found: Mapping[Name, Sequence[PendingInvoice]] | None = None


class Expecting:
    """Tell which rows wait for invoices of other batches, and when that is over."""

    def __init__(
        self,
        books: Books,
        *,
        pause_seconds: float = PAUSE_FIRST_SECONDS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._books = books
        self._pause_seconds = pause_seconds
        self._sleep = sleep
        self._ears: dict[str, set[asyncio.Event]] = {}
        """By batch: who wants to know when it has ended."""
        self._questions: dict[str, _Question] = {}
        self._turn = asyncio.Lock()

    def stir(self, batch_id: str) -> None:
        """Have those who wait for an invoice of this batch look at once: it has ended."""
        for heard in self._ears.get(batch_id, ()):
            heard.set()

    async def find(self, organization: str, rows: Sequence[tuple[PlannedRow, Reference]]) -> list[Waiting]:
        """Return those of the rows that refer to undecided invoices of open batches of this organization."""
        meant = [_names(reference) for _, reference in rows]
        found = await self._ask(organization, {name for names in meant for name in names})
        waiting = []
        for (row, _), names in zip(rows, meant, strict=True):
            if invoices := {(one.batch_id, one.address): _tell(one) for name in names for one in found.get(name, ())}:
                waiting.append(Waiting(row, invoices))
        return waiting

    async def wait(self, waiting: Sequence[Waiting]) -> Arrivals:
        """Wait until all invoices of at least one row are decided, however long that takes.

        Not even an invoice in doubt is given up: a row of its own batch would wait for the operator's word as well.
        """
        batches = {batch_id for one in waiting for batch_id, _ in one.invoices}
        pause = self._pause_seconds
        with self._listening(batches) as heard:  # before the first look, so that nothing is missed between the two
            while True:
                heard.clear()
                arrivals = _sort(waiting, {batch_id: await self._verdicts(batch_id) for batch_id in batches})
                if arrivals.rows:
                    return arrivals
                with suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), pause)
                pause = min(pause * 2, PAUSE_CEILING_SECONDS)

    @contextmanager
    def _listening(self, batches: set[str]) -> Iterator[asyncio.Event]:
        heard = asyncio.Event()
        for batch_id in batches:
            self._ears.setdefault(batch_id, set()).add(heard)
        try:
            yield heard
        finally:
            for batch_id in batches:
                self._ears[batch_id].remove(heard)
                if not self._ears[batch_id]:
                    del self._ears[batch_id]

    async def _ask(self, organization: str, names: set[Name]) -> Mapping[Name, Sequence[PendingInvoice]]:
        """Ask the journal, together with whoever comes meanwhile: each question reads every pending invoice row."""
        question = self._questions.setdefault(organization, _Question())
        question.names |= names
        async with self._turn:
            if question.found is None:
                if self._questions.get(organization) is question:
                    del self._questions[organization]  # who comes from now on needs a newer answer
                question.found = await self._pending(organization, question.names)
        return question.found

    async def _pending(self, organization: str, names: set[Name]) -> Mapping[Name, Sequence[PendingInvoice]]:
        found: dict[Name, list[PendingInvoice]] = {}
        for one in await self._patiently(lambda: self._books.pending_invoices(organization, names)):
            found.setdefault(one.name, []).append(one)
        return found

    async def _verdicts(self, batch_id: str) -> Mapping[Address, Verdict]:
        return await self._patiently(lambda: self._books.invoice_verdicts(batch_id))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Wait out a store that is away: the batch is ours, and its other rows go on."""
        while True:
            try:
                return await ask()
            except CannotTakeNow as reason:
                log.warning(Event.LOOK_UP_FAILED, why=type(reason).__name__)
            await self._sleep(RETRY_SECONDS)


def _names(reference: Reference) -> list[Name]:
    """Return what an invoice may carry that is meant by a reference."""
    return [(name, value) for kind, value in reference.keys for name in kinds_meant(kind)]


def _tell(invoice: PendingInvoice) -> str:
    return f"{invoice.address} of batch {invoice.batchid or invoice.batch_id}"


def _sort(waiting: Sequence[Waiting], verdicts: Mapping[str, Mapping[Address, Verdict]]) -> Arrivals:
    """Tell the rows that need wait no longer from the others."""
    arrivals = Arrivals([], [], refusals := {})
    for one in waiting:
        decided = {told: verdicts[batch_id].get(address) for (batch_id, address), told in one.invoices.items()}
        if None in decided.values():
            arrivals.waiting.append(one)
            continue
        arrivals.rows.append(one.row)
        if Verdict.ACCEPTED not in decided.values():
            refusals[one.row.address] = f"not submitted: it belongs to {next(iter(decided))}, which was refused"
    return arrivals
