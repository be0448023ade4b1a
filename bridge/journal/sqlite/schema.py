"""Which versions of the journal this bridge can open, and how it brings an older one up to date."""

from __future__ import annotations

import sqlite3

from bridge.errors import JournalTooNew, OperatorError
from bridge.journal.sqlite import tables

APPLICATION_ID = 0x41434272
"""Marks the file as ours ("ACBr"), so that another program's database is never migrated by mistake."""

ENTRIES_PER_BATCH = 1 << 32
"""`item.entry` is batch * this + position: a batch's items lie together, and retention takes them by range."""

MIGRATIONS: tuple[str, ...] = (tables.V1, tables.V2, tables.V3, tables.V4, tables.V5)
"""Script n brings a journal from version n to n + 1. Never edit one that was released; append."""


def upgrade(connection: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring a journal to the newest version, each step in a transaction of its own."""
    version = read_version(connection, newest=len(migrations))
    for number, script in enumerate(migrations[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in script.split(";"):  # executescript would commit first; our scripts hold no other ";"
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def read_version(connection: sqlite3.Connection, *, newest: int = len(MIGRATIONS)) -> int:
    """Return the journal's version, 0 for an empty file; raise when it is too new or not a journal at all."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]
    if application != APPLICATION_ID and not is_empty:
        raise OperatorError(
            f"{_file_of(connection)} is a database of another program: point storage.url at a file of its own"
        )
    if version > newest:
        raise JournalTooNew(
            f"the journal {_file_of(connection)} has version {version}, this bridge knows up to {newest}: "
            "start the bridge that wrote it, or restore a backup"
        )
    return version


def require_current(connection: sqlite3.Connection) -> None:
    """Refuse to read a journal that only a starting bridge may create or migrate."""
    version = read_version(connection)
    if version == 0:
        raise OperatorError(f"{_file_of(connection)} is not a journal yet: start the bridge once")
    if version < len(MIGRATIONS):
        raise OperatorError(
            f"the journal {_file_of(connection)} has version {version}, this command reads {len(MIGRATIONS)}: "
            "start the bridge once, it upgrades the journal"
        )


def _file_of(connection: sqlite3.Connection) -> str:
    file: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return file
