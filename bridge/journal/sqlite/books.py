"""The reading half: connections of its own that cannot write, so that no read ever delays a write."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bridge.batch import Address, Verdict
from bridge.errors import OperatorError
from bridge.journal.cutover import HandedOver, Observation, PassedBatch, Sample
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    CaseEvent,
    Claim,
    Ledger,
    NumberedSettlement,
    Order,
    PendingInvoice,
    Rebuild,
    SeenCreditor,
    Standing,
    StoredBatch,
    UnknownField,
)
from bridge.journal.sqlite import crossreference, handing_over, inbox, observing, proof, reading, settlements, switching
from bridge.journal.sqlite.connections import connect_reader
from bridge.journal.sqlite.failures import translate
from bridge.modes import Switch

P = ParamSpec("P")
T = TypeVar("T")


def open_sqlite_books(path: Path) -> SqliteBooks:
    """Open the books of a journal for reading, beside a running bridge or without one; it takes no lock."""
    if not path.exists():
        raise OperatorError(f"there is no journal at {path}: check storage.url, or start the bridge once")
    return SqliteBooks(path)


class SqliteBooks:
    """The books of one journal file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._probe = connect_reader(path)
        self._reader = connect_reader(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-reader")

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        """Return the batch that holds this identity.

        Nearly every batch is new, and asks this once. That answer is given on the event loop itself: one index probe
        of a file the kernel holds in memory took 4 to 25 µs where another thread and back took 85. Only a hit, whose
        payload may be long, goes to the reader's thread, and so does everything while the file is busy.
        """
        with contextlib.suppress(sqlite3.Error):
            if not reading.holds_identity(self._probe, sender, identity):
                return None
        return await self._read(reading.find_batch, sender, identity)

    async def load(self, batch_id: str) -> StoredBatch | None:
        """Return a batch with rows and calls."""
        return await self._read(reading.load_batch, batch_id)

    async def standing(self, batch_id: str) -> Standing | None:
        """Return what may be said of a batch now."""
        return await self._read(reading.load_standing, batch_id)

    async def open_batches(self) -> list[str]:
        """Return the ids of batches without a final answer, oldest first."""
        return await self._read(reading.list_open)

    async def attempts(self, batch_id: str) -> list[Attempt]:
        """Return what was done about the calls of a batch, oldest first."""
        return await self._read(reading.list_attempts, batch_id)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by one of their names; for `ledgerref`, by whatever the ERP would use as one."""
        return await self._read(crossreference.find_claims, organization, kind, value)

    async def find_claims(self, name: str, *, limit: int = 100) -> list[Claim]:
        """Find claims of any organization by any of their ids or names, or by the batch they came in."""
        return await self._read(crossreference.find_anywhere, name, limit)

    async def claims_of(self, organization: str, invoice_ids: Sequence[str]) -> Mapping[str, Claim]:
        """Return what is known about these invoices, by their modern id."""
        return await self._read(crossreference.claims_of, organization, invoice_ids)

    async def case_history(self, organization: str, case_ids: Sequence[str]) -> Mapping[str, Sequence[CaseEvent]]:
        """Return what webhooks told about these cases, by case id, oldest first."""
        return await self._read(inbox.case_history, organization, case_ids)

    async def settlements_after(self, organizations: Sequence[str], number: int) -> list[NumberedSettlement]:
        """Return the settlements of these organizations with a higher number, in the order of their numbers."""
        return await self._read(settlements.settlements_after, organizations, number)

    async def pending_invoices(self, organization: str, names: Collection[tuple[str, str]]) -> list[PendingInvoice]:
        """Return the undecided invoice rows of open batches of an organization that go by one of these names."""
        return await self._read(reading.list_pending_invoices, organization, names)

    async def invoice_verdicts(self, batch_id: str) -> dict[Address, Verdict]:
        """Return the final verdicts on the invoice rows of a batch."""
        return await self._read(reading.invoice_verdicts, batch_id)

    async def newest_labelled(self, sender: str, batchid: str) -> BatchRecord | None:
        """Return the newest batch that the sender called by this batchid."""
        return await self._read(reading.find_newest, sender, batchid)

    async def rebuilds(self) -> list[Rebuild]:
        """Return how far each organization's rebuild of the cross-reference has come."""
        return await self._read(settlements.list_rebuilds)

    async def summaries(self, *, limit: int = 50) -> list[BatchSummary]:
        """Return the newest batches."""
        return await self._read(reading.summarize, limit)

    async def ledger(self) -> Ledger:
        """Count every row, and name the ones that break the books."""
        return await asyncio.to_thread(self._prove)

    async def doubts(self) -> dict[str, int]:
        """Return how many rows are in doubt, by organization."""
        return await self._read(proof.count_doubts)

    async def unknown_fields(self) -> list[UnknownField]:
        """Return what senders sent and nobody reads."""
        return await self._read(reading.list_unknown_fields)

    async def creditors(self) -> list[SeenCreditor]:
        """Return the creditor register."""
        return await self._read(reading.list_creditors)

    async def orders(self, batch_id: str) -> list[Order]:
        """Return what operators said about a batch, oldest first."""
        return await self._read(reading.list_orders, batch_id)

    async def switches(self) -> list[Switch]:
        """Return the newest switch of every organization that has one."""
        return await self._read(switching.list_switches)

    async def switch_history(self, organization: str = "") -> list[Switch]:
        """Return every switch, oldest first; with an organization only its own."""
        return await self._read(switching.switch_history, organization)

    async def passed(self, sender: str, identity: str) -> PassedBatch | None:
        """Return what is known of a batch that went to the legacy host; on the event loop, like a `find` in vain."""
        with contextlib.suppress(sqlite3.Error):
            return switching.find_passed(self._probe, sender, identity)
        return await self._read(switching.find_passed, sender, identity)

    async def observations(self, organization: str, since: float, topics: Collection[str] = ()) -> list[Observation]:
        """Return what was seen in spans that begin at `since` or later, in order; no topics: of all."""
        return await self._read(observing.list_observations, organization, since, topics)

    async def samples(self, organization: str) -> list[Sample]:
        """Return the kept samples of differences, by path and kind, oldest first."""
        return await self._read(observing.list_samples, organization)

    async def batches_of(self, organization: str, since: float) -> list[str]:
        """Return the ids of batches received at `since` or later with rows of this organization, oldest first."""
        return await self._read(handing_over.batches_of, organization, since)

    async def handed_over(self, organization: str) -> list[HandedOver]:
        """Return the rows that catch-up batches have carried to the legacy system, in the order of their batches."""
        return await self._read(handing_over.list_handed_over, organization)

    async def close(self) -> None:
        """Let go of the store."""
        self._probe.close()
        await asyncio.to_thread(self._thread.shutdown)
        self._reader.close()

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        def read() -> T:
            return _in_snapshot(self._reader, lambda connection: query(connection, *args, **kwargs))

        return await asyncio.get_running_loop().run_in_executor(self._thread, read)

    def _prove(self) -> Ledger:
        # on a connection of its own: it may take minutes, and loads must not queue behind it
        with contextlib.closing(connect_reader(self._path)) as connection:
            return _in_snapshot(connection, proof.prove)


def _in_snapshot(connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """Run a query that sees one state of the books, however many statements it takes."""
    try:
        connection.execute("BEGIN")
        try:
            return query(connection)
        finally:
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise translate(error) from error
