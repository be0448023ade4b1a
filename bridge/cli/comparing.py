"""`bridge compare`: recorded legacy answers held against the bridge's. Nothing is sent, and no bridge need run."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bridge.cli.comparison_report import STRANGER, UNREADABLE, Outcome, Survey, to_json, write_outcome
from bridge.cli.foretelling import Foreteller
from bridge.cli.organizations import find_organization, names_of
from bridge.cli.progress import show_progress
from bridge.cli.recorded import Place, Recorded, Recordings
from bridge.cli.screen import Screen, print_json
from bridge.comparing import Judge, References, Rules, compare, learn_noise, load_rules
from bridge.settings import Settings, load_settings


def compare_files(
    files: Sequence[Path], config: Path, organization: str | None, rules_file: Path | None, on: date, *, as_json: bool
) -> bool:
    """Show where the answers differ; tell whether nothing differs without excuse."""
    settings = load_settings(config, os.environ)
    only = find_organization(settings, organization, "--organization").id if organization is not None else None
    rules = load_rules(rules_file or settings.cutover.differences, {one.id for one in settings.organizations})
    recordings = Recordings(files)
    outcome = asyncio.run(_compare(settings, recordings, rules, only, on))
    if as_json:
        print_json(to_json(outcome, rules, on))
    else:
        write_outcome(Screen(), names_of(settings), outcome, rules, on)
    return not outcome.findings.differs


async def _compare(settings: Settings, recordings: Recordings, rules: Rules, only: str | None, on: date) -> Outcome:
    foreteller = Foreteller(settings)
    outcome = Outcome(_survey(recordings))
    references = References()
    with show_progress("comparing", "pairs", outcome.survey.pairs) as advance:
        for _, line in recordings.lines():
            sender = None if line is None else foreteller.find_sender(line)
            if line is None or sender is None:
                outcome.left_out[UNREADABLE if line is None else STRANGER] += 1
                continue
            advance(1)
            if only is not None and line.organizations and only not in line.organizations:
                continue
            foretold = await foreteller.foretell(line, sender)
            judge = Judge(
                rules=rules,
                origin=foreteller.origins_of(sender),
                organization_of=foretold.organization_of,
                on=on,
                unsure=foretold.unsure,
                noise=outcome.survey.noise,
                references=references,
            )
            comparison = compare(line.legacy.as_answer(), foretold.answer, judge)
            outcome.findings.take(comparison, foretold.organization_of, line.id, only)
            outcome.compared += 1
    return outcome


def _survey(recordings: Recordings) -> Survey:
    """Count the pairs, and learn noise from those whose payload came before."""
    survey = Survey()
    seen: dict[int, int] = {}
    with show_progress("looking for resends", "pairs") as advance:
        for place, line in recordings.lines():
            if line is None:
                continue
            advance(1)
            survey.pairs += 1
            content = _digest(line)
            if content in seen:
                survey.repeats += 1
                _learn(survey, recordings.at(Place(*divmod(seen[content], _FILE))), line)
            else:
                seen[content] = place.file * _FILE + place.offset
    return survey


_FILE = 1 << 48
"""More than any file has bytes: place and file in one number, of which there may be millions."""


def _digest(line: Recorded) -> int:
    digest = hashlib.blake2b(bytes(line.request), digest_size=8, key=line.sender.encode()[:64])
    return int.from_bytes(digest.digest(), "big")


def _learn(survey: Survey, first: Recorded | None, second: Recorded) -> None:
    if first is None or first.legacy.body == second.legacy.body:
        return
    only = second.organizations[0] if len(second.organizations) == 1 else ""
    for _, path in learn_noise(first.legacy.as_answer(), second.legacy.as_answer()):
        survey.noise.add((only, path))
