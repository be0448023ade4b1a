"""The reading half, and the office: both open their connections when they are first asked something."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from bridge.batch import Address, Verdict
from bridge.journal.cutover import HandedOver, Observation, PassedBatch, Sample
from bridge.journal.postgres import crossreference, handing_over, inbox, observing, reading, settlements, switching
from bridge.journal.postgres.connections import PROVING, READING, Connection, connect
from bridge.journal.postgres.readers import Finder, Readers
from bridge.journal.postgres.schema import require_current
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
from bridge.modes import Switch


class PostgresBooks:
    """The books of one database."""

    def __init__(self, url: str, *, is_checked: bool = False) -> None:
        """Read at `url`; unless the journal `is_checked`, each connection first makes sure that it can be read."""
        self._url = url
        self._is_checked = is_checked
        self._readers = Readers(self._connect_reader)
        self._finder = Finder(self._readers, reading.find_batches)
        self._passed = Finder(self._readers, switching.find_passed)

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        """Return the batch that holds this identity."""
        return await self._finder.find(sender, identity)

    async def load(self, batch_id: str) -> StoredBatch | None:
        """Return a batch with rows and calls."""
        return await self._readers.ask(reading.load_batch, batch_id)

    async def standing(self, batch_id: str) -> Standing | None:
        """Return what may be said of a batch now."""
        return await self._readers.ask(reading.load_standing, batch_id)

    async def open_batches(self) -> list[str]:
        """Return the ids of batches without a final answer, oldest first."""
        return await self._readers.ask(reading.list_open)

    async def attempts(self, batch_id: str) -> list[Attempt]:
        """Return what was done about the calls of a batch, oldest first."""
        return await self._readers.ask(reading.list_attempts, batch_id)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by one of their names; for `ledgerref`, by whatever the ERP would use as one."""
        return await self._readers.ask(crossreference.find_claims, organization, kind, value)

    async def find_claims(self, name: str, *, limit: int = 100) -> list[Claim]:
        """Find claims of any organization by any of their ids or names, or by the batch they came in."""
        return await self._readers.ask(crossreference.find_anywhere, name, limit)

    async def claims_of(self, organization: str, invoice_ids: Sequence[str]) -> Mapping[str, Claim]:
        """Return what is known about these invoices, by their modern id."""
        return await self._readers.ask(crossreference.claims_of, organization, invoice_ids)

    async def case_history(self, organization: str, case_ids: Sequence[str]) -> Mapping[str, Sequence[CaseEvent]]:
        """Return what webhooks told about these cases, by case id, oldest first."""
        return await self._readers.ask(inbox.case_history, organization, case_ids)

    async def settlements_after(self, organizations: Sequence[str], number: int) -> list[NumberedSettlement]:
        """Return the settlements of these organizations with a higher number, in the order of their numbers."""
        return await self._readers.ask(settlements.settlements_after, organizations, number)

    async def pending_invoices(self, organization: str, names: Collection[tuple[str, str]]) -> list[PendingInvoice]:
        """Return the undecided invoice rows of open batches of an organization that go by one of these names."""
        return await self._readers.ask(reading.list_pending_invoices, organization, names)

    async def invoice_verdicts(self, batch_id: str) -> dict[Address, Verdict]:
        """Return the final verdicts on the invoice rows of a batch."""
        return await self._readers.ask(reading.invoice_verdicts, batch_id)

    async def newest_labelled(self, sender: str, batchid: str) -> BatchRecord | None:
        """Return the newest batch that the sender called by this batchid."""
        return await self._readers.ask(reading.find_newest, sender, batchid)

    async def rebuilds(self) -> list[Rebuild]:
        """Return how far each organization's rebuild of the cross-reference has come."""
        return await self._readers.ask(settlements.list_rebuilds)

    async def summaries(self, *, limit: int = 50) -> list[BatchSummary]:
        """Return the newest batches."""
        return await self._readers.ask(reading.summarize, limit)

    async def ledger(self) -> Ledger:
        """Count every row, and name the ones that break the books."""
        prover = Readers(partial(connect, self._url, PROVING, statement_seconds=None))
        try:
            return await prover.ask(reading.prove)
        finally:
            await prover.close()

    async def doubts(self) -> dict[str, int]:
        """Return how many rows are in doubt, by organization."""
        return await self._readers.ask(reading.count_doubts)

    async def unknown_fields(self) -> list[UnknownField]:
        """Return what senders sent and nobody reads."""
        return await self._readers.ask(reading.list_unknown_fields)

    async def creditors(self) -> list[SeenCreditor]:
        """Return the creditor register."""
        return await self._readers.ask(reading.list_creditors)

    async def orders(self, batch_id: str) -> list[Order]:
        """Return what operators said about a batch, oldest first."""
        return await self._readers.ask(reading.list_orders, batch_id)

    async def switches(self) -> list[Switch]:
        """Return the newest switch of every organization that has one."""
        return await self._readers.ask(switching.list_switches)

    async def switch_history(self, organization: str = "") -> list[Switch]:
        """Return every switch, oldest first; with an organization only its own."""
        return await self._readers.ask(switching.switch_history, organization)

    async def passed(self, sender: str, identity: str) -> PassedBatch | None:
        """Return what is known of a batch that went to the legacy host as a whole."""
        return await self._passed.find(sender, identity)

    async def observations(self, organization: str, since: float, topics: Collection[str] = ()) -> list[Observation]:
        """Return what was seen in spans that begin at `since` or later, in order; no topics: of all."""
        return await self._readers.ask(observing.list_observations, organization, since, topics)

    async def samples(self, organization: str) -> list[Sample]:
        """Return the kept samples of differences, by path and kind, oldest first."""
        return await self._readers.ask(observing.list_samples, organization)

    async def batches_of(self, organization: str, since: float) -> list[str]:
        """Return the ids of batches received at `since` or later with rows of this organization, oldest first."""
        return await self._readers.ask(handing_over.batches_of, organization, since)

    async def handed_over(self, organization: str) -> list[HandedOver]:
        """Return the rows that catch-up batches have carried to the legacy system, in the order of their batches."""
        return await self._readers.ask(handing_over.list_handed_over, organization)

    async def close(self) -> None:
        """Let go of the store."""
        await self._readers.close()

    async def _connect_reader(self) -> Connection:
        connection = await connect(self._url, READING)
        if not self._is_checked:
            await self._require_readable(connection)
        return connection

    async def _require_readable(self, connection: Connection) -> None:
        try:
            await require_current(connection)
        except BaseException:
            connection.terminate()
            raise
        self._is_checked = True
