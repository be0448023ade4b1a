"""The reading half, and the office: both open their connections when they are first asked something."""

from __future__ import annotations

from functools import partial

from bridge.journal.changes import PlaceOrder
from bridge.journal.interface import News
from bridge.journal.postgres import reading
from bridge.journal.postgres.connections import PROVING, READING, WRITING, Connection, connect, describe
from bridge.journal.postgres.crossreference import find_claims
from bridge.journal.postgres.failures import FOREIGN, Failure, classify, translate, translate_at_start
from bridge.journal.postgres.lifeline import CHANNEL, pack_news
from bridge.journal.postgres.noting import place_order
from bridge.journal.postgres.readers import Finder, Readers
from bridge.journal.postgres.schema import require_current
from bridge.journal.records import (
    Attempt,
    BatchRecord,
    BatchSummary,
    Claim,
    Ledger,
    Order,
    SeenCreditor,
    StoredBatch,
    UnknownField,
)

NOBODY = 0
"""The sender of news that no replica tells."""


class PostgresBooks:
    """The books of one database."""

    def __init__(self, url: str, *, is_checked: bool = False) -> None:
        """Read at `url`; unless the journal `is_checked`, each connection first makes sure that it can be read."""
        self._url = url
        self._is_checked = is_checked
        self._readers = Readers(self._connect_reader)
        self._finder = Finder(self._readers)

    async def find(self, sender: str, identity: str) -> BatchRecord | None:
        """Return the batch that holds this identity."""
        return await self._finder.find(sender, identity)

    async def load(self, batch_id: str) -> StoredBatch | None:
        """Return a batch with rows and calls."""
        return await self._readers.ask(reading.load_batch, batch_id)

    async def open_batches(self) -> list[str]:
        """Return the ids of batches without a final answer, oldest first."""
        return await self._readers.ask(reading.list_open)

    async def attempts(self, batch_id: str) -> list[Attempt]:
        """Return what was done about the calls of a batch, oldest first."""
        return await self._readers.ask(reading.list_attempts, batch_id)

    async def claims(self, organization: str, kind: str, value: str) -> list[Claim]:
        """Find claims by one of their names; for `ledgerref`, by whatever the ERP would use as one."""
        return await self._readers.ask(find_claims, organization, kind, value)

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

    async def unknown_fields(self) -> list[UnknownField]:
        """Return what senders sent and nobody reads."""
        return await self._readers.ask(reading.list_unknown_fields)

    async def creditors(self) -> list[SeenCreditor]:
        """Return the creditor register."""
        return await self._readers.ask(reading.list_creditors)

    async def orders(self, batch_id: str) -> list[Order]:
        """Return what operators said about a batch, oldest first."""
        return await self._readers.ask(reading.list_orders, batch_id)

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


class PostgresOffice(PostgresBooks):
    """The books, and a pen for orders."""

    async def write(self, *changes: PlaceOrder) -> None:
        """Record orders durably, all or none, and tell the replica that works their batches."""
        try:
            await self._place(changes)
        except FOREIGN as error:
            if classify(error) is not Failure.CONNECTION:
                raise translate(error) from None
            # an order that is recorded stays as it is, so an answer that was lost is asked for again
            await self._place_again(changes)

    async def _place_again(self, changes: tuple[PlaceOrder, ...]) -> None:
        try:
            await self._place(changes)
        except FOREIGN as error:
            raise translate_at_start(error, describe(self._url)) from None

    async def _place(self, changes: tuple[PlaceOrder, ...]) -> None:
        connection = await connect(self._url, WRITING)
        try:
            await require_current(connection)
            async with connection.transaction():
                for change in changes:
                    await place_order(connection, change)
                news = pack_news(NOBODY, [(News.ORDERED, change.batch_id) for change in changes])
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, news)
        finally:
            connection.terminate()
