"""Builders for records, and a journal in each store: a real file, and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bridge.batch import Address, CallState, Verdict
from bridge.journal import BatchRecord, CallRecord, OpenBatch, PlanCall, RowRecord
from bridge.journal.postgres import PostgresJournal, open_postgres_journal
from bridge.journal.sqlite import SqliteJournal, open_sqlite_journal

Store = SqliteJournal | PostgresJournal


class Make:
    """Records with as little said as a test needs."""

    organization = "3fa85f64-5717-4562-b3fc-2c963f66afa6"

    def batch(self, name: str = "b1", rows: int = 1, **values: Any) -> BatchRecord:
        record = BatchRecord(
            id=name,
            sender="ERP-1",
            profile="autocollect",
            batchid=name.upper(),
            identity=f"batchid:{name}",
            content="c0ffee",
            received_at=1000.0,
            offline=False,
            row_count=rows,
            payload=b'{"invoice": []}',
        )
        return replace(record, **values)

    def row(self, index: int = 0, objectname: str = "invoice", **values: Any) -> RowRecord:
        record = RowRecord(
            address=Address(objectname, index),
            verdict=Verdict.PENDING,
            ledgerref=f"ref-{index}",
            organization=self.organization,
            operation="invoices",
            unique_id=f"unique-{index}",
            item=b'{"amount": 1250.00}',
            reference=b"{}",
        )
        return replace(record, **values)

    def opening(self, name: str = "b1", rows: int = 1, **values: Any) -> OpenBatch:
        return OpenBatch(self.batch(name, rows, **values), [self.row(index) for index in range(rows)])

    def planning(self, call: str = "c1", batch: str = "b1", rows: tuple[int, ...] = (0,), **values: Any) -> PlanCall:
        record = CallRecord(
            id=call,
            batch_id=batch,
            organization=self.organization,
            operation="invoices",
            path=f"/orgs/{self.organization}/invoices",
            rows=tuple(Address("invoice", index) for index in rows),
            state=CallState.PLANNED,
            planned_at=1001.0,
        )
        return PlanCall(replace(record, **values))


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "bridge.db"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    """Each store in turn: what a test says of the journal holds for all."""
    name: str = request.param
    return name


@pytest.fixture
def storage_url(store: str, request: pytest.FixtureRequest) -> str:
    """The address of a journal that is not there yet."""
    url: str = (
        f"sqlite:///{request.getfixturevalue('path')}" if store == "sqlite" else request.getfixturevalue("postgres_url")
    )
    return url


@pytest.fixture
def open_store(storage_url: str) -> Callable[[], Awaitable[Store]]:
    """Open the journal, again if need be."""

    async def opening() -> Store:
        if storage_url.startswith("sqlite"):
            return open_sqlite_journal(Path(storage_url.removeprefix("sqlite:///")))
        return await open_postgres_journal(storage_url)

    return opening


@pytest.fixture
async def journal(open_store: Callable[[], Awaitable[Store]]) -> AsyncIterator[Store]:
    opened = await open_store()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_journal(path: Path) -> AsyncIterator[SqliteJournal]:
    opened = open_sqlite_journal(path)
    yield opened
    await opened.close()


@pytest.fixture
def tamper(store: str, storage_url: str) -> Callable[[str], Awaitable[None]]:
    """Change what is stored behind the journal's back."""

    async def change(statement: str) -> None:
        if store == "postgres":
            connection = await asyncpg.connect(storage_url, server_settings={"search_path": "bridge"})
            await connection.execute(statement)
            await connection.close()
            return
        with contextlib.closing(sqlite3.connect(storage_url.removeprefix("sqlite:///"), timeout=10)) as file:
            file.executescript(statement)

    return change


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until a condition holds, or fail."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)

    return wait
