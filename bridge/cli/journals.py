"""The journal that a configuration names, opened for one question; also beside a running bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from bridge.errors import OperatorError
from bridge.journal import Books, Order, StoredBatch
from bridge.journal.opening import open_books
from bridge.settings import Settings

T = TypeVar("T")


def read_books(settings: Settings, ask: Callable[[Books], Awaitable[T]]) -> T:
    """Return what the books answer."""

    async def read() -> T:
        books = open_books(settings.storage.url, base=Path.cwd())
        try:
            return await ask(books)
        finally:
            await books.close()

    return asyncio.run(read())


async def load_batch(books: Books, batch_id: str) -> tuple[StoredBatch, list[Order]]:
    """Return a batch and what operators said about it; OperatorError when it is not there."""
    stored = await books.load(batch_id)
    if stored is None:
        raise OperatorError(f"{batch_id}: there is no such batch in this journal; `bridge batches list` shows the ids")
    return stored, await books.orders(batch_id)
