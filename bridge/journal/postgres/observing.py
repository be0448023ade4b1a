"""What was seen of organizations, counted by spans of time, and samples of the differences among it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from bridge.journal import law, restoring
from bridge.journal.cutover import Observation, Sample
from bridge.journal.postgres.connections import Connection
from bridge.journal.postgres.session import Session, clean, columns, slices
from bridge.journal.postgres.waves import Placed

SAMPLING_LOCK = 0x4143424B
"""The advisory lock of whoever keeps samples, so that replicas together keep no more than one would."""

_COUNT = f"""
INSERT INTO observation ({restoring.OBSERVATION_COLUMNS})
SELECT * FROM unnest($1::text[], $2::float8[], $3::text[], $4::text[], $5::bigint[])
ON CONFLICT (organization, since, topic, subject) DO UPDATE SET count = observation.count + excluded.count
"""  # noqa: S608 - constants

_SEEN = f"""
SELECT {restoring.OBSERVATION_COLUMNS} FROM observation
WHERE organization = $1 AND since >= $2 AND (cardinality($3::text[]) = 0 OR topic = ANY($3::text[]))
"""  # noqa: S608 - constants

_KEPT = """
SELECT asked.organization, asked.path, asked.kind, (SELECT COUNT(*) FROM sample
    WHERE sample.organization = asked.organization AND sample.path = asked.path AND sample.kind = asked.kind)
FROM unnest($1::text[], $2::text[], $3::text[]) AS asked(organization, path, kind)
"""

_KEEP = f"""
INSERT INTO sample ({restoring.SAMPLE_COLUMNS})
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[], $5::text[], $6::text[], $7::int[], $8::text[],
    $9::text[])
"""  # noqa: S608 - constants

_SAMPLES = f"""
SELECT {restoring.SAMPLE_COLUMNS} FROM sample WHERE organization = $1
ORDER BY path COLLATE "C", kind COLLATE "C", at, number
"""  # noqa: S608 - constants


async def observe(session: Session, wave: Sequence[Placed]) -> None:
    """Add to what was seen; what several writes have seen is added up first."""
    counts: Counter[tuple[str, float, str, str]] = Counter()
    for _, change in wave:
        for seen in change.observations:
            subject = restoring.render_subject(seen.subject)
            counts[clean(seen.organization), seen.since, clean(seen.topic), subject] += seen.count
    # sorted, so that replicas that see the same wait for each other and never in a circle
    for part in slices([(*key, count) for key, count in sorted(counts.items())]):
        await session.fetch(_COUNT, *columns(part))


async def list_observations(
    connection: Connection, organization: str, since: float, topics: Collection[str]
) -> list[Observation]:
    """Return what was seen in spans that begin at `since` or later; no topics: of all."""
    found = await connection.fetch(_SEEN, clean(organization), since, [clean(topic) for topic in topics])
    return restoring.to_observations(found)


async def keep_samples(session: Session, wave: Sequence[Placed]) -> None:
    """Keep samples of differences of which there are not enough yet."""
    samples = [_clean(sample) for _, change in wave for sample in change.samples]
    if not await _choose(session, samples):
        return  # there are enough of most differences: that needs no lock
    await session.take_turn(SAMPLING_LOCK)
    chosen = await _choose(session, samples)
    if chosen:
        await session.fetch(_KEEP, *columns([_bind_sample(sample) for sample in chosen]))


async def _choose(session: Session, samples: Sequence[Sample]) -> list[Sample]:
    differences = list({law.difference_of(sample) for sample in samples})
    if not differences:
        return []
    found = await session.fetch(_KEPT, *columns(differences))
    return law.choose_samples(samples, {(organization, path, kind): count for organization, path, kind, count in found})


def _clean(sample: Sample) -> Sample:
    """Return a sample as PostgreSQL can hold it; also what it is one of must be found again."""
    return replace(
        sample,
        organization=clean(sample.organization),
        path=clean(sample.path),
        kind=clean(sample.kind),
        sender=clean(sample.sender),
        legacy=clean(sample.legacy),
        bridge=clean(sample.bridge),
    )


def _bind_sample(sample: Sample) -> tuple[Any, ...]:
    return (
        *(sample.organization, sample.path, sample.kind, sample.at, sample.sender),
        *(sample.address or (None, None)),
        *(sample.legacy, sample.bridge),
    )


async def list_samples(connection: Connection, organization: str) -> list[Sample]:
    """Return the kept samples of differences, by path and kind, oldest first."""
    return [restoring.to_sample(sample) for sample in await connection.fetch(_SAMPLES, clean(organization))]
