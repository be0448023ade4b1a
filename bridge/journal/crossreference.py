"""The cross-reference: which legacy names belong to which modern claim.

Two records speak of one claim when they share, within an organization, the invoiceId; or the unique id, unless their
invoiceIds differ. A shared invoice number is not enough: two creditors of one organization may both have an invoice
1001, and a wrongly joined claim would withdraw the wrong case. Such records stay apart, and a reader sees both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from bridge.journal import Claim
from bridge.journal.bulk import execute_many, query_many

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

_FIND = {
    kind: f"{_BY_COLUMN.format(column=column)} ORDER BY number"
    for kind, column in {
        "invoiceId": "invoice_id",
        "invoiceNumber": "invoice_number",
        "uniqueSourceInvoiceId": "unique_source_invoice_id",
        "caseNumber": "case_number",
    }.items()
} | {
    "ledgerref": f"{_BY_COLUMN.format(column='ledgerref')}"
    f" UNION {_BY_COLUMN.format(column='unique_source_invoice_id')} AND ledgerref = ''"
    f" UNION {_BY_COLUMN.format(column='invoice_number')} AND ledgerref = ''"
}


def learn_claims(connection: sqlite3.Connection, claims: Sequence[Claim]) -> None:
    """Add claims, or complete those that are known; an empty value never replaces a known one."""
    for distinct in _split_at_repetitions(claims):
        new: list[Claim] = []
        for index, *numbers in list(query_many(connection, _KNOWN, list(enumerate(distinct)), _bind_keys)):
            known = list(dict.fromkeys(number for number in numbers if number is not None))
            if known:
                _complete(connection, distinct[index], known)
            else:
                new.append(distinct[index])
        execute_many(connection, f"INSERT INTO claim ({_COLUMNS}) {{values}}", new, _bind)


def _complete(connection: sqlite3.Connection, claim: Claim, numbers: list[int]) -> None:
    """Fold what was known under the invoiceId and under the unique id, two records or one, into the first."""
    values = _bind(claim)
    for number in numbers:
        older = connection.execute(f"DELETE FROM claim WHERE number = ? RETURNING {_COLUMNS}", (number,)).fetchone()  # noqa: S608 - constants
        values = tuple(old if new in {"", -1} else new for new, old in zip(values, older, strict=True))
    connection.execute(
        f"INSERT INTO claim (number, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
        (numbers[0], *values),
    )


def find_claims(connection: sqlite3.Connection, organization: str, kind: str, value: str) -> list[Claim]:
    """Return the claims of an organization that go by this name."""
    if kind not in _FIND:
        raise ValueError(f"claims are found by {', '.join(_FIND)}; not by {kind}")
    return [Claim(*found) for found in connection.execute(_FIND[kind], (value, organization))]


def _bind(claim: Claim) -> tuple[Any, ...]:
    return (
        *(claim.organization, claim.invoice_id, claim.invoice_number, claim.unique_source_invoice_id),
        *(claim.ledgerref, claim.case_number, claim.case_id, claim.batch_id, claim.objectindex),
    )


def _bind_keys(placed: tuple[int, Claim]) -> tuple[Any, ...]:
    index, claim = placed
    return index, claim.organization, claim.invoice_id, claim.unique_source_invoice_id


def _split_at_repetitions(claims: Sequence[Claim]) -> list[list[Claim]]:
    """Cut the list so that no part names one claim twice: within a part, look-ups do not see its own inserts."""
    parts: list[list[Claim]] = [[]]
    seen: set[tuple[str, str, str]] = set()
    for claim in claims:
        keys = {
            (claim.organization, kind, value)
            for kind, value in (("id", claim.invoice_id), ("unique", claim.unique_source_invoice_id))
            if value
        }
        if keys & seen:
            parts.append([])
            seen = set()
        seen |= keys
        parts[-1].append(claim)
    return parts
