"""The tables of the file, as numbered forward migrations.

Everything hangs under its batch: rows, calls and attempts are keyed by (batch, …) in tables WITHOUT ROWID, so that one
batch's life touches neighbouring pages, a load is four range scans, and no secondary index is paid for. What may hold
personal data lies in `payload` and `item`, and in messages of rows that were sent: retention erases there, and the
books stay whole.

Never edit a migration that was released; append.
"""

from __future__ import annotations

V1 = """
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

V2 = """
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

V3 = """
CREATE TABLE taken (
    batch INTEGER NOT NULL,
    organization TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    addresses TEXT NOT NULL,
    PRIMARY KEY (batch, organization)
) STRICT, WITHOUT ROWID;
UPDATE batch SET kept = 1 WHERE kept = 0;
"""  # the last: what retention erased before now, it erases once more, because it has learnt to erase messages

V4 = """
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

V5 = """
CREATE INDEX batch_received ON batch (received_at);
CREATE TABLE switch (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    mode TEXT NOT NULL,
    other TEXT,
    percent REAL NOT NULL,
    recording INTEGER NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX switch_organization ON switch (organization, number);
CREATE TABLE passed (
    sender TEXT NOT NULL,
    identity TEXT NOT NULL,
    passed_at REAL NOT NULL,
    PRIMARY KEY (sender, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX passed_content ON passed (passed_at) WHERE identity NOT GLOB 'batchid:*';
CREATE TABLE observation (
    organization TEXT NOT NULL,
    since REAL NOT NULL,
    topic TEXT NOT NULL,
    subject TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (organization, since, topic, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX observation_since ON observation (since);
CREATE TABLE sample (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    path TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    sender TEXT NOT NULL,
    objectname TEXT,
    objectindex INTEGER,
    legacy TEXT NOT NULL,
    bridge TEXT NOT NULL
) STRICT;
CREATE INDEX sample_difference ON sample (organization, path, kind);
CREATE INDEX sample_at ON sample (at);
CREATE TABLE handed_over (
    batch INTEGER NOT NULL,
    objectname TEXT NOT NULL,
    objectindex INTEGER NOT NULL,
    export TEXT NOT NULL,
    organization TEXT NOT NULL,
    actor TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (batch, objectname, objectindex)
) STRICT, WITHOUT ROWID;
CREATE INDEX handed_over_organization ON handed_over (organization);
"""
