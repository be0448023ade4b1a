"""The conservation proof: rows accepted = final + pending + in doubt, and the name of every row that breaks it.

It holds for each organization by itself, and for all together. `accepted` is what was written down when a batch was
taken: how many rows (`batch.row_count`), and whose they were (`taken`); neither is touched again. The other three are
counted from the rows and calls as they stand, so the equations can fail. The store does the counting, in one pass and
bounded memory; Python sees only what is wrong. The questions are asked in SQL that SQLite and PostgreSQL read alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from bridge.batch import Address
from bridge.journal.addresses import read_addresses, render_addresses
from bridge.journal.records import BooksFault, Ledger, OrganizationBooks, RowRecord

TAKEN = """
SELECT COALESCE(SUM(row_count), 0) FROM batch
"""

TAKEN_BY_ORGANIZATION = """
SELECT organization, SUM(row_count) FROM (
    SELECT organization, row_count FROM taken
    UNION ALL
    SELECT organization, 1 FROM row WHERE batch IN (
        SELECT number FROM batch WHERE NOT EXISTS (SELECT 1 FROM taken WHERE taken.batch = batch.number))
) AS part GROUP BY organization
"""
"""A batch that an older version took has no record of whose its rows were; there the rows themselves must tell."""

COUNTS = """
SELECT row.organization,
    COUNT(*) FILTER (WHERE row.verdict IN ('accepted', 'refused')),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND COALESCE(call.state, '') <> 'IN_DOUBT'),
    COUNT(*) FILTER (WHERE row.verdict = 'pending' AND call.state = 'IN_DOUBT')
FROM row LEFT JOIN call ON row.verdict = 'pending' AND call.batch = row.batch AND call.position = row.call
GROUP BY row.organization
"""

DOUBTS = """
SELECT row.organization, COUNT(*) FROM batch JOIN call ON call.batch = batch.number AND call.state = 'IN_DOUBT'
JOIN row ON row.batch = call.batch AND row.call = call.position AND row.verdict = 'pending'
WHERE {open} GROUP BY row.organization
"""
"""How many rows are in doubt, asked every few seconds: it looks at open batches only."""

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
    WHEN (row.operation = 'legacy-batch') <> (call.operation = 'legacy-batch')
        THEN 'its call ' || call.id || ' goes to the other system'
    WHEN row.organization <> call.organization AND call.operation <> 'legacy-batch' THEN 'it belongs to '
        || COALESCE('organization ' || NULLIF(row.organization, ''), 'no organization')
        || ', but its call ' || call.id || ' goes to organization ' || call.organization
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
    WHEN call.path LIKE '/orgs/%' AND call.path NOT LIKE '/orgs/' || call.organization || '/%'
        THEN ' is one for organization ' || call.organization || ', but its path is another''s'
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


MISROUTED = """
SELECT id, number FROM batch WHERE EXISTS (
    SELECT 1 FROM taken WHERE taken.batch = batch.number AND taken.row_count <> (
        SELECT COUNT(*) FROM row WHERE row.batch = taken.batch AND row.organization = taken.organization))
    OR (SELECT SUM(row_count) FROM taken WHERE taken.batch = batch.number) <> row_count
ORDER BY number
"""

SHARES = """
SELECT organization, row_count, addresses FROM taken WHERE batch = {batch} ORDER BY organization
"""

ROUTES = """
SELECT objectname, objectindex, organization FROM row WHERE batch = {batch} ORDER BY position
"""


def divide_rows(rows: Sequence[RowRecord]) -> list[tuple[str, int, str]]:
    """Return whose the rows of a new batch are: (organization, how many rows, their addresses), for `taken`."""
    shares: dict[str, list[Address]] = {}
    for row in rows:
        shares.setdefault(row.organization, []).append(row.address)
    return [(organization, len(share), render_addresses(share)) for organization, share in sorted(shares.items())]


def compare_routes(
    batch: str, shares: Iterable[tuple[str, int, str]], routes: Iterable[tuple[str, int, str]]
) -> Iterator[BooksFault]:
    """Name the rows that stand under another organization than the one they were taken for."""
    taken_for: dict[Address, str] = {}
    for organization, row_count, addresses in shares:
        share = read_addresses(addresses)
        taken_for |= dict.fromkeys(share, organization)
        if row_count != len(share):
            why = f"{row_count} of its rows are said to belong to {_name(organization)}, but {len(share)} were taken"
            yield BooksFault(batch, "batch", 0, why)
    for name, index, organization in routes:
        was = taken_for.get(Address(name, index))
        if was is None:
            yield BooksFault(batch, name, index, "whose row it was when it was taken is not recorded")
        elif was != organization:
            why = f"it was taken for {_name(was)}, but stands under {_name(organization)}"
            yield BooksFault(batch, name, index, why)


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
    taken: int,
    taken_by_organization: Iterable[tuple[str, int]],
    counts: Iterable[tuple[str, int, int, int]],
    doubtful: Iterable[tuple[str, str, int]],
    faults: Iterable[BooksFault],
) -> Ledger:
    """Put the ledger together; a row with several faults is named once, with the first.

    `counts` are (organization, final, pending, in doubt). An equation that fails although no row is at fault is named
    itself: whatever the questions above overlook, the sums must not.
    """
    organizations = _balance(dict(taken_by_organization), {name: figures for name, *figures in counts})
    unaccounted: dict[tuple[str, str, int], BooksFault] = {}
    for fault in faults:
        unaccounted.setdefault((fault.batch, fault.objectname, fault.objectindex), fault)
    return Ledger(
        accepted=taken,
        final=sum(one.final for one in organizations),
        pending=sum(one.pending for one in organizations),
        in_doubt=sum(one.in_doubt for one in organizations),
        in_doubt_rows=tuple((batch, Address(name, index)) for batch, name, index in doubtful),
        unaccounted=tuple(unaccounted.values() or _unbalanced(taken, organizations)),
        organizations=organizations,
    )


def _balance(taken: Mapping[str, int], counts: Mapping[str, Sequence[int]]) -> tuple[OrganizationBooks, ...]:
    return tuple(
        OrganizationBooks(name, taken.get(name, 0), *counts.get(name, (0, 0, 0)))
        for name in sorted(taken.keys() | counts.keys())
    )


def _unbalanced(taken: int, organizations: Sequence[OrganizationBooks]) -> Iterator[BooksFault]:
    for index, one in enumerate(organizations):
        if one.accepted != one.final + one.pending + one.in_doubt:
            why = (
                f"{_name(one.organization)}: {one.accepted} rows were taken, but there are "
                f"{one.final} final + {one.pending} pending + {one.in_doubt} in doubt"
            )
            yield BooksFault("", "organization", index, why)
    if taken != (shared := sum(one.accepted for one in organizations)):
        yield BooksFault("", "batch", 0, f"{taken} rows were taken, but {shared} by all organizations together")


def _name(organization: str) -> str:
    return f"organization {organization}" if organization else "no organization"
