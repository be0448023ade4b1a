"""The cross-reference in PostgreSQL; what makes two records one claim is told in `bridge.journal.claims`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from bridge.journal.claims import KINDS, bind_claim, merge_claims, split_at_repetitions
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed
from bridge.journal.records import Claim

BUCKETS = 256
"""Replicas that learn of claims in one bucket take turns, or both would insert what is one claim."""
BUCKET_CLASS = 0x41434243

_COLUMNS = (
    "organization, invoice_id, invoice_number, unique_source_invoice_id, ledgerref, case_number, case_id,"
    " batch_id, objectindex"
)

_LOCK = "SELECT pg_advisory_xact_lock($1, bucket) FROM unnest($2::int[]) AS bucket"

_KNOWN = """
SELECT new.place,
    (SELECT MIN(number) FROM claim WHERE new.invoice_id <> '' AND invoice_id = new.invoice_id AND invoice_id <> ''
        AND organization = new.organization),
    (SELECT MIN(number) FROM claim WHERE new.unique_id <> '' AND unique_source_invoice_id = new.unique_id
        AND unique_source_invoice_id <> '' AND organization = new.organization
        AND (invoice_id = '' OR new.invoice_id = '' OR invoice_id = new.invoice_id))
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS new(place, organization, invoice_id, unique_id)
"""

_INSERT = f"""
INSERT INTO claim ({_COLUMNS}) SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
    $6::text[], $7::text[], $8::text[], $9::int[])
"""  # noqa: S608 - constants

_TAKE = f"DELETE FROM claim WHERE number = ANY($1::bigint[]) RETURNING number, {_COLUMNS}"  # noqa: S608 - constants

_RESTORE = f"""
INSERT INTO claim (number, {_COLUMNS}) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""  # noqa: S608 - constants

_BY_COLUMN = f"SELECT number, {_COLUMNS} FROM claim WHERE {{column}} = $1 AND {{column}} <> '' AND organization = $2"  # noqa: S608 - constants

_FIND = {kind: f"{_BY_COLUMN.format(column=column)} ORDER BY number" for kind, column in KINDS.items()} | {
    "ledgerref": f"{_BY_COLUMN.format(column='ledgerref')}"
    f" UNION {_BY_COLUMN.format(column='unique_source_invoice_id')} AND ledgerref = ''"
    f" UNION {_BY_COLUMN.format(column='invoice_number')} AND ledgerref = '' ORDER BY 1"
}


async def learn_claims(session: Session, wave: Sequence[Placed]) -> None:
    """Add claims, or complete those that are known; an empty value never replaces a known one."""
    claims = [claim for _, change in wave for claim in change.claims]
    if not claims:
        return
    buckets = sorted({bucket for claim in claims for bucket in _buckets(claim)})
    await session.fetch(_LOCK, BUCKET_CLASS, buckets)
    for distinct in split_at_repetitions(claims):
        for part in slices(distinct):
            await _learn_distinct(session, part)


async def _learn_distinct(session: Session, claims: Sequence[Claim]) -> None:
    keys = [
        (place, claim.organization, clean(claim.invoice_id), clean(claim.unique_source_invoice_id))
        for place, claim in enumerate(claims)
    ]
    new: list[tuple[Any, ...]] = []
    for place, *numbers in await session.fetch(_KNOWN, *columns(keys)):
        known = list(dict.fromkeys(number for number in numbers if number is not None))
        if known:
            await _complete(session, claims[place], known)
        else:
            new.append(_bind(claims[place]))
    if new:
        await session.fetch(_INSERT, *columns(new))


async def _complete(session: Session, claim: Claim, numbers: Sequence[int]) -> None:
    """Fold what was known under the invoiceId and under the unique id, two records or one, into the first."""
    older = {number: rest for number, *rest in await session.fetch(_TAKE, numbers)}
    values = _bind(claim)
    for number in numbers:
        values = merge_claims(values, older[number])
    await session.fetch(_RESTORE, numbers[0], *values)


async def find_claims(connection: Connection, organization: str, kind: str, value: str) -> list[Claim]:
    """Return the claims of an organization that go by this name."""
    if kind not in _FIND:
        raise ValueError(f"claims are found by {', '.join(_FIND)}; not by {kind}")
    return [Claim(*rest) for _, *rest in await connection.fetch(_FIND[kind], clean(value), organization)]


def _bind(claim: Claim) -> tuple[Any, ...]:
    return tuple(clean(value) if isinstance(value, str) else value for value in bind_claim(claim))


def _buckets(claim: Claim) -> list[int]:
    """Return the buckets of both names that make records one claim."""
    names = (("id", claim.invoice_id), ("unique", claim.unique_source_invoice_id))
    keys = (f"{claim.organization}\0{kind}\0{value}" for kind, value in names if value)
    return [hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=2).digest()[0] % BUCKETS for key in keys]
