"""The one connection that writes, its group commit, and what it does when the server goes away.

Whatever waits when the connection is free shares one transaction. Its first statement writes the number of the
transaction into our line of `replica`: that is the fence (the line is gone from under us when we were buried), and it
is how a commit whose answer was lost is told from one that never happened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.errors import CannotTakeNow
from bridge.journal.changes import OpenBatch
from bridge.journal.postgres import replicas
from bridge.journal.postgres.applying import Undecided, apply_group
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.failures import FOREIGN, Failure, classify, translate
from bridge.journal.postgres.life import Life
from bridge.journal.postgres.session import Refused, Session
from bridge.journal.postgres.waves import Step

T = TypeVar("T")

Errand = Callable[[Session], Awaitable[Any]]

TRIES = 5
"""How often a transaction that another replica was in the way of is tried again."""
FATE_PAUSE_SECONDS = 0.1
ROWS_PER_GROUP = 2000
"""After so many rows a group is closed: small writes must not wait behind several large batches."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A write, or an errand that has a transaction to itself; and the future its caller waits for."""

    future: asyncio.Future[Any]
    changes: Sequence[Step] = ()
    errand: Errand | None = None


class _Buried(Exception):
    """Somebody took us for dead: our line is closed."""


Settled = list[tuple[Waiting, Any, Exception | None]]


