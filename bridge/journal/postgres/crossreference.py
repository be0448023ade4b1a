"""The cross-reference in PostgreSQL; what makes two records one claim is told in `bridge.journal.claims`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from bridge.journal.claims import (
    ALIKE,
    COLUMNS,
    KINDS,
    Known,
    Round,
    bind_claim,
    is_nameless,
    judge_round,
    names_invoice,
    next_size,
)
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import ROWS_PER_STATEMENT, Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed
from bridge.journal.records import Claim

BUCKETS = 256
"""Replicas that learn of claims in one bucket take turns, or both would insert what is one claim."""
BUCKET_CLASS = 0x41434243

_LOCK = "SELECT pg_advisory_xact_lock($1, bucket) FROM unnest($2::int[]) AS bucket"

_NAMELESS = "invoice_id = '' AND unique_source_invoice_id = ''"

# not EXISTS, which PostgreSQL would answer by reading all nameless claims into a hash table
_KIN = f"""
SELECT new.place, kin.numbers FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::bool[]) AS new(place, organization, invoice_id, unique_id, invoice_number, ledgerref, nameless)
CROSS JOIN LATERAL (SELECT
    ARRAY(SELECT number FROM claim WHERE new.invoice_id <> '' AND invoice_id = new.invoice_id AND invoice_id <> ''
        AND organization = new.organization)
    || ARRAY(SELECT number FROM claim WHERE new.unique_id <> '' AND unique_source_invoice_id = new.unique_id
        AND unique_source_invoice_id <> '' AND organization = new.organization LIMIT {ALIKE})
    || ARRAY(SELECT number FROM claim WHERE new.invoice_id = '' AND new.unique_id <> '' AND invoice_id = ''
        AND unique_source_invoice_id = new.unique_id AND unique_source_invoice_id <> ''
        AND organization = new.organization)
    || ARRAY(SELECT number FROM claim WHERE new.nameless AND {_NAMELESS} AND invoice_number = new.invoice_number
        AND ledgerref = new.ledgerref AND organization = new.organization)
    || CASE WHEN new.invoice_number <> '' AND (new.nameless OR (SELECT 1 FROM claim WHERE {_NAMELESS}
            AND invoice_number = new.invoice_number AND organization = new.organization LIMIT 1) = 1)
        THEN ARRAY(SELECT number FROM claim WHERE invoice_number = new.invoice_number AND invoice_number <> ''
            AND organization = new.organization LIMIT {ALIKE + 1}) END AS numbers) AS kin
WHERE kin.numbers <> '{{}}'
"""  # noqa: S608 - constants

_FETCH = f"SELECT number, {COLUMNS} FROM claim WHERE number = ANY($1::bigint[])"  # noqa: S608 - constants

_TYPES = "$1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[]"

_INSERT = f"INSERT INTO claim ({COLUMNS}) SELECT * FROM unnest({_TYPES}, $10::text[])"  # noqa: S608 - constants

_FORGET = "DELETE FROM claim WHERE number = ANY($1::bigint[])"

_RESTORE = f"""
INSERT INTO claim ({COLUMNS}, number) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({_TYPES}, $10::text[], $11::bigint[])
"""  # noqa: S608 - constants

_BY_COLUMN = f"SELECT number, {COLUMNS} FROM claim WHERE {{column}} = $1 AND {{column}} <> '' AND organization = $2"  # noqa: S608 - constants

_FIND = {kind: f"{_BY_COLUMN.format(column=column)} ORDER BY number" for kind, column in KINDS.items()} | {
    "ledgerref": f"{_BY_COLUMN.format(column='ledgerref')}"
    f" UNION {_BY_COLUMN.format(column='unique_source_invoice_id')} AND ledgerref = ''"
    f" UNION {_BY_COLUMN.format(column='invoice_number')} AND ledgerref = '' ORDER BY 1"
}

_NAMES = (*KINDS.values(), "ledgerref", "case_id", "modern_batch")

_BY_BATCH = """
SELECT claim.number FROM row JOIN claim ON claim.unique_source_invoice_id = row.unique_id
    AND claim.unique_source_invoice_id <> '' AND claim.organization = row.organization
