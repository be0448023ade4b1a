"""The conservation proof: rows accepted = final + pending + in doubt, and the name of every row that breaks it.

`accepted` is what batches said they held when they were taken; the other three are counted from the rows as they stand,
so the equation can fail. The store does the counting, in one pass and bounded memory; Python sees only what is wrong.
The questions are asked in SQL that SQLite and PostgreSQL read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bridge.batch import Address
from bridge.journal.addresses import read_addresses
from bridge.journal.records import BooksFault, Ledger

COUNTS = """
SELECT (SELECT COALESCE(SUM(row_count), 0) FROM batch),
    COUNT(*) FILTER (WHERE row.verdict IN ('accepted', 'refused')),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND COALESCE(call.state, '') <> 'IN_DOUBT'),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT')
FROM row LEFT JOIN call ON row.verdict = 'pending' AND call.batch = row.batch AND call.position = row.call
"""

IN_DOUBT = """
SELECT COALESCE(batch.id, 'number ' || row.batch), row.objectname, row.objectindex
FROM row JOIN call ON call.batch = row.batch AND call.position = row.call
LEFT JOIN batch ON batch.number = row.batch
WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT' ORDER BY row.batch, row.position
"""

BROKEN_ROWS = """
SELECT name, objectname, objectindex, fault FROM (
SELECT row.batch, row.position, COALESCE(batch.id, 'number ' || row.batch) AS name, row.objectname, row.objectindex,
    CASE
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
) AS judged WHERE fault IS NOT NULL ORDER BY batch, position
"""

BROKEN_CALLS = """
SELECT name, addresses, 'its call ' || id || fault FROM (
SELECT call.batch, call.position, COALESCE(batch.id, 'number ' || call.batch) AS name, call.addresses, call.id, CASE
    WHEN batch.number IS NULL THEN ' belongs to a batch that is not in the journal'
    WHEN call.state NOT IN ('PLANNED', 'SUBMITTING', 'SUBMITTED', 'IN_DOUBT', 'DONE', 'REFUSED')
        THEN ' is in a state that does not exist'
    WHEN batch.finished_at IS NOT NULL AND call.state NOT IN ('DONE', 'REFUSED')
        THEN ' is still ' || call.state || ', but its batch is finished'
    WHEN COALESCE(call.state <> (SELECT attempt.state FROM attempt WHERE attempt.batch = call.batch
            AND attempt.call = call.position ORDER BY attempt.step DESC LIMIT 1), true)
        THEN ' is ' || call.state || ', but the record of attempts ends otherwise'
    END AS fault
FROM call LEFT JOIN batch ON batch.number = call.batch
) AS judged WHERE fault IS NOT NULL ORDER BY batch, position
"""

BROKEN_BATCHES = """
SELECT id, CASE WHEN reply IS NULL THEN 'it is finished, but its answer is not stored'
    ELSE 'its answer is stored, but it is not finished' END
FROM batch WHERE (reply IS NULL) <> (finished_at IS NULL) ORDER BY number
"""

MISCOUNTED = """
SELECT id, number, row_count, addresses FROM batch WHERE (
    SELECT COUNT(*) <> batch.row_count
        OR COALESCE(SUM(row.position), 0) <> batch.row_count * (batch.row_count - 1) / 2
    FROM row WHERE row.batch = batch.number)
ORDER BY number
"""


def compare_rows(batch: str, row_count: int, addresses: str, held: Sequence[Address]) -> Iterator[BooksFault]:
    """Name the rows that were taken and are gone, and those that were never taken."""
    taken, there = read_addresses(addresses), dict.fromkeys(held)
    for address in taken:
        if address not in there:
            yield BooksFault(batch, *address, "it was taken with its batch, but is not in the journal")
    for address in set(there).difference(taken):
        yield BooksFault(batch, *address, "it is in the journal, but was not taken with its batch")
    if row_count != len(taken):
        yield BooksFault(batch, "batch", 0, f"it says it has {row_count} rows, but was taken with {len(taken)}")
    elif set(there) == set(taken):
        yield BooksFault(batch, "batch", 0, "its rows have lost their order")


def blame_call(batch: str, addresses: str, why: str) -> Iterator[BooksFault]:
    """Name every row of a broken call."""
    for address in read_addresses(addresses):
        yield BooksFault(batch, *address, why)


def close_ledger(
    counts: tuple[int, int, int, int], doubtful: Iterable[tuple[str, str, int]], faults: Iterable[BooksFault]
) -> Ledger:
    """Put the ledger together; a row with several faults is named once, with the first."""
    unaccounted: dict[tuple[str, str, int], BooksFault] = {}
    for fault in faults:
        unaccounted.setdefault((fault.batch, fault.objectname, fault.objectindex), fault)
    in_doubt_rows = tuple((batch, Address(name, index)) for batch, name, index in doubtful)
    return Ledger(*counts, in_doubt_rows, tuple(unaccounted.values()))