class Writer:
    """Runs writes and errands, each all or nothing, many writes to a transaction."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        life: Life,
        *,
        max_waiting: int = 4096,
        max_group: int = 256,
    ) -> None:
        """Write as `life` on connections that `connect` opens, again whenever the last one broke."""
        self._connect = connect
        self._life = life
        self._max_waiting = max_waiting
        self._max_group = max_group
        self._connection: Connection | None = None
        self._queue: deque[Waiting] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False
        self._written = 0
        self.commits = 0
        """How many commits were made; with group commit fewer than writes."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def write(self, changes: Sequence[Step]) -> Any:
        """Make changes durable together; return whether its webhook was new, if there is one among them."""
        return await self._enqueue(Waiting(asyncio.get_running_loop().create_future(), changes))

    async def run(self, errand: Callable[[Session], Awaitable[T]]) -> T:
        """Run an errand in a transaction of its own; it may be run again, so it must have no effect besides its SQL."""
        result: T = await self._enqueue(Waiting(asyncio.get_running_loop().create_future(), errand=errand))
        return result

    async def _enqueue(self, waiting: Waiting) -> Any:
        if self._is_closed:
            raise CannotTakeNow("the journal is closed: send the same batch again later")
        if len(self._queue) >= self._max_waiting:
            raise CannotTakeNow(f"{self._max_waiting} writes wait for the server: send the same batch again later")
        self._queue.append(waiting)
        self._wake.set()
        return await waiting.future

    async def close(self, last: Errand) -> None:
        """Finish what is queued, run a last errand if the server is there, and hang up; safe to call twice."""
        if not self._is_closed:
            self._queue.append(Waiting(asyncio.get_running_loop().create_future(), errand=last))
            self._queue[-1].future.add_done_callback(asyncio.Future.exception)  # nobody waits for this one
        self._is_closed = True
        self._wake.set()
        await self._task
        await self._hang_up()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while group := self._take_group():
                _deliver(await self._commit(group))
            if self._is_closed:
                return

    def _take_group(self) -> list[Waiting]:
        """Take what may share a transaction: any number of small writes, or one errand."""
        group: list[Waiting] = []
        rows = 0
        while self._queue and len(group) < self._max_group and rows < ROWS_PER_GROUP:
            if self._queue[0].errand is not None:
                return group or [self._queue.popleft()]
            group.append(self._queue.popleft())
            rows += sum(len(change.rows) for change in group[-1].changes if isinstance(change, OpenBatch))
        return group

    async def _commit(self, group: list[Waiting]) -> Settled:  # noqa: PLR0911 - one return an ending
        """See a group through; every write of it gets its answer."""
        for _ in range(TRIES):
            try:
                return await self._transact(group)
            except Refused as refused:
                return await self._part(group, refused)
            except Undecided:
                return await self._halve(group)
            except _Buried:
                await self._begin_again()
            except CannotTakeNow as error:
                return [(waiting, None, error) for waiting in group]
            except Exception as error:  # noqa: BLE001 - the task must outlive whatever happens to a group
                failure = classify(error)
                await self._undo(failure)
                if failure is Failure.CHANGE and len(group) > 1:
                    return await self._halve(group)
                if failure not in {Failure.AGAIN, Failure.CONNECTION}:
                    return [(waiting, None, translate(error)) for waiting in group]
        busy = CannotTakeNow("the journal cannot be used now: the transaction failed again and again; try later")
        return [(waiting, None, busy) for waiting in group]

    async def _part(self, group: list[Waiting], refused: Refused) -> Settled:
        """Write the others first; then each of the refused by itself, for its final word."""
        await self._undo(Failure.CHANGE)
        if len(group) == 1:
            return [(group[0], None, refused.errors[0])]
        others = [waiting for place, waiting in enumerate(group) if place not in refused.errors]
        settled = await self._commit(others) if others else []
        for place in refused.errors:
            settled += await self._commit([group[place]])
        return settled

    async def _halve(self, group: list[Waiting]) -> Settled:
        await self._undo(Failure.CHANGE)
        middle = len(group) // 2
        return [*await self._commit(group[:middle]), *await self._commit(group[middle:])]

    async def _transact(self, group: list[Waiting]) -> Settled:
        connection = await self._connected()
        number = self._written + 1
        session = await self._begin(connection, number)
        results = await _work(session, group)
        try:
            status = await connection.execute("COMMIT")
        except FOREIGN as error:
            if classify(error) is not Failure.CONNECTION:
                raise
            if not await self._learn_fate(number):
                raise
        else:
            assert status == "COMMIT", status  # noqa: S101 - errors were raised, so nothing can have undone it
        self._written = number
        self.commits += 1
        self._keep_books(session)
        return [(waiting, result, None) for waiting, result in zip(group, results, strict=True)]

    async def _begin(self, connection: Connection, number: int) -> Session:
        # one round trip; two integers of ours, so nothing to quote
        status = await connection.execute(
            f"BEGIN; UPDATE replica SET written = {number:d} WHERE number = {self._life.number:d} AND buried_at IS NULL"  # noqa: S608
        )
        if status != "UPDATE 1":
            raise _Buried
        return Session(connection, self._life.number, self._life.held)

    def _keep_books(self, session: Session) -> None:
        """Remember what is ours now."""
        self._life.held.update(session.opened)
        for batch_id in session.finished:
            self._life.held.pop(batch_id, None)

    async def _connected(self) -> Connection:
        """Return a connection that may be written to, as a life that is not over; raises CannotTakeNow at once."""
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._connect()
            except FOREIGN as error:
                raise translate(error) from error
        return self._connection

    async def _learn_fate(self, number: int) -> bool:
        """Find out whether a transaction whose answer was lost is in the books, however long the server is away."""
        while True:
            await self._hang_up()
            with contextlib.suppress(CannotTakeNow, *FOREIGN):
                connection = await self._connected()
                # FOR UPDATE waits for the lost transaction itself, should the server still be at it
                written = await connection.fetchval(
                    "SELECT written FROM replica WHERE number = $1 FOR UPDATE", self._life.number
                )
                return bool(written == number)
            if self._is_closed:
                raise CannotTakeNow("the journal was closed before the server could say what became of a write")
            await asyncio.sleep(FATE_PAUSE_SECONDS)

    async def _begin_again(self) -> None:
        """Go on under a new number; what was ours is another's by now, or will be handed out anew."""
        await self._undo(Failure.CHANGE)
        with contextlib.suppress(CannotTakeNow, *FOREIGN):  # the next try finds out what is wrong
            self._life.begin_again(await replicas.register(await self._connected()))
            self._written = 0

    async def _undo(self, failure: Failure) -> None:
        connection = self._connection
        if connection is None or failure is Failure.CONNECTION:
            return await self._hang_up()
        try:
            await connection.execute("ROLLBACK")
        except FOREIGN:
            await self._hang_up()
        return None

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()  # the server undoes what was not committed


async def _work(session: Session, group: Sequence[Waiting]) -> list[Any]:
    if group[0].errand is not None:
        return [await group[0].errand(session)]
    await apply_group(session, [waiting.changes for waiting in group])
    return [session.hooks.get(place) for place in range(len(group))]


def _deliver(settled: Settled) -> None:
    for waiting, result, error in settled:
        if waiting.future.done():
            continue  # its caller was cancelled
        if error is not None:
            waiting.future.set_exception(error)
        else:
            waiting.future.set_result(result)