WHERE row.batch = ANY(ARRAY({batches})) AND row.objectname = 'invoice' AND row.verdict = 'accepted' LIMIT $2
"""

_BATCHES = (
    "SELECT number FROM batch WHERE id = $1",
    "SELECT number FROM batch WHERE batchid = $1 AND batchid <> '' ORDER BY sender DESC, number DESC LIMIT 10",
)

_ANYWHERE = " UNION ".join(
    [
        *(f"(SELECT number FROM claim WHERE {name} = $1 AND {name} <> '' LIMIT $2)" for name in _NAMES),  # noqa: S608 - constants
        *(f"({_BY_BATCH.format(batches=batches)})" for batches in _BATCHES),
    ]
)

_FIND_ANYWHERE = f"SELECT {COLUMNS} FROM claim WHERE number = ANY(ARRAY({_ANYWHERE})) ORDER BY number LIMIT $2"  # noqa: S608 - constants

_OF_INVOICES = f"""
SELECT {COLUMNS} FROM claim WHERE invoice_id = ANY($2::text[]) AND invoice_id <> '' AND organization = $1
"""  # noqa: S608 - constants


async def learn_claims(session: Session, wave: Sequence[Placed]) -> None:
    """Add claims, or complete those that are known; an empty value never replaces a known one."""
    claims = [_clean(claim) for _, change in wave for claim in change.claims if names_invoice(claim)]
    if not claims:
        return
    buckets = sorted({bucket for claim in claims for bucket in _buckets(claim)})
    await session.fetch(_LOCK, BUCKET_CLASS, buckets)
    size = ROWS_PER_STATEMENT
    while claims:
        part, claims = claims[:size], claims[size:]
        work = judge_round(part, await _look_up(session, part))
        size, claims = min(ROWS_PER_STATEMENT, next_size(part, work)), work.later + claims
        await _write_round(session, work)


async def _write_round(session: Session, work: Round) -> None:
    if work.gone:
        await session.fetch(_FORGET, work.gone)
        await session.fetch(_RESTORE, *columns([(*bind_claim(claim), number) for number, claim in work.kept]))
    if work.new:
        await session.fetch(_INSERT, *columns([bind_claim(claim) for claim in work.new]))


async def _look_up(session: Session, claims: Sequence[Claim]) -> dict[int, list[Known]]:
    """Return by place the records that a claim may be one with."""
    found = await session.fetch(_KIN, *columns([_bind_keys(place, claim) for place, claim in enumerate(claims)]))
    if not found:
        return {}
    numbers = list({number for _, numbers in found for number in numbers})
    records = {number: (number, Claim(*rest)) for number, *rest in await session.fetch(_FETCH, numbers)}
    return {place: [records[number] for number in dict.fromkeys(numbers)] for place, numbers in found}


def _bind_keys(place: int, claim: Claim) -> tuple[Any, ...]:
    return (
        *(place, claim.organization, claim.invoice_id, claim.unique_source_invoice_id),
        *(claim.invoice_number, claim.ledgerref, is_nameless(claim)),
    )


async def find_claims(connection: Connection, organization: str, kind: str, value: str) -> list[Claim]:
    """Return the claims of an organization that go by this name."""
    if kind not in _FIND:
        raise ValueError(f"claims are found by {', '.join(_FIND)}; not by {kind}")
    return [Claim(*rest) for _, *rest in await connection.fetch(_FIND[kind], clean(value), organization)]


async def find_anywhere(connection: Connection, name: str, limit: int) -> list[Claim]:
    """Return the claims of any organization that go by this name, or came in this batch."""
    found = await connection.fetch(_FIND_ANYWHERE, clean(name), limit) if name else []
    return [Claim(*columns) for columns in found]


async def claims_of(connection: Connection, organization: str, invoice_ids: Iterable[str]) -> dict[str, Claim]:
    """Return what is known about invoices, by their modern id."""
    known: dict[str, Claim] = {}
    for part in slices(list({clean(invoice_id) for invoice_id in invoice_ids})):
        found = await connection.fetch(_OF_INVOICES, organization, part)
        known |= {columns[1]: Claim(*columns) for columns in found}
    return known


def _clean(claim: Claim) -> Claim:
    values: list[Any] = [clean(value) if isinstance(value, str) else value for value in bind_claim(claim)]
    return Claim(*values)


def _buckets(claim: Claim) -> list[int]:
    """Return the buckets of all names that may make records one claim."""
    names = (
        ("id", claim.invoice_id),
        ("unique", claim.unique_source_invoice_id),
        ("number", claim.invoice_number or claim.ledgerref),
    )
    keys = (f"{claim.organization}\0{kind}\0{value}" for kind, value in names if value)
    return [hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=2).digest()[0] % BUCKETS for key in keys]
