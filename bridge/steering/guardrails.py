"""Budgets of an organization that has moved on: what it spends, and its way back when it spends too much.

Whichever replica finds a budget broken switches back. The journal takes one switch after another, each from what was
seen before it, so it is done once; and what was counted before a switch is never held against it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.journal import Journal, Observation, SetSwitch, StaleSwitch
from bridge.logs import Event, get_log
from bridge.modes import GUARDRAIL, Mode, Switch
from bridge.settings import Budgets
from bridge.steering.observing import MINUTE, Topic
from bridge.steering.scores import ERROR
from bridge.steering.switchboard import Switchboard, share_of

log = get_log()

WINDOW_MINUTES = 15.0
FEWEST_ROWS = 20
LATE_PERCENT = 5.0
"""How many of 100 batches may take longer than the budget: what a 95th percentile means."""
FEWEST_LATE = 3
"""One slow batch, or two, are no verdict."""
TOPICS = (Topic.COMPARED, Topic.ANSWERED, Topic.ANSWER)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one organization may spend; None: no limit."""

    window_seconds: float = WINDOW_MINUTES * MINUTE
    min_rows: int = FEWEST_ROWS
    refused_percent: float | None = None
    different_percent: float | None = None
    p95_seconds: float | None = None
    errors: int | None = None

    @property
    def any(self) -> bool:
        """Tell whether there is a limit at all."""
        return any(
            limit is not None for limit in (self.refused_percent, self.different_percent, self.p95_seconds, self.errors)
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen of an organization in a window, since it was switched."""

    seconds: float
    """How long that is."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows the bridge decided, by verdict."""
    compared: Mapping[str, int] = field(default_factory=dict)
    """Rows compared, by bucket."""
    batches: Mapping[float, int] = field(default_factory=dict)
    """Batches, by the upper bound of the seconds their answer took; infinite: still open beyond the budget."""
    errors: int = 0


def allow(general: Budgets, own: Budgets | None) -> Allowance:
    """Return what an organization may spend: what it has of its own, over those of all."""
    budgets = general.model_dump(exclude_none=True) | (own.model_dump(exclude_none=True) if own else {})
    window_seconds = budgets.pop("window_minutes", WINDOW_MINUTES) * MINUTE
    return Allowance(window_seconds, **budgets)


def add_up(observations: Iterable[Observation], turn: Switch, now: float, allowance: Allowance) -> Figures:
    """Add up what was seen since a switch.

    Comparisons are counted by the minute: those of the minute that the switch falls into are left out.
    """
    rows: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    for one in observations:
        if one.topic == Topic.COMPARED:
            compared[one.subject[0]] += one.count if one.since >= turn.at else 0
        elif one.subject[1:] == (str(turn.number),):
            (rows if one.topic == Topic.ANSWERED else answers)[one.subject[0]] += one.count
    errors = answers.pop(ERROR, 0)
    seconds = min(allowance.window_seconds, max(now - turn.at, 0.0))
    return Figures(seconds, rows, compared, {float(bound): count for bound, count in answers.items()}, errors)


def judge(figures: Figures, allowance: Allowance) -> str:
    """Name every budget that is broken, with its figures; empty when there is none."""
    return ". ".join(_broken(figures, allowance))


def _broken(figures: Figures, allowance: Allowance) -> Iterator[str]:
    span = _say_span(figures.seconds)
    for part, word, whole, budget in (
        (figures.rows.get("refused", 0), "refused", figures.rows, allowance.refused_percent),
        (figures.compared.get("different", 0), "different", figures.compared, allowance.different_percent),
    ):
        total = sum(whole.values())
        if budget is not None and total >= allowance.min_rows and part * 100 > budget * total:
            yield f"{word} {part} of {total} rows ({part * 100 / total:.1f} %) in {span}; budget {budget:g} %"
    if allowance.p95_seconds is not None:
        late = sum(count for bound, count in figures.batches.items() if bound > allowance.p95_seconds)
        total = sum(figures.batches.values())
        if late >= FEWEST_LATE and late * 100 > LATE_PERCENT * total:
            within = f"within {allowance.p95_seconds:g} s"
            yield f"no answer {within} to {late} of {total} batches ({late * 100 / total:.1f} %) in {span}; budget 5 %"
    if allowance.errors is not None and figures.errors > allowance.errors:
        yield f"{figures.errors} batches not taken or not answered in {span}; budget {allowance.errors}"


def _say_span(seconds: float) -> str:
    if seconds >= 2 * MINUTE:
        return f"{seconds / MINUTE:.0f} minutes"
    return f"{math.ceil(seconds)} seconds"


def find_way_back(history: Sequence[Switch]) -> Switch | None:
    """Return how rows went when they last went less far than now; None: they never did, so there is no way back.

    Less far: fewer creditors modern, or as many and fewer in shadow. `history`: oldest first, the last one in force.
    """
    now = _distance(history[-1])
    return next((earlier for earlier in reversed(history) if _distance(earlier) < now), None)


def _distance(switch: Switch) -> tuple[float, float]:
    """Return how far a switch is from the legacy host."""
    return share_of(switch, Mode.MODERN), share_of(switch, Mode.SHADOW)


class Guardrails:
    """The regular look at every organization with a budget and a way back."""

    def __init__(
        self,
        journal: Journal,
        switchboard: Switchboard,
        allowances: Mapping[str, Allowance],
        *,
        clock: Callable[[], float],
        look_around: Callable[[float], None],
        note_trip: Callable[[str], None],
    ) -> None:
        """`allowances`: by organization; `look_around` counts what is late by now, before anything is judged.

        `note_trip` is told each organization that was switched back here.
        """
        self._journal = journal
        self._switchboard = switchboard
        self._allowances = {organization: one for organization, one in allowances.items() if one.any}
        self._clock = clock
        self._look_around = look_around
        self._note_trip = note_trip

    async def look(self) -> None:
        """Switch back whoever has broken a budget; raises CannotTakeNow when the journal cannot be asked."""
        self._look_around(self._clock())
        for organization, allowance in self._allowances.items():
            back = find_way_back(self._switchboard.history(organization))
            if back is not None:
                await self._look_at(organization, allowance, back)

    async def _look_at(self, organization: str, allowance: Allowance, back: Switch) -> None:
        now, turn = self._clock(), self._switchboard.turn(organization)
        current = self._switchboard.current(organization)
        since = max(now - allowance.window_seconds, turn.at - MINUTE)  # a span may begin before the switch
        seen = await self._journal.observations(organization, since, TOPICS)
        reason = judge(add_up(seen, turn, now, allowance), allowance)
        if not reason:
            return
        switch = replace(back, recording=current.recording, number=0, at=now, actor=GUARDRAIL, reason=reason)
        try:
            await self._journal.write(SetSwitch(switch, current.number))
        except StaleSwitch:
            return  # another replica has done it, or an operator was faster: the next look judges anew
        log.warning(Event.GUARDRAIL_TRIPPED, organization=organization, state=switch.describe(), why=reason)
        self._note_trip(organization)
