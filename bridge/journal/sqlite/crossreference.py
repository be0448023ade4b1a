"""The cross-reference in SQLite; what makes two records one claim is told in `bridge.journal.claims`."""

from __future__ import annotations

import sqlite3
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
from bridge.journal.records import Claim
from bridge.journal.sqlite.bulk import execute_many, query_many

_NAMELESS = "invoice_id = '' AND unique_source_invoice_id = ''"

# "<> ''" is what lets SQLite use the partial indices
_KIN = f"""
SELECT new.column1,
    (SELECT group_concat(number) FROM claim WHERE new.column3 <> '' AND invoice_id = new.column3 AND invoice_id <> ''
        AND organization = new.column2),
    (SELECT group_concat(number) FROM (SELECT number FROM claim WHERE new.column4 <> ''
        AND unique_source_invoice_id = new.column4 AND unique_source_invoice_id <> '' AND organization = new.column2
        LIMIT {ALIKE})),
    CASE WHEN new.column3 = '' AND new.column4 <> '' THEN (SELECT group_concat(number) FROM claim
        INDEXED BY claim_unique_id WHERE unique_source_invoice_id = new.column4 AND unique_source_invoice_id <> ''
        AND organization = new.column2 AND invoice_id = '') END,
    CASE WHEN new.column7 THEN (SELECT group_concat(number) FROM claim INDEXED BY claim_nameless WHERE {_NAMELESS}
        AND invoice_number = new.column5 AND ledgerref = new.column6 AND organization = new.column2) END,
    CASE WHEN new.column5 <> '' AND (new.column7 OR EXISTS (SELECT 1 FROM claim INDEXED BY claim_nameless
            WHERE {_NAMELESS} AND invoice_number = new.column5 AND organization = new.column2))
        THEN (SELECT group_concat(number) FROM (SELECT number FROM claim INDEXED BY claim_invoice_number
            WHERE invoice_number = new.column5 AND invoice_number <> '' AND organization = new.column2
            LIMIT {ALIKE + 1})) END
FROM ({{values}}) AS new
"""  # noqa: S608 - constants

_FETCH = f"SELECT number, {COLUMNS} FROM claim WHERE number IN ({{values}})"  # noqa: S608 - constants

_BY_COLUMN = f"SELECT number, {COLUMNS} FROM claim WHERE {{column}} = ?1 AND {{column}} <> '' AND organization = ?2"  # noqa: S608 - constants

_FIND = {kind: f"{_BY_COLUMN.format(column=column)} ORDER BY number" for kind, column in KINDS.items()} | {
    "ledgerref": f"{_BY_COLUMN.format(column='ledgerref')}"
    f" UNION {_BY_COLUMN.format(column='unique_source_invoice_id')} AND ledgerref = ''"
    f" UNION {_BY_COLUMN.format(column='invoice_number')} AND ledgerref = '' ORDER BY 1"
}

_NAMES = (*KINDS.values(), "ledgerref", "case_id", "modern_batch")

_BY_BATCH = """
SELECT claim.number FROM row CROSS JOIN claim INDEXED BY claim_unique_id
    ON claim.unique_source_invoice_id = row.unique_id AND claim.unique_source_invoice_id <> ''
    AND claim.organization = row.organization
WHERE row.batch IN ({batches}) AND row.objectname = 'invoice' AND row.verdict = 'accepted' LIMIT ?2
"""

_BATCHES = (
    "SELECT number FROM batch WHERE id = ?1",
    """SELECT number FROM (SELECT number FROM batch WHERE batchid = ?1 AND batchid <> ''
        ORDER BY sender DESC, number DESC LIMIT 10)""",
)

_ANYWHERE = " UNION ".join(
    [
        *(f"SELECT * FROM (SELECT number FROM claim WHERE {name} = ?1 AND {name} <> '' LIMIT ?2)" for name in _NAMES),  # noqa: S608 - constants
        *(f"SELECT * FROM ({_BY_BATCH.format(batches=batches)})" for batches in _BATCHES),  # noqa: S608 - constants
    ]
)

_FIND_ANYWHERE = f"SELECT {COLUMNS} FROM claim WHERE number IN ({_ANYWHERE}) ORDER BY number LIMIT ?2"  # noqa: S608 - constants

_OF_INVOICES = f"""
SELECT {COLUMNS} FROM ({{values}}) AS asked JOIN claim INDEXED BY claim_invoice_id
ON claim.invoice_id = asked.column2 AND claim.invoice_id <> '' AND claim.organization = asked.column1
"""  # noqa: S608 - constants


def learn_claims(connection: sqlite3.Connection, claims: Iterable[Claim]) -> None:
    """Add claims, or complete those that are known; an empty value never replaces a known one."""
    waiting = [claim for claim in claims if names_invoice(claim)]
    size = len(waiting)
    while waiting:
        part, waiting = waiting[:size], waiting[size:]
        work = judge_round(part, _look_up(connection, part))
        size, waiting = next_size(part, work), work.later + waiting
        if work.gone:
            _replace(connection, work)
        execute_many(connection, f"INSERT INTO claim ({COLUMNS}) {{values}}", work.new, bind_claim)


def _replace(connection: sqlite3.Connection, work: Round) -> None:
    execute_many(connection, "DELETE FROM claim WHERE number IN ({values})", work.gone, lambda number: (number,))
    execute_many(
        connection,
        f"INSERT INTO claim (number, {COLUMNS}) {{values}}",
        work.kept,
        lambda known: (known[0], *bind_claim(known[1])),
    )


def _look_up(connection: sqlite3.Connection, claims: Sequence[Claim]) -> dict[int, list[Known]]:
    """Return by place the records that a claim may be one with."""
    numbers: dict[int, list[int]] = {}
    for place, *found in query_many(connection, _KIN, list(enumerate(claims)), _bind_keys):
        if joined := ",".join(part for part in found if part):
            numbers[place] = list(dict.fromkeys(map(int, joined.split(","))))
    if not numbers:
        return {}
    wanted = list({number for found in numbers.values() for number in found})
    records = {
        number: (number, Claim(*columns))
        for number, *columns in query_many(connection, _FETCH, wanted, lambda number: (number,))
    }
    return {place: [records[number] for number in found] for place, found in numbers.items()}


def _bind_keys(placed: tuple[int, Claim]) -> tuple[Any, ...]:
    place, claim = placed
    return (
        *(place, claim.organization, claim.invoice_id, claim.unique_source_invoice_id),
        *(claim.invoice_number, claim.ledgerref, is_nameless(claim)),
    )


def find_claims(connection: sqlite3.Connection, organization: str, kind: str, value: str) -> list[Claim]:
    """Return the claims of an organization that go by this name."""
    if kind not in _FIND:
        raise ValueError(f"claims are found by {', '.join(_FIND)}; not by {kind}")
    return [Claim(*columns) for _, *columns in connection.execute(_FIND[kind], (value, organization))]


def find_anywhere(connection: sqlite3.Connection, name: str, limit: int) -> list[Claim]:
    """Return the claims of any organization that go by this name, or came in this batch."""
    return [Claim(*found) for found in connection.execute(_FIND_ANYWHERE, (name, limit))] if name else []


def claims_of(connection: sqlite3.Connection, organization: str, invoice_ids: Sequence[str]) -> dict[str, Claim]:
    """Return what is known about invoices, by their modern id."""
    found = query_many(connection, _OF_INVOICES, list(set(invoice_ids)), lambda invoice_id: (organization, invoice_id))
    return {columns[1]: Claim(*columns) for columns in found}
