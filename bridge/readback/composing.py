"""The answer to a reading call, put together of pieces of JSON that were made before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.mapping.reading import ReadProfile
from bridge.organizations import Organization
from bridge.readback.counterpart import Counterpart
from bridge.readback.settling import Numbered
from bridge.readback.shaping import describe_creditor, encode


@dataclass(frozen=True, slots=True)
class Account:
    """An answer, ready to be sent: pieces of JSON, to be written one after the other."""

    pieces: tuple[bytes | memoryview, ...]
    cases: int
    settlements: int

    @property
    def length(self) -> int:
        """Return the length in bytes."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True, slots=True)
class Draft:
    """The entries of an answer as JSON, every piece of them led by a comma."""

    creditors: Sequence[tuple[str, bytes]]
    """(idnumber, entry)."""
    cases: Sequence[bytes]
    settlements: Sequence[bytes]
    case_count: int
    settlement_count: int


def list_creditors(
    organizations: Sequence[Organization], reading: ReadProfile, language: str, creditorid: str, mark: str | None
) -> list[tuple[str, bytes]]:
    """Return one entry for each creditor; an organization without any still says how far its settlements were told."""
    return [
        (idnumber, b"," + encode(reading.creditor.render({"creditor": source}, language)))
        for one in organizations
        for idnumber in ([creditorid] if creditorid else sorted(one.creditors) or [""])
        for source in [{**describe_creditor(idnumber, one), "lastsettlementid": mark}]
    ]


def add_counterpart(draft: Draft, part: Counterpart, told: Sequence[Numbered], mark: str | None) -> Draft:
    """Return a draft with the legacy host's part: each creditor is told of by whoever answers for it."""
    ours = [(idnumber, entry) for idnumber, entry in draft.creditors if not idnumber or part.half.is_ours(idnumber)]
    theirs = [part.write_settlement(one) for one in told if one.organization == part.half.name]
    return replace(
        draft,
        creditors=[*ours, *(("", entry) for entry in part.write_creditors(mark))],
        cases=[*draft.cases, *(b"," + bytes(case) for case in part.cases)],
        settlements=[*draft.settlements, *theirs],
        case_count=draft.case_count + len(part.cases),
        settlement_count=draft.settlement_count + len(theirs),
    )


def compose(draft: Draft) -> Account:
    """Return the whole answer."""
    return Account(tuple(_assemble(draft)), draft.case_count, draft.settlement_count)


def _assemble(draft: Draft) -> Iterator[bytes | memoryview]:
    """Yield the answer in pieces, so that nothing large is copied."""
    yield b'{"batchid":null,"offline":false,"creditor":['
    yield from _without_first_comma(entry for _, entry in draft.creditors)
    yield b'],"case":['
    yield from _without_first_comma(draft.cases)
    yield b'],"settlement":['
    yield from _without_first_comma(draft.settlements)
    yield b"]}"


def _without_first_comma(fragments: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    for number, fragment in enumerate(fragments):
        yield fragment if number else memoryview(fragment)[1:]
