"""The operator's way in beside running bridges: transactions of their own, which wait for nobody's lease."""

from __future__ import annotations

import asyncio

from bridge.errors import CannotTakeNow
from bridge.journal.changes import ClerkChange
from bridge.journal.news import news_of
from bridge.journal.postgres.applying import apply_group
from bridge.journal.postgres.books import PostgresBooks
from bridge.journal.postgres.connections import WRITING, Connection, connect, describe
from bridge.journal.postgres.failures import FOREIGN, Failure, classify, translate, translate_at_start
from bridge.journal.postgres.lifeline import CHANNEL, pack_news
from bridge.journal.postgres.schema import require_current
from bridge.journal.postgres.session import Refused, Session

NOBODY = 0
"""The sender of news that no replica tells."""
TRIES = 5
"""How often a transaction that a replica was in the way of is tried again."""


class PostgresOffice(PostgresBooks):
    """The books, and a pen for what the command line may write."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._pen: Connection | None = None
        self._turn = asyncio.Lock()

    async def write(self, *changes: ClerkChange) -> None:
        """Make changes durable, all or none, and tell the replicas of orders and switches.

        Whoever learns of the same claims waits meanwhile: they should come some `CLAIMS_AT_ONCE` at a time.
        """
        async with self._turn:
            for _ in range(TRIES):
                try:
                    return await self._place(changes)
                except FOREIGN as error:
                    await self._drop_pen()
                    if classify(error) is Failure.AGAIN:
                        continue
                    if classify(error) is not Failure.CONNECTION:
                        raise translate(error) from None
                # what is recorded stays as it is, so what an answer was lost for is written again
                return await self._place_again(changes)
        raise CannotTakeNow("the journal is busy: the transaction failed again and again; try later")

    async def _place_again(self, changes: tuple[ClerkChange, ...]) -> None:
        try:
            await self._place(changes)
        except FOREIGN as error:
            await self._drop_pen()
            raise translate_at_start(error, describe(self._url)) from None

    async def _place(self, changes: tuple[ClerkChange, ...]) -> None:
        connection = await self._take_pen()
        async with connection.transaction():
            try:
                await apply_group(Session(connection, NOBODY, {}), [changes])
            except Refused as refused:
                raise refused.errors[0] from None
            for message in pack_news(NOBODY, news_of(changes)):
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, message)

    async def _take_pen(self) -> Connection:
        if self._pen is None or self._pen.is_closed():
            connection = await connect(self._url, WRITING)
            try:
                await require_current(connection)
            except BaseException:
                connection.terminate()
                raise
            self._pen = connection
        return self._pen

    async def _drop_pen(self) -> None:
        pen, self._pen = self._pen, None
        if pen is not None:
            pen.terminate()

    async def close(self) -> None:
        """Let go of the store."""
        await self._drop_pen()
        await super().close()
