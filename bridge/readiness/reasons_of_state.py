"""What the state of the bridge says against going: its books, creditors, mapping files, and recent switches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bridge.modes import GUARDRAIL, Mode
from bridge.readiness.evidence import Evidence
from bridge.readiness.report import Coverage, Reason, Severity
from bridge.readiness.wording import some
from bridge.steering.observing import Topic


def find_state_reasons(evidence: Evidence, coverage: Sequence[Coverage]) -> Iterator[Reason]:
    """Yield them, the gravest first."""
    yield from _find_doubts(evidence)
    yield from _find_strangers(evidence)
    yield from _find_returns(evidence)
    yield from _find_pending(evidence)
    yield from _find_refusing(coverage)
    yield from _find_idle_parts(coverage)
    yield from _find_unknown(evidence)
    yield from _find_mode(evidence)


def _find_doubts(evidence: Evidence) -> Iterator[Reason]:
    if evidence.books is not None and evidence.books.in_doubt:
        yield Reason(
            Severity.BLOCKS,
            "rows_in_doubt",
            f"In doubt, whether they arrived or not: {some(evidence.books.in_doubt, 'row')}.",
            (("rows", evidence.books.in_doubt),),
            "bridge ledger lists them; find out, then bridge batches settle.",
        )


def _find_pending(evidence: Evidence) -> Iterator[Reason]:
    if evidence.books is not None and evidence.books.pending:
        yield Reason(
            Severity.LOOK,
            "rows_pending",
            f"Pending: {some(evidence.books.pending, 'row')}.",
            (("rows", evidence.books.pending),),
            "Wait until the bridge has seen them through; bridge batches list shows which batches are open.",
        )


def _find_strangers(evidence: Evidence) -> Iterator[Reason]:
    found = sorted(
        (one for one in evidence.strangers if evidence.window.holds(one.last_seen)),
        key=lambda one: (one.sender, one.idnumber),
    )
    if found:
        yield Reason(
            Severity.BLOCKS,
            "creditors_not_onboarded",
            f"Not onboarded, so that their rows would be refused: {some(len(found), 'creditor')} its senders mention.",
            (("creditors", len(found)),),
            "bridge creditors list --paste writes what to add to the configuration.",
            tuple(f"creditor {one.idnumber} of sender {one.sender}" for one in found),
        )


def _find_returns(evidence: Evidence) -> Iterator[Reason]:
    found = [one for one in evidence.history if one.actor == GUARDRAIL and evidence.window.holds(one.at)]
    if found:
        yield Reason(
            Severity.LOOK,
            "guardrail_returns",
            f"A guardrail has switched it back {some(len(found), 'time')}.",
            (("switches", len(found)),),
            "See that what broke the budget is mended: bridge mode history says which figures did it.",
            tuple(f"to {one.describe()}: {one.reason}" for one in found),
        )


def _find_refusing(coverage: Sequence[Coverage]) -> Iterator[Reason]:
    found = [(each, name, count) for each in coverage for name, count in each.refusing if count]
    if found:
        rows = sum(count for _, _, count in found)
        yield Reason(
            Severity.LOOK,
            "refusing_codes",
            f"Refused by the bridge: {some(len(found), 'code')} that {some(rows, 'row')} carried.",
            (("rows", rows), ("codes", len(found))),
            "Ask what each stands for; give it a value in the mapping file, or have the ERP send another one.",
            tuple(f"{_file(each)}: {name}, {some(count, 'row')}" for each, name, count in found),
        )


def _find_idle_parts(coverage: Sequence[Coverage]) -> Iterator[Reason]:
    idle = sum(len(each.idle) for each in coverage)
    if idle:
        parts = sum(each.parts for each in coverage)
        yield Reason(
            Severity.LOOK,
            "idle_parts",
            f"Never exercised by real traffic: {idle:,} of {some(parts, 'part')} of the mapping files.",
            (("parts", parts), ("idle", idle)),
            "Decide which of them your ERP may send, and have a sample of each translated (bridge translate).",
            tuple(f"{_file(each)}: {name}" for each in coverage for name in each.idle),
        )


def _find_unknown(evidence: Evidence) -> Iterator[Reason]:
    found: Counter[tuple[str, str]] = Counter()
    for seen in evidence.observations:
        if seen.topic == Topic.UNKNOWN and evidence.window.holds(seen.since):
            found[seen.subject[1], seen.subject[2]] += seen.count
    for one in evidence.unknown:
        if evidence.window.holds(one.last_seen) and (one.objectname, one.field) not in found:
            found[one.objectname, one.field] = one.count
    if found:
        yield Reason(
            Severity.LOOK,
            "unknown_fields",
            f"Read by nobody, but carried by real traffic: {some(len(found), 'field')}.",
            (("fields", len(found)),),
            "Declare in the mapping file what must go along; the others are lost, as bridge unknown list shows.",
            tuple(f"{objectname}.{name}: {some(count, 'row')}" for (objectname, name), count in sorted(found.items())),
        )


def _find_mode(evidence: Evidence) -> Iterator[Reason]:
    if Mode.MODERN in evidence.current.modes:
        yield Reason(
            Severity.NOTE,
            "answered_already",
            f"The bridge answers for some of it already: {evidence.current.describe()}.",
            (("percent", 100.0 if evidence.current.modes == {Mode.MODERN} else evidence.current.percent),),
            "What it answers is compared with nothing; the figures are those of the creditors in shadow mode.",
        )


def _file(coverage: Coverage) -> str:
    return f"{coverage.profile}/{coverage.objectname}.toml"
