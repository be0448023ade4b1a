"""Builders for records, and a journal on a real file."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.batch import Address, CallState, Verdict
from bridge.journal import BatchRecord, CallRecord, OpenBatch, PlanCall, RowRecord
from bridge.journal.sqlite import SqliteJournal, open_sqlite_journal


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


@pytest.fixture
async def journal(path: Path) -> AsyncIterator[SqliteJournal]:
    opened = open_sqlite_journal(path)
    yield opened
    await opened.close()


@pytest.fixture
def tamper(path: Path) -> Callable[[str], None]:
    """Change the file behind the journal's back."""

    def change(statement: str) -> None:
        connection = sqlite3.connect(path, isolation_level=None, timeout=10)
        try:
            connection.executescript(statement)
        finally:
            connection.close()

    return change
