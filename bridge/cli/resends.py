"""What recordings teach before they are compared: how many there are, and where the legacy host contradicts itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge.cli.foretelling import Foreteller, only_organization
from bridge.cli.progress import show_progress
from bridge.comparing import Answer, learn_noise
from bridge.recording import Line, read_recordings

MOST_COMPARED = 5_000
"""How many payloads with more than one answer are looked at; a field that is noise shows in the first of them."""


@dataclass(slots=True)
class Survey:
    """What a first look at the recordings brings."""

    pairs: int = 0
    resends: int = 0
    """Pairs whose payload came before, from the same sender."""
    noise: set[tuple[str, str]] = field(default_factory=set)
    """(organization, path)."""


async def survey(paths: Sequence[Path], foreteller: Foreteller) -> Survey:
    """Look for payloads that were sent more than once, and learn noise from their answers."""
    found = Survey()
    disputed = _find_disputed(paths, found)
    firsts: dict[int, Answer] = {}
    for line in _lines(paths) if disputed else ():
        content = _digest(line.sender.encode(), line.body)
        if content not in disputed:
            continue
        answer = legacy_answer(line)
        if content in firsts:
            await _learn(found, foreteller, line, firsts[content], answer)
        else:
            firsts[content] = answer
    return found


def legacy_answer(line: Line) -> Answer:
    """Return what the legacy host answered; status 0 for an answer that was not recorded."""
    return Answer(line.legacy.status, line.legacy.json) if line.legacy is not None else Answer(0, b"")


def _find_disputed(paths: Sequence[Path], found: Survey) -> set[int]:
    """Count, and return the payloads that were answered in more than one way."""
    seen: dict[int, int] = {}
    disputed: set[int] = set()
    with show_progress("looking for resends", "pairs") as advance:
        for line in _lines(paths):
            advance(1)
            found.pairs += 1
            content, said = _digest(line.sender.encode(), line.body), _digest(b"", legacy_answer(line).body)
            found.resends += content in seen
            if seen.setdefault(content, said) != said and len(disputed) < MOST_COMPARED:
                disputed.add(content)
    return disputed


async def _learn(found: Survey, foreteller: Foreteller, line: Line, first: Answer, second: Answer) -> None:
    sender = foreteller.find_sender(line)
    only = only_organization(line)
    whose = await foreteller.tell_whose(line, sender) if sender is not None else {}
    for address, path in learn_noise(first, second):
        found.noise.add((whose.get(address, only) if address is not None else only, path))


def _lines(paths: Sequence[Path]) -> Iterator[Line]:
    return (found.line for found in read_recordings(paths) if found.line is not None)


def _digest(sender: bytes, text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=sender[:64]).digest(), "big")
