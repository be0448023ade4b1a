"""`bridge compare`: recorded legacy answers held against the bridge's. Nothing is sent, and no bridge need run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from bridge.cli.comparison_report import INCOMPLETE, STRANGER, UNREADABLE, Outcome, to_json, write_outcome
from bridge.cli.foretelling import Foreteller
from bridge.cli.organizations import find_organization, names_of
from bridge.cli.progress import show_progress
from bridge.cli.resends import legacy_answer, survey
from bridge.cli.screen import Screen, print_json
from bridge.comparing import Judge, Rules, compare, load_rules
from bridge.errors import OperatorError
from bridge.recording import Line, read_recordings
from bridge.settings import Settings, load_settings


def compare_files(
    files: Sequence[Path], config: Path, organization: str | None, rules_file: Path | None, on: date, *, as_json: bool
) -> bool:
    """Show where the answers differ; tell whether something was compared, and nothing differs without excuse."""
    settings = load_settings(config, os.environ)
    only = find_organization(settings, organization, "--organization").id if organization is not None else None
    rules = load_rules(rules_file or settings.cutover.differences, {one.id for one in settings.organizations})
    try:
        outcome = asyncio.run(_compare(settings, files, rules, only, on))
    except OSError as error:
        raise OperatorError(
            f"{error.filename}: cannot be read ({error.strerror}); name recordings or a folder"
        ) from error
    if as_json:
        print_json(to_json(outcome, rules, on))
    else:
        write_outcome(Screen(), names_of(settings), outcome, rules, on)
    return outcome.compared > 0 and not outcome.findings.differs


async def _compare(settings: Settings, files: Sequence[Path], rules: Rules, only: str | None, on: date) -> Outcome:
    """Compare every recorded pair, one after the other; memory does not grow with their number."""
    foreteller = Foreteller(settings)
    outcome = Outcome(await survey(files, foreteller))
    judge = Judge(rules, on=on, noise=outcome.survey.noise)
    with show_progress("comparing", "pairs", outcome.survey.pairs) as advance:
        for found in read_recordings(files):
            if found.line is None:
                outcome.left_out[UNREADABLE] += 1
                continue
            advance(1)
            if only is None or not found.line.organizations or only in found.line.organizations:
                reason = await _compare_one(outcome, foreteller, judge, found.line, only)
                outcome.left_out.update([reason] if reason else ())
    return outcome


async def _compare_one(outcome: Outcome, foreteller: Foreteller, judge: Judge, line: Line, only: str | None) -> str:
    """Compare one pair; return why it cannot be, else nothing."""
    sender = foreteller.find_sender(line)
    if sender is None:
        return STRANGER
    if line.legacy is None or not line.body:
        return INCOMPLETE
    foretold = await foreteller.foretell(line, sender)
    own = replace(
        judge,
        origin=foreteller.origins_of(sender),
        organization_of=foretold.organization_of,
        unsure=foretold.unsure,
    )
    comparison = compare(legacy_answer(line), foretold.answer, own)
    outcome.findings.take(comparison, foretold.organization_of, line.id, only)
    outcome.compared += 1
    return ""
