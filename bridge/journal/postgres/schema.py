"""The journal's own schema in the database: which versions this bridge can open, and how it upgrades an older one."""

from __future__ import annotations

from bridge.errors import JournalTooNew, OperatorError
from bridge.journal.postgres import tables
from bridge.journal.postgres.connections import SCHEMA, Connection

MIGRATION_LOCK = 0x41434272
"""The advisory lock that lets one of several starting replicas migrate."""

MIGRATIONS: tuple[str, ...] = (tables.V1, tables.V2, tables.V3, tables.V4)
"""Script n brings a journal from version n to n + 1. Never edit one that was released; append."""


async def upgrade(connection: Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring the journal to the newest version, in one transaction; replicas that start together take turns."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK)
        version = await read_version(connection, newest=len(migrations))
        if version is None:
            await _create_schema(connection)
        for script in migrations[version or 0 :]:
            await connection.execute(script)
        await connection.execute("UPDATE journal_version SET version = $1", len(migrations))


async def read_version(connection: Connection, *, newest: int | None = None) -> int | None:
    """Return the journal's version, None when there is no journal yet; raise when it is too new, or none of ours."""
    newest = len(MIGRATIONS) if newest is None else newest
    if await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.journal_version") is None:
        await _require_own_schema(connection)
        return None
    version: int = await connection.fetchval("SELECT version FROM journal_version")
    if version > newest:
        raise JournalTooNew(
            f"the journal in this database has version {version}, this bridge knows up to {newest}: "
            "start the bridge that wrote it, or restore a backup"
        )
    return version


async def require_current(connection: Connection) -> None:
    """Refuse to read a journal that only a starting bridge may create or migrate."""
    version = await read_version(connection)
    if version is None:
        raise OperatorError("this database holds no journal yet: check storage.url, or start the bridge once")
    if version < len(MIGRATIONS):
        raise OperatorError(
            f"the journal in this database has version {version}, this command reads {len(MIGRATIONS)}: "
            "start the bridge once, it upgrades the journal"
        )


async def _require_own_schema(connection: Connection) -> None:
    stranger = await connection.fetchval(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) LIMIT 1", SCHEMA
    )
    if stranger is not None:
        raise OperatorError(
            f"the schema {SCHEMA} in this database belongs to another program: point storage.url at another database"
        )


async def _create_schema(connection: Connection) -> None:
    # asked first, because CREATE SCHEMA IF NOT EXISTS wants the right to create even where there is nothing to create
    if await connection.fetchval("SELECT to_regnamespace($1)", SCHEMA) is None:
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute("CREATE TABLE journal_version (version integer NOT NULL)")
    await connection.execute("INSERT INTO journal_version VALUES (0)")
