"""The tables, as numbered forward migrations, and which versions this bridge can open.

Everything hangs under its batch: rows, calls and attempts are keyed by (batch, …) in tables WITHOUT ROWID, so that one
batch's life touches neighbouring pages, a load is four range scans, and no secondary index is paid for. What may hold
personal data lies in `payload` and `item`, and in messages of rows that were sent: retention erases there, and the
books stay whole.
"""

from __future__ import annotations

import sqlite3

from bridge.errors import JournalTooNew, OperatorError

APPLICATION_ID = 0x41434272
"""Marks the file as ours ("ACBr"), so that another program's database is never migrated by mistake."""

ENTRIES_PER_BATCH = 1 << 32
"""`item.entry` is batch * this + position: a batch's items lie together, and retention takes them by range."""

_V1 = """
CREATE TABLE batch (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    sender TEXT NOT NULL,
    identity TEXT NOT NULL,
    profile TEXT NOT NULL,
    batchid TEXT NOT NULL,
    content TEXT NOT NULL,
    received_at REAL NOT NULL,
    offline INTEGER NOT NULL,
    row_count INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    finished_at REAL,
    kept INTEGER NOT NULL DEFAULT 1,
    reply BLOB,
    UNIQUE (sender, identity)
) STRICT;
CREATE INDEX batch_kept ON batch (finished_at) WHERE kept = 1;
CREATE TABLE payload (
    batch INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE row (
    batch INTEGER NOT NULL,
    objectname TEXT NOT NULL,
    objectindex INTEGER NOT NULL,
    position INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    message TEXT NOT NULL,
    ledgerref TEXT NOT NULL,
    organization TEXT NOT NULL,
    operation TEXT NOT NULL,
    unique_id TEXT NOT NULL,
    call INTEGER,
    PRIMARY KEY (batch, objectname, objectindex)
) STRICT, WITHOUT ROWID;
CREATE TABLE item (
    entry INTEGER PRIMARY KEY,
    body BLOB,
    reference BLOB
) STRICT;
CREATE TABLE call (
    batch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    organization TEXT NOT NULL,
    operation TEXT NOT NULL,
    path TEXT NOT NULL,
    addresses TEXT NOT NULL,
    state TEXT NOT NULL,
    modern_batch TEXT NOT NULL,
    planned_at REAL NOT NULL,
    submitted_at REAL,
    why TEXT NOT NULL,
    PRIMARY KEY (batch, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE attempt (
    batch INTEGER NOT NULL,
    call INTEGER NOT NULL,
    step INTEGER NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (batch, call, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE claim (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    invoice_id TEXT NOT NULL,
    invoice_number TEXT NOT NULL,
    unique_source_invoice_id TEXT NOT NULL,
    ledgerref TEXT NOT NULL,
    case_number TEXT NOT NULL,
    case_id TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    objectindex INTEGER NOT NULL
) STRICT;
CREATE INDEX claim_invoice_id ON claim (invoice_id, organization) WHERE invoice_id <> '';
CREATE INDEX claim_invoice_number ON claim (invoice_number, organization) WHERE invoice_number <> '';
CREATE INDEX claim_unique_id ON claim (unique_source_invoice_id, organization) WHERE unique_source_invoice_id <> '';
CREATE INDEX claim_ledgerref ON claim (ledgerref, organization) WHERE ledgerref <> '';
CREATE INDEX claim_case_number ON claim (case_number, organization) WHERE case_number <> '';
CREATE TABLE unknown_field (
    sender TEXT NOT NULL,
    objectname TEXT NOT NULL,
    field TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_seen REAL NOT NULL,
    PRIMARY KEY (sender, objectname, field)
) STRICT, WITHOUT ROWID;
CREATE TABLE creditor (
    sender TEXT NOT NULL,
    idnumber TEXT NOT NULL,
    known INTEGER NOT NULL,
    fields TEXT NOT NULL,
    first_seen REAL NOT NULL,
    last_seen REAL NOT NULL,
    PRIMARY KEY (sender, idnumber)
) STRICT, WITHOUT ROWID;
"""

_V2 = """
CREATE TABLE hook (
    key TEXT NOT NULL PRIMARY KEY,
    modern_batch TEXT NOT NULL,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_at ON hook (at);
CREATE TABLE operator_order (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    batch INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    settlement TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    fulfilled_at REAL,
    result TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX operator_order_batch ON operator_order (batch);
CREATE INDEX operator_order_pending ON operator_order (number) WHERE fulfilled_at IS NULL;
"""

_V3 = """
CREATE TABLE taken (
    batch INTEGER NOT NULL,
    organization TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    PRIMARY KEY (batch, organization)
) STRICT, WITHOUT ROWID;
UPDATE batch SET kept = 1 WHERE kept = 0;
"""  # the last: what retention erased before now, it erases once more, because it has learnt to erase messages

_V4 = """
ALTER TABLE claim ADD COLUMN modern_batch TEXT NOT NULL DEFAULT '';
CREATE INDEX claim_case_id ON claim (case_id, organization) WHERE case_id <> '';
CREATE INDEX claim_modern_batch ON claim (modern_batch) WHERE modern_batch <> '';
CREATE INDEX claim_nameless ON claim (invoice_number, ledgerref, organization)
    WHERE invoice_id = '' AND unique_source_invoice_id = '';
CREATE INDEX batch_label ON batch (batchid, sender) WHERE batchid <> '';
CREATE TABLE case_event (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    case_id TEXT NOT NULL,
    case_number TEXT NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    fields TEXT NOT NULL
) STRICT;
CREATE INDEX case_event_case ON case_event (case_id, organization);
CREATE TABLE settlement (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    settlement_id TEXT NOT NULL,
    settled_on TEXT NOT NULL,
    UNIQUE (organization, settlement_id)
) STRICT;
CREATE INDEX settlement_organization ON settlement (organization, number);
CREATE TABLE rebuild (
    organization TEXT NOT NULL PRIMARY KEY,
    started_at REAL NOT NULL,
    page_token TEXT NOT NULL,
    claims INTEGER NOT NULL,
    finished_at REAL
) STRICT, WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4)
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
