"""The conservation proof: rows accepted = final + pending + in doubt, and the name of every row that breaks it.

`accepted` is what batches said they held when they were taken; the other three are counted from the rows as they stand,
so the equation can fail. SQLite does the counting, in one pass and bounded memory; Python sees only what is wrong.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from bridge.batch import Address
from bridge.journal import BooksFault, Ledger
from bridge.journal.addresses import read_addresses

_COUNTS = """
SELECT (SELECT COALESCE(SUM(row_count), 0) FROM batch),
    COUNT(*) FILTER (WHERE row.verdict IN ('accepted', 'refused')),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND call.state IS NOT 'IN_DOUBT'),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND call.state IS 'IN_DOUBT')
FROM row LEFT JOIN call ON row.verdict = 'pending' AND call.batch = row.batch AND call.position = row.call
"""

_IN_DOUBT = """
SELECT COALESCE(batch.id, 'number ' || row.batch), row.objectname, row.objectindex
FROM row JOIN call ON call.batch = row.batch AND call.position = row.call
LEFT JOIN batch ON batch.number = row.batch
WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT' ORDER BY row.batch, row.position
"""

_BROKEN_ROWS = """
SELECT COALESCE(batch.id, 'number ' || row.batch), row.objectname, row.objectindex, CASE
    WHEN batch.number IS NULL THEN 'its batch is not in the journal'
    WHEN row.verdict NOT IN ('accepted', 'refused', 'pending') THEN 'its verdict is none that exists'
    WHEN row.call IS NOT NULL AND call.state IS NULL THEN 'its call is not in the journal'
    WHEN row.verdict = 'pending' AND batch.finished_at IS NOT NULL THEN 'it is pending, but its batch is finished'
    WHEN row.verdict = 'pending' AND call.state IN ('DONE', 'REFUSED')
        THEN 'it is pending, but its call ' || call.id || ' is ' || call.state
    WHEN row.verdict <> 'pending' AND call.state IN ('PLANNED', 'SUBMITTING')
        THEN 'it is ' || row.verdict || ', but its call ' || call.id || ' is still ' || call.state
    WHEN row.verdict = 'accepted' AND row.operation <> '' AND row.call IS NULL
        THEN 'it is accepted, but no call ever carried it'
    END AS fault
FROM row LEFT JOIN batch ON batch.number = row.batch
LEFT JOIN call ON call.batch = row.batch AND call.position = row.call
WHERE fault IS NOT NULL ORDER BY row.batch, row.position
"""

_BROKEN_CALLS = """
SELECT COALESCE(batch.id, 'number ' || call.batch), call.addresses, 'its call ' || call.id || CASE
    WHEN batch.number IS NULL THEN ' belongs to a batch that is not in the journal'
    WHEN call.state NOT IN ('PLANNED', 'SUBMITTING', 'SUBMITTED', 'IN_DOUBT', 'DONE', 'REFUSED')
        THEN ' is in a state that does not exist'
    WHEN batch.finished_at IS NOT NULL AND call.state NOT IN ('DONE', 'REFUSED')
        THEN ' is still ' || call.state || ', but its batch is finished'
    WHEN call.state IS NOT (SELECT attempt.state FROM attempt WHERE attempt.batch = call.batch
            AND attempt.call = call.position ORDER BY attempt.step DESC LIMIT 1)
        THEN ' is ' || call.state || ', but the record of attempts ends otherwise'
    END AS fault
FROM call LEFT JOIN batch ON batch.number = call.batch
WHERE fault IS NOT NULL ORDER BY call.batch, call.position
"""

_BROKEN_BATCHES = """
SELECT id, CASE WHEN reply IS NULL THEN 'it is finished, but its answer is not stored'
    ELSE 'its answer is stored, but it is not finished' END
FROM batch WHERE (reply IS NULL) <> (finished_at IS NULL) ORDER BY number
"""

_MISCOUNTED = """
SELECT id, number, row_count, addresses FROM batch WHERE (
    SELECT COUNT(*) <> batch.row_count
        OR COALESCE(SUM(row.position), 0) <> batch.row_count * (batch.row_count - 1) / 2
    FROM row WHERE row.batch = batch.number)
ORDER BY number
"""


def prove(connection: sqlite3.Connection) -> Ledger:
    """Count every row, and name the ones that break the books; expects to run inside one read transaction."""
    accepted, final, pending, in_doubt = connection.execute(_COUNTS).fetchone()
    doubtful = tuple((batch, Address(*address)) for batch, *address in connection.execute(_IN_DOUBT))
    unaccounted: dict[tuple[str, str, int], BooksFault] = {}
    for fault in _find_faults(connection):
        unaccounted.setdefault((fault.batch, fault.objectname, fault.objectindex), fault)
    return Ledger(accepted, final, pending, in_doubt, doubtful, tuple(unaccounted.values()))


def _find_faults(connection: sqlite3.Connection) -> Iterator[BooksFault]:
    for batch, number, row_count, addresses in connection.execute(_MISCOUNTED):
        yield from _compare_rows(connection, batch, number, row_count, addresses)
    for broken in connection.execute(_BROKEN_ROWS):
        yield BooksFault(*broken)
    for batch, addresses, why in connection.execute(_BROKEN_CALLS):
        for address in read_addresses(addresses):
            yield BooksFault(batch, *address, why)
    for batch, why in connection.execute(_BROKEN_BATCHES):
        yield BooksFault(batch, "batch", 0, why)


def _compare_rows(
    connection: sqlite3.Connection, batch: str, number: int, row_count: int, addresses: str
) -> Iterator[BooksFault]:
    """Name the rows that were taken and are gone, and those that were never taken."""
    taken = read_addresses(addresses)
    rows = connection.execute("SELECT objectname, objectindex FROM row WHERE batch = ? ORDER BY position", (number,))
    held = {Address(*address): None for address in rows}
    for address in taken:
        if address not in held:
            yield BooksFault(batch, *address, "it was taken with its batch, but is not in the journal")
    for address in set(held).difference(taken):
        yield BooksFault(batch, *address, "it is in the journal, but was not taken with its batch")
    if row_count != len(taken):
        yield BooksFault(batch, "batch", 0, f"it says it has {row_count} rows, but was taken with {len(taken)}")
    elif set(held) == set(taken):
        yield BooksFault(batch, "batch", 0, "its rows have lost their order")
