"""`bridge replay`: recorded requests, answered by a bridge."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bridge.cli.answering import Answering, open_answering
from bridge.cli.progress import Advance, show_progress
from bridge.cli.replay_files import OutFile, open_out, read_in_order, require_recordings
from bridge.cli.screen import Screen, bad, good, waiting
from bridge.errors import OperatorError
from bridge.recording import Found, Line, list_files, read_recordings
from bridge.settings import Settings, load_settings

UNREADABLE, NO_REQUEST, STRANGER = "cannot be read", "hold no request", "are of a sender nobody knows"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to replay; None: as fast as answers come."""

    rate: float | None = None
    """Exchanges a second, at most."""
    speed: float | None = None
    """Times as fast as recorded, at most."""

    def due(self, count: int, recorded_seconds: float) -> float:
        """Return when an exchange is due, in seconds since the first; `count` went before it."""
        by_rate = count / self.rate if self.rate else 0.0
        by_speed = recorded_seconds / self.speed if self.speed else 0.0
        return max(by_rate, by_speed)


@dataclass(slots=True)
class Tally:
    """What became of the lines."""

    answered: int = 0
    known: int = 0
    """Answered by an earlier run, or twice in the files."""
    left_out: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    """The first lines that could not be read, each with its place."""

    def leave_out(self, why: str, found: Found) -> None:
        """Count a line that is not replayed."""
        self.left_out[why] += 1
        if why == UNREADABLE and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(f"{found.place}: {found.problem}")


MOST_PROBLEMS = 5


def replay(
    files: Sequence[Path], config: Path, against: str, out: Path, pace: Pace, *, resume: bool, limit: int | None
) -> bool:
    """Answer recorded requests and write them to `out` with their answers; tell whether there were any."""
    settings = load_settings(config, os.environ)
    require_recordings(files)
    if any(path.resolve() == out.resolve() for path in list_files(files)):
        raise OperatorError(f"--out: {out} is one of the recordings to be replayed; name another file")
    if any(path.is_dir() and out.resolve().is_relative_to(path.resolve()) for path in files):
        raise OperatorError(
            f"--out: {out} would lie among the recordings, and count twice from then on; name a file elsewhere"
        )
    screen, tally = Screen(), Tally()
    total = sum(found.line is not None for found in read_recordings(files))
    with open_out(out, resume=resume) as file:
        try:
            with show_progress("replaying", "exchanges", min(total, limit or total)) as advance:
                asyncio.run(_replay(against, settings, Run(files, file, pace, limit, tally, advance)))
        except KeyboardInterrupt:
            screen.say(waiting(f"Interrupted: {tally.answered:,} answered; the same command with --resume goes on."))
            raise
    _tell(screen, tally, out, config)
    return tally.answered + tally.known > 0


@dataclass(frozen=True, slots=True)
class Run:
    """One replay."""

    files: Sequence[Path]
    out: OutFile
    pace: Pace
    limit: int | None
    tally: Tally
    advance: Advance
    clock: Callable[[], float] = time.monotonic


async def _replay(against: str, settings: Settings, run: Run) -> None:
    async with open_answering(against, settings) as answering:
        began, first = run.clock(), None
        for found in read_in_order(run.files):
            line = _choose(found, run)
            if line is None:
                continue
            if run.limit is not None and run.tally.answered >= run.limit:
                return
            first = line.at if first is None else first
            await _wait(began + run.pace.due(run.tally.answered, line.at - first), run.clock)
            await _answer(answering, found, line, run)


def _choose(found: Found, run: Run) -> Line | None:
    """Return a line that is to be answered, or count why it is not."""
    line = found.line
    if line is None:
        run.tally.leave_out(UNREADABLE, found)
    elif not line.body:
        run.tally.leave_out(NO_REQUEST, found)
    elif line.id in run.out.ids:
        run.tally.known += 1
        run.advance(1)
    else:
        return line
    return None


async def _wait(due: float, clock: Callable[[], float]) -> None:
    if (pause := due - clock()) > 0:
        await asyncio.sleep(pause)


async def _answer(answering: Answering, found: Found, line: Line, run: Run) -> None:
    answer = await answering.answer(line)
    run.advance(1)
    if answer is None:
        run.tally.leave_out(STRANGER, found)
        return
    run.out.append(msgspec.structs.replace(line, bridge=answer))
    run.tally.answered += 1


def _tell(screen: Screen, tally: Tally, out: Path, config: Path) -> None:
    known = f", {tally.known:,} were answered before" if tally.known else ""
    found = tally.answered + tally.known > 0
    told = f"{out}: {tally.answered:,} exchanges answered{known}"
    screen.say(good(told) if found else bad("Nothing could be answered: name recordings (.jsonl, .jsonl.gz)."))
    for why, count in tally.left_out.items():
        screen.say(waiting(f"  left out: {count:,} lines that {why}"))
    for problem in tally.problems:
        screen.say(f"    {problem}")
    if found:
        screen.say(f"Compare the answers: bridge compare {out} --config {config}")
