"""The tables in the database, as numbered forward migrations; the same rows as in SQLite.

`replica` holds one line for every life of a bridge process. Its row lock is the fence: every transaction of a replica
updates its line, and whoever takes over must lock that line first, so that nothing of the dead comes after.

Never edit a migration that was released; append.
"""

from __future__ import annotations

V1 = """
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

V2 = """
CREATE TABLE taken (
    batch bigint NOT NULL,
    organization text NOT NULL,
    row_count bigint NOT NULL,
    addresses text NOT NULL,
    PRIMARY KEY (batch, organization)
);
UPDATE batch SET kept = true WHERE NOT kept;
"""  # the last: what retention erased before now, it erases once more, because it has learnt to erase messages

V3 = """
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

V4 = """
CREATE INDEX batch_received ON batch (received_at, number);
CREATE TABLE switch (
    number bigint PRIMARY KEY,
    organization text NOT NULL,
    mode text NOT NULL,
    other text,
    percent double precision NOT NULL,
    recording boolean NOT NULL,
    at double precision NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX switch_organization ON switch (organization, number);
CREATE TABLE passed (
    sender text NOT NULL,
    identity text NOT NULL,
    passed_at double precision NOT NULL,
    PRIMARY KEY (sender, identity)
);
CREATE INDEX passed_content ON passed (passed_at) WHERE identity NOT LIKE 'batchid:%';
CREATE TABLE observation (
    organization text NOT NULL,
    since double precision NOT NULL,
    topic text NOT NULL,
    subject text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (organization, since, topic, subject)
) WITH (fillfactor = 50);
CREATE INDEX observation_since ON observation (since);
CREATE TABLE sample (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization text NOT NULL,
    path text NOT NULL,
    kind text NOT NULL,
    at double precision NOT NULL,
    sender text NOT NULL,
    objectname text,
    objectindex integer,
    legacy text NOT NULL,
    bridge text NOT NULL
);
CREATE INDEX sample_difference ON sample (organization, path, kind);
CREATE INDEX sample_at ON sample (at);
CREATE TABLE handed_over (
    batch bigint NOT NULL,
    objectname text NOT NULL,
    objectindex integer NOT NULL,
    export text NOT NULL,
    organization text NOT NULL,
    actor text NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (batch, objectname, objectindex)
);
CREATE INDEX handed_over_organization ON handed_over (organization);
"""
