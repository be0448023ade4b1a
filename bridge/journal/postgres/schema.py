"""The tables, as numbered forward migrations, in a schema of their own; the same rows as in SQLite.

`replica` holds one line for every life of a bridge process. Its row lock is the fence: every transaction of a replica
updates its line, and whoever takes over must lock that line first, so that nothing of the dead comes after.
"""

from __future__ import annotations

from bridge.errors import JournalTooNew, OperatorError
from bridge.journal.postgres.connections import SCHEMA, Connection

MIGRATION_LOCK = 0x41434272
"""The advisory lock that lets one of several starting replicas migrate."""

_V1 = """
CREATE TABLE replica (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    written bigint NOT NULL DEFAULT 0,
    buried_at timestamptz
) WITH (fillfactor = 20);
CREATE TABLE batch (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    sender text NOT NULL,
    identity text NOT NULL,
    profile text NOT NULL,
    batchid text NOT NULL,
    content text NOT NULL,
    received_at double precision NOT NULL,
    offline boolean NOT NULL,
    row_count bigint NOT NULL,
    addresses text NOT NULL,
    finished_at double precision,
    kept boolean NOT NULL DEFAULT true,
    reply bytea,
    owner bigint,
    UNIQUE (sender, identity)
);
CREATE INDEX batch_open ON batch (owner, received_at, number) WHERE finished_at IS NULL;
CREATE INDEX batch_kept ON batch (finished_at) WHERE kept AND finished_at IS NOT NULL;
CREATE TABLE payload (
    batch bigint PRIMARY KEY,
    body bytea NOT NULL
);
CREATE TABLE row (
    batch bigint NOT NULL,
    objectname text NOT NULL,
    objectindex integer NOT NULL,
    position integer NOT NULL,
    verdict text NOT NULL,
    message text NOT NULL,
    ledgerref text NOT NULL,
    organization text NOT NULL,
    operation text NOT NULL,
    unique_id text NOT NULL,
    call integer,
    PRIMARY KEY (batch, objectname, objectindex)
) WITH (fillfactor = 60);
CREATE TABLE item (
    batch bigint NOT NULL,
    position integer NOT NULL,
    body bytea,
    reference bytea,
    PRIMARY KEY (batch, position)
);
CREATE TABLE call (
    batch bigint NOT NULL,
    position integer NOT NULL,
    id text NOT NULL UNIQUE,
    organization text NOT NULL,
    operation text NOT NULL,
    path text NOT NULL,
    addresses text NOT NULL,
    state text NOT NULL,
    modern_batch text NOT NULL,
    planned_at double precision NOT NULL,
    submitted_at double precision,
    why text NOT NULL,
    PRIMARY KEY (batch, position)
) WITH (fillfactor = 50);
CREATE TABLE attempt (
    batch bigint NOT NULL,
    call integer NOT NULL,
    step integer NOT NULL,
    at double precision NOT NULL,
    state text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (batch, call, step)
);
CREATE TABLE claim (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text NOT NULL,
    invoice_id text NOT NULL,
    invoice_number text NOT NULL,
    unique_source_invoice_id text NOT NULL,
    ledgerref text NOT NULL,
    case_number text NOT NULL,
    case_id text NOT NULL,
    batch_id text NOT NULL,
    objectindex integer NOT NULL
);
CREATE INDEX claim_invoice_id ON claim (invoice_id, organization) WHERE invoice_id <> '';
CREATE INDEX claim_invoice_number ON claim (invoice_number, organization) WHERE invoice_number <> '';
CREATE INDEX claim_unique_id ON claim (unique_source_invoice_id, organization) WHERE unique_source_invoice_id <> '';
CREATE INDEX claim_ledgerref ON claim (ledgerref, organization) WHERE ledgerref <> '';
CREATE INDEX claim_case_number ON claim (case_number, organization) WHERE case_number <> '';
CREATE TABLE unknown_field (
    sender text NOT NULL,
    objectname text NOT NULL,
    field text NOT NULL,
    count bigint NOT NULL,
    last_seen double precision NOT NULL,
    PRIMARY KEY (sender, objectname, field)
) WITH (fillfactor = 50);
CREATE TABLE creditor (
    sender text NOT NULL,
    idnumber text NOT NULL,
    known boolean NOT NULL,
    fields text NOT NULL,
    first_seen double precision NOT NULL,
    last_seen double precision NOT NULL,
    PRIMARY KEY (sender, idnumber)
) WITH (fillfactor = 50);
CREATE TABLE hook (
    key text PRIMARY KEY,
    modern_batch text NOT NULL,
    at double precision NOT NULL
);
CREATE INDEX hook_at ON hook (at);
CREATE TABLE operator_order (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    batch bigint NOT NULL,
    addresses text NOT NULL,
    settlement text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    at double precision NOT NULL,
    fulfilled_at double precision,
    result text NOT NULL DEFAULT ''
);
CREATE INDEX operator_order_batch ON operator_order (batch);
CREATE INDEX operator_order_pending ON operator_order (number) WHERE fulfilled_at IS NULL;
"""

_V2 = """
CREATE TABLE taken (
    batch bigint NOT NULL,
    organization text NOT NULL,
    row_count bigint NOT NULL,
    addresses text NOT NULL,
    PRIMARY KEY (batch, organization)
);
UPDATE batch SET kept = true WHERE NOT kept;
"""  # the last: what retention erased before now, it erases once more, because it has learnt to erase messages

_V3 = """
ALTER TABLE claim ADD COLUMN modern_batch text NOT NULL DEFAULT '';
CREATE INDEX claim_case_id ON claim (case_id, organization) WHERE case_id <> '';
CREATE INDEX claim_modern_batch ON claim (modern_batch) WHERE modern_batch <> '';
CREATE INDEX claim_nameless ON claim (invoice_number, ledgerref, organization)
    WHERE invoice_id = '' AND unique_source_invoice_id = '';
CREATE INDEX batch_label ON batch (batchid, sender, number) WHERE batchid <> '';
CREATE TABLE case_event (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text NOT NULL,
    case_id text NOT NULL,
    case_number text NOT NULL,
    at double precision NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    fields text NOT NULL
);
CREATE INDEX case_event_case ON case_event (case_id, organization);
CREATE TABLE settlement (
    number bigint PRIMARY KEY,
    organization text NOT NULL,
    settlement_id text NOT NULL,
    settled_on text NOT NULL,
    UNIQUE (organization, settlement_id)
);
CREATE INDEX settlement_organization ON settlement (organization, number);
CREATE TABLE rebuild (
    organization text PRIMARY KEY,
    started_at double precision NOT NULL,
    page_token text NOT NULL,
    claims bigint NOT NULL,
    finished_at double precision
);
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3)
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
