"""What operators say about rows in doubt: recorded as they say it, and marked when it is done."""

from __future__ import annotations

import sqlite3

from bridge.batch import Address
from bridge.journal.addresses import render_addresses
from bridge.journal.changes import FulfilOrder, PlaceOrder
from bridge.journal.law import require_doubt
from bridge.journal.sqlite.bulk import query_many

_IN_DOUBT = """
SELECT row.objectname, row.objectindex FROM ({values}) AS named
JOIN row ON row.batch = named.column1 AND row.objectname = named.column2 AND row.objectindex = named.column3
JOIN call ON call.batch = row.batch AND call.position = row.call
WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT'
"""


def place_order(connection: sqlite3.Connection, change: PlaceOrder) -> None:
    """Record an order; one that is recorded already stays as it is, so that an unsure writer may repeat it."""
    if connection.execute("SELECT 1 FROM operator_order WHERE id = ?", (change.id,)).fetchone():
        return
    batch = connection.execute("SELECT number FROM batch WHERE id = ?", (change.batch_id,)).fetchone()
    if batch is None:
        raise ValueError(f"batch {change.batch_id} is not in the journal")
    found = query_many(connection, _IN_DOUBT, change.rows, lambda address: (*batch, *address))
    require_doubt(change, {Address(*address) for address in found})
    connection.execute(
        "INSERT INTO operator_order (id, batch, addresses, settlement, actor, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(change.id, *batch, render_addresses(change.rows), change.settlement),
            *(change.actor, change.reason, change.at),
        ),
    )


def fulfil_order(connection: sqlite3.Connection, change: FulfilOrder) -> None:
    """Note what became of an order; the first note stands."""
    known = connection.execute(
        "UPDATE operator_order SET result = CASE WHEN fulfilled_at IS NULL THEN ?2 ELSE result END,"
        " fulfilled_at = COALESCE(fulfilled_at, ?3) WHERE id = ?1",
        (change.order_id, change.result, change.at),
    )
    if not known.rowcount:
        raise ValueError(f"order {change.order_id} is not in the journal")
