"""The cross-reference in SQLite; what makes two records one claim is told in `bridge.journal.claims`."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from bridge.journal.claims import KINDS, bind_claim, merge_claims, split_at_repetitions
from bridge.journal.records import Claim
from bridge.journal.sqlite.bulk import execute_many, query_many

_COLUMNS = (
    "organization, invoice_id, invoice_number, unique_source_invoice_id, ledgerref, case_number, case_id,"
    " batch_id, objectindex"
)

_KNOWN = """
SELECT new.column1,
    (SELECT MIN(number) FROM claim WHERE new.column3 <> '' AND invoice_id = new.column3 AND invoice_id <> ''
        AND organization = new.column2),
    (SELECT MIN(number) FROM claim WHERE new.column4 <> '' AND unique_source_invoice_id = new.column4
        AND unique_source_invoice_id <> '' AND organization = new.column2
        AND ('' IN (invoice_id, new.column3) OR invoice_id = new.column3))
FROM ({values}) AS new
"""  # "<> ''" is what lets SQLite use the partial indices

_BY_COLUMN = f"SELECT {_COLUMNS} FROM claim WHERE {{column}} = ?1 AND {{column}} <> '' AND organization = ?2"  # noqa: S608 - constants

_FIND = {kind: f"{_BY_COLUMN.format(column=column)} ORDER BY number" for kind, column in KINDS.items()} | {
    "ledgerref": f"{_BY_COLUMN.format(column='ledgerref')}"
    f" UNION {_BY_COLUMN.format(column='unique_source_invoice_id')} AND ledgerref = ''"
    f" UNION {_BY_COLUMN.format(column='invoice_number')} AND ledgerref = ''"
}


def learn_claims(connection: sqlite3.Connection, claims: Sequence[Claim]) -> None:
    """Add claims, or complete those that are known; an empty value never replaces a known one."""
    for distinct in split_at_repetitions(claims):
        new: list[Claim] = []
        for index, *numbers in list(query_many(connection, _KNOWN, list(enumerate(distinct)), _bind_keys)):
            known = list(dict.fromkeys(number for number in numbers if number is not None))
            if known:
                _complete(connection, distinct[index], known)
            else:
                new.append(distinct[index])
        execute_many(connection, f"INSERT INTO claim ({_COLUMNS}) {{values}}", new, bind_claim)


def _complete(connection: sqlite3.Connection, claim: Claim, numbers: list[int]) -> None:
    """Fold what was known under the invoiceId and under the unique id, two records or one, into the first."""
    values = bind_claim(claim)
    for number in numbers:
        older = connection.execute(f"DELETE FROM claim WHERE number = ? RETURNING {_COLUMNS}", (number,)).fetchone()  # noqa: S608 - constants
        values = merge_claims(values, older)
    connection.execute(
        f"INSERT INTO claim (number, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
        (numbers[0], *values),
    )


def find_claims(connection: sqlite3.Connection, organization: str, kind: str, value: str) -> list[Claim]:
    """Return the claims of an organization that go by this name."""
    if kind not in _FIND:
        raise ValueError(f"claims are found by {', '.join(_FIND)}; not by {kind}")
    return [Claim(*found) for found in connection.execute(_FIND[kind], (value, organization))]


def _bind_keys(placed: tuple[int, Claim]) -> tuple[Any, ...]:
    index, claim = placed
    return index, claim.organization, claim.invoice_id, claim.unique_source_invoice_id
