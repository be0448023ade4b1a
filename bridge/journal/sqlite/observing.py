"""What was seen of organizations, counted by spans of time, and samples of the differences among it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Any

from bridge.journal import law, restoring
from bridge.journal.changes import KeepSamples, Observe
from bridge.journal.cutover import Observation, Sample
from bridge.journal.sqlite.bulk import execute_many, query_many

_COUNT = f"""
INSERT INTO observation ({restoring.OBSERVATION_COLUMNS})
SELECT column1, column2, column3, column4, column5 FROM ({{values}}) WHERE true
ON CONFLICT (organization, since, topic, subject) DO UPDATE SET count = count + excluded.count
"""  # noqa: S608 - constants

_SEEN = f"""
SELECT {restoring.OBSERVATION_COLUMNS} FROM observation
WHERE organization = ?1 AND since >= ?2 AND (?3 = '[]' OR topic IN (SELECT value FROM json_each(?3)))
"""  # noqa: S608 - constants

_KEPT = """
SELECT organization, path, kind, COUNT(*) FROM ({values}) AS asked JOIN sample ON sample.organization = asked.column1
    AND sample.path = asked.column2 AND sample.kind = asked.column3
GROUP BY organization, path, kind
"""


def observe(connection: sqlite3.Connection, change: Observe) -> None:
    """Add to what was seen."""

    def bind(seen: Observation) -> tuple[Any, ...]:
        return seen.organization, seen.since, seen.topic, restoring.render_subject(seen.subject), seen.count

    execute_many(connection, _COUNT, change.observations, bind)


def list_observations(
    connection: sqlite3.Connection, organization: str, since: float, topics: Collection[str]
) -> list[Observation]:
    """Return what was seen in spans that begin at `since` or later; no topics: of all."""
    return restoring.to_observations(connection.execute(_SEEN, (organization, since, json.dumps(list(topics)))))


def keep_samples(connection: sqlite3.Connection, change: KeepSamples) -> None:
    """Keep samples of differences of which there are not enough yet."""
    differences = list({law.difference_of(sample) for sample in change.samples})
    found = query_many(connection, _KEPT, differences, lambda difference: difference)
    kept = {(organization, path, kind): count for organization, path, kind, count in found}
    execute_many(
        connection,
        f"INSERT INTO sample ({restoring.SAMPLE_COLUMNS}) {{values}}",
        law.choose_samples(change.samples, kept),
        _bind_sample,
    )


def _bind_sample(sample: Sample) -> tuple[Any, ...]:
    return (
        *(sample.organization, sample.path, sample.kind, sample.at, sample.sender),
        *(sample.address or (None, None)),
        *(sample.legacy, sample.bridge),
    )


def list_samples(connection: sqlite3.Connection, organization: str) -> list[Sample]:
    """Return the kept samples of differences, by path and kind, oldest first."""
    found = connection.execute(
        f"SELECT {restoring.SAMPLE_COLUMNS} FROM sample WHERE organization = ? ORDER BY path, kind, at, number",  # noqa: S608 - constants
        (organization,),
    )
    return [restoring.to_sample(sample) for sample in found]
