"""The connections that read: a few, opened when needed, and one question for all who ask about identities at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Concatenate, Generic, ParamSpec, TypeAlias, TypeVar

from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.failures import FOREIGN, Failure, classify, translate
from bridge.journal.postgres.session import clean

P = ParamSpec("P")
T = TypeVar("T")

Question: TypeAlias = Callable[[Connection, Sequence[tuple[str, str]]], Awaitable[Mapping[tuple[str, str], T]]]
"""Returns what is known of identities (sender, identity), as far as anything is."""

MAX_READERS = 4


class Readers:
    """Lends connections; a question that meets a broken one is asked once more on a new one."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._idle: list[Connection] = []
        self._places = asyncio.Semaphore(MAX_READERS)

    async def ask(
        self, question: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return the answer to a question that changes nothing; raises CannotTakeNow while the server is away."""
        try:
            try:
                return await self._ask_once(question, *args, **kwargs)
            except FOREIGN as error:
                if classify(error) is not Failure.CONNECTION:
                    raise
            return await self._ask_once(question, *args, **kwargs)
        except FOREIGN as error:
            raise translate(error) from None  # the server's own words may quote what is stored

    async def _ask_once(
        self, question: Callable[Concatenate[Connection, P], Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        async with self._borrow() as connection:
            return await question(connection, *args, **kwargs)

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator[Connection]:
        async with self._places:
            connection = await self._take()
            try:
                yield connection
            except BaseException:
                connection.terminate()  # whatever state it is in, it is not worth finding out
                raise
            self._idle.append(connection)

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self._connect()

    async def close(self) -> None:
        """Hang up."""
        while self._idle:
            self._idle.pop().terminate()


class Finder(Generic[T]):
    """Answers what is known of an identity: whoever asks while a question is out shares the next one."""

    def __init__(self, readers: Readers, question: Question[T]) -> None:
        self._readers = readers
        self._question = question
        self._asked: list[tuple[tuple[str, str], asyncio.Future[T | None]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def find(self, sender: str, identity: str) -> T | None:
        """Return what is known of this identity."""
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._asked.append(((sender, identity), future))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await future

    async def _ask(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                found = await self._readers.ask(self._question, list({key for key, _ in asked}))
            except Exception as error:  # noqa: BLE001 - it is the answer of all who asked
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (sender, identity), future in asked:
                if not future.done():
                    future.set_result(found.get((sender, clean(identity))))
