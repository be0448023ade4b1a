"""One transaction of a replica: what the changes of a group are applied through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from bridge.journal.changes import LostBatch
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.waves import Placed

T = TypeVar("T")

ROWS_PER_STATEMENT = 1000
"""How many rows are encoded before the event loop has its turn again."""


class Refused(Exception):
    """Some writes of the group cannot be made; which, and why."""

    def __init__(self, errors: Mapping[int, Exception]) -> None:
        super().__init__()
        self.errors = errors


class Session:
    """A transaction of replica `replica`, which holds the fence: its line is locked until the end.

    `held` are the numbers of batches known to be ours. While the fence stands nobody can take one away, so they need
    not be asked for again.
    """

    def __init__(self, connection: Connection, replica: int, held: Mapping[str, int]) -> None:
        self.connection = connection
        self.replica = replica
        self.held = held
        self._looked_up: dict[str, int] = {}
        self.opened: dict[str, int] = {}
        """Batches that are open and ours since this transaction."""
        self.finished: list[str] = []
        self.hooks: dict[int, bool] = {}
        """By write: whether its hook was new."""

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Run one statement; return its rows."""
        found: list[Any] = await self.connection.fetch(sql, *arguments)
        return found

    async def take_turn(self, lock: int) -> None:
        """Wait until nobody else holds an advisory lock, and hold it until the end of the transaction.

        It is a statement of its own, so that the next ones see what the holder before us has committed.
        """
        await self.fetch("SELECT pg_advisory_xact_lock($1)", lock)

    async def number_batches(self, wanted: Iterable[tuple[int, str]]) -> dict[str, int]:
        """Return the numbers of batches, each asked for by a write (its number, the batch's id).

        Raises Refused: LostBatch for one that is not ours, ValueError for one that does not exist.
        """
        wanted = list(wanted)
        unknown = {batch_id for _, batch_id in wanted if self._number(batch_id) is None}
        if unknown:
            await self._look_up(wanted, unknown)
        return {batch_id: self._number(batch_id) or 0 for _, batch_id in wanted}

    def _number(self, batch_id: str) -> int | None:
        return self.held.get(batch_id) or self.opened.get(batch_id) or self._looked_up.get(batch_id)

    async def _look_up(self, wanted: Iterable[tuple[int, str]], unknown: set[str]) -> None:
        found = await self.fetch("SELECT id, number, owner FROM batch WHERE id = ANY($1::text[])", list(unknown))
        owners = {batch_id for batch_id, *_ in found}
        self._looked_up |= {batch_id: number for batch_id, number, owner in found if owner == self.replica}
        errors = {
            write: (LostBatch(batch_id) if batch_id in owners else _no_batch(batch_id))
            for write, batch_id in wanted
            if batch_id in unknown and batch_id not in self._looked_up
        }
        if errors:
            raise Refused(errors)


async def apply_singly(
    wave: Sequence[Placed], apply: Callable[[Any], Awaitable[None]], *faults: type[Exception]
) -> None:
    """Apply changes one by one; raises Refused for those that end with one of these faults."""
    errors: dict[int, Exception] = {}
    for write, change in wave:
        try:
            await apply(change)
        except faults as fault:
            errors[write] = fault
    if errors:
        raise Refused(errors)


def _no_batch(batch_id: str) -> ValueError:
    return ValueError(f"batch {batch_id} is not in the journal")


def columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into columns, as unnest takes them."""
    return [list(column) for column in zip(*rows, strict=True)]


def clean(text: str) -> str:
    """Return text as PostgreSQL can hold it: a NUL, which no honest ERP sends, is shown by its symbol."""
    return text.replace("\0", "\u2400")


def slices(things: Sequence[T], size: int = ROWS_PER_STATEMENT) -> Iterable[Sequence[T]]:
    """Cut a long list into parts."""
    return (things[start : start + size] for start in range(0, len(things), size))
